# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Our MCP layer inside upstream's own package: agents, a provider package, approval, sampling, workflows.

`scripts/upstream verify` runs this where upstream is installed. It is no part of the ordinary run: this fork has no
workflows, and the rest is in tests/host.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript, unused_port
from mcp import types

import agent_framework
from agent_framework import Agent, Content, MCPStdioTool, MCPStreamableHTTPTool, Message, WorkflowBuilder, _mcp
from agent_framework.openai import OpenAIChatCompletionClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "samples"))
from local.chat_model import MODEL, ChatModel  # noqa: E402  # found through the line above

PEER = str(HERE.parent / "mcp" / "stdio_peer.py")
SEARCH = {
    "name": "search_docs",
    "description": "Searches the documentation.",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}
QUESTION = "What do the docs say about storage?"


@pytest.fixture
async def client() -> AsyncIterator[OpenAIChatCompletionClient]:
    """The provider package's client, in front of the stand-in for a model."""
    with ChatModel() as model:
        made = OpenAIChatCompletionClient(model=MODEL, api_key="unused", base_url=model.url)
        async with made.client:
            yield made


@pytest.fixture
def ran() -> list[dict[str, Any]]:
    """The arguments of each call that reached the server."""
    return []


@pytest.fixture
def server(ran: list[dict[str, Any]]) -> Any:
    async def search(params: dict[str, Any]) -> dict[str, Any]:
        ran.append(params["arguments"])
        return {"content": [{"type": "text", "text": "Create an account first."}]}

    with HttpServer(McpScript(tools=[SEARCH], handlers={"tools/call": search})) as started:
        yield started


async def answer(agent: Agent, question: Any, *, stream: bool = False, **options: Any) -> Any:
    if not stream:
        return await asyncio.wait_for(agent.run(question, **options), BOUND)
    updates = agent.run(question, stream=True, **options)
    async for _ in updates:
        pass
    return await asyncio.wait_for(updates.get_final_response(), BOUND)


async def test_the_package_shows_the_tools_of_this_layer_and_agents_know_them(client: Any) -> None:
    for name in ("MCPStdioTool", "MCPStreamableHTTPTool", "MCPWebsocketTool"):
        assert getattr(agent_framework, name) is getattr(_mcp, name)
    docs = MCPStreamableHTTPTool("docs", "http://127.0.0.1:9/mcp")
    assert Agent(client, tools=[docs]).mcp_tools == [docs]
    assert issubclass(_mcp.MCPConnectionError, agent_framework.exceptions.ToolException)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_agent_answers_through_a_tool_of_the_server(
    client: Any, server: HttpServer, ran: list[Any], stream: bool
) -> None:
    async with MCPStreamableHTTPTool("docs", server.url) as docs, Agent(client, tools=[docs]) as agent:
        response = await answer(agent, QUESTION, stream=stream)
    assert "Create an account first." in response.text
    assert ran == [{"query": QUESTION}]


async def test_an_agent_opens_and_closes_the_tools_it_is_given(client: Any, ran: list[Any], server: HttpServer) -> None:
    docs, clock = MCPStreamableHTTPTool("docs", server.url), MCPStdioTool("peer", sys.executable, args=[PEER, "good"])
    async with Agent(client, tools=[docs, clock]) as agent:
        assert (docs.is_connected, clock.is_connected) == (True, True)
        await answer(agent, QUESTION)
    assert (docs.is_connected, clock.is_connected) == (False, False)
    assert len(ran) == 1


async def test_a_tool_of_one_run_is_connected_for_it(client: Any, server: HttpServer, ran: list[Any]) -> None:
    docs = MCPStreamableHTTPTool("docs", server.url)
    response = await answer(Agent(client), QUESTION, tools=[docs])
    await docs.close()
    assert "Create an account first." in response.text


async def test_a_server_that_is_not_there_is_an_error_that_names_it(client: Any) -> None:
    docs = MCPStreamableHTTPTool("docs", f"http://127.0.0.1:{unused_port()}/mcp")
    with pytest.raises(_mcp.MCPConnectionError, match=r"'docs' at http://127\.0\.0\.1"):
        async with Agent(client, tools=[docs]):
            pass
    with pytest.raises(_mcp.MCPConnectionError, match=r"'docs' at http://127\.0\.0\.1"):
        await answer(Agent(client), QUESTION, tools=[docs])


@pytest.mark.parametrize("approved", [True, False])
async def test_a_call_waits_for_approval(client: Any, server: HttpServer, ran: list[Any], approved: bool) -> None:
    docs = MCPStreamableHTTPTool("docs", server.url, approval_mode={"always_require_approval": ["search_docs"]})
    async with docs, Agent(client, tools=[docs]) as agent:
        session = agent.create_session()
        response = await answer(agent, QUESTION, session=session)
        (request,) = response.user_input_requests
        assert (request.function_call.name, ran) == ("search_docs", [])
        decision = request.to_function_approval_response(approved)
        response = await answer(agent, Message("user", [decision]), session=session)
    assert ran == ([{"query": QUESTION}] if approved else [])
    assert ("Create an account first." in response.text) is approved


async def test_a_server_may_sample_the_model_that_the_user_allows(client: Any) -> None:
    docs = MCPStreamableHTTPTool(
        "docs", "http://127.0.0.1:9/mcp", client=client, sampling_approval_callback=lambda params: True
    )
    said = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="hello"))
    result = await docs.sampling_callback(None, types.CreateMessageRequestParams(messages=[said], maxTokens=9))
    assert isinstance(result, types.CreateMessageResult)
    assert result.model == MODEL


async def test_an_agent_in_a_workflow_uses_the_server(client: Any, server: HttpServer, ran: list[Any]) -> None:
    async with MCPStreamableHTTPTool("docs", server.url) as docs:
        asks, checks = Agent(client, name="asks", tools=[docs]), Agent(client, name="checks")
        workflow = WorkflowBuilder(start_executor=asks).add_edge(asks, checks).build()
        result = await asyncio.wait_for(workflow.run(QUESTION), BOUND)
    assert ran == [{"query": QUESTION}]
    assert any("Create an account first." in str(output) for output in result.get_outputs())


async def test_calls_of_two_agents_in_a_workflow_share_one_connection(client: Any, server: HttpServer) -> None:
    docs = MCPStreamableHTTPTool("docs", server.url)
    agents = [Agent(client, name=name, tools=[docs]) for name in ("first", "second")]
    async with docs:
        workflow = WorkflowBuilder(start_executor=agents[0]).add_edge(*agents).build()
        await asyncio.wait_for(workflow.run(QUESTION), BOUND)
        contents: list[Content] = await docs.call_tool("search_docs", query="once more")
    assert contents[0].text == "Create an account first."
    assert server.names.count("initialize") == 1
