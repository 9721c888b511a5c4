# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""An agent as an MCP server: the SDK's low-level server with one tool."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from .exceptions import ToolException

if TYPE_CHECKING:
    from mcp import types
    from mcp.server.lowlevel import Server

    from ._tools import FunctionTool
    from ._types import Content

logger = logging.getLogger("agent_framework")


def make_server(
    tool: FunctionTool,
    server_name: str,
    *,
    lifespan: Callable[[Server[Any]], AbstractAsyncContextManager[Any]] | None = None,
    **options: Any,
) -> Server[Any]:
    """A server that offers one tool. Only text of its results is sent.

    Args:
        tool: What clients may call.
        server_name: What the server calls itself.

    Keyword Args:
        lifespan: Makes an async context manager that is entered while the server runs.
        **options: For the SDK's server.

    Raises:
        ModuleNotFoundError: The package mcp is not installed.
    """
    try:
        from mcp import types
        from mcp.server.lowlevel import Server

        from ._mcp import LOG_LEVEL_MAPPING
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Agent.as_mcp_server() needs the package mcp: pip install mcp", name="mcp") from error
    if lifespan is not None:
        options["lifespan"] = lifespan
    described = types.Tool(name=tool.name, description=tool.description, inputSchema=tool.parameters())

    async def call(name: str, arguments: dict[str, Any]) -> list[types.ContentBlock]:
        if name != tool.name:
            raise ToolException(f"There is no tool {name!r} here, only {tool.name!r}.")
        try:
            result = await tool.invoke(arguments=arguments)
        except Exception as error:
            # At this boundary every failure of the agent becomes the call's; the cause stays in our own log.
            logger.warning("The agent failed on a call of its tool %r.", name, exc_info=True)
            raise ToolException(f"The agent failed: {error}") from error
        return [types.TextContent(type="text", text=text) for text in _texts(result)]

    def set_level(level: str) -> None:
        logger.setLevel(LOG_LEVEL_MAPPING[level])

    given = {name: value for name, value in options.items() if value is not None}  # SDK 2.x takes no None
    server: Any = Server(server_name, **given)
    (_register if hasattr(server, "add_request_handler") else _decorate)(server, described, call, set_level)
    made: Server[Any] = server
    return made


_Call = Callable[[str, "dict[str, Any]"], Awaitable["list[types.ContentBlock]"]]


def _register(server: Any, tool: types.Tool, call: _Call, set_level: Callable[[str], None]) -> None:
    """Give a server of SDK 2.x its handlers. Its constructor takes them too, and warns of the one for the log level."""
    from mcp import types

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool])

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            return types.CallToolResult(content=await call(params.name, params.arguments or {}))
        except ToolException as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], isError=True)

    async def set_logging_level(_context: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
        set_level(params.level)
        return types.EmptyResult()

    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, set_logging_level)


def _decorate(server: Any, tool: types.Tool, call: _Call, set_level: Callable[[str], None]) -> None:
    """Give a server of SDK 1.x its handlers. It makes an error result of what they raise."""

    @server.list_tools()  # type: ignore[untyped-decorator]
    async def list_tools() -> list[types.Tool]:
        return [tool]

    @server.call_tool()  # type: ignore[untyped-decorator]
    async def call_tool(name: str, arguments: dict[str, Any]) -> list[types.ContentBlock]:
        return await call(name, arguments)

    @server.set_logging_level()  # type: ignore[untyped-decorator]
    async def set_logging_level(level: types.LoggingLevel) -> None:
        set_level(level)


def _texts(result: list[Content]) -> list[str]:
    if left_out := sorted({content.type for content in result if content.type != "text"}):
        logger.warning("An agent's MCP server sends text only; left out of a result: %s", ", ".join(left_out))
    return [content.text or "" for content in result if content.type == "text"] or [""]
