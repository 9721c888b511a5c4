# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What can go wrong with one HTTP exchange, as objects made where it happens.

A failure concerns its request. What it tells about the session goes with it; the connection draws the conclusions.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import anyio

from .._causes import AnswerMissing, HTTPRefusal, NotMCP, ProxyRefusal, SessionExpired, UnreadableFile
from .._secrets import secret_words, without
from .._streams import Failure
from .endpoint import SESSION_ID
from .http_client import DISCARD_TIMEOUT, body_of
from .messages import parse

ERROR_BODY_LIMIT = 64 * 1024
"""How much of an error answer's body is read, in decoded bytes, to find the JSON-RPC error that says why."""

_PROXY_AUTHENTICATION_REQUIRED, _TOO_MANY_REQUESTS = 407, 429
_NEVER_SENT = ("PoolTimeout", "UnsupportedProtocol", "InvalidURL")
_UNREACHABLE = ("ConnectError", "ConnectTimeout")
_BROKEN = ("NetworkError", "RemoteProtocolError")


async def why_refused(library: Any, response: Any) -> Exception:
    """Why an HTTP status means that there is no result; the body may say more (JSON-RPC errors in 4xx answers)."""
    if response.status_code == 404 and SESSION_ID in response.request.headers:
        return SessionExpired("the server answered HTTP 404 to the session id")
    error = await _error_in(response)
    return refusal(library, response, without(error, secret_words(response.request.headers)))


def refusal(library: Any, response: Any, error: dict[str, Any]) -> HTTPRefusal:
    """An ``HTTPRefusal`` that is an ``HTTPStatusError`` of a library too."""
    refused: HTTPRefusal = _refusal_type(library)(response, error)
    return refused


@cache
def _refusal_type(library: Any) -> Any:
    """A refusal is an ``HTTPStatusError`` of the library that met it, as users of that library expect."""
    return type("HTTPRefusal", (HTTPRefusal, library.HTTPStatusError), {"__module__": HTTPRefusal.__module__})


async def _error_in(response: Any) -> dict[str, Any]:
    """The JSON-RPC error in an error answer's body; empty where there is none to be had soon."""
    if not response.headers.get("content-type", "").startswith("application/json"):
        return {}
    try:
        with anyio.move_on_after(DISCARD_TIMEOUT):
            message = parse(await body_of(response, ERROR_BODY_LIMIT))[0]
            return message.get("error") or {}
    except Exception:  # noqa: BLE001, S110  # the status is known, and it is what counts
        pass
    return {}


def failure_of(error: Exception, library: Any, *, proxy: str, sent: bool) -> Failure:
    """What an exception tells about the request and about the session.

    Args:
        error: What the exchange raised.
        library: The HTTP library that it was made with.
        proxy: The proxy on the way, in words; empty where none is known.
        sent: Whether the server has answered anything to the request.
    """
    if _is_of_proxy(error, library, proxy):
        refused = ProxyRefusal(proxy or "the HTTP proxy", error)
        refused.__cause__ = error
        return Failure(refused, sent=sent)
    if _is_one_of(error, library, ("LocalProtocolError",)):
        # The text of the original quotes the header's value.
        error = library.LocalProtocolError("a header has a name or a value that HTTP does not allow")
        return Failure(error, sent=sent)
    if isinstance(error, SessionExpired) or _is_one_of(error, library, _UNREACHABLE):
        return Failure(error, sent=sent, fatal=True)
    if isinstance(error, UnreadableFile) or _is_one_of(error, library, _NEVER_SENT):
        return Failure(error, sent=sent)
    doubtful = isinstance(error, (AnswerMissing, HTTPRefusal)) or _is_one_of(error, library, _BROKEN)
    busy = isinstance(error, HTTPRefusal) and error.response.status_code == _TOO_MANY_REQUESTS
    return Failure(error, sent=True, doubtful=doubtful and not busy)


def _is_of_proxy(error: Exception, library: Any, proxy: str) -> bool:
    if isinstance(error, HTTPRefusal):
        return bool(error.response.status_code == _PROXY_AUTHENTICATION_REQUIRED)
    return _is_one_of(error, library, ("ProxyError",) if not proxy else ("ProxyError", *_UNREACHABLE))


def _is_one_of(error: Exception, library: Any, names: tuple[str, ...]) -> bool:
    return isinstance(error, tuple(getattr(library, name) for name in names))


def why_no_answer(response: Any, content_type: str) -> Exception:
    """Why a success without JSON and without events is no answer."""
    if response.status_code in (202, 204):
        return AnswerMissing(f"the server took the request with HTTP {response.status_code} and gave no answer")
    return NotMCP(f"the answer is {content_type or 'of no type'}, not MCP; check the path of the URL")


def without_secrets(message: dict[str, Any], headers: Any) -> dict[str, Any]:
    """An answer; an error in it without what we have sent in headers, as some servers quote the token they refuse."""
    if "error" not in message and message.get("result", {}).get("isError") is not True:
        return message
    shown: dict[str, Any] = without(message, secret_words(headers))
    return shown
