# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The exception by which a session of the SDK tells a caller of an error: ``McpError`` in 1.x, ``MCPError`` in 2.x."""

from __future__ import annotations

from typing import Any

from mcp import types
from mcp.shared import exceptions

McpError: Any = exceptions.MCPError if hasattr(exceptions, "MCPError") else exceptions.McpError
"""What sessions raise; its ``error`` is an ``ErrorData``."""

CONNECTION_CLOSED = types.CONNECTION_CLOSED
"""The code with which a session answers its own pending requests when its read stream ends. A server may use it too."""

REQUEST_TIMEOUT: int = getattr(types, "REQUEST_TIMEOUT", 408)
"""The code that a session gives a request whose read timeout passed; in SDK 1.x an HTTP status, without a name."""

_TAKES_PARTS = hasattr(McpError, "from_error_data")


def _parts(error: types.ErrorData) -> tuple[Any, ...]:
    return (error.code, error.message, error.data) if _TAKES_PARTS else (error,)


class RequestTimeout(McpError):  # type: ignore[misc]  # which class it is depends on the SDK
    """A request of ours had no answer in time. Its ``__cause__`` is a ``TimeoutError``, as with sessions of the SDK.

    Args:
        seconds: How long the wait was.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(*_parts(types.ErrorData(code=REQUEST_TIMEOUT, message=f"no answer within {seconds:g} s")))


class ConnectionEnded(McpError):  # type: ignore[misc]  # as above
    """The connection of a session of ours ended before the answer came. No server can say so."""

    def __init__(self) -> None:
        super().__init__(*_parts(types.ErrorData(code=CONNECTION_CLOSED, message="Connection closed")))


def error_of(error: types.ErrorData) -> Exception:
    """What a caller gets for an error answer."""
    made: Exception = McpError(*_parts(error))
    return made
