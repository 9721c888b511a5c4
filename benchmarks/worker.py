# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A process that measures one client: `worker.py sdk` or `worker.py framework`.

It first says in a line of JSON what it runs on. Then each line on its standard input names an operation and its
arguments, and is answered with a line of figures, or with the traceback of what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import traceback
from importlib import metadata
from typing import Any

import clients
import operations

PACKAGES = ("agent-framework-core", "mcp", "httpx", "anyio", "pydantic", "sniffio")


def main() -> None:
    # The replies have our standard output to themselves; whatever else prints, prints to standard error.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    client = clients.make(sys.argv[1])
    print(json.dumps(versions()), file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(client, json.loads(line))), file=replies, flush=True)


def versions() -> dict[str, str]:
    """What is installed here, by distribution, and the Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def obey(client: clients.Client, order: dict[str, Any]) -> operations.Figures:
    """Does what a line says."""
    operation = operations.OPERATIONS[order.pop("do")]
    target = clients.Target(**order.pop("target"))
    try:
        return asyncio.run(operation(client, target, **order))
    except Exception:  # noqa: BLE001  # whatever it is, the process that gave the order has to know
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    main()
