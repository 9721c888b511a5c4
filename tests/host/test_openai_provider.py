# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The published package agent-framework-openai, unchanged, on this host, against a local endpoint."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx
from fault_servers import HttpServer, McpScript
from pydantic import BaseModel

from agent_framework import (
    Agent,
    ChatResponse,
    MCPStreamableHTTPTool,
    Message,
    agent_middleware,
    chat_middleware,
    function_middleware,
    tool,
)
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


@pytest.mark.parametrize("stream", [False, True])
async def test_a_structured_answer_is_parsed(endpoint: Any, client: Any, stream: bool) -> None:
    endpoint.script = ['{"city": "Oslo", "degrees": 7}']
    response = await run(Agent(client), "Oslo?", stream=stream, options={"response_format": Forecast})
    assert response.value == Forecast(city="Oslo", degrees=7)
    sent = endpoint.requests[0]
    schema = sent["text"]["format"] if "text" in sent else sent["response_format"]["json_schema"]
    assert schema["name"] == "Forecast"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_structured_answer_may_come_after_tool_calls(endpoint: Any, client: Any, stream: bool) -> None:
    endpoint.script = [[("call_1", "get_weather", {"city": "Oslo"})], '{"city": "Oslo", "degrees": 7}']
    agent = Agent(client, tools=[get_weather])
    response = await run(agent, "Oslo?", stream=stream, options={"response_format": Forecast})
    assert response.value == Forecast(city="Oslo", degrees=7)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_schema_as_a_mapping_gives_plain_values(endpoint: Any, client: Any, stream: bool) -> None:
    schema = {"name": "Forecast", "schema": {**Forecast.model_json_schema(), "additionalProperties": False}}
    endpoint.script = ['{"city": "Oslo", "degrees": 7}']
    given = {"response_format": {"type": "json_schema", "json_schema": schema}}
    response = await run(Agent(client), "Oslo?", stream=stream, options=given)
    assert response.value == {"city": "Oslo", "degrees": 7}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_mcp_tool_in_the_options_of_a_client_is_called(endpoint: Any, client: Any, stream: bool) -> None:
    endpoint.script = [[("call_1", "echo", {"text": "hi"})], "It said hi."]
    with HttpServer(McpScript()) as server:
        remote = MCPStreamableHTTPTool("remote", server.url)
        answer = client.get_response([Message("user", ["Say hi."])], stream=stream, options={"tools": [remote]})
        response = await (answer.get_final_response() if stream else answer)
        assert not remote.is_connected
    assert response.messages[-1].text == "It said hi."
    assert "hi" in response.messages[1].contents[0].result
    assert "echo" in json.dumps(endpoint.requests[0]["tools"])


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_of_a_mocked_transport_is_read_like_any_other(
    client: Any, stream: bool, completion_parts: Any, model_response_parts: Any
) -> None:
    shape = completion_parts if type(client).__name__ == "OpenAIChatCompletionClient" else model_response_parts
    parts = shape(1, "Hello there.", stream=stream)
    if stream:
        events = "".join(f"data: {json.dumps(part)}\n\n" for part in parts)
        reply = httpx.Response(200, headers={"content-type": "text/event-stream"}, text=f"{events}data: [DONE]\n\n")
    else:
        reply = httpx.Response(200, json=parts[0])
    with respx.mock(base_url="https://models.invalid") as router:
        route = router.post(path__regex=r"/v1/(responses|chat/completions)").mock(reply)
        async with httpx.AsyncClient() as http:
            service = client.client.with_options(base_url="https://models.invalid/v1", http_client=http)
            made = type(client)(model="local-1", async_client=service)
            response = await run(Agent(made), "Hello?", stream=stream)
    assert response.text == "Hello there."
    sent = route.calls.last.request.headers
    assert sent["authorization"] == "Bearer no-secret"


async def test_the_framework_names_itself_to_the_endpoint(endpoint: Any, client: Any) -> None:
    endpoint.script = ["Hello."]
    await Agent(client).run("Hello?")
    headers = {name.lower(): value for name, value in endpoint.headers[0].items()}
    assert headers["user-agent"].startswith("agent-framework-python/")


@pytest.mark.parametrize("stream", [False, True])
async def test_middleware_of_all_kinds_wraps_a_provider_s_calls(endpoint: Any, client: Any, stream: bool) -> None:
    log: list[str] = []

    @agent_middleware
    async def around_run(context: Any, call_next: Any) -> None:
        log.append("run")
        await call_next()

    @chat_middleware
    async def around_model(context: Any, call_next: Any) -> None:
        log.append("model")
        await call_next()

    @function_middleware
    async def around_function(context: Any, call_next: Any) -> None:
        log.append(context.function.name)
        await call_next()

    endpoint.script = [[("call_1", "get_weather", {"city": "Oslo"})], "Take an umbrella."]
    agent = Agent(client, tools=[get_weather], middleware=[around_function, around_model, around_run])
    await run(agent, "Umbrella?", stream=stream)
    assert log == ["run", "model", "get_weather", "model"]


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
    with pytest.raises(ChatClientException, match=r"Connection error.* \(endpoint http://127\.0\.0\.1:9/v1/"):
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
