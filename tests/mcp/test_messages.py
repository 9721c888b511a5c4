# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a transport reads becomes the SDK's message objects, and is refused, as the SDK itself would do it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sdk_names import bare, parse_message

from agent_framework._mcp_client import _sdk

LONG = "x" * 8192
RESULT = {"content": [{"type": "text", "text": LONG}], "n": 1.5, "none": None, "many": [1, True]}
MESSAGES: dict[str, str] = {
    "a long result": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT}),
    "an id of text": json.dumps({"jsonrpc": "2.0", "id": "3", "result": RESULT}),
    "an id of digits and text": json.dumps({"jsonrpc": "2.0", "id": "a3", "result": RESULT}),
    "a number that is whole": json.dumps({"jsonrpc": "2.0", "id": 3.0, "result": RESULT}),
    "an id that is true": json.dumps({"jsonrpc": "2.0", "id": True, "result": RESULT}),
    "no id": json.dumps({"jsonrpc": "2.0", "result": RESULT}),
    "no version": json.dumps({"id": 3, "result": RESULT}),
    "another version": json.dumps({"jsonrpc": "1.0", "id": 3, "result": RESULT}),
    "something more": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT, "more": 1}),
    "a result and an error": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT, "error": None}),
    "a result that is a list": json.dumps({"jsonrpc": "2.0", "id": 3, "result": [LONG]}),
    "an error": json.dumps({"jsonrpc": "2.0", "id": 3, "error": {"code": 1, "message": LONG, "data": [1]}}),
    "a request": json.dumps({"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"x": LONG}}),
    "a notification": json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"x": LONG}}),
    "a short result": json.dumps({"jsonrpc": "2.0", "id": 3, "result": {}}),
    "no object": json.dumps([LONG]),
    "a lone surrogate": json.dumps({"jsonrpc": "2.0", "id": 3, "result": {"x": "\ud800" + LONG}}),
    "no JSON": LONG,
    "half of it": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT})[:-10],
    "text that cannot be encoded": '{"x": "\ud800' + LONG,
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("encoded", [False, True])
def test_a_message_is_parsed_as_the_sdk_parses_it(name: str, encoded: bool) -> None:
    given: str | bytes = MESSAGES[name].encode(errors="surrogatepass") if encoded else MESSAGES[name]

    def outcome(parse: Callable[[Any], Any]) -> Any:
        try:
            message = bare(parse(given))
        except Exception as error:  # noqa: BLE001  # whatever it is
            return type(error), str(error)
        return type(message), message.model_dump()

    assert outcome(_sdk.decode) == outcome(parse_message)
