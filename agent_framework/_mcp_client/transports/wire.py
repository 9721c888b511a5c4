# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""One HTTP/1.1 connection on asyncio and h11, as the connection pool uses it."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any, cast

import anyio
import anyio.lowlevel
import h11

HAPPY_EYEBALLS_DELAY = 0.25
"""How long one address of a name may take before the next one is tried as well, in seconds (RFC 8305, section 5)."""

MAX_HEADERS = 100 * 1024
"""How large a response's headers may be, in bytes; httpcore's limit."""

MAX_INTERIM_RESPONSES = 32
"""How many interim responses (1xx) may come before the response: proxies send one or two, and an endless row of them
would keep a caller waiting past every time limit."""

_UNREAD_LIMIT = 256 * 1024  # bytes; beyond it nothing more is read from the socket

Origin = tuple[str, bytes, int]


class Wire(asyncio.Protocol):
    """One connection to an origin. It serves one request at a time, and has one waiter, which sends or reads.

    Args:
        origin: Scheme, host and port.
        library: ``httpx`` or ``httpx2``, whose exceptions it raises.
    """

    def __init__(self, origin: Origin, library: Any) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._library = library
        self._loop = asyncio.get_running_loop()
        self.closed = self._loop.create_future()
        self._http = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=MAX_HEADERS)
        self._transport: asyncio.Transport | None = None
        self._received: deque[bytes] = deque()
        self._unread = 0
        self._ended = False
        self._error: Exception | None = None
        self._is_full = False
        self._has_served = False
        self._waiter: asyncio.Future[None] | None = None

    # What asyncio tells ...

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._unread += len(data)
        if self._unread > _UNREAD_LIMIT and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        self._wake()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the pool does ...

    async def connect(self, context: ssl.SSLContext | None) -> None:
        """Open the connection.

        Raises:
            OSError: There is none; an ``ssl.SSLError`` where TLS is why.
        """
        _, host, port = self.origin
        options: dict[str, Any] = {}
        if context is not None:
            options.update(ssl=context, server_hostname=host.decode("ascii"))
        if _is_address(host):
            options.update(host=host.decode("ascii"), port=port)
        else:
            options.update(sock=await _connected_socket(host, port))
        try:
            await self._loop.create_connection(lambda: self, **options)
        except BaseException:
            self.abort()  # cancelled at the end of its TLS handshake, asyncio would wait for the server's farewell
            raise

    @property
    def is_fresh(self) -> bool:
        """Whether an idle connection can take a request: nothing has come that nobody asked for, not even the end."""
        if self._ended or self._received or self._transport is None or self._transport.is_closing():
            return False
        # The kernel may know of an end that the loop has had no turn to tell. Before the first response, what it has
        # may be TLS tickets.
        return not (self._has_served and _is_readable(self._transport))

    def rest(self) -> bool:
        """Become idle; False if this connection cannot serve another request."""
        is_done = self._http.our_state is self._http.their_state is h11.DONE
        if not is_done or self._ended or self._received or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        self._has_served = True
        return True

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: Any, timeouts: dict[str, float | None], done: Callable[[Wire], None]) -> Any:
        """Send a request and read the head of its response.

        Args:
            request: What to send; its body is in memory already.
            timeouts: How long a read or a write may take, in seconds.
            done: Called once, when the body has been read or given up.
        """
        await self._send(await self._written(request), timeouts.get("write"))
        head = await self._head(timeouts.get("read"))
        return self._library.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_body_type(self._library)(self, timeouts.get("read"), done),
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def _head(self, timeout: float | None) -> h11.Response:
        for _ in range(MAX_INTERIM_RESPONSES):
            head = await self.event(timeout)
            if isinstance(head, h11.Response):
                return head
            if not isinstance(head, h11.InformationalResponse) or head.status_code == 101:
                raise self._library.RemoteProtocolError("the server speaks another protocol from here on")
            await anyio.lowlevel.checkpoint()
        raise self._library.RemoteProtocolError(f"the server sent {MAX_INTERIM_RESPONSES} interim responses in a row")

    async def _written(self, request: Any) -> bytes:
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            parts = [self._http.send(head)]
            async for chunk in request.stream:
                parts.append(self._http.send(h11.Data(data=chunk)))  # noqa: PERF401  # extend takes no async generator
            parts.append(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise self._library.LocalProtocolError(str(error)) from error
        return b"".join(part for part in parts if part)

    async def _send(self, data: bytes, timeout: float | None) -> None:
        assert self._transport is not None
        self._transport.write(data)
        # A server may answer, and close, before it has read everything: then the answer is what counts.
        while self._is_full and not self._ended:
            await self._wait(timeout, self._library.WriteTimeout)

    async def event(self, timeout: float | None) -> Any:
        """The next part of the response, as h11 has it."""
        while True:
            try:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = await self._read(timeout)
                if not data and self._http.their_state is h11.SEND_RESPONSE:
                    raise self._library.RemoteProtocolError("Server disconnected without sending a response.")
                self._http.receive_data(data)
            except h11.RemoteProtocolError as error:
                raise self._library.RemoteProtocolError(str(error)) from error

    async def _read(self, timeout: float | None) -> bytes:
        """What has come; empty at the end."""
        while not self._received:
            if self._error is not None:
                raise self._library.ReadError(str(self._error)) from self._error
            if self._ended:
                return b""
            await self._wait(timeout, self._library.ReadTimeout)
        data = self._received.popleft()
        if self._unread > _UNREAD_LIMIT >= self._unread - len(data) and self._transport is not None:
            self._transport.resume_reading()
        self._unread -= len(data)
        return data

    async def _wait(self, timeout: float | None, late: type[Exception]) -> None:
        """Wait until something happens."""
        self._waiter = waiter = self._loop.create_future()
        alarm = None if timeout is None else self._loop.call_later(timeout, _expire, waiter, late)
        try:
            await waiter
        finally:
            self._waiter = None
            if alarm is not None:
                alarm.cancel()


class _Body:
    """The body of a response: read to its end or closed, it gives its connection back."""

    def __init__(self, wire: Wire, timeout: float | None, done: Callable[[Wire], None]) -> None:
        self._wire = wire
        self._timeout = timeout
        self._done: Callable[[Wire], None] | None = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while isinstance(event := await self._wire.event(self._timeout), h11.Data):
                yield bytes(event.data)
        except BaseException:  # cancelled too: the rest of the body stays unread
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._done is not None:
            done, self._done = self._done, None
            done(self._wire)


@cache
def _body_type(library: Any) -> Any:
    return type("Body", (_Body, library.AsyncByteStream), {})


async def _connected_socket(host: bytes, port: int) -> socket.socket:
    """Connect a socket to the address of a name that answers first; each has a head start on the next.

    asyncio would do this too (``happy_eyeballs_delay``), but leaves sockets open when it is cancelled.

    Raises:
        OSError: The name is unknown, or no address answers.
    """
    loop = asyncio.get_running_loop()
    connected: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(family: int, address: Any, over: anyio.Event) -> None:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, address)
                connected.append(socket.socket(fileno=sock.detach()))
                attempts.cancel_scope.cancel()
        except OSError as error:
            failures.append(error)
        over.set()

    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        async with anyio.create_task_group() as attempts:
            for family, _, _, _, address in addresses:
                attempts.start_soon(attempt, family, address, over := anyio.Event())
                with anyio.move_on_after(HAPPY_EYEBALLS_DELAY):
                    await over.wait()
    except BaseException:  # cancelled too: the socket of an attempt that had just succeeded has no other owner
        for sock in connected:
            sock.close()
        raise
    for sock in connected[1:]:
        sock.close()
    if not connected:
        raise OSError("no address answers") from next(iter(failures), None)
    return connected[0]


def _is_readable(transport: asyncio.BaseTransport) -> bool:
    descriptor = transport.get_extra_info("socket").fileno()
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()  # which knows no largest descriptor
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _expire(waiter: asyncio.Future[None], late: type[Exception]) -> None:
    if not waiter.done():
        waiter.set_exception(late("the server took too long"))


def _is_address(host: bytes) -> bool:
    return b":" in host or host.replace(b".", b"").isdigit()
