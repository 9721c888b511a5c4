# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Who keeps an MCP tool open.

A tool that was connected when an agent met it belongs to whoever connected it and is left alone. A tool that agents
or runs open is closed by the last of them that lets go.

Several tools are opened side by side, and closed so: the slowest sets the time, and not the sum. Each connection has an
owner task of its own, so that it does not matter in which task a tool is entered and left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from typing_extensions import Self

from ._concurrency import run_together
from ._function_tool import DUPLICATE_TOOL_NAME, append_unique_tools, mcp_tools

if TYPE_CHECKING:
    from ._mcp import MCPTool

logger = logging.getLogger("agent_framework")

DUPLICATE_MCP_TOOL_NAME: Final = f"{DUPLICATE_TOOL_NAME} Consider setting `tool_name_prefix` on the MCPTool."


class _Use:
    """The use that agents and runs make of one tool."""

    def __init__(self) -> None:
        self.holders = 0
        self.opened = False
        self.attempts = 0
        self.opening_or_closing = asyncio.Lock()


_in_use: WeakKeyDictionary[MCPTool, _Use] = WeakKeyDictionary()


class OpenTools:
    """The MCP tools that one agent or one run keeps open; an async context manager that lets go of them at its end."""

    def __init__(self) -> None:
        self._holds: list[_Hold] = []
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._ended = True
        holds, self._holds = self._holds, []
        if holds:
            await _let_go(holds)

    async def append(self, existing: list[Any], new: Iterable[Any]) -> list[Any]:
        """Append tools to a list and return it; MCP tools are kept open, and their functions appended.

        Args:
            existing: The list.
            new: The tools, normalised.

        Raises:
            ToolException: An MCP tool could not be connected.
            ValueError: Two different tools have the same name.
        """
        tools = list(new)
        servers = mcp_tools(tools)
        await self.keep(servers)
        if not tools:
            return existing
        functions = {id(server): server.functions for server in servers}
        opened = chain.from_iterable(functions.get(id(tool), (tool,)) for tool in tools)
        return append_unique_tools(existing, opened, advice=DUPLICATE_MCP_TOOL_NAME)

    async def keep(self, tools: Iterable[MCPTool]) -> None:
        """Make sure that tools are connected, all at once; those for which that is our doing are let go of at the end.

        A tool that is ``optional`` may stay unconnected. It is tried again the next time.

        Raises:
            ToolException: A tool could not be connected: the first that failed. The others are given up, and nothing is
                left of what this call has done.
            RuntimeError: The agent was left while this run connected its tools.
        """
        held = {hold.tool for hold in self._holds}
        new: list[_Hold] = []
        openings: list[tuple[MCPTool, Callable[[], Coroutine[Any, Any, None]]]] = []
        for tool in dict.fromkeys(tools):
            if tool in held:
                # Its connection may have ended since; there is still one holder more, and one let-go.
                if not tool.is_connected:
                    openings.append((tool, partial(_open, tool, _in_use[tool])))
            elif tool in _in_use or not tool.is_connected:
                new.append(_Hold(tool))
                openings.append((tool, new[-1].open))
        try:
            if openings:
                await _open_side_by_side(openings)
            if self._ended:
                raise RuntimeError("The agent was left while this run connected its MCP tools.")
        except BaseException:
            await _let_go(new)
            raise
        self._holds += new


class _Hold:
    """One holder's part in keeping a tool open, from the moment it is made until it lets go."""

    def __init__(self, tool: MCPTool) -> None:
        self.tool = tool
        self._use = _in_use.setdefault(tool, _Use())
        self._use.holders += 1

    async def open(self) -> None:
        await _open(self.tool, self._use)

    async def let_go(self) -> None:
        tool, use = self.tool, self._use
        use.holders -= 1
        # Behind the lock, and with the record still there: who comes while we close must wait and open anew.
        async with use.opening_or_closing:
            if not use.holders and use.opened:
                use.opened = False
                await tool.__aexit__(None, None, None)
        if not use.holders and _in_use.get(tool) is use:
            del _in_use[tool]


async def _open(tool: MCPTool, use: _Use) -> None:
    seen = use.attempts
    async with use.opening_or_closing:
        # Who has waited here for somebody's attempt at an optional tool has seen how it ended: ten runs at once do not
        # each wait for a server that does not answer, one behind the other.
        if not tool.is_connected and not (tool.optional and use.attempts != seen):
            await tool.__aenter__()
            use.opened = True
            use.attempts += 1


async def _open_side_by_side(
    openings: Sequence[tuple[MCPTool, Callable[[], Coroutine[Any, Any, None]]]],
) -> None:
    failures: list[tuple[MCPTool, Exception]] = []

    async def attempt(tool: MCPTool, opening: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await opening()
        except Exception as error:
            failures.append((tool, error))
            raise

    try:
        await run_together([partial(attempt, tool, opening) for tool, opening in openings])
    except Exception as raised:
        for tool, error in failures:
            if error is not raised:
                logger.warning("MCP tool '%s' could not be connected either: %s", tool.name, error)
        raise


async def _let_go(holds: Sequence[_Hold]) -> None:
    """Let go of all of them, also if closing one fails; in reverse, as far as there is an order."""
    failures: list[Exception] = []

    async def let_go(hold: _Hold) -> None:
        try:
            await hold.let_go()
        except Exception as error:  # noqa: BLE001  # kept, and raised when the others are closed as well
            failures.append(error)

    await run_together([partial(let_go, hold) for hold in reversed(holds)])
    for error in failures[1:]:
        logger.warning("An MCP tool could not be closed: %s", error, exc_info=error)
    if failures:
        raise failures[0]
