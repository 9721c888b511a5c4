# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The published package agent-framework-anthropic, unchanged, on this host, against a local endpoint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from fault_servers import EVENTS, JSON, Exchange, HttpServer, McpScript, respond, unused_port

from agent_framework import Agent, MCPStreamableHTTPTool, tool
from agent_framework.exceptions import ChatClientException, ChatClientInvalidAuthException

pytest.importorskip("agent_framework_anthropic", reason="the package agent-framework-anthropic is not installed")


class MessagesEndpoint:
    """Anthropic's messages. The script holds texts, and pairs of a function name and its arguments."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.requests: list[dict[str, Any]] = []

    async def __call__(self, exchange: Exchange) -> None:
        body = json.loads(exchange.body)
        self.requests.append(body)
        answer = self.script.pop(0)
        if isinstance(answer, str):
            block, reason = {"type": "text", "text": answer}, "end_turn"
        else:
            block = {"type": "tool_use", "id": "call_1", "name": answer[0], "input": answer[1]}
            reason = "tool_use"
        message = {
            "id": f"msg_{len(self.requests)}",
            "type": "message",
            "role": "assistant",
            "model": "local-1",
            "content": [block],
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 20, "output_tokens": 7},
        }
        if body.get("stream"):
            events = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in stream_of(message, block))
            await exchange.answer(200, events, EVENTS)
        else:
            await exchange.answer(200, json.dumps(message), JSON)


def stream_of(message: dict[str, Any], block: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"index": 0}
    if block["type"] == "text":
        empty = {**block, "text": ""}
        pieces = [{"type": "text_delta", "text": text} for text in (block["text"][:3], block["text"][3:])]
    else:
        empty = {**block, "input": {}}
        arguments = json.dumps(block["input"])
        pieces = [{"type": "input_json_delta", "partial_json": text} for text in (arguments[:4], arguments[4:])]
    opening = {**message, "content": [], "stop_reason": None, "usage": {"input_tokens": 20, "output_tokens": 0}}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", **place, "content_block": empty},
        *({"type": "content_block_delta", **place, "delta": piece} for piece in pieces),
        {"type": "content_block_stop", **place},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


@pytest.fixture
async def client_for() -> AsyncIterator[Any]:
    import anthropic

    from agent_framework.anthropic import AnthropicClient

    services: list[Any] = []

    def make(port: int) -> Any:
        url = f"http://user-name:pass-word@127.0.0.1:{port}"
        services.append(anthropic.AsyncAnthropic(api_key="no-secret", base_url=url, max_retries=0, timeout=2))
        return AnthropicClient(model="local-1", anthropic_client=services[-1])

    yield make
    for service in services:
        await service.close()


async def run(agent: Agent, stream: bool, **kwargs: Any) -> Any:
    return await (
        agent.run("Hello?", stream=True, **kwargs).get_final_response() if stream else agent.run("Hello?", **kwargs)
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_gets_an_answer(client_for: Any, stream: bool) -> None:
    endpoint = MessagesEndpoint("Hello there.")
    with HttpServer(endpoint) as server:
        response = await run(Agent(client_for(server.port), "Be brief."), stream)
    assert response.text == "Hello there."
    assert response.usage_details["output_token_count"] == 7
    assert "Be brief." in json.dumps(endpoint.requests[0]["system"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_and_an_mcp_tool_are_called(client_for: Any, stream: bool) -> None:
    endpoint = MessagesEndpoint(("get_weather", {"city": "Oslo"}), ("echo", {"text": "hi"}), "Take an umbrella.")
    with HttpServer(endpoint) as server, HttpServer(McpScript()) as mcp_server:
        tools = [get_weather, MCPStreamableHTTPTool("remote", mcp_server.url)]
        response = await run(Agent(client_for(server.port), tools=tools), stream)
    results = [one for message in response.messages for one in message.contents if one.type == "function_result"]
    assert results[0].result == "Rain in Oslo."
    assert "hi" in results[1].result
    assert response.messages[-1].text == "Take an umbrella."
    assert {one["name"] for one in endpoint.requests[0]["tools"]} >= {"get_weather", "echo"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_is_told_by_its_type(client_for: Any, stream: bool) -> None:
    body = '{"type": "error", "error": {"type": "authentication_error", "message": "scripted refusal"}}'
    with HttpServer(partial(respond, status=401, body=body, kind=JSON)) as server:
        with pytest.raises(ChatClientInvalidAuthException, match=r"scripted refusal.*HTTP 401") as caught:
            await run(Agent(client_for(server.port)), stream)
    assert f"http://127.0.0.1:{server.port}" in str(caught.value)
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_that_is_not_there_is_named(client_for: Any, stream: bool) -> None:
    port = unused_port()
    with pytest.raises(ChatClientException, match=rf"http://127\.0\.0\.1:{port}.*ConnectionRefusedError"):
        await run(Agent(client_for(port)), stream)
