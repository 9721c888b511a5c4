# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Who keeps an MCP tool open.

A tool that was connected when an agent met it belongs to whoever connected it and is left alone. A tool that agents
or runs open is closed by the last of them that lets go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from ._function_tool import DUPLICATE_TOOL_NAME, append_unique_tools, is_mcp_tool

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from ._mcp import MCPTool


DUPLICATE_MCP_TOOL_NAME: Final = f"{DUPLICATE_TOOL_NAME} Consider setting `tool_name_prefix` on the MCPTool."


class _Use:
    """The use that agents and runs make of one tool."""

    def __init__(self) -> None:
        self.holders = 0
        self.opened = False
        self.opening_or_closing = asyncio.Lock()


_in_use: WeakKeyDictionary[MCPTool, _Use] = WeakKeyDictionary()


async def keep_open(tool: MCPTool, stack: AsyncExitStack, held: set[MCPTool]) -> None:
    """Make sure that a tool is connected; if that is our doing, the stack lets go of it.

    Args:
        tool: The tool.
        stack: Of the agent or the run that wants the tool.
        held: The tools that this stack holds already; added to.

    Raises:
        ToolException: The tool could not be connected; nothing is left of the attempt.
    """
    if tool in held:
        # Its connection may have ended since; there is still one holder more, and one let-go.
        await _open(tool, _in_use[tool])
    elif tool in _in_use or not tool.is_connected:
        await stack.enter_async_context(_Hold(tool))
        held.add(tool)


async def append_open_tools(
    existing: list[Any], new: Iterable[Any], stack: AsyncExitStack, held: set[MCPTool]
) -> list[Any]:
    """Append tools to a list and return it; MCP tools are kept open, and their functions appended.

    Args:
        existing: The list.
        new: The tools, normalised.
        stack: See `keep_open`.
        held: See `keep_open`.

    Raises:
        ToolException: An MCP tool could not be connected.
        ValueError: Two different tools have the same name.
    """
    append = partial(append_unique_tools, existing, advice=DUPLICATE_MCP_TOOL_NAME)
    for tool in new:
        if is_mcp_tool(tool):
            await keep_open(tool, stack, held)
            append(tool.functions)
        else:
            append([tool])
    return existing


class _Hold:
    """One holder's part in keeping a tool open."""

    def __init__(self, tool: MCPTool) -> None:
        self._tool = tool
        self._use = _in_use.setdefault(tool, _Use())

    async def __aenter__(self) -> None:
        self._use.holders += 1
        try:
            await _open(self._tool, self._use)
        except BaseException:
            await self._let_go()
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        await self._let_go()

    async def _let_go(self) -> None:
        tool, use = self._tool, self._use
        use.holders -= 1
        # Behind the lock, and with the record still there: who comes while we close must wait and open anew.
        async with use.opening_or_closing:
            if not use.holders and use.opened:
                use.opened = False
                await tool.__aexit__(None, None, None)
        if not use.holders and _in_use.get(tool) is use:
            del _in_use[tool]


async def _open(tool: MCPTool, use: _Use) -> None:
    async with use.opening_or_closing:
        if not tool.is_connected:
            await tool.__aenter__()
            use.opened = True
