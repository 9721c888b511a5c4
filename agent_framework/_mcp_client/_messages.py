# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The SDK's message objects, for a transport that reads and writes JSON itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcp import types
from pydantic import ValidationError

from ._causes import HTTPRefusal
from ._printable import printable
from .sdk.messages import bare, validated, wrapped

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage

__all__ = ["answer", "bare", "cancelled_id", "failure", "headers_of", "incoming"]


def headers_of(item: SessionMessage) -> Mapping[str, str]:
    """The HTTP headers that a session of SDK 2.x wants on the request for its message."""
    return getattr(item.metadata, "headers", None) or {}


def cancelled_id(notification: Any) -> int | str | None:
    """The id of the request that a ``notifications/cancelled`` gives up."""
    given_up = (notification.params or {}).get("requestId")
    return given_up if isinstance(given_up, (int, str)) else None


def incoming(message: dict[str, Any]) -> SessionMessage | ValidationError:
    """A server's request or notification as the session takes it; the reason where it is none."""
    try:
        return validated(message)
    except ValidationError as error:
        return error


def answer(message: dict[str, Any]) -> SessionMessage | ValidationError:
    """A response that is known to be well-formed, whose result the session looks at."""
    if "error" in message:
        return incoming(message)
    response = types.JSONRPCResponse.model_construct(jsonrpc="2.0", id=message["id"], result=message["result"])
    return wrapped(response)


def failure(id: int | str, error: Exception) -> SessionMessage:
    """An error message that ends the session's wait for an answer.

    Callers of ours find the failure itself on their call. Others, who use the session directly, are told by this text.
    """
    said = error.error if isinstance(error, HTTPRefusal) else {}
    text = str(said.get("message") or str(error) or type(error).__name__)
    details = types.ErrorData(
        code=said.get("code", types.INTERNAL_ERROR),
        message=printable(text),
        data=said.get("data"),
    )
    return wrapped(types.JSONRPCError(jsonrpc="2.0", id=id, error=details))
