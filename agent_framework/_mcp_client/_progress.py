# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Passing on what a server reports on a call, without waiting for it and without holding more than a few reports."""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from ._printable import printable
from ._server import Server

logger = logging.getLogger("agent_framework._mcp")

MAX_REPORTS_WAITING = 64
"""How many reports on a call wait for an asynchronous callback that is busy with an earlier one. Of more the oldest are
dropped: each report says how far the call is, so the newest counts."""


_FAILED = "The progress_callback for MCP server %s failed."


class ProgressReports:
    """The reports on one call, in their order.

    Reports arrive in the session's receive loop, which must go on: an asynchronous callback is awaited beside it, and
    what comes meanwhile waits.

    Args:
        server: Who reports.
        callback: Called with tool name, progress, total and message; sync or async.
        start_soon: Runs a coroutine function with its arguments beside the calls, and returns whether it will.
    """

    def __init__(self, server: Server, callback: Callable[..., Any], start_soon: Callable[..., bool]) -> None:
        self._server = server
        self._callback = callback
        self._start_soon = start_soon
        self._waiting: deque[tuple[Any, ...]] | None = None  # None while no callback is awaited

    def add(self, tool_name: str, progress: float, total: float | None, message: str | None) -> None:
        """Pass a report on: at once, or after those that wait."""
        report = (tool_name, progress, total, None if message is None else printable(message))
        if self._waiting is not None:
            self._waiting.append(report)
            return
        outcome = self._call(report)
        if inspect.isawaitable(outcome):
            self._waiting = deque(maxlen=MAX_REPORTS_WAITING)
            if not self._start_soon(self._await_in_order, outcome):
                self._waiting = None
                getattr(outcome, "close", _nothing)()  # the connection is ending; a coroutine would complain

    async def _await_in_order(self, outcome: Any) -> None:
        try:
            while True:
                if inspect.isawaitable(outcome):
                    await self._finish(outcome)
                if not self._waiting:
                    return
                outcome = self._call(self._waiting.popleft())
        finally:
            self._waiting = None

    def _call(self, report: tuple[Any, ...]) -> Any:
        try:
            return self._callback(*report)
        except Exception:  # the user's own code, which must not end the connection
            logger.exception(_FAILED, self._server)
            return None

    async def _finish(self, outcome: Awaitable[Any]) -> None:
        try:
            await outcome
        except Exception:  # as above
            logger.exception(_FAILED, self._server)


def _nothing() -> None:
    pass
