# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What a chat client raises when its model's endpoint cannot be reached, or refuses.

Provider packages differ: some wrap the failures of their SDK in a ChatClientException that names no endpoint, others
let them through. BaseChatClient sends all of them through here, so that a caller has one family to catch and a message
that names the endpoint and the root cause. Errors are told apart by type and by what they carry, never by their text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from .exceptions import (
    AgentFrameworkException,
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ContentError,
)

_MALFORMED: Final = (LookupError, AttributeError, ArithmeticError)
"""What code raises that meets data of another shape than it expects: a conversation, or an answer of the endpoint."""

_CLASS_OF_STATUS: Final[dict[int, type[ChatClientException]]] = {
    400: ChatClientInvalidRequestException,
    401: ChatClientInvalidAuthException,
    403: ChatClientInvalidAuthException,
    404: ChatClientInvalidRequestException,
    413: ChatClientInvalidRequestException,
    422: ChatClientInvalidRequestException,
}


def translate_request_error(error: Exception, service_url: str | None, *, building: bool = False) -> Exception:
    """The exception that the caller of a chat client gets.

    Args:
        error: What the request raised.
        service_url: Where requests go, for errors that do not tell it themselves.
        building: The error came before anything could be sent.

    Returns:
        The error itself, its message completed if it is a ChatClientException about the endpoint, unless it is a
        failure of the endpoint or of the request in another guise; then a new exception, for ``raise ... from error``.
        What the caller did wrong (ValueError, TypeError, RuntimeError) and what tools raise stays as it is.
    """
    failure = _find_failure(error)
    if isinstance(error, ChatClientException):
        if failure is not None:
            _complete(error, failure, service_url)
        return error
    if isinstance(error, ContentError):
        return ChatClientInvalidRequestException(f"The request to the model cannot be built: {error}")
    if isinstance(error, AgentFrameworkException):
        return error
    if failure is not None:
        return failure.exception_class(_sentence(_text_of(error, failure), failure, service_url))
    if isinstance(error, _MALFORMED):
        return _about_data(error, building=building)
    return error


def _about_data(error: Exception, *, building: bool) -> ChatClientException:
    what = f"{type(error).__name__}: {error}"
    if building:
        return ChatClientInvalidRequestException(f"The request to the model cannot be built: {what}")
    return ChatClientException(f"The chat client failed on its request or on the model's answer: {what}")


# What an error tells...


@dataclass
class _Failure:
    """A request that went out, or should have, and what came of it."""

    url: str | None
    status: int | None
    root_cause: BaseException
    not_sendable: bool

    @property
    def exception_class(self) -> type[ChatClientException]:
        if self.not_sendable:
            return ChatClientInvalidRequestException
        return _CLASS_OF_STATUS.get(self.status or 0, ChatClientException)

    @property
    def reason(self) -> str:
        if self.status is not None:
            return f"HTTP {self.status}"
        name = type(self.root_cause).__name__
        # Only the system's own words: an HTTP library's may repeat a header, and with it the key.
        text = str(self.root_cause) if isinstance(self.root_cause, OSError) else ""
        return f"{name}: {text}" if text else name


def _find_failure(error: Exception) -> _Failure | None:
    """The HTTP exchange or the system call that failed, if it was one; looked for along the chain of causes."""
    links = list(_chain(error))
    url = next((url for link in links if (url := _request_url(link)) is not None), None)
    status = next((status for link in links if (status := _status_code(link)) is not None), None)
    if url is None and status is None and not any(_is_of_network(link) for link in links):
        return None
    return _Failure(url, status, links[-1], any(_is_not_sendable(link) for link in links))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause, and so on; of a group the first member."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = _cause(link)


def _cause(link: BaseException) -> BaseException | None:
    # httpcore breaks the chain and keeps the cause as its first argument. `__context__` is not looked at: a request
    # made in somebody's `except` block has nothing to do with what was caught there.
    members = getattr(link, "exceptions", None) or link.args
    first = members[0] if isinstance(members, (tuple, list)) and members else None
    return link.__cause__ or (first if isinstance(first, BaseException) else None)


def _request_url(link: BaseException) -> str | None:
    for name in ("request", "response"):
        try:
            carrier = getattr(link, name, None)
        except RuntimeError:
            continue  # httpx's way to say that the error has no request
        url = getattr(carrier, "url", None)
        if url is not None:
            return str(url)
    return None


def _status_code(link: BaseException) -> int | None:
    for carrier in (link, getattr(link, "response", None)):
        status = getattr(carrier, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _is_of_network(link: BaseException) -> bool:
    # A file's error names the file; it is about something that the caller wanted to send.
    return isinstance(link, OSError) and link.filename is None


def _is_not_sendable(link: BaseException) -> bool:
    # Looked up, not imported: where a library is not loaded, no error is one of its.
    libraries: list[Any] = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return any(isinstance(link, (library.LocalProtocolError, library.UnsupportedProtocol)) for library in libraries)


# What the caller reads...


def _complete(error: ChatClientException, failure: _Failure, service_url: str | None) -> None:
    """Add endpoint and root cause to the message of an exception that stays the same in everything else."""
    message = str(error)
    completed = _sentence(message, failure, service_url)
    endpoint = _endpoint(failure, service_url)
    # Nested clients send one error through here twice.
    if endpoint is None or f"(endpoint {endpoint}" not in message:
        error.args = (completed, *error.args[1:])


def _sentence(message: str, failure: _Failure, service_url: str | None) -> str:
    endpoint = _endpoint(failure, service_url)
    if failure.url is not None:
        message = message.replace(failure.url, _public_url(failure.url))
    return f"{message} (endpoint {endpoint}: {failure.reason})" if endpoint else f"{message} ({failure.reason})"


def _text_of(error: Exception, failure: _Failure) -> str:
    if failure.not_sendable:
        return "The request to the model cannot be sent: its address or one of its headers is not valid"
    said_anyway = error is failure.root_cause and isinstance(error, OSError)
    return "The request to the model failed" if said_anyway else f"The request to the model failed: {error}"


def _endpoint(failure: _Failure, service_url: str | None) -> str | None:
    url = failure.url or service_url
    return _public_url(url) if url and "://" in url else None


def _public_url(url: str) -> str:
    """The URL without what may be secret: userinfo, query, fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
