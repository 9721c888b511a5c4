# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Importing the SDK when the first connection is opened, without holding up the event loop."""

from __future__ import annotations

import asyncio
import importlib
import sys
from concurrent.futures import Future, ThreadPoolExecutor

_NEEDED = ("._connection", "._transports", ".transports.streamable_http")

_under_way: Future[None] | None = None


async def load() -> None:
    """Import what connections stand on, in a thread that ends with it: it takes a good part of a second once.

    Raises:
        ModuleNotFoundError: ``mcp`` is not installed.
    """
    if all((__package__ or "") + name in sys.modules for name in _NEEDED) and _under_way is None:
        return
    await asyncio.shield(asyncio.wrap_future(_started()))


def _started() -> Future[None]:
    """The import under way, which any number of tasks and event loops share."""
    global _under_way  # noqa: PLW0603  # one import for the whole process
    future = _under_way
    if future is None:
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="import-mcp")
        _under_way = future = executor.submit(_import)
        future.add_done_callback(_forget)  # which may happen right now, in either thread
        executor.shutdown(wait=False)
    return future


def _import() -> None:
    for name in _NEEDED:
        importlib.import_module(name, __package__)


def _forget(_: Future[None]) -> None:
    global _under_way  # noqa: PLW0603  # as above
    _under_way = None
