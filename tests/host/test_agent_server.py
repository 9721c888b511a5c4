# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An agent as an MCP server: in memory with the SDK's client, and over stdio with an MCP tool of our own."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.session import ClientSession
from mcp.shared.memory import create_client_server_memory_streams
from sdk_names import field

from agent_framework import Agent, MCPStdioTool, tool

AGENT_PEER = Path(__file__).with_name("agent_peer.py")


@asynccontextmanager
async def connected(server: Any) -> AsyncIterator[Any]:
    async with create_client_server_memory_streams() as (of_client, of_server), anyio.create_task_group() as tasks:
        options = server.create_initialization_options()
        tasks.start_soon(server.run, *of_server, options)
        async with ClientSession(*of_client) as session:
            await session.initialize()
            yield session
        tasks.cancel_scope.cancel()


@pytest.fixture
def log_level() -> Iterator[logging.Logger]:
    logger = logging.getLogger("agent_framework")
    before = logger.level
    yield logger
    logger.setLevel(before)


async def test_the_server_offers_the_agent_as_one_tool(scripted: Any) -> None:
    agent = Agent(scripted([]), name="Geo Expert", description="Knows places.")
    server = agent.as_mcp_server(server_name="Places", version="1.2", instructions="Ask about places.")
    async with connected(server) as session:
        (offered,) = (await session.list_tools()).tools
    assert (server.name, server.version, server.instructions) == ("Places", "1.2", "Ask about places.")
    schema = field(offered, "inputSchema")
    assert (offered.name, offered.description) == ("Geo_Expert", "Knows places.")
    assert (schema["required"], schema["additionalProperties"]) == (["task"], False)


async def test_an_agent_without_a_name_is_called_something(scripted: Any) -> None:
    async with connected(Agent(scripted([])).as_mcp_server()) as session:
        assert [one.name for one in (await session.list_tools()).tools] == ["UnnamedAgent"]


async def test_a_call_is_a_run(scripted: Any, function_call: Any) -> None:
    @tool
    def double(x: int) -> int:
        return 2 * x

    client = scripted([[function_call("double", x=2)], "It is four."])
    async with connected(Agent(client, name="Counter", tools=[double]).as_mcp_server()) as session:
        result = await session.call_tool("Counter", {"task": "Twice two?"})
    assert (field(result, "isError"), [item.text for item in result.content]) == (False, ["It is four."])
    assert client.requests[0][0].text == "Twice two?"


async def test_an_answer_without_text_is_an_empty_text(scripted: Any) -> None:
    async with connected(Agent(scripted([[]]), name="Silent").as_mcp_server()) as session:
        assert [item.text for item in (await session.call_tool("Silent", {"task": "?"})).content] == [""]


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("Counter", {"task": "?"}, "The agent failed: .*model gone"),
        ("Counter", {}, "task"),
        ("Nobody", {"task": "?"}, "no tool 'Nobody' here, only 'Counter'"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_caller(
    scripted: Any, name: str, arguments: dict[str, Any], complaint: str
) -> None:
    server = Agent(scripted([ConnectionError("model gone")]), name="Counter").as_mcp_server()
    async with connected(server) as session:
        result = await session.call_tool(name, arguments)
        assert field(result, "isError")
        assert re.search(complaint, result.content[0].text)
        assert await session.send_ping()  # the session lives on


async def test_a_client_may_set_the_level_of_the_framework_s_log(scripted: Any, log_level: logging.Logger) -> None:
    async with connected(Agent(scripted([])).as_mcp_server()) as session:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SDK 2.x warns of the method
            await session.set_logging_level("alert")
        assert log_level.level == logging.CRITICAL


async def test_the_server_runs_inside_of_a_lifespan(scripted: Any) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[dict[str, Any]]:
        log.append("begin")
        yield {}
        log.append("end")

    async with connected(Agent(scripted([])).as_mcp_server(lifespan=lifespan)) as session:
        await session.list_tools()
        assert log == ["begin"]
    assert log == ["begin", "end"]


async def test_without_the_sdk_the_error_says_what_to_install(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(scripted([]))
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ModuleNotFoundError, match="pip install mcp"):
        agent.as_mcp_server()


async def test_one_agent_asks_another_in_a_process_of_its_own(scripted: Any, function_call: Any) -> None:
    client = scripted([[function_call("Echo_Agent", task="Are you there?")], "It is."])
    # A server's environment is a short one; the package may be where only this variable tells.
    environment = {"PYTHONPATH": str(AGENT_PEER.parents[2])}
    peer = MCPStdioTool("peer", sys.executable, args=[str(AGENT_PEER)], env=environment)
    async with Agent(client, tools=peer) as agent:
        response = await agent.run("Ask the other one.")
    assert response.messages[1].contents[0].result == "You said: Are you there?"
    assert response.text == "It is."
