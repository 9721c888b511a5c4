# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Names that upstream's own tests and packages import although they begin with an underscore."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from agent_framework import Content, FunctionTool
from agent_framework._tools import (
    _is_hosted_tool_approval,
    _parse_inputs,
    _update_conversation_id,
    normalize_function_invocation_configuration,
)
from agent_framework.exceptions import ContentError

NAMES = {
    "_agents": "_get_tool_name _merge_options _sanitize_agent_name",
    "_clients": "OptionsCoT BaseChatClient BaseEmbeddingClient",
    "_compaction": "CharacterEstimatorTokenizer EXCLUDED_KEY GROUP_ANNOTATION_KEY GROUP_ID_KEY GROUP_KIND_KEY",
    "_middleware": "AgentMiddlewareLayer ChatMiddlewareLayer AgentMiddlewarePipeline ChatMiddlewarePipeline "
    "FunctionMiddlewarePipeline categorize_middleware",
    "_sessions": "LOCAL_HISTORY_CONVERSATION_ID is_local_history_conversation_id",
    "_tools": "FunctionInvocationLayer DEFAULT_MAX_ITERATIONS _is_hosted_tool_approval _parse_annotation _parse_inputs "
    "_update_conversation_id",
    "_types": "_coalesce_text_content _get_data_bytes _get_data_bytes_as_str _parse_content_list "
    "_parse_structured_response_value _validate_uri",
}


@pytest.mark.parametrize("module", NAMES)
def test_the_names_are_where_they_are_looked_for(module: str) -> None:
    found = importlib.import_module(f"agent_framework.{module}")
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        (None, []),
        ("https://x.invalid/a.txt", ["uri"]),
        ({"uri": "https://x.invalid/a.png", "media_type": "image/png"}, ["uri"]),
        ([{"file_id": "f-1"}, {"vector_store_id": "v-1"}], ["hosted_file", "hosted_vector_store"]),
        ({"data": b"abc", "media_type": "text/plain"}, ["data"]),
        ([Content.from_text("as it is")], ["text"]),
    ],
)
def test_inputs_of_hosted_tools_become_content(given: Any, kinds: list[str]) -> None:
    assert [content.type for content in _parse_inputs(given)] == kinds


@pytest.mark.parametrize(("given", "error"), [({"name": "x"}, ValueError), (3, TypeError), ("no scheme", ContentError)])
def test_other_inputs_are_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        _parse_inputs(given)


def test_a_conversation_goes_on_in_options_and_keywords() -> None:
    kwargs: dict[str, Any] = {}
    options: dict[str, Any] = {}
    _update_conversation_id(kwargs, None, options)
    assert (kwargs, options) == ({}, {})
    _update_conversation_id(kwargs, "c-1", options)
    assert (kwargs, options) == ({"conversation_id": "c-1"}, {"conversation_id": "c-1"})
    kwargs = {"chat_options": {}}
    _update_conversation_id(kwargs, "c-2")
    assert kwargs == {"chat_options": {"conversation_id": "c-2"}}


@pytest.mark.parametrize(("label", "hosted"), [("docs", True), (None, False)])
def test_an_approval_is_hosted_when_its_call_names_a_server(label: str | None, hosted: bool) -> None:
    call = Content.from_function_call("c", "n", additional_properties={"server_label": label} if label else {})
    request = Content.from_function_approval_request("c", call)
    assert _is_hosted_tool_approval(request) is hosted
    assert _is_hosted_tool_approval(request.to_function_approval_response(True)) is hosted
    assert _is_hosted_tool_approval(call) is False


def test_the_default_number_of_iterations_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_framework._tools.DEFAULT_MAX_ITERATIONS", 3)
    assert normalize_function_invocation_configuration(None)["max_iterations"] == 3


def test_a_tool_tells_how_its_schema_came() -> None:
    given = FunctionTool(name="t", func=lambda ctx: None, input_model={"type": "object", "properties": {}})
    derived = FunctionTool(name="t", func=lambda x: None)
    assert (given._schema_supplied, given._context_parameter_name, given.input_model) == (True, "ctx", None)
    assert (derived._schema_supplied, derived._context_parameter_name) == (False, None)
    assert callable(given._invocation_duration_histogram.record)
