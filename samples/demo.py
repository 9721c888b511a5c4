# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The story that `scripts/demo` tells: an agent and an MCP server that answers, dies in mid-call, and comes back.

Everything is on loopback: the MCP server is a child process (local/docs_server.py), the model a stand-in
(local/chat_model.py). With one of MODEL_VARIABLES in the environment, the model that it belongs to answers instead;
agent_framework_openai documents the variables that go with it, such as OPENAI_MODEL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from local.chat_model import MODEL, ChatModel

from agent_framework import Agent, FunctionInvocationContext, MCPStdioTool, MCPStreamableHTTPTool, function_middleware
from agent_framework.exceptions import ToolException
from agent_framework.openai import OpenAIChatCompletionClient

SERVER = Path(__file__).parent / "local" / "docs_server.py"
MODEL_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL")
START_SECONDS = 20.0  # importing the SDK's server takes a second or two, more on a busy machine
STOP_SECONDS = 5.0
STORY_SECONDS = 55.0  # the bound of it all; a run against the stand-in takes some seconds


class DocsServer:
    """The MCP server's process, which can be killed and started again on the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where its MCP endpoint is."""
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        """Starts the process and returns when it accepts connections."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVER), str(self.port), stdout=asyncio.subprocess.PIPE
        )
        self.port = int((await self.said("ready")).split()[1])

    async def said(self, word: str) -> str:
        """Waits for the next line of its output that begins with a word, and returns the line."""
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in _bounded_lines(self._process.stdout):
            if line.startswith(word):
                return line
        raise RuntimeError(f"The MCP server ended without a line that begins with {word!r}.")

    async def kill(self) -> None:
        """Ends it without a chance to say goodbye."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)


async def _bounded_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    while line := await asyncio.wait_for(stream.readline(), START_SECONDS):
        yield line.decode().rstrip()


@contextlib.asynccontextmanager
async def chat_client() -> AsyncIterator[OpenAIChatCompletionClient]:
    """The model of the environment if there is one, else the stand-in."""
    if any(os.environ.get(name) for name in MODEL_VARIABLES):
        client = OpenAIChatCompletionClient()
        say("The model is the one that the environment names.")
        async with client.client:
            yield client
    else:
        with ChatModel() as model:
            client = OpenAIChatCompletionClient(model=MODEL, api_key="unused", base_url=model.url)
            say("The model is a stand-in on loopback; set OPENAI_API_KEY to use a real one.")
            async with client.client:
                yield client


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


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def tell(server: DocsServer) -> None:
    """The story."""
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
    await connect_in_vain(MCPStreamableHTTPTool(name="nobody", url=f"http://127.0.0.1:{unused_port()}/mcp"))
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
