# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A child process to talk to over stdio: an MCP server that behaves, or one that does not.

    stdio_peer.py good [RECORD]    answers; with RECORD, writes every line that it receives to that file
    stdio_peer.py exits            writes a reason to stderr and exits with code 3
    stdio_peer.py garbage          prints lines that are no JSON-RPC, then nothing more, and answers nothing
    stdio_peer.py babbles          prints such lines for ever
    stdio_peer.py silent           reads for ever and answers nothing
    stdio_peer.py stubborn         the same, and neither the end of its input nor SIGTERM makes it leave

The good one has the tools `echo` (its arguments back as JSON), `hang` (never answers), `die` (exits with code 4 in
mid-call) and `fail` (an error result). Standard library only, so that it starts fast.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "hang", "die", "fail")]
NO_ANSWER = object()


def answer(method: str, params: dict[str, Any]) -> Any:
    """The result for one request."""
    if method == "initialize":
        version = params["protocolVersion"]
        return {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "peer", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    return call(params["name"], params.get("arguments") or {}) if method == "tools/call" else {}


def call(name: str, arguments: dict[str, Any]) -> Any:
    """The result for one tool call."""
    if name == "hang":
        return NO_ANSWER
    if name == "die":
        os._exit(4)
    text = json.dumps(arguments, sort_keys=True)
    return {"content": [{"type": "text", "text": text}], "isError": name == "fail"}


def good(record: str | None = None) -> None:
    """Serves until the input ends."""
    for line in sys.stdin:
        if record:
            with Path(record).open("a", encoding="utf-8") as file:
                file.write(line)
        message = json.loads(line)
        result = answer(message["method"], message.get("params") or {}) if "id" in message else NO_ANSWER
        if result is not NO_ANSWER:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


def exits() -> None:
    print("no licence found", file=sys.stderr, flush=True)
    sys.exit(3)


def garbage() -> None:
    print("Listening on port 8080\n\x1b[32mready\x1b[0m", flush=True)
    silent()


def babbles() -> None:
    while True:
        print("this is no JSON-RPC", flush=True)


def silent() -> None:
    for _ in sys.stdin:
        pass


def stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    silent()
    while True:
        signal.pause()


if __name__ == "__main__":
    try:
        {f.__name__: f for f in (good, exits, garbage, babbles, silent, stubborn)}[sys.argv[1]](*sys.argv[2:])
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # the client has gone: nobody is left to read a traceback
