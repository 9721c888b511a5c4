# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An agent as an MCP server, and another agent that asks it.

python samples/agent_as_mcp_server.py           the agent that asks; it starts the server as a child process
python samples/agent_as_mcp_server.py serve     the server, over stdio, for an MCP client of your choice
"""

from __future__ import annotations

import asyncio
import os
import sys

from local.client import chat_client
from local.weather import get_weather
from mcp.server.stdio import stdio_server

from agent_framework import Agent, MCPStdioTool


async def serve() -> None:
    """Offers an agent as the one tool of an MCP server, until the client hangs up."""
    async with chat_client() as client:
        agent = Agent(
            client=client, name="Forecaster", description="Knows the weather in every city.", tools=[get_weather]
        )
        server = agent.as_mcp_server(server_name="forecasts")
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())


async def ask() -> None:
    """Asks it through an agent of our own. Any MCP client could be in its place."""
    forecasts = MCPStdioTool(
        name="forecasts",
        command=sys.executable,
        args=[__file__, "serve"],
        env=dict(os.environ),  # a server gets few of our variables by itself; this one may need the model's key
    )
    async with chat_client() as client, forecasts:
        for function in forecasts.functions:
            print(f"The server offers {function.name}: {function.description}")
        agent = Agent(client=client, instructions="Ask those who know.", tools=forecasts)
        print("agent:", await agent.run("Ask the Forecaster: what is the weather in Lima?"))


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1:] == ["serve"] else ask())
