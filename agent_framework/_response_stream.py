# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""A stream of updates that ends in one final response."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar, Union, cast

UpdateT = TypeVar("UpdateT")
FinalT = TypeVar("FinalT")
OuterUpdateT = TypeVar("OuterUpdateT")
OuterFinalT = TypeVar("OuterFinalT")

ValueT = TypeVar("ValueT")
MaybeAwaitable = Union[ValueT, Awaitable[ValueT]]  # noqa: UP007 - evaluated, and a TypeVar takes no | on Python 3.10


async def _resolve(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


class ResponseStream(AsyncIterable[UpdateT], Generic[UpdateT, FinalT]):
    """Updates to iterate over once, and what they amount to.

    When the source has ended, this happens once and in this order: cleanup hooks, the finalizer with all updates, the
    result hooks. When it fails, cleanup hooks run, and the error goes to the reader and to every later
    ``get_final_response``. Whoever leaves a stream half-read closes it with ``aclose``, which runs the cleanup hooks.

    A stream made from another ResponseStream finishes that one first. Without a finalizer of its own, it has the same
    final response.

    Args:
        stream: The source, or an awaitable of it. Nothing is awaited before the stream is read.
        finalizer: Makes the final response from the updates; without one it is the list of updates.
        transform_hooks: Applied to each update in turn; None as a result keeps the update.
        cleanup_hooks: All of them run, also when one fails.
        result_hooks: Applied to the final response in turn; None as a result keeps it.
    """

    def __init__(
        self,
        stream: AsyncIterable[UpdateT] | Awaitable[AsyncIterable[UpdateT]],
        *,
        finalizer: Callable[[Sequence[UpdateT]], MaybeAwaitable[FinalT]] | None = None,
        transform_hooks: list[Callable[[UpdateT], MaybeAwaitable[UpdateT | None]]] | None = None,
        cleanup_hooks: list[Callable[[], MaybeAwaitable[None]]] | None = None,
        result_hooks: list[Callable[[FinalT], MaybeAwaitable[FinalT | None]]] | None = None,
    ) -> None:
        self._stream_source: Any = stream
        self._finalizer: Callable[[Sequence[Any]], Any] | None = finalizer
        self._map_update: Callable[[Any], Any] | None = None
        self._transform_hooks = [] if transform_hooks is None else transform_hooks
        self._cleanup_hooks = [] if cleanup_hooks is None else cleanup_hooks
        self._result_hooks = [] if result_hooks is None else result_hooks
        self._iterator: AsyncIterator[Any] | None = None
        self._inner_stream: ResponseStream[Any, Any] | None = None
        self._updates: list[UpdateT] = []
        self._consumed = False
        self._cleanup_run = False
        self._error: Exception | None = None
        self._finalized = False
        self._translate_error: Callable[[Exception], Exception] | None = None
        self._final_result: Any = None
        self._result_hooks_run = 0

    @classmethod
    def from_awaitable(cls, awaitable: Awaitable[ResponseStream[UpdateT, FinalT]]) -> ResponseStream[UpdateT, FinalT]:
        """A stream that can be returned before the one it stands for exists."""
        return cls(awaitable)

    def map(
        self,
        transform: Callable[[UpdateT], MaybeAwaitable[OuterUpdateT]],
        finalizer: Callable[[Sequence[OuterUpdateT]], MaybeAwaitable[OuterFinalT]],
    ) -> ResponseStream[OuterUpdateT, OuterFinalT]:
        """A stream of other updates, with a final response made from them."""
        outer: ResponseStream[OuterUpdateT, OuterFinalT] = ResponseStream(cast("Any", self), finalizer=finalizer)
        outer._map_update = transform
        return outer

    def with_finalizer(
        self, finalizer: Callable[[Sequence[UpdateT]], MaybeAwaitable[OuterFinalT]]
    ) -> ResponseStream[UpdateT, OuterFinalT]:
        """A stream of the same updates with another final response."""
        return ResponseStream(self, finalizer=finalizer)

    def with_transform_hook(
        self, hook: Callable[[UpdateT], MaybeAwaitable[UpdateT | None]]
    ) -> ResponseStream[UpdateT, FinalT]:
        """Add a transform hook; returns this stream."""
        self._transform_hooks.append(hook)
        return self

    def with_result_hook(
        self, hook: Callable[[FinalT], MaybeAwaitable[FinalT | None]]
    ) -> ResponseStream[UpdateT, FinalT]:
        """Add a result hook; returns this stream. One that comes late runs in the next ``get_final_response``."""
        self._result_hooks.append(hook)
        return self

    def with_cleanup_hook(self, hook: Callable[[], MaybeAwaitable[None]]) -> ResponseStream[UpdateT, FinalT]:
        """Add a cleanup hook; returns this stream."""
        self._cleanup_hooks.append(hook)
        return self

    @property
    def updates(self) -> Sequence[UpdateT]:
        """The updates that came out so far."""
        return self._updates

    def __aiter__(self) -> ResponseStream[UpdateT, FinalT]:
        return self

    async def __anext__(self) -> UpdateT:
        if self._consumed:
            raise StopAsyncIteration
        try:
            update = await self._next_update()
        except StopAsyncIteration:
            self._consumed = True
        except Exception as error:  # whatever the source or a hook raises ends the stream, and is passed on
            self._consumed = True
            self._error = error
            await self._run_cleanup_hooks()
            raise
        else:
            self._updates.append(update)
            return update
        await self._finish()
        raise StopAsyncIteration

    def __await__(self) -> Generator[Any, None, ResponseStream[UpdateT, FinalT]]:
        """Resolve an awaitable source, for those who want to know that the request has begun."""
        return self._opened().__await__()

    async def get_final_response(self) -> FinalT:
        """Read what is left of the stream and return the final response; the same one each time.

        Raises:
            Exception: Whatever ended the stream before its end.
        """
        async for _ in self:
            pass
        if self._error is not None:
            raise self._error
        await self._finish()
        return cast("FinalT", self._final_result)

    async def aclose(self) -> None:
        """Leave the stream before its end: close the source and run the cleanup hooks. Safe to repeat.

        There is no final response after that but one made from the updates so far.
        """
        if self._consumed:
            return
        self._consumed = True
        try:
            close = getattr(self._iterator, "aclose", None)
            if close is not None:
                await close()
        finally:
            await self._run_cleanup_hooks()

    async def _opened(self) -> ResponseStream[UpdateT, FinalT]:
        await self._begin()
        return self

    async def _begin(self) -> None:
        if self._error is not None:
            raise self._error
        try:
            await self._get_stream()
        except Exception as error:  # as in __anext__: the stream ends here
            translated = self._translated(error)
            self._consumed = True
            self._error = translated
            await self._run_cleanup_hooks()
            if translated is error:
                raise
            raise translated from error

    def _translated(self, error: Exception) -> Exception:
        return error if self._translate_error is None else self._translate_error(error)

    async def _get_stream(self) -> AsyncIterable[Any]:
        """The source itself, awaited if it was an awaitable."""
        # A ResponseStream is both; iterating it is what is wanted.
        if not isinstance(self._stream_source, AsyncIterable):
            self._stream_source = await self._stream_source
        source = self._stream_source
        if not isinstance(source, AsyncIterable):
            raise TypeError(f"The source of a ResponseStream must be async iterable, not {type(source).__name__}.")
        if isinstance(source, ResponseStream):
            self._inner_stream = source
            await source._begin()
        return source

    async def _next_update(self) -> UpdateT:
        try:
            if self._iterator is None:
                self._iterator = aiter(await self._get_stream())
            update = await anext(self._iterator)
        except StopAsyncIteration:
            raise
        except Exception as error:  # the source's, whatever it is; errors of hooks are not translated
            translated = self._translated(error)
            if translated is error:
                raise
            raise translated from error
        if self._map_update is not None:
            update = await _resolve(self._map_update(update))
        for hook in self._transform_hooks:
            changed = await _resolve(hook(update))
            update = update if changed is None else changed
        return cast("UpdateT", update)

    async def _run_cleanup_hooks(self) -> None:
        if self._cleanup_run:
            return
        # First, so that a hook may ask for the final response.
        self._cleanup_run = True
        async with AsyncExitStack() as stack:
            for hook in reversed(self._cleanup_hooks):
                stack.push_async_callback(self._run_hook, hook)

    @staticmethod
    async def _run_hook(hook: Callable[[], MaybeAwaitable[None]]) -> None:
        await _resolve(hook())

    async def _finish(self) -> None:
        """What follows the end of the source; only what has not happened yet."""
        await self._run_cleanup_hooks()
        if not self._finalized:
            self._final_result = await self._finalize()
            self._finalized = True
        while self._result_hooks_run < len(self._result_hooks):
            hook = self._result_hooks[self._result_hooks_run]
            # Counted first, so that a hook may ask for the final response.
            self._result_hooks_run += 1
            changed = await _resolve(hook(self._final_result))
            self._final_result = self._final_result if changed is None else changed

    async def _finalize(self) -> Any:
        inner_final = None if self._inner_stream is None else await self._inner_stream.get_final_response()
        if self._finalizer is not None:
            return await _resolve(self._finalizer(self._updates))
        return self._updates if self._inner_stream is None else inner_final
