# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Several servers are connected at once, and closed at once; one that fails ends the dials of the others."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fault_servers import BOUND, Exchange, HttpServer, McpScript, never, unused_port

from agent_framework import Agent, MCPStreamableHTTPTool, tool
from agent_framework._mcp import MCPTool
from agent_framework.exceptions import ToolException

NUMBER = 5


class Meeting:
    """Lets nobody go on before everybody has come."""

    def __init__(self, expected: int) -> None:
        self._barrier = threading.Barrier(expected)

    async def join(self) -> None:
        """Raises in everybody if somebody stays away."""
        await asyncio.to_thread(self._barrier.wait, BOUND)


class Meeters:
    """Servers that answer a handshake only when all of them have been asked for one, and a farewell likewise."""

    def __init__(self, *, greeting: bool = True, farewell: bool = False) -> None:
        self._greeting = Meeting(NUMBER) if greeting else None
        self._farewell = Meeting(NUMBER) if farewell else None
        self._stack = ExitStack()
        self.servers = [self._stack.enter_context(HttpServer(self._behaviour(index))) for index in range(NUMBER)]

    def _behaviour(self, index: int) -> Any:
        script = McpScript(tools=[{"name": f"tool_{index}", "inputSchema": {"type": "object"}}])

        async def behave(exchange: Exchange) -> object:
            if exchange.name == "initialize" and self._greeting:
                await self._greeting.join()
            if exchange.name == "DELETE" and self._farewell:
                await self._farewell.join()
            return await script(exchange)

        return behave

    def tools(self) -> list[MCPStreamableHTTPTool]:
        return [remote(server.port, f"server {index}") for index, server in enumerate(self.servers)]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def meeters() -> Iterator[Meeters]:
    meeters = Meeters()
    yield meeters
    meeters.close()


def remote(port: int, name: str = "docs", **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool(name, f"http://127.0.0.1:{port}/mcp", **options)


def offered(client: Any) -> list[str]:
    return [one.name for one in client.options[-1].get("tools") or []]


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


EXPECTED = [f"tool_{index}" for index in range(NUMBER)]


# Opening ...


async def test_an_agent_connects_its_servers_at_once_and_keeps_their_order(scripted: Any, meeters: Meeters) -> None:
    client = scripted(["Hi."])
    agent = Agent(client, tools=meeters.tools())
    await within(agent.__aenter__())
    await within(agent.run("Question?"))
    assert offered(client) == EXPECTED
    await within(agent.__aexit__(None, None, None))
    assert [server.names.count("initialize") for server in meeters.servers] == [1] * NUMBER


@pytest.mark.parametrize("entered", [True, False])
async def test_a_run_connects_its_servers_at_once(scripted: Any, meeters: Meeters, entered: bool) -> None:
    client = scripted(["Hi."])
    agent = Agent(client)
    if entered:
        await agent.__aenter__()
    await within(agent.run("Question?", tools=meeters.tools()))
    await within(agent.__aexit__(None, None, None))
    assert offered(client) == EXPECTED
    assert [server.names[-1] for server in meeters.servers] == ["DELETE"] * NUMBER


async def test_a_request_without_an_agent_connects_its_servers_at_once(scripted: Any, meeters: Meeters) -> None:
    client = scripted(["Hi."])
    await within(client.get_response("Question?", options={"tools": meeters.tools()}))
    assert offered(client) == EXPECTED


async def test_the_same_tool_twice_is_opened_once(scripted: Any) -> None:
    with HttpServer(McpScript()) as server:
        docs = remote(server.port)
        agent = Agent(scripted(["Hi."]), tools=[docs, docs])
        await within(agent.run("Question?", tools=[docs]))
    assert server.names.count("initialize") == 1


# Failing ...


async def test_a_strict_server_that_fails_ends_the_dials_of_the_others(scripted: Any) -> None:
    asked = threading.Event()

    async def refuse_when_others_dial(exchange: Exchange) -> None:
        await asyncio.to_thread(asked.wait, BOUND)
        await exchange.answer(503)

    async def ask(exchange: Exchange) -> None:
        asked.set()
        await never(exchange)

    with HttpServer(McpScript()) as good, HttpServer(ask) as hanging, HttpServer(refuse_when_others_dial) as bad:
        tools = [remote(good.port, "good"), remote(hanging.port, "hanging"), remote(bad.port, "bad")]
        tools.append(remote(hanging.port, "hanging too", optional=True))
        agent = Agent(scripted(["Hi."]), tools=tools)
        for start in (agent.__aenter__, lambda: agent.run("Question?")):
            with pytest.raises(ToolException, match=r"bad.*503") as raised:
                await within(start())
            assert not hasattr(raised.value, "exceptions")  # no group
            assert [one.is_connected for one in tools] == [False] * 4
            assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_strict_server_that_fails_closes_those_that_are_open_by_then(scripted: Any) -> None:
    opened = threading.Event()

    class Telling(MCPStreamableHTTPTool):
        async def connect(self, *, reset: bool = False) -> None:
            await super().connect(reset=reset)
            opened.set()

    async def refuse_late(exchange: Exchange) -> None:
        await asyncio.to_thread(opened.wait, BOUND)
        await exchange.answer(503)

    with HttpServer(McpScript()) as good, HttpServer(refuse_late) as bad:
        agent = Agent(scripted([]), tools=[Telling("good", good.url), remote(bad.port, "bad")])
        with pytest.raises(ToolException, match=r"bad.*503"):
            await within(agent.__aenter__())
        assert good.names[-1] == "DELETE"


async def test_of_several_failures_at_once_the_first_is_raised_and_the_others_are_logged(
    scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MCPTool):
        async def connect(self, *, reset: bool = False) -> None:
            raise ToolException(f"{self.name} is broken.")

    agent = Agent(scripted([]), tools=[Broken("first"), Broken("second")])
    with pytest.raises(ToolException, match=r"^first is broken"):
        await within(agent.__aenter__())
    assert "MCP tool 'second' could not be connected either: second is broken." in caplog.messages


async def test_after_a_failure_the_same_agent_starts_when_all_are_there(scripted: Any) -> None:
    port = unused_port()
    with HttpServer(McpScript(tools=[])) as good:
        agent = Agent(scripted(["Hi."]), tools=[remote(good.port, "good"), remote(port, "bad")])
        with pytest.raises(ToolException, match="connection refused"):
            await within(agent.__aenter__())
        with HttpServer(McpScript(), port=port):
            async with agent:
                assert [one.is_connected for one in agent.mcp_tools] == [True, True]


async def test_a_failing_run_inside_of_an_agent_leaves_what_the_agent_has_opened(scripted: Any) -> None:
    client = scripted(["Hi."])
    with HttpServer(McpScript()) as server:
        async with Agent(client, tools=remote(server.port)) as agent:
            with pytest.raises(ToolException, match="connection refused"):
                await within(agent.run("Question?", tools=remote(unused_port(), "bad")))
            await within(agent.run("Question?"))
            assert offered(client) == ["echo"]
        assert server.names.count("initialize") == 1


async def test_names_that_clash_are_refused_and_everything_is_closed(scripted: Any) -> None:
    with HttpServer(McpScript()) as server:
        tools = [remote(server.port, "one"), remote(server.port, "other")]
        with pytest.raises(ValueError, match=r"Duplicate tool name 'echo'.*`tool_name_prefix`"):
            await within(Agent(scripted([])).run("Question?", tools=tools))
        assert server.names.count("DELETE") == 2


# Cancelling ...


@pytest.mark.parametrize("entering", [True, False])
async def test_a_cancellation_ends_all_dials_and_leaves_nothing(scripted: Any, entering: bool) -> None:
    with HttpServer(never) as server:
        tools = [remote(server.port, str(index)) for index in range(NUMBER)]
        agent = Agent(scripted(["Hi."]), tools=tools)
        opening = asyncio.ensure_future(agent.__aenter__() if entering else agent.run("Question?"))
        await server.arrived("initialize", NUMBER)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(opening)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        server.behaviour = McpScript(tools=[])
        async with agent:
            assert all(one.is_connected for one in tools)


async def test_a_deadline_ends_all_dials(scripted: Any) -> None:
    with HttpServer(never) as server, HttpServer(McpScript()) as good:
        tools = [remote(good.port, "good"), *(remote(server.port, str(index)) for index in range(NUMBER))]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Agent(scripted([])).run("Question?", tools=tools), 0.5)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not any(one.is_connected for one in tools)


@pytest.mark.parametrize("interrupt", [None, KeyboardInterrupt])
def test_a_program_may_end_while_an_agent_dials(scripted: Any, interrupt: type[BaseException] | None) -> None:
    with HttpServer(never) as server:
        agent = Agent(scripted([]), tools=[remote(server.port, str(index)) for index in range(NUMBER)])
        tasks = []

        async def program() -> None:
            tasks.append(asyncio.ensure_future(agent.run("Question?")))
            await server.arrived("initialize", NUMBER)
            if interrupt is not None:
                raise interrupt

        if interrupt is None:
            asyncio.run(program())
        else:
            with pytest.raises(interrupt):
                asyncio.run(program())
        assert tasks[0].cancelled()


async def test_a_run_whose_agent_is_left_meanwhile_says_so_and_leaves_nothing(scripted: Any) -> None:
    asked, left = threading.Event(), threading.Event()
    script = McpScript()

    async def wait(exchange: Exchange) -> object:
        asked.set()
        await asyncio.to_thread(left.wait, BOUND)
        return await script(exchange)

    with HttpServer(wait) as server:
        agent = Agent(scripted([]))
        docs = remote(server.port)
        await agent.__aenter__()
        run = asyncio.ensure_future(agent.run("Question?", tools=docs))
        await asyncio.to_thread(asked.wait, BOUND)
        await agent.__aexit__(None, None, None)
        left.set()
        with pytest.raises(RuntimeError, match="was left"):
            await within(run)
        assert not docs.is_connected


# Closing ...


@pytest.mark.parametrize("entered", [True, False])
async def test_servers_are_closed_at_once(scripted: Any, entered: bool) -> None:
    meeters = Meeters(farewell=True)
    try:
        agent = Agent(scripted(["Hi."]), tools=meeters.tools())
        if entered:
            await within(agent.__aenter__())
        await within(agent.run("Question?"))
        await within(agent.__aexit__(None, None, None))
        assert not any(one.is_connected for one in agent.mcp_tools)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    finally:
        meeters.close()


async def test_a_tool_that_cannot_be_closed_does_not_keep_the_others_open(
    scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(MCPStreamableHTTPTool):
        async def close(self) -> None:
            await super().close()
            raise OSError(f"{self.name} is stuck")

    caplog.set_level(logging.WARNING)
    with HttpServer(McpScript(tools=[])) as server:
        tools = [remote(server.port, "good"), *(Stuck(name, server.url) for name in ("one", "two"))]
        with pytest.raises(OSError, match="two is stuck"):
            async with Agent(scripted([]), tools=tools):
                pass
        assert server.names.count("DELETE") == 3
    assert "An MCP tool could not be closed: one is stuck" in caplog.messages


async def test_a_cancelled_close_tells_every_connection_to_end(scripted: Any) -> None:
    script = McpScript(tools=[])

    async def keep_silent_at_the_end(exchange: Exchange) -> object:
        return await (never if exchange.name == "DELETE" else script)(exchange)

    with HttpServer(keep_silent_at_the_end) as server:
        tools = [remote(server.port, str(index)) for index in range(NUMBER)]
        agent = Agent(scripted([]), tools=tools)
        await within(agent.__aenter__())
        closing = asyncio.create_task(agent.__aexit__(None, None, None))
        await server.arrived("DELETE", NUMBER)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(closing)
        assert not any(one.is_connected for one in tools)
        server.behaviour = script
        server.drop_connections()  # the farewells end, and with them what is left of the connections
        await within(asyncio.gather(*(one.close() for one in tools)))


async def test_concurrent_runs_share_what_they_open(scripted: Any, function_call: Any) -> None:
    together = asyncio.Event()
    waiting = 0

    @tool
    async def meet() -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            together.set()
        await asyncio.wait_for(together.wait(), BOUND)
        return "met"

    with HttpServer(McpScript()) as server:
        docs = remote(server.port)
        runs = [
            Agent(scripted([[function_call("meet")], [function_call("echo", "c")], "Done."]), tools=[meet])
            for _ in range(2)
        ]
        responses = await within(asyncio.gather(*(one.run("Question?", tools=docs) for one in runs)))
        assert [response.messages[3].contents[0].result for response in responses] == ["{}", "{}"]
        assert (server.names.count("initialize"), server.names.count("DELETE")) == (1, 1)
