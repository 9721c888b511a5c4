# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The tools of an MCP server that runs as a child process and speaks over its standard input and output.

python samples/mcp_stdio.py
"""

from __future__ import annotations

import asyncio
import sys

from local.client import chat_client
from local.servers import CALENDAR_SERVER

from agent_framework import Agent, MCPStdioTool
from agent_framework.exceptions import ToolException


async def main() -> None:
    """Lists the server's tools, has the model use one, then calls it directly."""
    async with (
        chat_client() as client,
        MCPStdioTool(name="calendar", command=sys.executable, args=[CALENDAR_SERVER]) as calendar,
    ):
        for function in calendar.functions:
            print(f"The server offers {function.name}: {function.description}")

        agent = Agent(client=client, instructions="Answer with the tools.", tools=calendar)
        print("agent:", await agent.run("Which weekday is 2024-02-29?"))

        # Without a model: results come as content, failures as exceptions.
        contents = await calendar.call_tool("weekday_of", day="2000-01-01")
        print("directly:", contents[0])
        try:
            await calendar.call_tool("weekday_of", day="2023-02-29")
        except ToolException as error:
            print(f"{type(error).__name__}: {error}")
    print("The server's process has ended with the block.")


if __name__ == "__main__":
    asyncio.run(main())
