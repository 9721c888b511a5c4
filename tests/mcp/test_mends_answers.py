# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Draining, cheap parsing, kept validators and the switch: what must be the same with each of them and without."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import types
from mcp.client.session import ClientSession
from referencing.exceptions import Unresolvable

from agent_framework import Content, MCPStreamableHTTPTool
from agent_framework._mcp_client import _mends, _sdk
from agent_framework._mcp_client._mends import answers, validators
from agent_framework.exceptions import ToolExecutionException

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import HttpServer, McpScript

LONG = "x" * (2 * answers.WORTHWHILE)


@pytest.fixture(params=["mended", "the SDK's"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(_mends, "_RULED_OUT", frozenset() if request.param == "mended" else _mends.NAMES)
    return str(request.param)


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mends, "_RULED_OUT", frozenset())


def text(contents: Any) -> str:
    assert isinstance(contents, list)
    return "".join(item.text for item in contents if isinstance(item, Content))


# Long answers ...

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
            message = parse(given).root
        except Exception as error:  # noqa: BLE001  # whatever it is
            return type(error), str(error)
        return type(message), message.model_dump()

    assert outcome(answers.parse) == outcome(types.JSONRPCMessage.model_validate_json)


# Validators ...

ITEM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
RESULTS: dict[str, tuple[Any, Any]] = {
    "what fits": (ITEM, {"n": 1}),
    "what does not fit": (ITEM, {"n": "one"}),
    "what lacks something": (ITEM, {}),
    "two things that do not fit": ({**ITEM, "properties": {"n": {"type": "integer"}, "m": {"const": 1}}}, {"m": 2}),
    "nothing": (ITEM, None),
    "something without a schema": (None, {"n": "one"}),
    "a schema of nothing": ({}, {"n": "one"}),
    "a type that there is none of": ({"type": "integr"}, {"n": 1}),
    "a pattern that is none": ({"properties": {"n": {"pattern": "("}}}, {"n": "x"}),
    "a format": ({"properties": {"n": {"format": "date"}}}, {"n": "yesterday"}),
    "a reference": ({"$defs": {"i": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/i"}}}, {"n": "x"}),
    "a reference that fits": ({"$defs": {"i": ITEM}, "properties": {"n": {"$ref": "#/$defs/i"}}}, {"n": {"n": 1}}),
    "a reference to nothing": ({"properties": {"n": {"$ref": "#/$defs/none"}}}, {"n": 1}),
    "a reference to elsewhere": ({"properties": {"n": {"$ref": "urn:elsewhere"}}}, {"n": 1}),
    "an old draft": (
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"n": {"exclusiveMinimum": True}}},
        {"n": 1},
    ),
    "an unknown draft": ({"$schema": "urn:none", **ITEM}, {"n": "one"}),
}


@asynccontextmanager
async def session_with(schema: Any) -> AsyncIterator[ClientSession]:
    session = _sdk.make_session(None, None, read_timeout=None)
    session._tool_output_schemas = schemas = {"t": schema}
    if isinstance(session._validate_tool_result, validators._Validation):
        session._validate_tool_result._schemas = schemas
    yield session


@pytest.mark.parametrize("name", RESULTS)
async def test_a_structured_result_is_judged_as_the_sdk_judges_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema, content = RESULTS[name]
    result = types.CallToolResult(content=[], structuredContent=content)

    async def outcomes() -> list[Any]:
        found: list[Any] = []
        async with session_with(schema) as session:
            for _ in range(2):
                try:
                    found.append(await session._validate_tool_result("t", result))
                except Unresolvable as error:  # older SDKs let it through
                    found.append((RuntimeError, f"Invalid schema for tool t: {error}"))
                except Exception as error:  # noqa: BLE001  # whatever it is
                    found.append((type(error), str(error)))
        return found

    monkeypatch.setattr(_mends, "_RULED_OUT", frozenset())
    mended = await outcomes()
    monkeypatch.setattr(_mends, "_RULED_OUT", _mends.NAMES)
    assert mended == await outcomes()


@pytest.mark.usefixtures("mended")
async def test_a_schema_that_refers_to_elsewhere_is_never_fetched() -> None:
    with HttpServer(McpScript()) as server:
        for keyword in ("$ref", "$dynamicRef"):
            schema = {"properties": {"m": {"const": 1}, "n": {keyword: f"{server.url}/schema"}}}
            async with session_with(schema) as session:
                for content in ({"n": 1}, {"m": 2, "n": 1}):  # one that cannot be judged, one that does not fit anyway
                    result = types.CallToolResult(content=[], structuredContent=content)
                    with pytest.raises(RuntimeError, match="Invalid schema for tool t"):
                        await session._validate_tool_result("t", result)
        assert server.connections == 0


@pytest.mark.usefixtures("mended")
async def test_a_tool_that_is_listed_anew_is_judged_by_its_new_schema() -> None:
    fits = types.CallToolResult(content=[], structuredContent={"n": 1})
    async with session_with(ITEM) as session:
        await session._validate_tool_result("t", fits)
        session._tool_output_schemas["t"] = {"properties": {"n": {"type": "string"}}}
        with pytest.raises(RuntimeError, match="Invalid structured content"):
            await session._validate_tool_result("t", fits)


@pytest.mark.usefixtures("mended")
def test_a_session_that_looks_different_inside_is_left_alone() -> None:
    class Other:
        _tool_output_schemas: dict[str, Any] = {}  # noqa: RUF012

        async def _validate_tool_result(self, name: str) -> None: ...

    session = Other()
    validators.keep_validators(session)
    assert "_validate_tool_result" not in vars(session)


async def test_a_wrong_structured_result_is_an_error_of_the_call(way: str) -> None:
    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [], "structuredContent": {"n": params["arguments"]["n"]}}

    tools = [{"name": "t", "inputSchema": {"type": "object"}, "outputSchema": ITEM}]
    with HttpServer(McpScript(tools=tools, handlers={"tools/call": answer})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for _ in range(2):
                assert text(await tool.call_tool("t", n=1)) == '{"n": 1}'
                with pytest.raises(ToolExecutionException, match="structured content"):
                    await tool.call_tool("t", n="one")
