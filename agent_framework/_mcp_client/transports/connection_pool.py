# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Connections for an HTTP client of our own: a transport for ``httpx`` or ``httpx2``, on asyncio and h11.

The pool of httpcore looks through all its connections for every request and answer and asks the kernel about each idle
one, and its reads and writes pass through three layers of streams, scopes and checkpoints. Here a request takes the
connection that became idle last, in constant time. A POST costs a third of the processor time; ``scripts/bench`` has
the figures. A server cannot hold a caller by interim responses: their number is bounded.

Requests go to the library's own transport where something has been put in its place, as mocks and instrumentation do.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable
from typing import Any

import anyio
from typing_extensions import Self

from .wire import Origin, Wire

MAX_CONNECTIONS = 100
"""How many connections a client may have at once; httpx's default."""

KEEP_ALIVE = 5.0
"""How long an idle connection is kept, in seconds; httpx's default."""

_PORTS = {"http": 80, "https": 443}


class ConnectionPool:
    """A transport for an ``AsyncClient``.

    Args:
        library: ``httpx`` or ``httpx2``; whose requests it takes, and whose exceptions it raises.
        context: Gives the TLS context; called for the first ``https://`` URL.
    """

    def __init__(self, library: Any, context: Callable[[], ssl.SSLContext]) -> None:
        self._library = library
        self._context = context
        self._slots = anyio.Semaphore(MAX_CONNECTIONS, fast_acquire=True)
        self._idle: dict[Wire, None] = {}  # the one that was idle longest first
        self._wires: set[Wire] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._plain: Any = None

    async def __aenter__(self) -> Self:
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
            if self._plain is not None:
                await self._plain.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request and return its response, whose body is still to be read.

        Raises:
            httpx.TransportError: A time limit passed, there is no connection, it broke, or what came is not HTTP.
        """
        if request.url.scheme not in _PORTS or _is_replaced(self._library):
            return await self._plain_transport().handle_async_request(request)
        timeouts = request.extensions.get("timeout") or {}
        await self._take_slot(timeouts.get("pool"))
        try:
            origin = _origin(request.url)
            wire = self._idle_wire(origin) or await self._connect(origin, timeouts.get("connect"))
            try:
                return await wire.exchange(request, timeouts, self._take_back)
            except BaseException:  # cancelled too: half an exchange is on it, so it cannot serve again
                wire.abort()
                raise
        except BaseException:  # cancelled too: a slot that is not given back is lost for good
            self._slots.release()
            raise

    def _plain_transport(self) -> Any:
        if self._plain is None:
            self._plain = self._library.AsyncHTTPTransport(verify=self._context())
        return self._plain

    async def _take_slot(self, timeout: float | None) -> None:
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(timeout) as scope:
                await self._slots.acquire()
            if scope.cancelled_caught:
                raise self._library.PoolTimeout("no connection became free") from None

    def _idle_wire(self, origin: Origin) -> Wire | None:
        """The connection that became idle last: the others get the chance to expire.

        Its age counts too: while a program keeps the loop from turning, no timer closes what is past its time.
        """
        oldest = asyncio.get_running_loop().time() - KEEP_ALIVE
        for wire in reversed(self._idle):
            if wire.origin == origin and wire.idle_since > oldest and wire.is_fresh:
                del self._idle[wire]
                return wire
        return None

    async def _connect(self, origin: Origin, timeout: float | None) -> Wire:
        if len(self._wires) >= MAX_CONNECTIONS and self._idle:
            self._drop_oldest()
        context = self._context() if origin[0] == "https" else None
        wire = Wire(origin, self._library)
        try:
            with anyio.fail_after(timeout):
                await wire.connect(context)
        except TimeoutError as error:
            raise self._library.ConnectTimeout("connecting took too long") from error
        except OSError as error:
            raise self._library.ConnectError(str(error)) from error
        if self._is_closed:
            wire.abort()
            raise self._library.ConnectError("the client was closed while it connected")
        self._wires.add(wire)
        wire.closed.add_done_callback(lambda _: self._forget(wire))
        return wire

    def _forget(self, wire: Wire) -> None:
        self._wires.discard(wire)
        self._idle.pop(wire, None)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._idle))
        del self._idle[oldest]
        oldest.abort()

    def _take_back(self, wire: Wire) -> None:
        """A response has been read, or given up."""
        self._slots.release()
        if not wire.rest():
            wire.abort()
            return
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


def _is_replaced(library: Any) -> bool:
    """Whether something stands in for the library's own transport, or for the pool below it."""
    core = sys.modules.get("httpcore2" if library.__name__ == "httpx2" else "httpcore")
    owners = [library.AsyncHTTPTransport] if core is None else [library.AsyncHTTPTransport, core.AsyncConnectionPool]
    return not all(_is_original(owner, "handle_async_request") for owner in owners)


def _is_original(owner: type, name: str) -> bool:
    """Whether a method is the one that its class was made with, as far as that can be seen."""
    method = getattr(owner, name, None)
    same_package = getattr(method, "__module__", "").partition(".")[0] == owner.__module__.partition(".")[0]
    return same_package and not hasattr(method, "__wrapped__")


def _origin(url: Any) -> Origin:
    return url.scheme, url.raw_host, url.port or _PORTS[url.scheme]
