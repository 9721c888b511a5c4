# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the majors of the MCP SDK spell differently, for tests that use the SDK itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from mcp import types
from mcp.client import streamable_http
from mcp.server.lowlevel import Server
from mcp.shared import exceptions
from mcp.shared.message import SessionMessage

IS_1 = hasattr(types.JSONRPCMessage, "model_validate")
"""Whether the SDK is of the first major."""

_types: Any = types  # some of the names are of one major only
SdkError: Any = exceptions.McpError if IS_1 else getattr(exceptions, "MCPError")  # noqa: B009
"""What a session of the SDK raises for an error answer."""

TIMED_OUT: int = getattr(types, "REQUEST_TIMEOUT", 408)
"""The code of a session's own deadline."""


def sdk_error(code: int, message: str, data: Any = None) -> Exception:
    """An error answer, as a session of the SDK raises it."""
    if IS_1:
        return SdkError(types.ErrorData(code=code, message=message, data=data))
    return SdkError(code, message, data)


def bare(item: Any) -> Any:
    """The request, notification or answer in what a stream of the SDK carries."""
    return item.message.root if IS_1 else item.message


def wrapped(message: Any) -> SessionMessage:
    """The other way round."""
    return SessionMessage(types.JSONRPCMessage(message) if IS_1 else message)


def message_of(values: dict[str, Any]) -> SessionMessage:
    """A JSON-RPC message, as a stream of the SDK carries it."""
    if IS_1:
        return SessionMessage(types.JSONRPCMessage.model_validate(values))
    return SessionMessage(_types.jsonrpc_message_adapter.validate_python(values, by_name=False))


def parse_message(text: str | bytes) -> SessionMessage:
    """A JSON-RPC message as the SDK itself parses it."""
    if IS_1:
        return SessionMessage(types.JSONRPCMessage.model_validate_json(text))
    return SessionMessage(_types.jsonrpc_message_adapter.validate_json(text, by_name=False))


def field(item: Any, wire: str) -> Any:
    """A field by its name on the wire."""
    return getattr(item, wire if IS_1 else re.sub("[A-Z]", lambda capital: "_" + capital.group().lower(), wire))


def seconds(value: float) -> Any:
    """A read timeout, as sessions want it."""
    return timedelta(seconds=value) if IS_1 else float(value)


@asynccontextmanager
async def http_streams(url: str, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """The SDK's own HTTP transport."""
    async with streamable_http.streamable_http_client(url, **options) as (read_stream, write_stream, *_):
        yield read_stream, write_stream


def make_server(name: str, tool: types.Tool, answer: str) -> Any:
    """A low-level server of the SDK with one tool, which always says the same."""
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=answer)]
    server: Any = Server(name)
    if IS_1:

        @server.list_tools()  # type: ignore[untyped-decorator]
        async def list_tools() -> list[types.Tool]:
            return [tool]

        @server.call_tool()  # type: ignore[untyped-decorator]
        async def call_tool(name: str, arguments: dict[str, Any]) -> list[types.ContentBlock]:
            return content

    else:

        async def tools(context: Any, params: Any) -> types.ListToolsResult:
            return types.ListToolsResult(tools=[tool])

        async def call(context: Any, params: Any) -> types.CallToolResult:
            return types.CallToolResult(content=content)

        server.add_request_handler("tools/list", types.PaginatedRequestParams, tools)
        server.add_request_handler("tools/call", types.CallToolRequestParams, call)
    return server
