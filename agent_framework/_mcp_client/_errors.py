# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The only file that reads foreign errors: the SDK's, anyio's, httpx's, websockets', the operating system's.

A foreign error is read by its type and its codes, never by its text. A group is read as its one telling leaf, and only
if every leaf is of a kind we know; a group with anything else in it is a bug somewhere, so it becomes the cause as it
is.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from pydantic import ValidationError

from . import _sdk
from ._causes import (
    AnswerMissing,
    DeadlinePassed,
    HTTPRefusal,
    InputRefused,
    NotMCP,
    OwnerCancelled,
    ProxyRefusal,
    ServerClosed,
    SessionExpired,
    StillDialling,
    UnreadableFile,
)
from ._exceptions import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
)
from ._printable import printable
from ._server import Server, public_url

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


@dataclass(frozen=True)
class Reading:
    """What a foreign error means to us. Its reason may quote the server; :func:`_interpret` makes it printable."""

    kind: type[MCPError]
    reason: str
    fields: dict[str, Any] = field(default_factory=dict)


Reader = Callable[[Any], Reading]


def _connect_error(error: Exception) -> Reading:
    """A connection that could not be made: the reason is in the chain, the text at its top often hides it."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLError):
            return Reading(MCPConnectionError, f"the TLS handshake failed: {_ssl_reason(link)}")
        if isinstance(link, socket.gaierror):
            return Reading(MCPConnectionError, f"the host name cannot be resolved ({link.strerror})")
        if isinstance(link, OSError) and link.errno:
            return _os_error(link)
    return Reading(MCPConnectionError, str(error) or f"cannot connect ({type(error).__name__})")


def _os_error(error: OSError) -> Reading:
    if isinstance(error, ConnectionRefusedError):
        return Reading(MCPConnectionError, "connection refused; check that the server is running at this address")
    if isinstance(error, TimeoutError):
        return _foreign_timeout(error)
    if isinstance(error, FileNotFoundError):
        which = "" if error.filename is None else f": {error.filename}"
        return Reading(MCPConnectionError, f"no such command or directory{which}; check the command, PATH and cwd")
    if isinstance(error, PermissionError):
        return Reading(MCPConnectionError, "permission denied; check that the command may be executed")
    text = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    return Reading(MCPConnectionError, text[:1].lower() + text[1:])


def _ssl_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({error.verify_message})"
    return (error.reason or "unknown reason").replace("_", " ").lower()


def _http_status(error: Any) -> Reading:
    said = error.error if isinstance(error, HTTPRefusal) else {}
    response = error.response
    reading = _status(response.status_code, response.reason_phrase, response.headers, said.get("message"))
    reading.fields.update({name: said[name] for name in ("code", "data") if name in said})
    return reading


def _unreadable_file(error: UnreadableFile) -> Reading:
    return Reading(MCPConnectionError, str(error))


def _proxy_refusal(error: ProxyRefusal) -> Reading:
    known = _read(error.reason)
    reading = Reading(MCPConnectionError, str(error.reason)) if known is None else known[1]
    refused = f"{error.proxy} did not pass the request on: {reading.reason}"
    return Reading(
        MCPConnectionError, refused, {name: reading.fields[name] for name in reading.fields if name == "status_code"}
    )


def _status(code: int, phrase: str, headers: Any, said: str | None = None) -> Reading:
    answer = f"the server answered HTTP {code} {phrase}".rstrip() + (f" ({said})" if said else "")
    if 300 <= code < 400 and headers.get("location"):
        where = public_url(headers["location"])
        answer += f", a redirect to {where}, which is not followed to another origin; check the URL"
    if code in (401, 403):
        fields = {"status_code": code, "www_authenticate": headers.get("WWW-Authenticate")}
        return Reading(MCPAuthenticationError, f"{answer}; check the credentials", fields)
    hint = "; check the path of the URL" if code in (404, 405) else ""
    return Reading(MCPServerError, answer + hint, {"status_code": code})


def _session_expired(_: SessionExpired) -> Reading:
    return Reading(MCPConnectionError, "the server no longer knows the session (HTTP 404)", {"status_code": 404})


def _foreign_timeout(error: Exception) -> Reading:
    what = "connecting" if type(error).__name__ in ("ConnectTimeout", "PoolTimeout") else "waiting for data"
    return Reading(MCPTimeoutError, f"{what} took longer than the HTTP client or the system allows")


def _deadline(error: DeadlinePassed | StillDialling) -> Reading:
    return Reading(MCPTimeoutError, str(error), {"timeout": error.seconds})


def _network(error: Exception) -> Reading:
    text = str(error).rstrip(".")
    return Reading(MCPConnectionError, "the connection broke" + (f" ({text})" if text else ""))


def _not_sendable(error: Exception) -> Reading:
    return Reading(MCPConnectionError, f"the request cannot be sent: {error}")


def _closed(error: Exception) -> Reading:
    return Reading(MCPConnectionError, str(error) or "the server closed the connection")


def _stream_closed(_: Exception) -> Reading:
    return Reading(MCPConnectionError, "the connection is closed")


def _not_mcp(error: Exception) -> Reading:
    return Reading(MCPProtocolError, str(error))


def _input_refused(error: InputRefused) -> Reading:
    return Reading(MCPError, str(error))


def _bad_url(_: Exception) -> Reading:
    return Reading(MCPConnectionError, "the URL is not one that can be connected to; check its scheme and host")


def _not_valid(error: ValidationError) -> Reading:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or error.title
    return Reading(MCPProtocolError, f"the server sent what is not valid MCP ({place}: {first['msg']})")


def _answer(error: _sdk.McpError) -> Reading:
    details = error.error
    if is_request_timeout(error):
        return Reading(MCPTimeoutError, "no answer within request_timeout", {"code": details.code})
    reason = f"the server answered with an error: {details.message} (code {details.code})"
    return Reading(MCPServerError, reason, {"code": details.code, "data": details.data})


def _cancelled(_: BaseException) -> Reading:
    return Reading(MCPError, str(OwnerCancelled()))


# The most telling first: when several errors arrive together, an earlier row is the reason and a later one its
# consequence.
_HTTP_READERS: tuple[tuple[str, Reader], ...] = (
    ("HTTPStatusError", _http_status),
    ("TimeoutException", _foreign_timeout),
    ("ConnectError", _connect_error),
    ("ProxyError", _network),
    ("UnsupportedProtocol", _bad_url),
    ("InvalidURL", _bad_url),
    ("LocalProtocolError", _not_sendable),
    ("HTTPError", _network),
    ("StreamError", _network),
)

_READERS: tuple[tuple[type[BaseException], Reader], ...] = (
    (SessionExpired, _session_expired),
    (DeadlinePassed, _deadline),
    (StillDialling, _deadline),
    (NotMCP, _not_mcp),
    (InputRefused, _input_refused),
    (_sdk.UnsupportedProtocolVersion, _not_mcp),
    (ValidationError, _not_valid),
    (AnswerMissing, _closed),
    (ServerClosed, _closed),
    (OwnerCancelled, _closed),
    (ProxyRefusal, _proxy_refusal),
    (UnreadableFile, _unreadable_file),
    (ssl.SSLError, _connect_error),
    (socket.gaierror, _connect_error),
    (TimeoutError, _foreign_timeout),
    (OSError, _connect_error),
    (_sdk.McpError, _answer),
    (anyio.EndOfStream, _stream_closed),
    (anyio.ClosedResourceError, _stream_closed),
    (anyio.BrokenResourceError, _stream_closed),
    (asyncio.CancelledError, _cancelled),
)


def _http_readers() -> Iterator[tuple[type[BaseException], Reader]]:
    """Readers for the errors of httpx and httpx2; none can exist before the library has been imported."""
    for library in filter(None, map(sys.modules.get, ("httpx", "httpx2"))):
        for name, reader in _HTTP_READERS:
            yield getattr(library, name), reader


def _websocket_readers() -> tuple[tuple[type[BaseException], Reader], ...]:
    """Readers for websockets' errors; none can exist before somebody has imported that optional package."""
    foreign = sys.modules.get("websockets.exceptions")
    if foreign is None:
        return ()
    return (
        (foreign.InvalidStatus, _websocket_status),
        (foreign.InvalidURI, _bad_url),
        (foreign.InvalidHandshake, lambda error: Reading(MCPProtocolError, f"no websocket handshake: {error}")),
        (foreign.ConnectionClosed, _network),
        (foreign.WebSocketException, _network),
    )


def _websocket_status(error: Any) -> Reading:
    status = error.response.status_code
    if status < 400:
        return Reading(MCPProtocolError, f"the server answered HTTP {status}, not a websocket", {"status_code": status})
    return _status(error.response.status_code, error.response.reason_phrase, error.response.headers)


def _readers() -> Iterator[tuple[type[BaseException], Reader]]:
    yield HTTPRefusal, _http_status
    yield from _http_readers()
    yield from _READERS
    yield from _websocket_readers()


def _read(error: BaseException) -> tuple[int, Reading] | None:
    """What an error of a known kind means, with its rank; None for any other."""
    for rank, (foreign, reader) in enumerate(_readers()):
        if isinstance(error, foreign):
            return rank, reader(error)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, outermost first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            for leaf in link.exceptions:
                yield from _chain(leaf)
        link = link.__cause__ or link.__context__


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for child in error.exceptions for leaf in _leaves(child)]
    return [error]


def root_cause(error: BaseException) -> BaseException:
    """The one error behind a group, or the error itself.

    A group of which any leaf is of an unknown kind is returned whole.
    """
    leaves = _leaves(error)
    if len(leaves) == 1:
        return leaves[0]
    ranked = [(known[0], index) for index, leaf in enumerate(leaves) if (known := _read(leaf)) is not None]
    return leaves[min(ranked)[1]] if len(ranked) == len(leaves) else error


def is_request_timeout(error: BaseException) -> bool:
    """Whether a session gave up waiting because of its own read timeout.

    A server may use the code as well; what the session raises by itself comes from a ``TimeoutError``.
    """
    own = isinstance(error.__context__, TimeoutError)
    return own and isinstance(error, _sdk.McpError) and error.error.code == _sdk.REQUEST_TIMEOUT


def _interpret(cause: BaseException | None) -> Reading:
    reading = _reading_of(cause)
    # Here, and not only in MCPError: what is said around the reason must not be cut off because the reason is long.
    return replace(reading, reason=printable(reading.reason))


def _reading_of(cause: BaseException | None) -> Reading:
    if cause is None:
        return Reading(MCPConnectionError, "the connection was closed")
    if isinstance(cause, MCPError):
        return Reading(type(cause), str(cause).rstrip("."))
    known = _read(cause)
    return known[1] if known else Reading(MCPError, _unforeseen(cause))


def _unforeseen(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "unexpected errors: " + ", ".join(f"{type(leaf).__name__}: {leaf}" for leaf in _leaves(error))
    return str(error) or type(error).__name__


def connect_error(cause: BaseException | None, server: Server, stage: str) -> MCPError:
    """Why a connection could not be opened.

    Args:
        cause: What went wrong; groups are read as their root cause. None when it was closed meanwhile.
        server: To whom.
        stage: ``"transport"``, ``"session"`` or ``"initialize"``: what was being opened.

    Returns:
        An error to raise, its ``__cause__`` set.
    """
    root = None if cause is None else root_cause(cause)
    reading = _interpret(root)
    reached = (
        reading.kind in (MCPError, MCPProtocolError) or "code" in reading.fields or isinstance(root, OwnerCancelled)
    )
    headline = _headline(server, stage if reached or stage != "initialize" else "connect")
    return _build(reading, f"{headline}: {reading.reason}", root, server, "connect", None)


def _headline(server: Server, stage: str) -> str:
    if stage == "session":
        return f"Failed to create MCP session with {server}"
    if server.command is None:
        said = "MCP server failed to initialize" if stage == "initialize" else "Failed to connect to MCP server"
        return f"{said}: {server}"
    if stage == "transport":
        return f"Failed to start MCP server '{server.command}'"
    return f"MCP server '{server.command_line}' failed to initialize"


def loss_error(cause: BaseException, server: Server) -> MCPError:
    """Why a connection that was open is no more.

    Args:
        cause: What went wrong; groups are read as their root cause.
        server: To whom.

    Returns:
        An error to show, its ``__cause__`` set.
    """
    root = root_cause(cause)
    reading = _interpret(root)
    return _build(
        reading, f"Lost the connection to MCP server {server}: {reading.reason}", root, server, "connect", None
    )


def request_error(cause: BaseException | None, server: Server, *, phase: str, what: str, sent: bool | None) -> MCPError:
    """Why a request failed.

    Args:
        cause: What went wrong, or None when the connection was closed by us.
        server: To whom.
        phase: What ``MCPError.phase`` says.
        what: The request in words, as the subject of the sentence.
        sent: What ``MCPError.sent`` says.

    Returns:
        An error to raise, its ``__cause__`` set.
    """
    root = None if cause is None else root_cause(cause)
    reading = _interpret(root)
    text = f"{what} failed on MCP server {server}: {reading.reason}"
    if sent and issubclass(reading.kind, (MCPConnectionError, MCPTimeoutError)):
        text += "; it may have run there and was not sent again"
    return _build(reading, text, root, server, phase, sent)


def _build(
    reading: Reading, text: str, root: BaseException | None, server: Server, phase: str, sent: bool | None
) -> MCPError:
    sentence = text if text.endswith((".", "!", "?")) else text + "."
    error = reading.kind(sentence, server=str(server), phase=phase, sent=sent, **reading.fields)
    error.__cause__ = root
    return error
