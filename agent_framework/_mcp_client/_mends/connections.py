# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""HTTP/1.1 connections straight on asyncio, below an HTTP client of our own.

Reason: httpcore's pool looks through all its connections for every request and every answer, and asks the kernel about
each idle one, so that it serves bursts either by opening connections or by counting them; its locks ask for the async
library by an import that fails where ``sniffio`` is not installed, four times a request; its reads and writes pass
through three layers of streams, scopes and checkpoints.

Gain: a call costs two thirds, connecting half, the second of two bursts of a hundred a fifth; and because a connection
can be opened before there is a request for it, a refused port is known before a transport and a session are built.

Can go when: httpcore's pool takes a request in constant time.

What stays as it is: httpx itself (redirects, cookies, authentication, decoding, time limits, its exceptions, and
everything that instruments ``httpx.AsyncHTTPTransport``), h11 for the protocol, and httpcore for whatever is not a
plain request to a plain origin: proxies, and an httpcore that somebody has replaced methods of, as tests do.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import anyio
import h11
import httpcore
import httpx
from typing_extensions import Self

MAX_CONNECTIONS = 100
"""How many connections a client may have at once; httpx's default."""

KEEP_ALIVE = 5.0
"""How long an idle connection is kept, in seconds; httpx's default."""

HAPPY_EYEBALLS_DELAY = 0.25
"""How long one address of a name may take before the next one is tried beside it, in seconds (RFC 8305, section 5)."""

MAX_HEADERS = 100 * 1024
"""How large a response's headers may be, in bytes; httpcore's limit."""

_UNREAD_LIMIT = 256 * 1024
_ON_THE_WAY: tuple[tuple[type, str], ...] = (
    (httpx.AsyncClient, "send"),
    (httpx.AsyncClient, "_send_single_request"),
    (httpx.AsyncClient, "_transport_for_url"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (httpcore.AsyncConnectionPool, "handle_async_request"),
)
_PORTS = {b"http": 80, b"https": 443}
_USUAL_EXTENSIONS = frozenset(["timeout", "agent_framework.mcp"])

Origin = tuple[bytes, bytes, int]


def connect_directly(client: Any, context: Callable[[], ssl.SSLContext]) -> None:
    """Give an ``httpx.AsyncClient`` of our own these connections, if inside it looks as expected.

    Args:
        client: Not used yet.
        context: Gives the TLS context; called for the first ``https://`` URL.
    """
    transport = getattr(client, "_transport", None)
    pool = getattr(transport, "_pool", None)
    if type(pool) is httpcore.AsyncConnectionPool:
        cast("Any", transport)._pool = Pool(pool, context)
    if type(getattr(client, "_cookies", None)) is httpx.Cookies:
        client._cookies = _Cookies()


async def dial(client: Any, url: str) -> None:
    """Open the connection that the first request will use, so that a port on which nobody listens is known at once.

    Args:
        client: One with these connections; nothing is done for another, nor where requests may never reach the network.
        url: Where the first request will go.

    Raises:
        httpx.ConnectError: There is no connection.
        httpx.ConnectTimeout: There is none in time.
    """
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    if not isinstance(pool, Pool) or not all(_is_original(*place) for place in _ON_THE_WAY):
        return
    request = client.build_request("POST", url)
    if client._transport_for_url(request.url) is not client._transport:
        return
    address = request.url
    target = httpcore.URL(scheme=address.raw_scheme, host=address.raw_host, port=address.port, target=b"/")
    try:
        await pool.dial(target, client.timeout.connect)
    except httpcore.ConnectTimeout as error:
        raise httpx.ConnectTimeout(str(error), request=request) from error
    except httpcore.ConnectError as error:
        raise httpx.ConnectError(str(error), request=request) from error


class Pool:
    """What ``httpx.AsyncHTTPTransport`` needs of httpcore's pool.

    Args:
        plain: Takes the requests that are out of the ordinary.
        context: Gives the TLS context.
    """

    def __init__(self, plain: httpcore.AsyncConnectionPool, context: Callable[[], ssl.SSLContext]) -> None:
        self._plain = plain
        self._context = context
        self._slots = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)
        self._idle: dict[_Wire, None] = {}  # the one that was idle longest first
        self._wires: set[_Wire] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        await self._plain.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection, whatever it is doing."""
        self._is_closed = True
        if self._expiry is not None:
            self._expiry.cancel()
        closed = [wire.closed for wire in self._wires]
        for wire in tuple(self._wires):
            wire.abort()
        try:
            if closed:
                with anyio.CancelScope(shield=True):  # an aborted transport ends within a turn of the loop
                    await asyncio.wait(closed)
        finally:
            if self._plain.connections:
                await self._plain.aclose()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request and return its response, whose body is still to be read.

        Raises:
            httpcore.TimeoutException: A time limit passed.
            httpcore.NetworkError: There is no connection, or it broke.
            httpcore.ProtocolError: What was to be sent, or what came, is not HTTP.
        """
        if not _is_usual(request):
            return await self._plain.handle_async_request(request)
        timeouts = request.extensions.get("timeout") or {}
        await self._take_slot(timeouts.get("pool"))
        try:
            wire = self._idle_wire(_origin(request.url)) or await self._connect(request.url, timeouts.get("connect"))
            try:
                return await wire.exchange(request, timeouts, self._take_back)
            except BaseException:  # cancelled too: half an exchange is on it, and nobody can use it again
                wire.abort()
                raise
        except BaseException:  # cancelled too: a slot that is not given back is lost for good
            self._slots.release()
            raise

    async def dial(self, url: httpcore.URL, timeout: float | None) -> None:
        """Open a connection for a request that is still to come.

        Raises:
            httpcore.ConnectError: There is none.
            httpcore.ConnectTimeout: There is none in time.
        """
        if url.scheme in _PORTS and self._idle_wire(_origin(url)) is None:
            self._keep(await self._connect(url, timeout))

    async def _take_slot(self, timeout: float | None) -> None:
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(timeout) as scope:
                await self._slots.acquire()
            if scope.cancelled_caught:
                raise httpcore.PoolTimeout from None

    def _idle_wire(self, origin: Origin) -> _Wire | None:
        """The connection that became idle last: the others get the chance to expire.

        Its age counts too: while a program keeps the loop from turning, no timer closes what is past its time.
        """
        oldest = asyncio.get_running_loop().time() - KEEP_ALIVE
        for wire in reversed(self._idle):
            if wire.origin == origin and wire.idle_since > oldest and wire.is_fresh:
                del self._idle[wire]
                return wire
        return None

    async def _connect(self, url: httpcore.URL, timeout: float | None) -> _Wire:
        if len(self._wires) >= MAX_CONNECTIONS and self._idle:
            self._drop_oldest()
        wire = _Wire(_origin(url))
        try:
            with anyio.fail_after(timeout):
                await wire.connect(self._context() if url.scheme == b"https" else None)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (ssl.SSLError, socket.gaierror) as error:
            raise httpcore.ConnectError(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError("All connection attempts failed") from error
        if self._is_closed:
            wire.abort()
            raise httpcore.ConnectError("The client was closed while it connected.")
        self._wires.add(wire)
        wire.closed.add_done_callback(lambda _: self._forget(wire))
        return wire

    def _forget(self, wire: _Wire) -> None:
        self._wires.discard(wire)
        self._idle.pop(wire, None)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._idle))
        del self._idle[oldest]
        oldest.abort()

    def _take_back(self, wire: _Wire) -> None:
        """A response has been read, or given up."""
        self._slots.release()
        if wire.rest():
            self._keep(wire)
        else:
            wire.abort()

    def _keep(self, wire: _Wire) -> None:
        wire.idle_since = asyncio.get_running_loop().time()
        self._idle[wire] = None
        if self._expiry is None:
            self._expire_later(KEEP_ALIVE)

    def _expire_later(self, delay: float) -> None:
        self._expiry = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        now = asyncio.get_running_loop().time()
        while self._idle:
            left = next(iter(self._idle)).idle_since + KEEP_ALIVE - now
            if left > 0:
                self._expire_later(left)
                return
            self._drop_oldest()


class _Cookies(httpx.Cookies):
    """A cookie jar that does not get out its machinery for each response without a cookie."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take the cookies of a response."""
        if "set-cookie" in response.headers or "set-cookie2" in response.headers:
            super().extract_cookies(response)


async def _connected_socket(host: bytes, port: int) -> socket.socket:
    """A socket connected to the address of a name that answers first, each with a start on the next one.

    asyncio would do this too (``happy_eyeballs_delay``), but leaves sockets open when it is cancelled.

    Raises:
        OSError: Nobody knows the name, or nobody answers.
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
    except BaseException:  # cancelled too: the socket of an attempt that had just succeeded is nobody's
        for sock in connected:
            sock.close()
        raise
    for sock in connected[1:]:
        sock.close()
    if not connected:
        raise OSError("no address answers") from next(iter(failures), None)
    return connected[0]


class _Wire(asyncio.Protocol):
    """One connection to an origin. It serves one request at a time, and one waiter: whoever sends or reads."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle_since = 0.0
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

    async def exchange(
        self, request: httpcore.Request, timeouts: dict[str, float | None], done: Callable[[_Wire], None]
    ) -> httpcore.Response:
        """Send a request and read the head of its response.

        Args:
            request: What to send; its body is in memory anyway.
            timeouts: How long a read or a write may take, in seconds.
            done: Called once, when the body has been read or given up.
        """
        await self._send(await self._written(request), timeouts.get("write"))
        head = await self.event(timeouts.get("read"))
        while isinstance(head, h11.InformationalResponse):
            head = await self.event(timeouts.get("read"))
        if not isinstance(head, h11.Response):
            raise httpcore.RemoteProtocolError("The server speaks another protocol from here on.")
        body = _Body(self, timeouts.get("read"), done)
        about = {"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason}
        return httpcore.Response(head.status_code, headers=head.headers.raw_items(), content=body, extensions=about)

    async def _written(self, request: httpcore.Request) -> bytes:
        try:
            head = h11.Request(method=request.method, target=request.url.target, headers=request.headers)
            parts = [self._http.send(head)]
            async for chunk in cast("AsyncIterator[bytes]", request.stream):
                parts.append(self._http.send(h11.Data(data=chunk)))  # noqa: PERF401  # extend takes no async generator
            parts.append(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        return b"".join(part for part in parts if part)

    async def _send(self, data: bytes, timeout: float | None) -> None:
        assert self._transport is not None
        self._transport.write(data)
        # A server may answer, and close, before it has read everything: then the answer is what counts.
        while self._is_full and not self._ended:
            await self._wait(timeout, httpcore.WriteTimeout)

    async def event(self, timeout: float | None) -> Any:
        """The next part of the response, as h11 has it."""
        while True:
            try:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = await self._read(timeout)
                if not data and self._http.their_state is h11.SEND_RESPONSE:
                    raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
                self._http.receive_data(data)
            except h11.RemoteProtocolError as error:
                raise httpcore.RemoteProtocolError(str(error)) from error

    async def _read(self, timeout: float | None) -> bytes:
        """What has come; empty at the end."""
        while not self._received:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            if self._ended:
                return b""
            await self._wait(timeout, httpcore.ReadTimeout)
        data = self._received.popleft()
        if self._unread > _UNREAD_LIMIT >= self._unread - len(data) and self._transport is not None:
            self._transport.resume_reading()
        self._unread -= len(data)
        return data

    async def _wait(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> None:
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

    def __init__(self, wire: _Wire, timeout: float | None, done: Callable[[_Wire], None]) -> None:
        self._wire = wire
        self._timeout = timeout
        self._done: Callable[[_Wire], None] | None = done

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


def _is_readable(transport: asyncio.BaseTransport) -> bool:
    descriptor = transport.get_extra_info("socket").fileno()
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()  # which knows no largest descriptor
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _expire(waiter: asyncio.Future[None], late: type[httpcore.TimeoutException]) -> None:
    if not waiter.done():
        waiter.set_exception(late())


def _is_usual(request: httpcore.Request) -> bool:
    """Whether nothing in a request is for httpcore alone, and nobody has put something in the place of httpcore."""
    return (
        request.url.scheme in _PORTS
        and request.method != b"CONNECT"
        and request.extensions.keys() <= _USUAL_EXTENSIONS
        and _is_original(httpcore.AsyncConnectionPool, "handle_async_request")
    )


def _is_original(owner: type, name: str) -> bool:
    """Whether a method is the one that its class was made with, as far as that can be seen."""
    method = getattr(owner, name, None)
    same_package = getattr(method, "__module__", "").partition(".")[0] == owner.__module__.partition(".")[0]
    return same_package and not hasattr(method, "__wrapped__")


def _is_address(host: bytes) -> bool:
    return b":" in host or host.replace(b".", b"").isdigit()


def _origin(url: httpcore.URL) -> Origin:
    return url.scheme, url.host, url.port or _PORTS[url.scheme]
