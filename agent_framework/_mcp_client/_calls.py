# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The calls in flight on one session: each runs in its caller's task, inside a scope that the connection can cancel."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from ._streams import Call, current_call

T = TypeVar("T")


@dataclass
class Outcome(Generic[T]):
    """How a request ended: with an answer, with an error, or, when both are None, because its scope was cancelled."""

    answer: T | None = None
    error: Exception | None = None
    answered: bool = False


def new_call(phase: str, what: str, timeout: float | None = None) -> Call:
    """A call that has ``timeout`` seconds from now on; None for ever."""
    deadline = math.inf if timeout is None else anyio.current_time() + timeout
    return Call(phase, what, anyio.CancelScope(deadline=deadline))


class Calls:
    """The calls in flight.

    Attributes:
        on_busy: Called when there is one where there was none.
        on_idle: Called when the last of them has ended.
    """

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self.on_busy: Callable[[], None] = _nothing
        self.on_idle: Callable[[], None] = _nothing

    def __len__(self) -> int:
        return len(self._calls)

    def release(self) -> None:
        """Wake every caller. Synchronous and idempotent."""
        for call in self._calls:
            call.scope.cancel()

    async def run(self, send: Callable[[], Awaitable[T]], call: Call) -> Outcome[T]:
        """Send a request and wait for its answer or for the end of its scope.

        A cancellation of the caller comes through; nothing else does.
        """
        token = current_call.set(call)
        if not self._calls:
            self.on_busy()
        self._calls.add(call)
        before = _cancelling()
        try:
            with call.scope:
                return Outcome(answer=await send(), answered=True)
        except Exception as error:  # noqa: BLE001  # a session raises whatever it finds wrong; the link interprets it
            return Outcome(error=error)
        finally:
            current_call.reset(token)
            self._calls.discard(call)
            if not self._calls:
                self.on_idle()
        if _cancelling() > before:
            raise asyncio.CancelledError
        return Outcome()


def _nothing() -> None:
    pass


async def wait_at_most(seconds: float | None, event: anyio.Event) -> None:
    """Wait for an event, or until ``seconds`` have passed. A cancellation of the caller comes through in any case."""
    before = _cancelling()
    with anyio.move_on_after(seconds):
        await event.wait()
    if _cancelling() > before:
        raise asyncio.CancelledError


def _cancelling() -> int:
    """How many cancellations of the running task are pending; 0 before Python 3.11, where nobody counts them.

    One more behind a scope than before it means that the task was cancelled in the same turn of the event loop as the
    scope: asyncio folds the two into one CancelledError, and older releases of anyio take it for the scope's alone.

    The version decides, not the attribute: backported runners bring tasks that count what anyio never takes back.
    """
    if sys.version_info >= (3, 11):
        task = asyncio.current_task()
        return 0 if task is None else task.cancelling()
    return 0
