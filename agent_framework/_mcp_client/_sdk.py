# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Every name, field and code of the MCP SDK that its releases spell differently, in one place.

Importing this module imports ``mcp``; it is imported when the first connection is opened, never with the package.
Classes that applications and tests replace (``ClientSession``, the transports) are looked up in their own modules at
the moment of use.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mcp import types
from mcp.client import session as client_session
from mcp.shared.exceptions import McpError
from mcp.shared.message import SessionMessage

__all__ = [
    "CONNECTION_CLOSED",
    "REQUEST_TIMEOUT",
    "McpError",
    "SessionMessage",
    "UnsupportedProtocolVersion",
    "cancel_request",
    "decode",
    "default_environment",
    "encode",
    "initialize",
    "is_unused",
    "make_http_client",
    "make_session",
    "request_id",
]

CONNECTION_CLOSED = types.CONNECTION_CLOSED
"""The code with which a session answers its own pending requests when its read stream ends."""

REQUEST_TIMEOUT = 408
"""The code that a session of SDK 1.x gives a request whose read timeout passed; an HTTP status, not a JSON-RPC code."""


class UnsupportedProtocolVersion(Exception):
    """The server chose a protocol version that this SDK does not know (MCP lifecycle, version negotiation)."""


def make_session(
    read_stream: Any, write_stream: Any, *, read_timeout: float | None, **callbacks: Any
) -> client_session.ClientSession:
    """A session that is not yet entered.

    Args:
        read_stream: What the transport receives.
        write_stream: What the transport sends.
        read_timeout: How long any request may wait for its answer, in seconds; None or 0 for ever.
        **callbacks: What ``ClientSession`` takes besides, by its names.
    """
    timeout = timedelta(seconds=read_timeout) if read_timeout else None
    return client_session.ClientSession(
        read_stream=read_stream, write_stream=write_stream, read_timeout_seconds=timeout, **callbacks
    )


def is_unused(session: Any) -> bool:
    """Whether a session has not sent anything yet, so that its handshake is still to be done."""
    return bool(getattr(session, "_request_id", None) == 0)


async def initialize(session: Any) -> Any:
    """Do the handshake and return the server's ``InitializeResult``.

    Raises:
        UnsupportedProtocolVersion: The server answered with a version that the SDK does not know. SDK 1.x says so by a
            bare RuntimeError, the only one its ``initialize`` raises.
    """
    try:
        return await session.initialize()
    except RuntimeError as error:
        raise UnsupportedProtocolVersion(str(error)) from error


def request_id(item: Any) -> types.RequestId | None:
    """The id of the request in a message on its way to the server; None for notifications and answers."""
    root = getattr(getattr(item, "message", None), "root", None)
    return root.id if isinstance(root, types.JSONRPCRequest) else None


def decode(text: str | bytes) -> SessionMessage:
    """One JSON-RPC message as it stands on the wire.

    Raises:
        pydantic.ValidationError: It is not JSON, or not JSON-RPC.
    """
    return SessionMessage(types.JSONRPCMessage.model_validate_json(text))


def encode(item: SessionMessage) -> str:
    """A message as one line of JSON, without the line end."""
    return item.message.model_dump_json(by_alias=True, exclude_none=True)


async def cancel_request(session: Any, id: types.RequestId, reason: str) -> None:
    """Tell the server that nobody waits for an answer any more (MCP, "Cancellation").

    Args:
        session: The session that sent the request.
        id: The request; never that of ``initialize``, which must not be cancelled this way.
        reason: For the server's log.
    """
    params = types.CancelledNotificationParams(requestId=id, reason=reason)
    notification = types.CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(types.ClientNotification(notification))


def make_http_client() -> Any:
    """An ``httpx.AsyncClient`` with the time limits that the SDK's transport expects: 30 s, and 300 s between bytes."""
    from mcp.shared import _httpx_utils

    return _httpx_utils.create_mcp_http_client()


def default_environment() -> dict[str, str]:
    """The variables of our own environment that are safe to give to a third party's process."""
    from mcp.client import stdio

    return stdio.get_default_environment()
