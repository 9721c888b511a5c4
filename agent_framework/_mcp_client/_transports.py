# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The transports: each an async context manager of a stream of messages in and a stream of messages out.

A transport reports a loss by a last item on its read stream, ``TransportEnded`` with the reason, and by ending that
stream; it does not raise into the task that entered it. What is wrong with one message travels as an exception on that
stream. The one over pipes has a file of its own, ``_stdio``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from . import _sdk
from ._causes import MESSAGE_LIMIT, ServerClosed
from ._printable import printable
from ._secrets import secret_words
from ._streams import TransportEnded

CLOSE_FRAME_TIMEOUT = 2.0
"""How long a websocket server may take to answer our close frame, in seconds (RFC 6455, section 7.1.1 asks it to)."""

Incoming = MemoryObjectSendStream["_sdk.SessionMessage | Exception"]
Outgoing = MemoryObjectReceiveStream["_sdk.SessionMessage"]


@asynccontextmanager
async def _stream_pairs() -> AsyncIterator[tuple[Any, Incoming, Any, Outgoing]]:
    """Two streams without buffer: what the session reads and we fill, what the session fills and we read."""
    to_session, read_stream = anyio.create_memory_object_stream[Any](0)
    write_stream, from_session = anyio.create_memory_object_stream[Any](0)
    with to_session, read_stream, write_stream, from_session:
        yield read_stream, to_session, write_stream, from_session


async def _end(to_session: Incoming, reason: BaseException) -> None:
    ended = TransportEnded()
    ended.__cause__ = reason
    try:
        await to_session.send(ended)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # the session has left first
    to_session.close()


@asynccontextmanager
async def websocket(url: str, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A server behind a websocket URL, with the subprotocol ``mcp``.

    Args:
        url: ``ws://`` or ``wss://``.
        **options: What ``websockets.asyncio.client.connect`` takes.

    Raises:
        websockets.exceptions.WebSocketException: The handshake fails.
        OSError: The server cannot be reached.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed
    from websockets.typing import Subprotocol

    async def receive() -> Any:
        try:
            return await socket.recv()
        except ConnectionClosed as error:
            raise _why_closed(error) from error

    async def send(text: str) -> None:
        try:
            await socket.send(text)
        except ConnectionClosed as error:
            raise _why_closed(error) from error

    # The connection's own deadlines bound opening; a peer that does not answer our close frame must not delay close.
    settings: dict[str, Any] = {
        "subprotocols": [Subprotocol("mcp")],
        "open_timeout": None,
        "close_timeout": CLOSE_FRAME_TIMEOUT,
        "max_size": MESSAGE_LIMIT,
    }
    settings.update(options)
    socket = await connect(url, **settings)
    async with _closing(socket, settings["close_timeout"]):
        async with _stream_pairs() as (read_stream, to_session, write_stream, from_session):
            async with anyio.create_task_group() as tasks:
                secrets = () if socket.request is None else secret_words(socket.request.headers)
                tasks.start_soon(_read_frames, receive, to_session, secrets)
                tasks.start_soon(_write_frames, send, from_session)
                yield read_stream, write_stream
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def _closing(socket: Any, timeout: float | None) -> AsyncIterator[None]:
    """Leave a websocket with a close frame if there is time, and for good in any case.

    ``close()`` of websockets leaves the socket open when it is cancelled, and waits without a bound to send its frame
    to a peer that reads nothing.
    """
    keepalive = socket.keepalive_task
    try:
        yield
    finally:
        try:
            with anyio.move_on_after(timeout):
                await socket.close()
        finally:
            socket.transport.abort()
            with anyio.CancelScope(shield=True):  # an aborted transport ends within a turn of the loop
                await socket.wait_closed()
                if keepalive is not None:
                    await asyncio.wait({keepalive})


def _why_closed(error: Any) -> ServerClosed:
    """What a ``ConnectionClosed`` means: the server's farewell with its code and reason, or the lack of one."""
    if error.rcvd is not None and error.rcvd_then_sent is not False:
        return ServerClosed(f"the server closed the websocket: {printable(error.rcvd)}")
    if error.sent is not None:
        return ServerClosed(f"the websocket was closed: {printable(error.sent)}")
    return ServerClosed("the server closed the connection without a close frame")


async def _read_frames(
    receive: Callable[[], Awaitable[str | bytes]], to_session: Incoming, secrets: Sequence[str]
) -> None:
    while True:
        try:
            frame = await receive()
        except ServerClosed as error:
            await _end(to_session, error)
            return
        await to_session.send(_sdk.read(frame, secrets))


async def _write_frames(send: Callable[[str], Awaitable[None]], from_session: Outgoing) -> None:
    async for item in from_session:
        try:
            await send(_sdk.encode(item))
        except ServerClosed:
            # The reader tells why, behind the answers that had arrived before.
            from_session.close()
            return
