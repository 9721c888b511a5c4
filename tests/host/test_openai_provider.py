# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The published package agent-framework-openai, unchanged, on this host, against a local endpoint."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from agent_framework import Agent, ChatResponse, Message, tool
from agent_framework.exceptions import ChatClientException

pytest.importorskip("agent_framework_openai", reason="the extra 'openai' is not installed")


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


@pytest.fixture(params=["OpenAIChatCompletionClient", "OpenAIChatClient"])
async def client(request: pytest.FixtureRequest, endpoint: Any) -> AsyncIterator[Any]:
    import agent_framework.openai

    made = getattr(agent_framework.openai, request.param)(model="local-1", api_key="no-secret", base_url=endpoint.url)
    yield made
    await made.client.close()


async def run(agent: Agent, message: str, *, stream: bool, **kwargs: Any) -> Any:
    if not stream:
        return await agent.run(message, **kwargs)
    updates = agent.run(message, stream=True, **kwargs)
    async for _ in updates:
        pass
    return await updates.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_gets_an_answer(endpoint: Any, client: Any, stream: bool) -> None:
    endpoint.script = ["Hello there."]
    response = await run(Agent(client, "Be brief.", name="Greeter"), "Hello?", stream=stream)
    assert response.text == "Hello there."
    assert response.usage_details["total_token_count"] == 27
    assert "Be brief." in json.dumps(endpoint.requests[0])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_is_answered(endpoint: Any, client: Any, stream: bool) -> None:
    endpoint.script = [[("call_1", "get_weather", {"city": "Oslo"})], "Take an umbrella."]
    response = await run(Agent(client, tools=[get_weather]), "Do I need an umbrella?", stream=stream)
    assert [message.role for message in response.messages] == ["assistant", "tool", "assistant"]
    assert response.messages[1].contents[0].result == "Rain in Oslo."
    assert response.messages[-1].text == "Take an umbrella."
    assert response.usage_details["total_token_count"] == 54
    assert "Rain in Oslo." in json.dumps(endpoint.requests[1])


@pytest.mark.parametrize("stream", [False, True])
async def test_parallel_calls_are_answered_in_one_request(endpoint: Any, client: Any, stream: bool) -> None:
    calls = [("call_1", "get_weather", {"city": "Oslo"}), ("call_2", "get_weather", {"city": "Rome"})]
    endpoint.script = [calls, "Rain in both."]
    response = await run(Agent(client, tools=[get_weather]), "Oslo or Rome?", stream=stream)
    assert [content.result for content in response.messages[1].contents] == ["Rain in Oslo.", "Rain in Rome."]
    sent = json.dumps(endpoint.requests[1])
    assert "call_1" in sent
    assert "call_2" in sent


@pytest.mark.parametrize("stream", [False, True])
async def test_a_session_carries_the_conversation(endpoint: Any, client: Any, stream: bool) -> None:
    endpoint.script = ["I am fine.", "As I said."]
    agent = Agent(client)
    session = agent.create_session()
    await run(agent, "How are you?", stream=stream, session=session)
    await run(agent, "Really?", stream=stream, session=session)
    second = endpoint.requests[1]
    if type(client).STORES_BY_DEFAULT:
        assert second["previous_response_id"] == "resp-1"
    else:
        assert [message["content"] for message in second["messages"]] == ["How are you?", "I am fine.", "Really?"]


class Forecast(BaseModel):
    city: str
    degrees: int


async def test_a_structured_answer_is_parsed(endpoint: Any, client: Any) -> None:
    endpoint.script = ['{"city": "Oslo", "degrees": 7}']
    response = await Agent(client).run("Oslo?", options={"response_format": Forecast})
    assert response.value == Forecast(city="Oslo", degrees=7)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 404])
async def test_a_refusal_of_the_endpoint_is_a_chat_client_exception(
    endpoint: Any, client: Any, stream: bool, status: int
) -> None:
    endpoint.script = [status]
    with pytest.raises(ChatClientException, match="scripted refusal"):
        await run(Agent(client), "Hello?", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_that_is_not_there_is_a_chat_client_exception(client: Any, stream: bool) -> None:
    unreachable = client.client.with_options(base_url="http://127.0.0.1:9/v1/", max_retries=0)
    client.client, reachable = unreachable, client.client
    with pytest.raises(ChatClientException, match="Connection error"):
        await asyncio.wait_for(run(Agent(client), "Hello?", stream=stream), 5)
    client.client = reachable


async def test_the_client_works_without_an_agent(endpoint: Any, client: Any) -> None:
    endpoint.script = [[("call_1", "get_weather", {"city": "Oslo"})], "Take an umbrella."]
    response = await client.get_response([Message("user", ["Umbrella?"])], options={"tools": [get_weather]})
    assert isinstance(response, ChatResponse)
    assert response.messages[-1].text == "Take an umbrella."


async def test_a_tool_s_own_schema_is_not_changed_by_the_provider(endpoint: Any, client: Any) -> None:
    endpoint.script = ["Hello."]
    await Agent(client, tools=[get_weather]).run("Hello?")
    assert "additionalProperties" not in get_weather.parameters()


def test_the_namespace_knows_its_names_without_loading_the_package() -> None:
    import agent_framework.openai

    assert "OpenAIChatClient" in dir(agent_framework.openai)
    with pytest.raises(AttributeError, match="no attribute 'NoSuchClient'"):
        _ = agent_framework.openai.NoSuchClient  # type: ignore[attr-defined]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import agent_framework.openai

    monkeypatch.setitem(sys.modules, "agent_framework_openai", None)  # Python's own way to say: not there
    with pytest.raises(ModuleNotFoundError, match="pip install agent-framework-openai"):
        _ = agent_framework.openai.OpenAIChatClient
