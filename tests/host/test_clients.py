# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

from typing import Any

import pytest
from fault_servers import HttpServer, McpScript

from agent_framework import (
    BaseChatClient,
    BaseEmbeddingClient,
    ChatResponse,
    Embedding,
    GeneratedEmbeddings,
    MCPStreamableHTTPTool,
    Message,
    ResponseStream,
    SupportsChatGetResponse,
    SupportsGetEmbeddings,
    SupportsMCPTool,
    tool,
)


@tool
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


async def test_a_raw_client_makes_one_request(raw_scripted: Any) -> None:
    client = raw_scripted(script=["Hi."])
    response = await client.get_response("Hello?", options={"seed": 3}, client_kwargs={"trace": "t"})
    assert response.text == "Hi."
    assert [message.role for message in client.requests[0]] == ["user"]
    assert (client.options[0], client.kwargs[0]) == ({"seed": 3}, {"trace": "t"})


async def test_a_raw_client_streams(raw_scripted: Any) -> None:
    stream = raw_scripted(script=["Hi there."]).get_response([Message("user", ["Hello?"])], stream=True)
    assert isinstance(stream, ResponseStream)
    assert [update.text async for update in stream if update.text] == ["Hi", " there."]
    response = await stream.get_final_response()
    assert (response.text, response.usage_details["total_token_count"]) == ("Hi there.", 15)


def test_a_client_without_its_request_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="_inner_get_response"):
        BaseChatClient()  # type: ignore[abstract]


def test_protocols_tell_what_a_client_offers(raw_scripted: Any) -> None:
    client = raw_scripted(script=[])
    assert isinstance(client, SupportsChatGetResponse)
    assert not isinstance(client, SupportsMCPTool)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_compaction_strategy_decides_what_is_sent(raw_scripted: Any, stream: bool) -> None:
    async def keep_last(messages: list[Message]) -> bool:
        del messages[:-1]
        return True

    client = raw_scripted(script=["Hi.", "Ho."], compaction_strategy=keep_last)
    conversation = [Message("user", ["one"]), Message("user", ["two"])]
    answer = client.get_response(conversation, stream=stream)
    response = await (answer.get_final_response() if stream else answer)
    assert response.text == "Hi."
    assert [message.text for message in client.requests[0]] == ["two"]
    assert len(conversation) == 2


async def test_options_are_checked(raw_scripted: Any) -> None:
    client = raw_scripted(script=[])
    with pytest.raises(ValueError, match="temperature"):
        await client._validate_options({"temperature": 3})
    assert (await client._validate_options({"tools": [double]}))["tools"] == [double]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("layers", [False, True])
async def test_without_a_loop_an_mcp_tool_is_connected_and_left_to_the_caller(
    raw_scripted: Any, scripted: Any, layers: bool, stream: bool
) -> None:
    off = {"function_invocation_configuration": {"enabled": False}}
    client = scripted(["Hi."], **off) if layers else raw_scripted(script=["Hi."])
    with HttpServer(McpScript()) as server:
        remote = MCPStreamableHTTPTool("remote", server.url)
        answer = client.get_response([Message("user", ["?"])], stream=stream, options={"tools": [double, remote]})
        await (answer.get_final_response() if stream else answer)
        assert remote.is_connected
        assert client.options[0]["tools"] == [double, *remote.functions]
        await remote.close()


class LengthClient(BaseEmbeddingClient[str, list[float]]):
    """The embedding of a text is its length."""

    async def get_embeddings(self, values: Any, *, options: Any = None) -> Any:
        return GeneratedEmbeddings([Embedding([float(len(value))]) for value in values], options=options)


async def test_an_embedding_client_gives_one_embedding_for_each_value() -> None:
    client = LengthClient(additional_properties={"a": 1})
    assert isinstance(client, SupportsGetEmbeddings)
    assert client.additional_properties == {"a": 1}
    assert client.to_dict() == {"type": "length_client"}
    embeddings = await client.get_embeddings(["one", "three"], options={"dimensions": 1})
    assert [one.vector for one in embeddings] == [[3.0], [5.0]]
    assert embeddings.options == {"dimensions": 1}
    with pytest.raises(TypeError, match="get_embeddings"):
        BaseEmbeddingClient()  # type: ignore[abstract]


def test_where_requests_go_is_unknown_unless_a_client_tells(raw_scripted: Any) -> None:
    client = raw_scripted(script=[])
    assert (client.service_url(), client.OTEL_PROVIDER_NAME, client.STORES_BY_DEFAULT) == ("Unknown", "unknown", False)


async def test_as_agent_gives_an_agent_with_a_loop_of_its_own(scripted: Any, function_call: Any) -> None:
    client = scripted([[function_call("double", x=2)], [function_call("double", x=2)], "Four."])
    once = client.as_agent(
        name="once", tools=[double], function_invocation_configuration={"enabled": False, "max_iterations": 1}
    )
    assert [message.role for message in (await once.run("?")).messages] == ["assistant"]
    often = client.as_agent(instructions="Count.", tools=[double])
    assert (await often.run("?")).messages[-1].text == "Four."
    assert (once.name, often.default_options["instructions"]) == ("once", "Count.")


async def test_middleware_of_a_call_does_not_reach_the_request(scripted: Any) -> None:
    client = scripted(["Hi."])
    response = await client.get_response(
        [Message("user", ["?"])], client_kwargs={"session": object(), "middleware": []}
    )
    assert isinstance(response, ChatResponse)
    assert client.kwargs == [{}]
