# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The HTTP client below the transport: ``httpx`` or ``httpx2``, the user's or one of our own.

The two libraries have the same interface and different types. A request of a client is made, and its failures are
caught, with the types of the library that the client's class comes from. The user's client is used as it is: neither
changed nor closed.
"""

from __future__ import annotations

import os
import ssl
import sys
import threading
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import anyio
import anyio.lowlevel

from .._causes import NotMCP, UnreadableFile, too_long
from .._printable import printable
from .._server import public_url
from .connection_pool import ConnectionPool

ACCEPTED_CODING = "gzip"
"""The content coding that we ask for and decode ourselves, counting: a client's own decoder hands over as much as one
chunk unpacks to, and a few kilobytes can unpack to gigabytes."""

DISCARD_LIMIT = 64 * 1024
"""How much of an unwanted body is read, in bytes as they come over the wire, so that its connection can serve again. A
longer one is closed, which costs the connection."""

DISCARD_TIMEOUT = 0.5
"""How long reading an unwanted body may take, in seconds."""

_PIECE = 256 * 1024  # bytes decoded at once; after each the event loop may turn
_CHUNKS_IN_A_ROW = 32  # chunks that may be in memory already, taken without letting the event loop turn
_LIBRARIES = ("httpx", "httpx2")
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

_contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}
_building = threading.Lock()


def library_of(client: Any) -> Any:
    """The module that a client's class comes from, ``httpx`` or ``httpx2``; what stands in for one counts as httpx."""
    roots = [base.__module__.partition(".")[0] for base in type(client).__mro__]
    name = next((root for root in roots if root in _LIBRARIES), None)
    return _installed_library() if name is None else sys.modules[name]


def _installed_library() -> Any:
    """``httpx`` where it is installed; SDK 2.x brings ``httpx2`` alone."""
    try:
        return import_module("httpx")
    except ModuleNotFoundError:
        return import_module("httpx2")


def make_client(*, timeout: float, read_timeout: float) -> Any:
    """An HTTP client with connections of our own; behind a proxy of the environment, the library's own.

    Args:
        timeout: How long connecting, writing and waiting for a free connection may take, in seconds.
        read_timeout: How long the server may send nothing while a response is awaited, in seconds.

    Raises:
        UnreadableFile: ``SSL_CERT_FILE`` names a file that cannot be read, and a proxy needs it at once.
    """
    library = _installed_library()
    limits = library.Timeout(timeout, read=read_timeout)
    if {"http", "https", "all"} & getproxies().keys():
        return library.AsyncClient(timeout=limits, verify=shared_context(library))
    pool = ConnectionPool(library, lambda: shared_context(library))
    return library.AsyncClient(timeout=limits, transport=pool)


def proxy_for(url: Any) -> str:
    """The proxy of the environment that a URL is reached through, in words; empty where there is none."""
    proxies = getproxies()
    name = next((name for name in (url.scheme, "all") if name in proxies), None)
    if name is None or proxy_bypass(url.host):
        return ""
    variable = next((key for key in os.environ if key.lower() == f"{name}_proxy"), "the system's settings")
    return f"the HTTP proxy {public_url(proxies[name])} ({variable})"


def shared_context(library: Any) -> ssl.SSLContext:
    """The TLS context of all clients of our own: building one parses every certificate of a bundle (20 ms, 0.8 MiB).

    It is built anew when the files that the environment names change: a process that runs for months sees its
    certificates renewed.

    Raises:
        UnreadableFile: ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names what cannot be read.
    """
    # Not the state of the file for TLS keys: each handshake adds to it.
    states = (_state_of(os.environ.get(name)) for name in _CERTIFICATE_VARIABLES)
    setting = (library.__name__, os.environ.get("SSLKEYLOGFILE"), *states)
    with _building:
        context = _contexts.get(setting)
        if context is None:
            _contexts.clear()  # what was built of certificates that have been replaced serves nothing new
            context = _contexts[setting] = _new_context(library)
            context.set_alpn_protocols(["http/1.1"])
        return context


def _new_context(library: Any) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = library.create_ssl_context()
    except OSError as error:
        for name in _CERTIFICATE_VARIABLES:
            if os.environ.get(name):
                raise UnreadableFile(name, os.environ[name], error) from error
        raise
    return context


def _state_of(path: str | None) -> tuple[Any, ...]:
    """Changes when a file or directory does."""
    if not path:
        return ()
    try:
        status = Path(path).stat()
    except OSError:
        return (path,)
    return path, status.st_mtime_ns, status.st_size, status.st_ino


async def body_of(response: Any, limit: int) -> bytes:
    """The whole body, decoded; the limit counts decoded bytes.

    Raises:
        NotMCP: It is longer than ``limit``, or in a coding that we have not asked for.
    """
    length = response.headers.get("content-length", "")
    if response.is_stream_consumed or (
        length.isdecimal() and int(length) <= limit and "content-encoding" not in response.headers
    ):
        return bytes(await response.aread())
    body = bytearray()
    async with aclosing(pieces_of(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > limit:
                raise too_long(limit)
    return bytes(body)


async def pieces_of(response: Any) -> AsyncGenerator[bytes, None]:
    """A body in decoded pieces of a bounded size.

    Raises:
        NotMCP: It is in a coding that we have not asked for, or broken in its coding.
    """
    if response.is_stream_consumed:  # an event hook of the user's client has read it
        yield response.content
        return
    decode = _decoder(response.headers.get("content-encoding", ""))
    async with aclosing(_chunks_of(response)) as chunks:
        async for chunk in chunks:
            for number, piece in enumerate(decode(chunk)):
                if number:
                    await anyio.lowlevel.checkpoint()
                yield piece


async def _chunks_of(response: Any) -> AsyncGenerator[bytes, None]:
    """A body as it comes over the wire. The event loop turns also when a server sends it in single bytes."""
    number = 0
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            number += 1
            if number % _CHUNKS_IN_A_ROW == 0:
                await anyio.lowlevel.checkpoint()
            yield chunk


def _decoder(coding: str) -> Callable[[bytes], Iterable[bytes]]:
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return lambda chunk: (chunk,)
    if coding in ("gzip", "x-gzip", "deflate"):
        return partial(_inflated, zlib.decompressobj(32 + zlib.MAX_WBITS))
    raise NotMCP(f"the answer has the content coding '{printable(coding[:40])}', which was not asked for")


def _inflated(inflate: Any, chunk: bytes) -> Iterator[bytes]:
    """Decode gzip or zlib (RFC 9110, section 8.4.1) in pieces of at most ``_PIECE`` bytes."""
    while chunk and not inflate.eof:
        try:
            piece = inflate.decompress(chunk, _PIECE)
        except zlib.error as error:
            raise NotMCP("the answer is broken in its content coding") from error
        chunk = inflate.unconsumed_tail
        yield piece


async def discard(response: Any) -> None:
    """Let go of a response of which only the head counts."""
    size = 0
    try:
        with anyio.move_on_after(DISCARD_TIMEOUT):
            async with aclosing(_chunks_of(response)) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > DISCARD_LIMIT:
                        break
    except Exception:  # noqa: BLE001, S110  # whatever client and hooks raise: nobody waits for this body
        pass
    finally:
        await response.aclose()


def next_within_origin(response: Any) -> Any:
    """The request that follows a redirect if it keeps the method and the origin (RFC 6454), or None.

    What is on a request (headers, credentials, arguments) was meant for that origin. The upgrade of a URL without a
    port from ``http`` to ``https`` counts as the same. A location that brings credentials of its own does not.
    """
    following = response.next_request
    if following is None or following.method != response.request.method:
        return None
    here, there = response.request.url, following.url
    if there.userinfo and there.userinfo != here.userinfo:
        return None
    origins = [(url.scheme, url.host, url.port) for url in (here, there)]
    upgraded = origins == [("http", here.host, None), ("https", here.host, None)]
    return following if origins[0] == origins[1] or upgraded else None
