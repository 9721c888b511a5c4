# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Thin proxies around a transport's two streams: they let a connection see what passes without a task of its own.

A session closes its streams when it ends. The proxies keep that to themselves: a transport of the SDK whose streams are
closed before it is left complains in the log about every answer that still arrives. The connection closes the streams
behind the transport.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import anyio.lowlevel
from typing_extensions import Self

from . import _sdk


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer, as its transport knows it.

    Attributes:
        cause: The exception that says so.
        sent: False if the request certainly never ran.
        fatal: Whether the same session can serve no further request.
        doubtful: Whether it may be so; a sign of life from the server settles it.
    """

    cause: Exception
    sent: bool
    fatal: bool = False
    doubtful: bool = False


@dataclass(eq=False)
class Call:
    """One request of one caller, from before it is sent until its answer is there.

    Attributes:
        phase: What ``MCPError.phase`` will say.
        what: The request in words, for messages.
        scope: Cancelled when the connection ends, and by the call's own deadline.
        request_id: The JSON-RPC id, once the session has chosen it.
        sent: Whether the transport took the message, so that the server may have seen it.
        headers: HTTP headers for this request alone; None for those that every request has.
        failure: Why there is no answer, where the transport knows.
    """

    phase: str
    what: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    request_id: int | str | None = None
    sent: bool = False
    headers: Mapping[str, str] | None = None
    failure: Failure | None = None


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call that the running task makes. A session sends a request in the task that makes it."""


class TransportEnded(Exception):
    """A transport's last word before its read stream ends: why it ends. The reason is ``__cause__``."""


class WatchedReceiveStream:
    """A receive stream that reports how it ended.

    Args:
        stream: The transport's stream of messages and exceptions.
        on_end: Called once, synchronously, before the reader learns of the end, with the transport's reason or None.
        on_garbage: Called with each exception that stands for something unreadable from the server.
        take: Offered each message; says whether the reader is not to see it.
        on_item: Called with nothing whenever something arrives.
    """

    def __init__(
        self,
        stream: Any,
        on_end: Callable[[BaseException | None], None],
        on_garbage: Callable[[Exception], None],
        take: Callable[[Any], bool],
        on_item: Callable[[], None] | None = None,
    ) -> None:
        self._stream = stream
        self._take = take
        self._on_item = on_item
        self._on_end = on_end
        self._on_garbage = on_garbage
        self._closed = False

    async def receive(self) -> Any:
        while True:
            if self._closed:
                raise anyio.ClosedResourceError
            try:
                item = await self._stream.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._on_end(None)
                raise
            if isinstance(item, TransportEnded):
                self._on_end(item.__cause__)
                raise anyio.EndOfStream
            if self._on_item is not None:
                self._on_item()
            if isinstance(item, Exception):
                self._on_garbage(item)
            if not self._take(item):
                return item
            await anyio.lowlevel.checkpoint()  # whatever the stream does: a server can send such things without an end

    def __aiter__(self) -> WatchedReceiveStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self._closed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class WatchedSendStream:
    """A send stream that notes on the current call which request it is, and whether the transport took it.

    Args:
        stream: The transport's stream of messages.
        on_request: Called, before it is sent, with each call that has just got its request id.
        on_abandoned: Called with the id of each request that its caller no longer waits for.
    """

    def __init__(
        self, stream: Any, on_request: Callable[[Call], None], on_abandoned: Callable[[int | str], None]
    ) -> None:
        self._stream = stream
        self._on_request = on_request
        self._on_abandoned = on_abandoned
        self._writes_here = getattr(stream, "writes_in_task_of_sender", False)
        self._takes_calls = getattr(stream, "takes_calls", False)
        self._closed = False

    async def send(self, item: Any) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        if not self._writes_here:
            # Raises for text that UTF-8 cannot hold, half a surrogate pair as models write it now and then. Found by
            # the task that writes, it would end the connection.
            _sdk.encode(item)
        call, request_id = current_call.get(), _sdk.request_id(item)
        if call is None or request_id is None:
            await self._stream.send(item)
            return
        call.request_id, call.failure = request_id, None  # a call may take several requests, one after the other
        self._on_request(call)
        # A cancellation can arrive after another task has taken the message, so only a closed stream, or text that
        # cannot be written, proves that it has not. Where this task writes, it has written once it is back here.
        call.sent = not self._writes_here
        try:
            await (self._stream.send(item, call) if self._takes_calls else self._stream.send(item))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, ValueError):
            call.sent = False
            raise
        call.sent = True

    def abandon(self, request_id: int | str) -> None:
        """Take note that nobody waits for an answer any more."""
        self._on_abandoned(request_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self._closed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
