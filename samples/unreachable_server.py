# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An agent whose MCP server is not there: one line that says so.

    pip install ".[openai]" python-dotenv
    python samples/unreachable_server.py

No model is ever asked: connecting to the MCP server comes first, so the key and the endpoint need not be real.
"""

import asyncio
import os

import httpx
from dotenv import load_dotenv

from agent_framework import Agent, MCPStreamableHTTPTool
from agent_framework.openai import OpenAIChatCompletionClient


async def main() -> None:
    """Asks one question."""
    load_dotenv()
    client = OpenAIChatCompletionClient(
        azure_endpoint=os.environ.get("AZURE_OPENAI_ENDPOINT", "https://example.invalid"),
        api_key=os.environ.get("AZURE_OPENAI_API_KEY", "not-a-key"),
        model=os.environ.get("AZURE_OPENAI_CHAT_COMPLETION_MODEL", "gpt-4o"),
    )
    try:
        async with (
            MCPStreamableHTTPTool(
                name="Microsoft Learn MCP",
                url="https://127.0.0.1:12345/mcp",  # nothing listens there
                http_client=httpx.AsyncClient(verify=False),
            ) as server,
            Agent(client=client, name="DocsAgent", instructions="You answer from the documentation.") as agent,
        ):
            print(await agent.run("How to create an Azure storage account using az cli?", tools=server))
    except Exception as e:
        print(f"Error: {e}")


if __name__ == "__main__":
    asyncio.run(main())
