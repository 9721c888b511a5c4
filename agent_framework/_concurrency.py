# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Two small pieces of asyncio that the host needs: work that starts late, and siblings that end together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
StreamT = TypeVar("StreamT")


class Deferred(Generic[T]):
    """An awaitable that makes its coroutine only when it is awaited.

    A stream object has to be returned before anybody knows whether it will be read; a coroutine made
    that early and never awaited would be reported by Python as a mistake.
    """

    def __init__(self, start: Callable[[], Awaitable[T]]) -> None:
        self._start = start

    def __await__(self) -> Generator[Any, None, T]:
        return self._start().__await__()


async def run_together(calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """Run all calls at once and return their results in order.

    When one of them raises, or the caller is cancelled, the others are cancelled and awaited before the
    exception goes on: nothing runs on behind the caller's back. A single call runs in the caller's own task.

    Raises:
        BaseException: Whatever the first failing call raised, unchanged.
    """
    if len(calls) == 1:
        return [await calls[0]()]
    tasks = [asyncio.create_task(call()) for call in calls]
    try:
        await _wait_for_all_or_first_failure(tasks)
    finally:
        await _cancel_and_settle(tasks)
    return [task.result() for task in tasks]


async def _wait_for_all_or_first_failure(tasks: Sequence[asyncio.Task[Any]]) -> None:
    # Not FIRST_EXCEPTION: asyncio.wait does not count a cancelled task as one that failed.
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done:
                task.result()


async def _cancel_and_settle(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait until it has ended, also when the caller is cancelled meanwhile."""
    pending = {task for task in tasks if not task.done()}
    for task in pending:
        task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while pending:
        try:
            _, pending = await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            # Kept and raised below: leaving now would leave the siblings running.
            cancelled = error
            pending = {task for task in pending if not task.done()}
    for task in tasks:
        if not task.cancelled():
            task.exception()  # marks it as seen; the first failure is the one that is raised
    if cancelled is not None:
        raise cancelled


class closing_stream(Generic[StreamT]):  # noqa: N801  # reads as a phrase: async with closing_stream(stream)
    """Closes a stream at the end of the block, if it can be closed, so that what it holds is released at once.

    A class, because streams are read inside of async generators: at its end the event loop closes all that are left
    at the same time, and a context manager that is a generator itself would be closed under the one that uses it.
    """

    def __init__(self, stream: StreamT) -> None:
        self._stream = stream

    async def __aenter__(self) -> StreamT:
        return self._stream

    async def __aexit__(self, *exc_info: object) -> None:
        aclose = getattr(self._stream, "aclose", None)
        if aclose is not None:
            await aclose()
