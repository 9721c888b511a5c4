# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The tools of an MCP server behind a URL.

python samples/mcp_http.py
"""

from __future__ import annotations

import asyncio

import httpx
from local.client import chat_client
from local.servers import DocsServer

from agent_framework import Agent, MCPStreamableHTTPTool


async def main() -> None:
    """Starts a server, which in real life runs elsewhere, and asks an agent that has its tools."""
    async with (
        DocsServer() as server,
        # Credentials, proxies, certificates and time limits are the HTTP client's. It stays yours: you close it.
        httpx.AsyncClient(headers={"Authorization": "Bearer not-needed-here"}, timeout=30) as http_client,
        chat_client() as client,
        # The agent connects the tool on entering and closes it on leaving.
        Agent(
            client=client,
            instructions="Answer from the documentation.",
            tools=MCPStreamableHTTPTool(
                name="docs",
                url=server.url,
                http_client=http_client,
                allowed_tools=["search_docs"],  # the server has more; the model sees this one
                request_timeout=10,  # seconds
            ),
        ) as agent,
    ):
        (docs,) = agent.mcp_tools
        print("Connected:", docs.is_connected, "- the model sees:", [function.name for function in docs.functions])
        question = "How to create an Azure storage account using az cli?"
        print("user: ", question)
        print("agent:", await agent.run(question))
    print("Connected:", docs.is_connected)


if __name__ == "__main__":
    asyncio.run(main())
