# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The clients that are compared, each used as its documentation says, behind one small interface.

This file runs in environments of which each has one of the clients, so every import of one stands where it is used.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import agents

ARGUMENTS = {"text": "hello"}


@dataclass(frozen=True)
class Target:
    """What to connect to.

    Attributes:
        url: Of a server over streamable HTTP, or
        command: the program and arguments of one over stdio.
        tool: The name of the tool to call.
    """

    tool: str
    url: str = ""
    command: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Connected:
    """A connection whose tools are listed.

    Attributes:
        call: Calls the tool and returns what the client returns.
        invoke: The same through a `FunctionTool`, as an agent does it; None where there is no such thing.
        read: The text in what they return.
        agent: Makes a function that runs an agent with the listed tools once, in which the tool is called so many
            times; None where there is no such thing.
    """

    call: Callable[[], Awaitable[Any]]
    invoke: Callable[[], Awaitable[Any]] | None
    read: Callable[[Any], str]
    agent: Callable[[int], Callable[[], Awaitable[Any]]] | None = None


class Client(Protocol):
    """What a worker measures."""

    def connected(self, target: Target) -> AbstractAsyncContextManager[Connected]:
        """A connection for as long as the context lasts."""

    async def open(self, target: Target) -> tuple[Connected, Callable[[], Awaitable[Any]]]:
        """A connection that lasts until the function beside it is called."""


class Sdk:
    """The bare SDK: a transport, a session, and the listing that its users write themselves."""

    @asynccontextmanager
    async def connected(self, target: Target) -> AsyncIterator[Connected]:
        from mcp import ClientSession
        from mcp.types import PaginatedRequestParams

        async with self._transport(target) as (read_stream, write_stream, *_):
            async with ClientSession(read_stream, write_stream) as session:
                await session.initialize()
                page = await session.list_tools()
                while page.nextCursor:
                    page = await session.list_tools(params=PaginatedRequestParams(cursor=page.nextCursor))
                yield Connected(
                    call=lambda: session.call_tool(target.tool, ARGUMENTS),
                    invoke=None,
                    read=lambda result: str(result.content[0].text),
                )

    def _transport(self, target: Target) -> AbstractAsyncContextManager[Any]:
        if target.url:
            from mcp.client.streamable_http import streamable_http_client

            return streamable_http_client(target.url)
        from mcp.client.stdio import StdioServerParameters, stdio_client

        return stdio_client(StdioServerParameters(command=target.command[0], args=target.command[1:]))

    async def open(self, target: Target) -> tuple[Connected, Callable[[], Awaitable[Any]]]:
        # The task that enters the SDK's contexts has to leave them, so a program with many has a task for each.
        opened: asyncio.Future[Connected] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()

        async def hold() -> None:
            async with self.connected(target) as connected:
                opened.set_result(connected)
                await leave.wait()

        holder = asyncio.create_task(hold())
        await asyncio.wait((holder, opened), return_when=asyncio.FIRST_COMPLETED)
        if holder.done():
            await holder

        async def close() -> None:
            leave.set()
            await holder

        return opened.result(), close


class Framework:
    """`agent_framework`: this package, or upstream's, whichever the environment has."""

    @asynccontextmanager
    async def connected(self, target: Target) -> AsyncIterator[Connected]:
        async with self._tool(target) as tool:
            yield self._connected(tool, target)

    async def open(self, target: Target) -> tuple[Connected, Callable[[], Awaitable[Any]]]:
        tool = self._tool(target)
        await tool.connect()
        return self._connected(tool, target), tool.close

    def _tool(self, target: Target) -> Any:
        import agent_framework

        # Upstream asks for prompts also where a server says that it has none, and fails: so nobody asks.
        if target.url:
            return agent_framework.MCPStreamableHTTPTool("bench", target.url, load_prompts=False)
        program, *arguments = target.command
        return agent_framework.MCPStdioTool("bench", program, args=arguments, load_prompts=False)

    def _connected(self, tool: Any, target: Target) -> Connected:
        function = tool.functions[0]
        return Connected(
            call=lambda: tool.call_tool(target.tool, **ARGUMENTS),
            invoke=lambda: function.invoke(arguments=ARGUMENTS),
            read=lambda contents: str(contents[0].text),
            agent=lambda calls: agents.runner(tool, function.name, json.dumps(ARGUMENTS), calls),
        )


def make(name: str) -> Client:
    """The client that a worker was started for: "sdk" or "framework"."""
    return Sdk() if name == "sdk" else Framework()
