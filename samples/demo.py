# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The story that `scripts/demo` tells: an agent and an MCP server that answers, dies in mid-call, and comes back.

Everything is on loopback: the MCP server is a child process (local/docs_server.py), the model a stand-in
(local/chat_model.py). With OPENAI_API_KEY or the Azure OpenAI variables in the environment, that model answers instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from local.client import chat_client, is_real
from local.servers import DocsServer, url_of_nobody

from agent_framework import Agent, FunctionInvocationContext, MCPStdioTool, MCPStreamableHTTPTool, function_middleware
from agent_framework.exceptions import ToolException

STORY_SECONDS = 55.0  # the bound of it all; a run against the stand-in takes some seconds


@function_middleware
async def report_failures(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
    """Prints what a failing tool raises, and lets it go on: the agent tells the model about it."""
    try:
        await call_next()
    except ToolException as error:
        say(f"  tool {context.function.name} raised {describe(error)}")
        raise


async def ask(agent: Agent, question: str) -> None:
    """One turn of the conversation."""
    say(f"  user:  {question}")
    say(f"  agent: {await agent.run(question)}")


async def ask_and_kill(agent: Agent, question: str, server: DocsServer) -> None:
    """One turn, in which the server dies while it is working for it."""
    turn = asyncio.create_task(ask(agent, question))
    try:
        await server.said("call check_links")
        await server.kill()
        say("  (the server has been killed)")
        await turn
    finally:
        turn.cancel()


async def connect_in_vain(tool: MCPStreamableHTTPTool | MCPStdioTool) -> None:
    """Opens a tool whose server is not there."""
    try:
        async with tool:
            say("  connected, which nobody expected")
    except ToolException as error:
        say(f"  {tool.name}: {describe(error)}")


def describe(error: ToolException) -> str:
    """Type, message and root cause of an error."""
    return f"{type(error).__name__}: {error}\n         caused by {error.__cause__!r}"


def say(text: str) -> None:
    """Prints a piece of the story at once, also into a pipe."""
    print(text, flush=True)


async def tell(server: DocsServer) -> None:
    """The story."""
    say(
        "A model is asked."
        if is_real()
        else "The model is a stand-in on loopback; OPENAI_API_KEY brings in a real one."
    )
    async with chat_client() as client:
        await server.start()
        docs = MCPStreamableHTTPTool(name="docs", url=server.url)
        async with Agent(
            client=client, instructions="Answer with the tools.", tools=[docs], middleware=[report_failures]
        ) as agent:
            say(f"\n1. The agent answers through a tool of the MCP server at {server.url}.")
            await ask(agent, "How to create an Azure storage account using az cli?")
            say("\n2. The server is killed in the middle of a tool call. The error says so, and the agent lives on.")
            await ask_and_kill(agent, "Use the tool check_links: are all links of the documentation fine?", server)
            say("\n3. The server comes back on the same port. The next question is answered.")
            await server.start()
            await ask(agent, "How to list virtual machines with az?")
    say("\n4. Servers that are not there: errors that name server and cause, and `except Exception` sees them.")
    await connect_in_vain(MCPStreamableHTTPTool(name="nobody", url=url_of_nobody()))
    await connect_in_vain(MCPStdioTool(name="not installed", command="mcp-server-that-is-not-installed"))


async def main() -> None:
    """Tells the story, within its bound, and ends the server's process whatever happens."""
    server = DocsServer()
    try:
        await asyncio.wait_for(tell(server), STORY_SECONDS)
    finally:
        await server.kill()


if __name__ == "__main__":
    asyncio.run(main())
