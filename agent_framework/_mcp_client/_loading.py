# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Importing what is slow to import when it is first needed, without holding up the event loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
from concurrent.futures import Future, ThreadPoolExecutor

CONNECTIONS = ("._connection", "._transports", ".transports.streamable_http")
"""What connections stand on; the SDK comes with it."""

VALIDATOR = ("jsonschema_rs",)
"""What checks structured results."""

_under_way: dict[tuple[str, ...], Future[None]] = {}


async def load(modules: tuple[str, ...] = CONNECTIONS) -> None:
    """Import modules in a thread that ends with it: it takes a good part of a second once.

    Args:
        modules: Their names; those of this package begin with a dot.

    Raises:
        ModuleNotFoundError: A package is not installed.
        ImportError: It cannot be imported here.
    """
    if modules not in _under_way and all(_absolute(name) in sys.modules for name in modules):
        return
    await asyncio.shield(asyncio.wrap_future(_started(modules)))


def _started(modules: tuple[str, ...]) -> Future[None]:
    """The import under way, which any number of tasks and event loops share."""
    future = _under_way.get(modules)
    if future is None:
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="import-mcp")
        _under_way[modules] = future = executor.submit(_import, modules)
        future.add_done_callback(lambda _: _under_way.pop(modules, None))  # maybe right now, in either thread
        executor.shutdown(wait=False)
    return future


def _absolute(name: str) -> str:
    return (__package__ or "") + name if name.startswith(".") else name


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        importlib.import_module(name, __package__)
