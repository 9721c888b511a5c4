# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What an agent makes of optional servers; the tool by itself is in ../mcp/test_optional.py."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript, never, unused_port

from agent_framework import Agent, MCPStdioTool, MCPStreamableHTTPTool, tool
from agent_framework._mcp_client._outage import PATIENCE
from agent_framework.exceptions import MCPConnectionError, ToolException

PEER = str(Path(__file__).parents[1] / "mcp" / "stdio_peer.py")


@pytest.fixture
def port() -> int:
    return unused_port()


@pytest.fixture
def warnings_said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if "Optional MCP server" in record.getMessage()]


def remote(port: int, name: str = "docs", **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool(name, f"http://127.0.0.1:{port}/mcp", **{"optional": True, **options})


def offering(*names: str) -> McpScript:
    return McpScript(tools=[{"name": name, "inputSchema": {"type": "object"}} for name in names])


async def run(agent: Agent, streaming: bool = False, seconds: float = BOUND, **options: Any) -> Any:
    if not streaming:
        return await asyncio.wait_for(agent.run("Question?", **options), seconds)
    stream = agent.run("Question?", stream=True, **options)

    async def read() -> Any:
        async for _ in stream:
            pass
        return await stream.get_final_response()

    return await asyncio.wait_for(read(), seconds)


def offered(client: Any, request: int = -1) -> list[str]:
    """The names of the tools that the model was told of."""
    return [one.name for one in client.options[request].get("tools") or []]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("given", ["to the agent", "to the run"])
async def test_a_strict_server_that_is_away_fails_the_run(
    scripted: Any, port: int, streaming: bool, given: str
) -> None:
    client, server = scripted(["Hi."]), remote(port, optional=False)
    agent = Agent(client, tools=[server] if given == "to the agent" else [])
    options = {} if given == "to the agent" else {"tools": server}
    with pytest.raises(ToolException, match="connection refused"):
        await run(agent, streaming, **options)
    assert client.requests == []


async def test_an_agent_with_a_strict_server_that_is_away_does_not_start(scripted: Any, port: int) -> None:
    with pytest.raises(ToolException, match="connection refused"):
        async with Agent(scripted([]), tools=[remote(port), remote(port, "other", optional=False)]):
            pytest.fail("the agent was entered")


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_agent_runs_without_its_optional_server_and_says_so_once(
    scripted: Any, port: int, streaming: bool, warnings_said: Any
) -> None:
    client = scripted(["Hi."] * 5)
    async with Agent(client, tools=remote(port)) as agent:
        for _ in range(5):
            assert (await run(agent, streaming)).text == "Hi."
            assert offered(client) == []
    assert len(warnings_said()) == 1


async def test_runs_of_an_agent_that_was_not_entered_say_so_once_too(
    scripted: Any, port: int, warnings_said: Any
) -> None:
    agent = Agent(scripted(["Hi."] * 5), tools=remote(port))
    for _ in range(5):
        await run(agent)
    assert len(warnings_said()) == 1


@pytest.mark.parametrize("entered", [True, False])
async def test_the_same_agent_has_the_tools_when_the_server_is_there(
    scripted: Any, function_call: Any, port: int, entered: bool
) -> None:
    client = scripted(["Hi.", [function_call("echo")], "Done.", "Hi."])
    agent = Agent(client, tools=remote(port))
    with ExitStack() as servers:
        if entered:
            await agent.__aenter__()
        await run(agent)
        server = servers.enter_context(HttpServer(offering("echo"), port=port))
        response = await run(agent)
        assert response.messages[1].contents[0].result == "{}"
        assert (offered(client, 0), offered(client, 1)) == ([], ["echo"])
        await run(agent)
        assert server.names.count("initialize") == (1 if entered else 2)
        await agent.__aexit__(None, None, None)
        assert server.names.count("DELETE") == server.names.count("initialize")


async def test_one_of_five_may_be_away_and_takes_its_place_when_it_is_back(
    scripted: Any, port: int, warnings_said: Any
) -> None:
    client = scripted(["Hi."] * 3)
    with ExitStack() as stack:
        servers = [stack.enter_context(HttpServer(offering(name))) for name in "abde"]
        ports = [servers[0].port, servers[1].port, port, servers[2].port, servers[3].port]
        async with Agent(client, tools=[remote(number, f"server {number}") for number in ports]) as agent:
            await run(agent)
            assert offered(client) == ["a", "b", "d", "e"]
            stack.enter_context(HttpServer(offering("c"), port=port))
            for _ in range(2):
                await run(agent)
                assert offered(client) == ["a", "b", "c", "d", "e"]
        assert [server.names.count("initialize") for server in servers] == [1] * 4
    assert len(warnings_said()) == 1


@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_server_that_hangs_holds_up_the_start_once_and_each_run_for_a_moment(
    scripted: Any, transport: str, warnings_said: Any
) -> None:
    loop = asyncio.get_running_loop()
    client = scripted(["Hi."] * 12)
    with HttpServer(never) as server:
        hanging = remote(server.port)
        if transport == "stdio":
            hanging = MCPStdioTool("docs", sys.executable, args=[PEER, "silent"], optional=True)  # type: ignore[assignment]
        hanging.connect_timeout = 0.3
        async with Agent(client, tools=hanging) as agent:
            hanging.connect_timeout = 30
            for _ in range(2):
                begun = loop.time()
                await run(agent)
                assert loop.time() - begun < PATIENCE + 2
            # Ten runs at once wait beside each other, not behind each other.
            begun = loop.time()
            await asyncio.gather(*(run(agent) for _ in range(10)))
            assert loop.time() - begun < 2 * PATIENCE + 2
    assert len(warnings_said()) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_server_that_dies_in_the_middle_costs_its_calls_and_then_its_functions(
    scripted: Any, function_call: Any, port: int, warnings_said: Any
) -> None:
    server = HttpServer(offering("echo"), port=port)

    @tool
    def kill() -> str:
        server.stop()
        return "killed"

    client = scripted([[function_call("kill")], [function_call("echo", "c")], "It failed.", "Hi.", "Ho."])
    with server:
        async with Agent(client, tools=[kill, remote(port)]) as agent:
            response = await run(agent)
            [result] = response.messages[3].contents
            assert result.exception is not None
            assert (response.text, offered(client, 0)) == ("It failed.", ["kill", "echo"])
            await run(agent)
            assert offered(client) == ["kill"]
            with HttpServer(offering("echo"), port=port):
                await run(agent)
                assert offered(client) == ["kill", "echo"]
    assert len(warnings_said()) == 1


async def test_an_agent_used_as_a_tool_goes_on_without_its_optional_server(
    scripted: Any, function_call: Any, port: int, warnings_said: Any
) -> None:
    helper = Agent(scripted(["Helped."]), name="helper", tools=remote(port))
    agent = Agent(scripted([[function_call("helper", task="help")], "Done."]), tools=helper.as_tool())
    response = await run(agent)
    assert response.messages[1].contents[0].result == "Helped."
    assert len(warnings_said()) == 1


async def test_a_request_without_an_agent_goes_on_without_an_optional_server_too(
    scripted: Any, port: int, warnings_said: Any
) -> None:
    client = scripted(["Hi.", "Hi."])
    server = remote(port)
    for expected in ([], ["echo"]):
        with ExitStack() as stack:
            if expected:
                stack.enter_context(HttpServer(offering("echo"), port=port))
            await asyncio.wait_for(client.get_response("Question?", options={"tools": [server]}), BOUND)
            assert offered(client) == expected
    assert len(warnings_said()) == 1


async def test_to_connect_the_optional_tool_of_an_agent_is_strict(scripted: Any, port: int) -> None:
    server = remote(port)
    async with Agent(scripted([]), tools=server):
        with pytest.raises(MCPConnectionError, match="connection refused"):
            await asyncio.wait_for(server.connect(), BOUND)


async def test_a_cancelled_start_is_cancelled(scripted: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with HttpServer(never) as server:
        agent = Agent(scripted([]), tools=[remote(server.port), remote(server.port, "other")])
        starting = asyncio.create_task(agent.__aenter__())
        await server.arrived("initialize", 2)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(starting, BOUND)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert caplog.records == []
