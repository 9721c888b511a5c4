# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What is told of a message without reading it: how much it holds, and whose answer it is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from agent_framework._mcp_client import _json_text
from agent_framework._mcp_client._json_text import MAX_VALUES, holds_too_much, id_of_answer

RPC = '"jsonrpc": "2.0"'
DEEP = "[" * 100_000
MEGABYTE = 1024 * 1024


@pytest.fixture(params=["text", "bytes"])
def given(request: pytest.FixtureRequest) -> Any:
    return (lambda text: text) if request.param == "text" else str.encode


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * MAX_VALUES + "1]",
        "[" + "[]," * MAX_VALUES + "1]",
        "[" + '"",' * MAX_VALUES + "1]",
        "{" + ",".join(f'"{n}":{{}}' for n in range(MAX_VALUES + 1)) + "}",
        '["\\\\",' + "1," * MAX_VALUES + '"]"]',
        '["\\\\\\"",' + "1," * MAX_VALUES + '"]"]',
        '"' * 5 * MAX_VALUES + "," * (MAX_VALUES + 1),  # no JSON at all
    ],
    ids=["numbers", "lists", "strings", "members", "behind a backslash", "behind a quote", "quotes"],
)
def test_a_message_of_too_many_values_is_told(text: str, given: Any) -> None:
    assert holds_too_much(given(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        "[" + "1," * (MAX_VALUES // 2) + "1]",
        json.dumps({"text": "1,2,[{" * MAX_VALUES}),
        json.dumps({"text": 'a "quoted", \\ and, \\" ' * MAX_VALUES}),
        json.dumps(["a,\\", '",', "\\\\", ",,,"] * (MAX_VALUES // 5)),
    ],
    ids=["small", "half as many", "separators in a string", "quotes in a string", "many strings"],
)
def test_a_message_of_not_too_many_values_is_told(text: str, given: Any) -> None:
    assert not holds_too_much(given(text))


@pytest.mark.parametrize("piece", ['\\"', "\\\\", '"', ",", "[", '",', "a"])
def test_the_longest_message_is_looked_at_within_a_moment(piece: str) -> None:
    text = '["' + piece * (64 * MEGABYTE // len(piece))
    started = time.monotonic()
    holds_too_much(text)
    id_of_answer(text)
    assert time.monotonic() - started < 3, "some tenths of a second, on a machine that does nothing else"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{{{RPC}, "id": 7, "result": {DEEP}', 7),
        (f'{{ "id" : "x-1" , {RPC}, "error" : {DEEP}', "x-1"),
        (f'{{"id":7,"result":{DEEP}', 7),
        (f'{{"result": {DEEP}, {RPC}, "id": 7}}\n', 7),
        (f'{{{RPC}, "result": {DEEP}, "id": "7"}}', "7"),
        (f'{{"error": {DEEP}, "id": 7, {RPC}}}', 7),
        (f'{{{RPC}, "id": 7, "method": "x", "params": {DEEP}', None),
        (f'{{{RPC}, "method": "x", "params": {DEEP}, "id": 7}}', None),
        (f'{{"result": {{"id": 7}}, "more": {DEEP}', None),
        (f'{{"result": {DEEP}, "x": {{"id": 7}}}}', None),
        (f'{{{RPC}, "id": 7.5, "result": {DEEP}', None),
        (f'{{{RPC}, "id": {"7" * 30}, "result": {DEEP}', None),
        (f'{{{RPC}, "id": "{"7" * 300}", "result": {DEEP}', None),
        (DEEP, None),
        ("", None),
    ],
)
def test_an_answer_is_told_by_the_id_before_or_behind_its_outcome(text: str, expected: Any, given: Any) -> None:
    assert id_of_answer(given(text)) == expected


def test_what_is_bounded_is_a_number_of_values() -> None:
    assert _json_text._separators('{"a": [1, 2], "b": {}}') == 5
