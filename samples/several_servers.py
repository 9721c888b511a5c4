# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Several MCP servers, of which one is down: the agent works with those that are there.

    python samples/several_servers.py

An agent that is given tools insists on all of them. Here each is connected on its own, before the agent has it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

from local.client import chat_client
from local.servers import CALENDAR_SERVER, DocsServer, url_of_nobody

from agent_framework import Agent, MCPStdioTool, MCPStreamableHTTPTool
from agent_framework.exceptions import ToolException

AnyTool = MCPStdioTool | MCPStreamableHTTPTool


async def connect(tool: AnyTool) -> AnyTool | None:
    """Connects a tool, or says why its server is left out."""
    try:
        await tool.connect()
    except ToolException as error:  # every failure to connect is one, with server and cause in its message
        print(f"left out:  {error}")
        return None
    print(f"connected: {tool.name}, with {', '.join(function.name for function in tool.functions)}")
    return tool


async def connect_those_there(tools: Sequence[AnyTool], stack: AsyncExitStack) -> list[AnyTool]:
    """Connects all at once; the stack closes them."""
    for tool in tools:
        stack.push_async_callback(tool.close)
    return [tool for tool in await asyncio.gather(*map(connect, tools)) if tool is not None]


async def main() -> None:
    """Two servers run, the third does not."""
    async with DocsServer() as server, chat_client() as client, AsyncExitStack() as stack:
        tools: list[AnyTool] = [
            MCPStreamableHTTPTool(name="docs", url=server.url, tool_name_prefix="docs"),
            MCPStdioTool(name="calendar", command=sys.executable, args=[CALENDAR_SERVER]),
            MCPStreamableHTTPTool(name="wiki", url=url_of_nobody(), connect_timeout=5),  # seconds
        ]
        agent = Agent(client=client, tools=await connect_those_there(tools, stack))
        for question in ("Search the docs: how to create a resource group?", "Which weekday is 2024-02-29?"):
            print("user: ", question)
            print("agent:", await agent.run(question))


if __name__ == "__main__":
    asyncio.run(main())
