# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""JSON-RPC messages as the SDK's streams carry them.

In SDK 1.x a message is wrapped in ``JSONRPCMessage``; in 2.x that name is a union of the bare classes.
"""

from __future__ import annotations

from typing import Any

from mcp import types
from mcp.shared.message import SessionMessage
from pydantic_core import from_json

_types: Any = types  # some of the names are of one major only
_IS_WRAPPED = hasattr(types.JSONRPCMessage, "model_validate")

_LONG = 4096  # bytes; above it, reading JSON before the kind of message is known costs a seventh
_RESPONSE_KEYS = frozenset(["jsonrpc", "id", "result"])


def bare(item: Any) -> Any:
    """The request, notification, response or error in what a stream carries; None for an exception."""
    if not isinstance(item, SessionMessage):
        return None
    message: Any = item.message
    return message.root if _IS_WRAPPED else message


def wrapped(message: Any, metadata: Any = None) -> SessionMessage:
    """A bare message as a stream carries it."""
    return SessionMessage(types.JSONRPCMessage(message) if _IS_WRAPPED else message, metadata)


def request(id: types.RequestId, method: str, params: dict[str, Any] | None, metadata: Any = None) -> SessionMessage:
    """A request, with params where there are any."""
    given = {"params": params} if params else {}
    return wrapped(types.JSONRPCRequest(jsonrpc="2.0", id=id, method=method, **given), metadata)


def notification(method: str, params: dict[str, Any], metadata: Any = None) -> SessionMessage:
    """A notification."""
    return wrapped(types.JSONRPCNotification(jsonrpc="2.0", method=method, params=params), metadata)


def encode(item: SessionMessage) -> str:
    """A message as one line of JSON, without the line end.

    Raises:
        ValueError: It holds text that UTF-8 cannot hold.
    """
    message: Any = item.message
    text: str = message.model_dump_json(by_alias=True, exclude_none=True)
    return text


def decode(text: str | bytes) -> SessionMessage:
    """One JSON-RPC message as it stands on the wire.

    Raises:
        pydantic.ValidationError: It is not JSON, or not JSON-RPC.
    """
    if len(text) >= _LONG:
        try:
            message = from_json(text)
        except (TypeError, ValueError):  # the former for text that cannot be encoded
            message = None  # the SDK says what is wrong
        if _is_response(message):
            return wrapped(types.JSONRPCResponse.model_construct(**message))
    if _IS_WRAPPED:
        return SessionMessage(_types.JSONRPCMessage.model_validate_json(text))
    return SessionMessage(_types.jsonrpc_message_adapter.validate_json(text, by_name=False))


def validated(message: dict[str, Any]) -> SessionMessage:
    """A message that was read as JSON.

    Raises:
        pydantic.ValidationError: It is not JSON-RPC.
    """
    if _IS_WRAPPED:
        return SessionMessage(_types.JSONRPCMessage.model_validate(message))
    return SessionMessage(_types.jsonrpc_message_adapter.validate_python(message, by_name=False))


def _is_response(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and message.keys() == _RESPONSE_KEYS
        and message["jsonrpc"] == "2.0"
        and type(message["id"]) in (int, str)
        and isinstance(message["result"], dict)
    )
