# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Sampling, elicitation and roots without a server: the answers that a real one seldom provokes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp import types
from sdk_names import field

from agent_framework import ChatResponse, Content, Message
from agent_framework._mcp_client._sampling import Sampling, check_roots, elicit, list_roots
from agent_framework._mcp_client._server import Server

ASKED = types.CreateMessageRequestParams(
    messages=[types.SamplingMessage(role="user", content=types.TextContent(type="text", text="why?"))], maxTokens=5
)


class Model:
    """A chat client with one answer."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.options: list[Any] = []

    async def get_response(self, messages: Any, *, options: Any) -> Any:
        self.options.append(options)
        return self.response


async def sampled(response: Any, params: types.CreateMessageRequestParams = ASKED) -> Any:
    return await Sampling().answer(params, server=Server("s"), client=Model(response), approval_callback=lambda _: True)


async def test_calls_that_the_client_has_carried_out_itself_are_not_the_servers() -> None:
    messages = [
        Message("assistant", [Content.from_function_call("1", "of_the_client")]),
        Message("tool", [Content.from_function_result("1", result="done")]),
        Message("assistant", ["because"]),
    ]
    answer = await sampled(ChatResponse(messages=messages))
    assert isinstance(answer, types.CreateMessageResult)
    assert answer.content.text == "because"


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"), [("stop", "endTurn"), ("length", "maxTokens"), ("content_filter", None)]
)
async def test_the_server_learns_why_the_model_stopped(finish_reason: Any, stop_reason: str | None) -> None:
    answer = await sampled(ChatResponse(messages=[Message("assistant", ["a"])], finish_reason=finish_reason))
    assert field(answer, "stopReason") == stop_reason


WITH_NOTHING = types.CreateMessageRequestParams.model_validate(
    {**ASKED.model_dump(by_alias=True, exclude_none=True), "systemPrompt": "", "tools": []}
)


async def test_empty_instructions_and_tools_are_passed_on_and_missing_ones_are_not() -> None:
    model = Model(ChatResponse(messages=[Message("assistant", ["a"])]))
    sampling = Sampling()
    for params in (ASKED, WITH_NOTHING):
        await sampling.answer(params, server=Server("s"), client=model, approval_callback=lambda _: True)
    assert model.options == [{"max_tokens": 5}, {"max_tokens": 5, "instructions": "", "tools": []}]


async def test_no_response_at_all_is_an_error() -> None:
    answer = await sampled(None)
    assert (answer.code, answer.message) == (types.INTERNAL_ERROR, "Failed to get chat message content.")


async def test_requests_are_counted_also_when_the_user_refuses_and_until_a_session_starts() -> None:
    asked = 0

    def refuse(params: Any) -> bool:
        nonlocal asked
        asked += 1
        return False

    sampling = Sampling()
    for _ in range(3):
        await sampling.answer(ASKED, server=Server("s"), client=Model(None), approval_callback=refuse, max_requests=2)
    assert asked == 2
    sampling.start_session()
    await sampling.answer(ASKED, server=Server("s"), client=Model(None), approval_callback=refuse, max_requests=2)
    assert asked == 3


async def test_requests_that_nobody_could_answer_are_not_counted() -> None:
    sampling = Sampling()
    await sampling.answer(ASKED, server=Server("s"), client=None, approval_callback=lambda _: True)
    await sampling.answer(ASKED, server=Server("s"), client=Model(None), approval_callback=None)
    assert sampling.requests == 0


def form(**schema: Any) -> types.ElicitRequestFormParams:
    return types.ElicitRequestFormParams(message="?", requestedSchema=schema)


@pytest.mark.parametrize(
    "schema",
    [{}, {"properties": None}, {"properties": []}, {"properties": {"a": True, "b": {}, "c": {"default": None}}}],
)
async def test_a_schema_without_defaults_adds_nothing(schema: dict[str, Any]) -> None:
    answer = await elicit(form(**schema), lambda _: {"x": 1})
    assert answer == types.ElicitResult(action="accept", content={"x": 1})


async def test_a_false_default_is_a_default() -> None:
    answer = await elicit(form(properties={"a": {"default": False}, "b": {"default": 0}}), lambda _: {})
    assert answer.content == {"a": False, "b": 0}


async def test_an_error_of_the_callbacks_making_goes_to_the_server() -> None:
    error = types.ErrorData(code=-1, message="busy")
    assert await elicit(form(), lambda _: error) is error


async def test_values_that_no_form_has_are_an_error() -> None:
    with pytest.raises(ValueError, match="content"):
        await elicit(form(), lambda _: {"a": {"nested": 1}})


async def test_relative_paths_are_taken_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = await list_roots(["sub", Path()])
    assert [str(root.uri) for root in listed.roots] == [(tmp_path / "sub").as_uri(), tmp_path.as_uri()]


async def test_a_root_of_the_sdk_is_listed_as_it_is() -> None:
    root = types.Root(uri="file:///srv", name="the data")
    check_roots([root])
    assert (await list_roots([root])).roots == [root]


async def test_uris_are_listed_as_they_are_with_a_readable_name() -> None:
    (root,) = (await list_roots(["file:///srv/my%20work/"])).roots
    assert (str(root.uri), root.name) == ("file:///srv/my%20work/", "my work")


@pytest.mark.parametrize("roots", ["/srv", 1, [1], None])
async def test_a_function_that_returns_no_roots_is_an_error(roots: Any) -> None:
    with pytest.raises(TypeError):
        await list_roots(lambda: roots)
