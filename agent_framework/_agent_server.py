# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""An agent as an MCP server: the SDK's low-level server with one tool."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, cast

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
    server: Server[Any] = Server(server_name, **options)
    # The SDK's decorators carry no types.
    register = cast("Any", server)

    @register.list_tools()  # type: ignore[untyped-decorator]
    async def list_tools() -> list[types.Tool]:
        return [types.Tool(name=tool.name, description=tool.description, inputSchema=tool.parameters())]

    @register.call_tool()  # type: ignore[untyped-decorator]
    async def call_tool(name: str, arguments: dict[str, Any]) -> list[types.TextContent]:
        if name != tool.name:
            raise _internal_error(f"There is no tool {name!r} here, only {tool.name!r}.")
        try:
            result = await tool.invoke(arguments=arguments)
        except Exception as error:
            # At this boundary every failure of the agent becomes the call's; the cause stays in our own log.
            logger.warning("The agent failed on a call of its tool %r.", name, exc_info=True)
            raise _internal_error(f"The agent failed: {error}") from error
        return [types.TextContent(type="text", text=text) for text in _texts(result)]

    @register.set_logging_level()  # type: ignore[untyped-decorator]
    async def set_logging_level(level: types.LoggingLevel) -> None:
        logger.setLevel(LOG_LEVEL_MAPPING[level])

    return server


def _internal_error(message: str) -> Exception:
    from mcp.shared.exceptions import McpError
    from mcp.types import INTERNAL_ERROR, ErrorData

    return McpError(ErrorData(code=INTERNAL_ERROR, message=message))


def _texts(result: list[Content]) -> list[str]:
    if left_out := sorted({content.type for content in result if content.type != "text"}):
        logger.warning("An agent's MCP server sends text only; left out of a result: %s", ", ".join(left_out))
    return [content.text or "" for content in result if content.type == "text"] or [""]
