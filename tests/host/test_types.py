# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from agent_framework import _types
from agent_framework._mcp import MCPTool
from agent_framework._tools import FunctionTool
from agent_framework._types import (
    AgentResponse,
    AgentResponseUpdate,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    Embedding,
    GeneratedEmbeddings,
    Message,
    _parse_structured_response_value,
    map_chat_to_agent_update,
    merge_chat_options,
    normalize_messages,
    prepend_instructions_to_messages,
    validate_chat_options,
    validate_tool_mode,
)
from agent_framework.exceptions import ContentError


class Weather(BaseModel):
    city: str
    degrees: int


def text_update(text: str, **fields: Any) -> ChatResponseUpdate:
    return ChatResponseUpdate(contents=[Content.from_text(text)], **fields)


def call_update(call_id: str, name: str, arguments: str) -> ChatResponseUpdate:
    call = Content.from_function_call(call_id, name, arguments=arguments)
    return ChatResponseUpdate(contents=[call], role="assistant")


# Messages.


def test_a_message_takes_text_content_and_mappings() -> None:
    message = Message("user", ["a", Content.from_text("b"), {"type": "text", "text": "c"}])

    assert [content.text for content in message.contents] == ["a", "b", "c"]
    assert message.text == "a b c"


def test_one_text_or_content_may_stand_for_a_list() -> None:
    assert Message("user", "hello").contents == [Content.from_text("hello")]
    assert Message("user", Content.from_text("hello")).text == "hello"
    assert Message("user").contents == []


def test_a_message_comes_back_from_its_dictionary_without_the_providers_object() -> None:
    message = Message(
        "tool",
        [Content.from_function_result("c", result="3")],
        author_name="calculator",
        message_id="m",
        additional_properties={"k": 1},
        raw_representation=object(),
    )

    restored = Message.from_dict(json.loads(message.to_json()))

    assert restored.to_dict() == message.to_dict()
    assert restored.to_dict()["type"] == "message"
    assert restored.raw_representation is None
    assert copy.deepcopy(message).raw_representation is message.raw_representation


def test_callers_may_pass_text_content_and_messages() -> None:
    system = Message("system", ["s"])

    messages = normalize_messages(["a", Content.from_text("b"), system])

    assert [(message.role, message.text) for message in messages] == [("user", "a"), ("user", "b"), ("system", "s")]
    assert messages[2] is system
    assert normalize_messages("a")[0].text == "a"
    assert normalize_messages(system) == [system]
    assert normalize_messages() == normalize_messages([]) == []


@pytest.mark.parametrize("wrong", [[3], [{"role": "user"}]])
def test_what_is_no_message_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a str, a Content or a Message"):
        normalize_messages(wrong)


def test_instructions_come_first_a_message_for_each() -> None:
    messages = [Message("user", ["q"])]

    result = prepend_instructions_to_messages(messages, ["a", "", "b"], role="developer")

    assert [(message.role, message.text) for message in result] == [
        ("developer", "a"),
        ("developer", "b"),
        ("user", "q"),
    ]
    assert len(messages) == 1


@pytest.mark.parametrize("nothing", [None, "", []])
def test_without_instructions_the_messages_are_as_they_were(nothing: Any) -> None:
    messages = [Message("user", ["q"])]

    assert prepend_instructions_to_messages(messages, nothing) is messages


def test_instructions_that_are_there_already_are_not_repeated() -> None:
    messages = [Message("system", ["a"]), Message("user", ["q"])]

    assert prepend_instructions_to_messages(messages, "a") is messages
    assert len(prepend_instructions_to_messages(messages, "b")) == 3
    assert len(prepend_instructions_to_messages([Message("user", ["a"])], "a")) == 2


# Responses.


def test_texts_are_joined_by_newlines_in_chat_and_by_nothing_in_agent_responses() -> None:
    messages = [Message("assistant", [" a", "b"]), Message("assistant", ["c "])]

    assert ChatResponse(messages=messages).text == "a b\nc"
    assert str(AgentResponse(messages=messages)) == " a bc "
    assert ChatResponse().text == AgentResponse().text == ""
    assert ChatResponse(messages=messages[0]).messages == [messages[0]]


def test_responses_come_back_from_their_dictionaries() -> None:
    chat = ChatResponse(
        messages=[Message("assistant", ["a"])],
        response_id="r",
        conversation_id="c",
        model="m",
        created_at="2026-01-01",
        finish_reason="stop",
        usage_details={"input_token_count": 1},
        additional_properties={"k": 1},
    )
    agent = AgentResponse(messages=chat.messages, agent_id="a")
    update = text_update("a", role="assistant", finish_reason="stop")

    assert chat.to_dict()["type"] == "chat_response"
    assert "additional_properties" not in chat.to_dict()
    assert ChatResponse.from_dict(chat.to_dict()).to_dict() == chat.to_dict()
    assert AgentResponse.from_json(agent.to_json()).to_dict() == agent.to_dict()
    assert ChatResponseUpdate.from_dict(update.to_dict()).to_dict() == update.to_dict()


def test_the_value_is_parsed_at_the_first_look_and_only_once() -> None:
    response = ChatResponse[Weather](
        messages=[Message("assistant", ['{"city": "Rome", "degrees": 30}'])], response_format=Weather
    )

    assert response.value == Weather(city="Rome", degrees=30)
    assert response.value is response.value


def test_a_schema_gives_json_and_a_given_value_is_kept() -> None:
    message = Message("assistant", ['{"a": 1}'])

    assert ChatResponse(messages=message, response_format={"type": "object"}).value == {"a": 1}
    assert AgentResponse(messages=message, value=Weather(city="Rome", degrees=1)).value.city == "Rome"  # type: ignore[union-attr]
    assert AgentResponse(messages=message).value is None
    assert ChatResponse(response_format=Weather).value is None


def test_text_that_does_not_fit_the_format_is_an_error_at_the_look() -> None:
    response = ChatResponse(messages=Message("assistant", ["sunny"]), response_format=Weather)

    with pytest.raises(ValidationError):
        _ = response.value
    with pytest.raises(ValueError, match="not valid JSON"):
        _parse_structured_response_value("sunny", {"type": "object"})


def test_a_format_that_is_neither_model_nor_schema_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    assert _parse_structured_response_value("1", 3) is None
    assert "response_format" in caplog.text


def test_an_agent_response_shows_what_waits_for_the_user() -> None:
    call = Content.from_function_call("c", "f")
    request = Content.from_function_approval_request("c", call)

    assert AgentResponse(messages=[Message("assistant", [call, request])]).user_input_requests == [request]
    assert AgentResponseUpdate(contents=[call, request]).user_input_requests == [request]


# Updates to responses.


def test_updates_of_one_message_become_one_message() -> None:
    response = ChatResponse.from_updates(
        [
            text_update("Hel", role="assistant", response_id="r", message_id="m", model="x"),
            text_update("lo", author_name="bot"),
            text_update("!", finish_reason="stop", conversation_id="c", created_at="now"),
        ]
    )

    assert [message.to_dict() for message in response.messages] == [
        Message("assistant", ["Hello!"], author_name="bot", message_id="m").to_dict()
    ]
    assert (response.response_id, response.model, response.finish_reason) == ("r", "x", "stop")
    assert (response.conversation_id, response.created_at) == ("c", "now")


@pytest.mark.parametrize(
    ("second", "messages"),
    [
        ({"message_id": "2"}, [("assistant", "a"), ("assistant", "b")]),
        ({"role": "tool"}, [("assistant", "a"), ("tool", "b")]),
        ({"message_id": "1"}, [("assistant", "ab")]),
        ({"role": "assistant"}, [("assistant", "ab")]),
        ({}, [("assistant", "ab")]),
    ],
)
def test_a_new_message_starts_on_a_new_id_or_a_new_role(second: Any, messages: list[tuple[str, str]]) -> None:
    response = ChatResponse.from_updates([text_update("a", message_id="1"), text_update("b", **second)])

    assert [(message.role, message.text) for message in response.messages] == messages


def test_pieces_of_function_calls_are_joined_call_by_call() -> None:
    response = ChatResponse.from_updates(
        [
            call_update("c", "add", '{"a"'),
            call_update("", "", ":1}"),
            call_update("d", "sub", ""),
            call_update("d", "", '{"b":2}'),
        ]
    )

    calls = response.messages[0].contents
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("c", "add", '{"a":1}'),
        ("d", "sub", '{"b":2}'),
    ]


def test_usage_is_summed_on_the_response_and_no_content_of_a_message() -> None:
    usage = Content.from_usage({"input_token_count": 2, "output_token_count": 1})

    response = ChatResponse.from_updates([text_update("a"), ChatResponseUpdate(contents=[usage, usage])])

    assert response.usage_details == {"input_token_count": 4, "output_token_count": 2}
    assert response.messages[0].contents == [Content.from_text("a")]


def test_joining_leaves_the_updates_as_they_were() -> None:
    updates = [text_update("a"), text_update("b")]

    ChatResponse.from_updates(updates)

    assert [update.text for update in updates] == ["a", "b"]


def test_properties_are_merged_and_raw_objects_collected() -> None:
    response = ChatResponse.from_updates(
        [
            text_update("a", additional_properties={"k": 1}, raw_representation="r1"),
            text_update("b", additional_properties={"k": 2, "z": 3}, raw_representation="r2"),
        ]
    )

    assert response.additional_properties == {"k": 2, "z": 3}
    assert response.raw_representation == ["r1", "r2"]


def test_only_the_last_update_says_whether_the_response_goes_on() -> None:
    token: Any = {"response_id": "r"}

    assert ChatResponse.from_updates([text_update("a", continuation_token=token)]).continuation_token == token
    assert ChatResponse.from_updates([
        text_update("a", continuation_token=token),
        text_update("b"),
    ]).continuation_token is None  # fmt: skip


def test_no_updates_make_an_empty_response() -> None:
    assert ChatResponse.from_updates([]).messages == []


async def test_a_stream_of_updates_becomes_a_response_with_a_value() -> None:
    async def updates() -> AsyncIterator[ChatResponseUpdate]:
        for piece in ('{"city": "Ro', 'me", "degrees": 30}'):
            yield text_update(piece)

    response = await ChatResponse.from_update_generator(updates(), output_format_type=Weather)

    assert response.value == Weather(city="Rome", degrees=30)


async def test_agent_updates_become_an_agent_response() -> None:
    async def updates() -> AsyncIterator[AgentResponseUpdate]:
        yield AgentResponseUpdate(contents=[Content.from_text("a")], role="assistant", agent_id="x", response_id="r")
        yield AgentResponseUpdate(contents=[Content.from_text("b")], author_name="bot")

    response = await AgentResponse.from_update_generator(updates())

    assert (response.text, response.agent_id, response.response_id) == ("ab", "x", "r")
    assert response.messages[0].author_name == "bot"
    assert AgentResponse.from_updates([], value=Weather(city="Rome", degrees=1)).value == Weather(
        city="Rome", degrees=1
    )


def test_a_chat_update_becomes_an_agent_update_of_the_agents_name() -> None:
    update = text_update("a", role="assistant", message_id="m", response_id="r", additional_properties={"k": 1})

    mapped = map_chat_to_agent_update(update, "bot")

    assert (mapped.text, mapped.role, mapped.author_name, mapped.message_id) == ("a", "assistant", "bot", "m")
    assert mapped.raw_representation is update
    assert map_chat_to_agent_update(text_update("a", author_name="own"), "bot").author_name == "own"


# Options.


@pytest.mark.parametrize(
    ("choice", "mode"),
    [
        (None, None),
        ("auto", {"mode": "auto"}),
        ({"mode": "required", "required_function_name": "f"}, {"mode": "required", "required_function_name": "f"}),
    ],
)
def test_a_tool_choice_has_one_long_form(choice: Any, mode: Any) -> None:
    assert validate_tool_mode(choice) == mode


@pytest.mark.parametrize(
    "choice", ["maybe", "", 3, {}, {"mode": "maybe"}, {"mode": "auto", "required_function_name": "f"}]
)
def test_a_tool_choice_that_means_nothing_is_a_content_error(choice: Any) -> None:
    with pytest.raises(ContentError, match="tool_choice"):
        validate_tool_mode(choice)


def test_options_are_merged_each_in_its_way() -> None:
    base = {
        "instructions": "a",
        "tools": [{"type": "x"}],
        "metadata": {"a": 1, "b": 1},
        "logit_bias": {"1": 1.0},
        "model": "m",
        "stop": "s",
    }
    override = {
        "instructions": "b",
        "tools": [{"type": "x"}, {"type": "y"}],
        "metadata": {"b": 2},
        "logit_bias": {"2": 2.0},
        "model": None,
        "stop": "t",
        "seed": 1,
    }

    assert merge_chat_options(base, override) == {
        "instructions": "a\nb",
        "tools": [{"type": "x"}, {"type": "y"}],
        "metadata": {"a": 1, "b": 2},
        "logit_bias": {"1": 1.0, "2": 2.0},
        "model": "m",
        "stop": "t",
        "seed": 1,
    }
    assert base["metadata"] == {"a": 1, "b": 1}


def test_merging_takes_one_tool_for_a_list_and_nothing_for_nothing() -> None:
    first, second = object(), object()

    assert merge_chat_options({"tools": first}, {"tools": second}) == {"tools": [first, second]}
    assert merge_chat_options({"tools": [first]}, {"tools": [first]}) == {"tools": [first]}
    assert merge_chat_options({"tools": None}, {"tools": [first]}) == {"tools": [first]}
    assert merge_chat_options(None, None) == {}
    assert merge_chat_options({"instructions": "a"}, {"instructions": ""}) == {"instructions": "a"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1),
        ("temperature", -1),
        ("top_p", 2),
        ("frequency_penalty", 3),
        ("presence_penalty", -3),
        ("max_tokens", 0),
    ],
)
async def test_a_number_out_of_range_is_a_value_error_that_names_it(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .*; it is {value}"):
        await validate_chat_options({name: value})


async def test_options_in_range_come_back_in_a_new_dictionary() -> None:
    options = {"temperature": 2, "top_p": 0.0, "max_tokens": 1, "model": None, "custom": "x"}

    checked = await validate_chat_options(options)

    assert checked == options
    assert checked is not options


async def test_a_number_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="temperature must be a number, not str"):
        await validate_chat_options({"temperature": "hot"})


class Calculator(MCPTool):
    """An MCP tool whose server is two functions."""

    def __init__(self) -> None:
        super().__init__(name="calculator")
        self.connects = 0

    @property
    def is_connected(self) -> bool:
        return self.connects > 0

    @property
    def functions(self) -> list[FunctionTool]:
        return [FunctionTool(name="add"), FunctionTool(name="sub")]

    async def connect(self, **options: Any) -> None:
        self.connects += 1


async def test_an_mcp_tool_among_the_tools_is_connected_once_and_replaced_by_its_functions() -> None:
    calculator = Calculator()
    other = FunctionTool(name="other")

    for _ in range(2):
        options = await validate_chat_options({"tools": [other, calculator, {"type": "web_search"}]})

    assert [getattr(entry, "name", entry) for entry in options["tools"]] == [
        "other",
        "add",
        "sub",
        {"type": "web_search"},
    ]
    assert calculator.connects == 1


@pytest.mark.parametrize("tools", [None, []])
async def test_no_tools_are_an_empty_list(tools: Any) -> None:
    assert await validate_chat_options({"tools": tools}) == {"tools": []}


# The rest.


def test_an_embedding_knows_its_dimensions() -> None:
    embedding = Embedding([1.0, 2.0], model="m")
    generated = GeneratedEmbeddings([embedding], usage={"input_token_count": 1})

    assert embedding.dimensions == 2
    assert Embedding("opaque", dimensions=7).dimensions == 7
    assert Embedding(3).dimensions is None
    assert list(generated) == [embedding]
    assert generated.usage == {"input_token_count": 1}


def test_every_name_of_the_module_exists() -> None:
    assert [name for name in _types.__all__ if not hasattr(_types, name)] == []
    assert _types.__all__ == sorted(_types.__all__)


def test_the_types_load_no_heavy_package() -> None:
    code = (
        "import sys, agent_framework._types, agent_framework.exceptions, agent_framework._settings;"
        "print(sorted({'mcp', 'openai', 'httpx', 'anyio'} & sys.modules.keys()))"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert output.stdout.strip() == "[]"
