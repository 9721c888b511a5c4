# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Structured results and the output schemas that tools declare: what is checked, what that may cost, what is said."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript
from mcp import types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from structured_peer import HOSTILE, ITEM, RESULTS, TOOLS, call, deep, doubling
from test_websocket import WebsocketServer

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPTool, MCPToolError

PEER = str(Path(__file__).with_name("structured_peer.py"))
LONGEST_GAP = 0.5  # seconds between two turns of the loop; ten times what anything here should take
WIRES = ["json", "events", "stdio", "websocket", "borrowed"]


async def answer_call(params: dict[str, Any]) -> dict[str, Any]:
    return call(params["name"])


async def answer_listing(params: dict[str, Any]) -> dict[str, Any]:
    return {"tools": TOOLS}


@contextlib.asynccontextmanager
async def connected(wire: str, **options: Any) -> AsyncIterator[MCPTool]:
    """A tool that is connected to the server of `structured_peer`."""
    handlers = {"tools/list": answer_listing, "tools/call": answer_call}
    async with contextlib.AsyncExitStack() as stack:
        if wire == "stdio":
            tool: MCPTool = MCPStdioTool("peer", command=sys.executable, args=[PEER], load_prompts=False, **options)
        elif wire == "websocket":
            served = stack.enter_context(WebsocketServer(handlers=handlers))
            tool = MCPWebsocketTool("peer", served.url, load_prompts=False, **options)
        else:
            server = stack.enter_context(HttpServer(McpScript(events=wire == "events", handlers=handlers)))
            if wire == "borrowed":
                read, write, *_ = await stack.enter_async_context(streamable_http_client(server.url))
                options["session"] = await stack.enter_async_context(ClientSession(read, write))
            tool = MCPStreamableHTTPTool("peer", server.url, load_prompts=False, **options)
        yield await stack.enter_async_context(tool)


async def longest_gap(work: Awaitable[Any]) -> tuple[Any, float]:
    """What something brings, and the longest time for which the event loop did not turn meanwhile, in seconds."""
    longest, latest = 0.0, time.monotonic()

    async def watch() -> None:
        nonlocal longest, latest
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            longest, latest = max(longest, now - latest), now

    watching = asyncio.ensure_future(watch())
    try:
        return await asyncio.wait_for(work, BOUND), max(longest, time.monotonic() - latest)
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def texts(contents: Any) -> list[str]:
    return [item.text for item in contents]


# Nothing that a server sends holds the loop ...


@pytest.mark.parametrize("wire", WIRES)
async def test_no_schema_of_a_server_holds_the_event_loop(wire: str) -> None:
    async with connected(wire, tool_result_content="both") as tool:
        for name in HOSTILE:
            (contents, other), gap = await longest_gap(asyncio.gather(tool.call_tool(name), tool.call_tool("plain")))
            assert gap < LONGEST_GAP, name
            assert texts(contents)[0] == f"words of {name}"
            assert texts(other) == ["words of plain"]


async def test_a_session_of_a_class_of_its_own_is_still_called_by_its_own_method() -> None:
    class Own(ClientSession):
        async def call_tool(self, name: str, *args: Any, **kwargs: Any) -> types.CallToolResult:
            return types.CallToolResult(content=[types.TextContent(type="text", text=f"mine: {name}")])

    with HttpServer(McpScript(handlers={"tools/list": answer_listing})) as server:
        async with (
            streamable_http_client(server.url) as (read, write, _),
            Own(read, write) as session,
            MCPStreamableHTTPTool("mine", server.url, session=session) as tool,
        ):
            assert texts(await tool.call_tool("plain")) == ["mine: plain"]
    assert "tools/call" not in server.names


async def test_a_schema_is_compiled_once_for_each_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = pytest.importorskip("jsonschema_rs")
    made: list[Any] = []
    make = validator.validator_for

    def note(schema: Any, **options: Any) -> Any:
        made.append(schema)
        return make(schema, **options)

    monkeypatch.setattr(validator, "validator_for", note)
    async with connected("json") as tool:
        assert made == []  # nothing before the first structured result
        await asyncio.gather(*(tool.call_tool("fits") for _ in range(3)))
        assert made == [ITEM]
        await tool.load_tools()
        await asyncio.gather(*(tool.call_tool("fits") for _ in range(3)))
        assert made == [ITEM, ITEM]


# What is said about a result ...


@pytest.mark.parametrize("wire", WIRES)
async def test_a_result_that_breaks_its_schema_is_delivered_with_a_sentence_that_says_so(
    wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(wire) as tool:
        for _ in range(2):
            contents = texts(await tool.call_tool("wrong"))
            assert contents[0] == '{"n": "one"}'
            (note,) = contents[1:]
            assert note.startswith("Tool 'wrong' ran, but its structured result does not match the output schema it")
            assert note.endswith('declares: at /n, the value is not of type "integer".')
        assert texts(await tool.call_tool("fits")) == ['{"n": 1}']
        assert texts(await tool.call_tool("plain")) == ["words of plain"]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "'peer'" in record.getMessage()
    assert "at /n" in record.getMessage()


async def test_a_result_that_lacks_what_its_tool_declares_is_delivered_with_a_sentence_that_says_so() -> None:
    async with connected("json") as tool:
        assert texts(await tool.call_tool("missing")) == [
            "words of missing",
            "Tool 'missing' ran, but sent no structured result, although it declares an output schema.",
        ]


async def test_the_model_reads_the_sentence_too() -> None:
    async with connected("json") as tool:
        function = next(function for function in tool.functions if function.name == "wrong")
        assert texts(await function.invoke(arguments={}))[-1].startswith("Tool 'wrong' ran, but")


async def test_a_parser_of_the_users_gets_the_sentence_behind_its_text() -> None:
    async with connected("json", parse_tool_results=lambda result: str(result.structuredContent)) as tool:
        said = await tool.call_tool("wrong")
    assert said.startswith("{'n': 'one'}\nTool 'wrong' ran, but its structured result")


def serving(schema: Any, result: dict[str, Any], name: str = "t") -> McpScript:
    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [], **result}

    tools = [{"name": name, "inputSchema": {"type": "object"}, "outputSchema": schema}]
    return McpScript(tools=tools, handlers={"tools/call": answer})


async def note_on(schema: Any, result: Any, name: str = "t", **more: Any) -> str | None:
    """What stands behind the structured content of a result; None for nothing."""
    with HttpServer(serving(schema, {"structuredContent": result, **more}, name)) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            (_, *notes) = texts(await tool.call_tool(name))
            return "\n".join(notes) or None


async def test_a_failure_is_not_checked() -> None:
    with HttpServer(serving(ITEM, {"structuredContent": {"n": "one"}, "isError": True})) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            with pytest.raises(MCPToolError) as caught:
                await tool.call_tool("t")
    assert str(caught.value) == '{"n": "one"}'


async def test_the_sentence_is_short_printable_and_on_one_line() -> None:
    key, word = "a\n\x1b[31m/~b" + "x" * 500, "\n\x1b]0;title\x07" + "y" * 5000
    schema = {"properties": {key: {"enum": [word]}}}
    note = await note_on(schema, {key: word + "z"}, name="t\x1b[2J" + "t" * 200)
    assert note is not None
    assert len(note) <= 301
    assert note.isprintable()
    assert "~1~0b" in note


@pytest.mark.parametrize(
    ("schema", "result", "part"),
    [
        (ITEM, {}, 'at the top, "n" is a required property'),
        ({"properties": {"l": {"items": ITEM}}}, {"l": [{"n": 1}, {}]}, 'at /l/1, "n" is a required property'),
        (
            {"properties": {"n": {}}, "additionalProperties": False},
            {"x": 1},
            "at the top, Additional properties are not allowed",
        ),
        ({"$ref": "#/$defs/i", "$defs": {"i": ITEM}}, {"n": "x"}, 'at /n, the value is not of type "integer"'),
        ({"properties": {"n": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, {"n": 1}, "at /n, "),
        ({"properties": {"s": {"pattern": "^(a+)+$"}}}, {"s": "aaab"}, 'at /s, the value does not match "^(a+)+$"'),
        ({"$schema": "http://json-schema.org/draft-07/schema#", **ITEM}, {"n": "x"}, "at /n, "),
        ({"properties": {"n": {"multipleOf": 0.01}}}, {"n": 0.005}, "at /n, "),
        ({"properties": {"n": {"$ref": "#"}}, "required": ["n"]}, {"n": {"n": {}}}, "at /n/n, "),
    ],
)
async def test_the_sentence_says_where_and_why(schema: Any, result: Any, part: str) -> None:
    note = await note_on(schema, result)
    assert note is not None
    assert part in note


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        (ITEM, {"n": 1}),
        ({}, {"x": 1}),
        ({"properties": {"s": {"format": "date"}}}, {"s": "yesterday"}),
        ({"properties": {"kids": {"items": {"$ref": "#"}}}}, {"kids": [{"kids": []}, {"kids": [{}]}]}),
        ({"$defs": {"a/b~c": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/a~1b~0c"}}}, {"n": 1}),
        ({"patternProperties": {"^n": {"type": "integer"}}, "additionalProperties": False}, {"n1": 1}),
    ],
)
async def test_a_result_that_fits_brings_no_sentence(schema: Any, result: Any, caplog: Any) -> None:
    assert await note_on(schema, result) is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


UNUSED: dict[str, tuple[Any, str]] = {
    "no schema": ({"type": "integr"}, "is not used"),
    "no pattern": ({"properties": {"n": {"pattern": "("}}}, "parentheses"),
    "a lookahead": ({"properties": {"n": {"pattern": "^(?=a)"}}}, "lookarounds"),
    "a class that ends where": ({"properties": {"n": {"pattern": "[]a{9}]"}}}, "unusual class"),
    "a long pattern": ({"properties": {"n": {"pattern": "a" * 2000}}}, "more than 1000 characters"),
    "a large pattern": ({"properties": {"n": {"pattern": "(?:a{90}){90}"}}}, "more than 1000 states"),
    "large patterns": ({"allOf": [{"pattern": "a{60}"}] * 20}, "more than 1000 states"),
    "wide patterns": ({"allOf": [{"pattern": r"\p{L}{15}"}] * 5}, "more than 1000 states"),
    "a doubling chain": (doubling(levels=40), "too many subschemas"),
    "a long chain": (doubling("oneOf", 80), "apply"),
    "a loop": ({"$ref": "#"}, "without end"),
    "a longer loop": ({"not": {"allOf": [{"not": {"$ref": "#"}}]}}, "without end"),
    "a reference to nothing": ({"$ref": "#/$defs/none"}, "is not in it"),
    "a reference to elsewhere": ({"$ref": "urn:elsewhere"}, "outside"),
    "a reference to a name": ({"$ref": "#name", "$defs": {"n": {"$anchor": "name"}}}, "outside"),
    "a reference that is none": ({"$ref": 5}, "outside"),
    "a dynamic reference": ({"properties": {"n": {"$dynamicRef": "#n"}}}, "$dynamicRef"),
    "an id inside": ({"$ref": "#/$defs/n", "$defs": {"n": {"$id": "urn:n", "$ref": "#/x"}}}, "id of its own"),
    "an unknown dialect": ({"$schema": "urn:none"}, "Unknown meta-schema"),
    "many values": ({"enum": list(range(10_000))}, "more than 5000 values"),
    "many characters": ({"description": "x" * 300_000}, "more than 262144 characters"),
    "many levels": ({"properties": {"n": {"default": deep(120)}}}, "more than 100 levels"),
    "a large number": ({"properties": {"n": {"maximum": 1e300}}}, "a number"),
}


@pytest.mark.parametrize("name", UNUSED)
async def test_a_schema_that_cannot_be_used_costs_a_warning_and_nothing_else(name: str, caplog: Any) -> None:
    schema, why = UNUSED[name]
    assert await note_on(schema, {"n": 1}) is None
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    message = record.getMessage()
    assert message.startswith("MCP server 'script'")
    assert "tool 't'" in message
    assert any(part in message for part in why.split("|"))
    assert message.isprintable()


@pytest.mark.parametrize(
    ("schema", "result", "why"),
    [
        (ITEM, {"n": 1, "l": [None] * 150_000}, "more than 100000 values"),
        (ITEM, {"n": 1, "s": "x" * 5_000_000}, "more than 4194304 characters"),
        (ITEM, {"n": 10**30}, "a number"),
        (ITEM, {"n": 1e-30}, "a number"),
        ({"properties": {"l": {"uniqueItems": True}}}, {"l": list(range(9000))}, "too large for its schema"),
        (
            {"properties": {"l": {"$ref": "#/$defs/l"}}, "$defs": {"l": {"items": {"$ref": "#/$defs/l"}}}},
            None,
            "apply to one another",
        ),
    ],
    ids=["values", "characters", "large number", "small number", "costly", "deep"],
)
async def test_a_result_that_is_too_large_to_be_checked_costs_a_warning_and_nothing_else(
    schema: Any, result: Any, why: str, caplog: Any
) -> None:
    work = note_on(schema, result or {"l": deep(150)})
    note, gap = await longest_gap(work)
    assert note is None
    assert gap < LONGEST_GAP
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert why in record.getMessage()


async def test_a_large_result_that_does_not_fit_is_said_not_to_without_a_place() -> None:
    schema = {"anyOf": [{"properties": {"l": {"items": {"type": kind}}}} for kind in ("string", "null")]}
    note, gap = await longest_gap(note_on(schema, {"l": [0] * 20_000}))
    assert note == "Tool 't' ran, but its structured result does not match the output schema it declares."
    assert gap < LONGEST_GAP


async def test_a_schema_that_refers_to_elsewhere_is_never_fetched() -> None:
    with HttpServer(McpScript()) as elsewhere:
        for keyword in ("$ref", "$dynamicRef", "$schema"):
            schema = {"properties": {"n": {keyword: f"{elsewhere.url}/schema"}}, keyword: f"{elsewhere.url}/schema"}
            assert await note_on(schema, {"n": 1}) is None
        hidden = {"$defs": {"n": {"$id": f"{elsewhere.url}/n", "$ref": "m"}}}
        assert await note_on(hidden, {"n": 1}) is None
        assert elsewhere.connections == 0


async def test_a_result_that_is_too_deep_does_not_spoil_the_check_of_those_that_are_not() -> None:
    schema = {"properties": {"l": {"$ref": "#/$defs/l"}}, "$defs": {"l": {"items": {"$ref": "#/$defs/l"}}}}
    schema["$defs"]["l"]["type"] = "array"  # type: ignore[index]
    depths = iter([150, 20, 150, 10])

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        innermost = 0
        for _ in range(next(depths)):
            innermost = [innermost]  # type: ignore[assignment]
        return {"content": [], "structuredContent": {"l": innermost}}

    tools = [{"name": "t", "inputSchema": {"type": "object"}, "outputSchema": schema}]
    with HttpServer(McpScript(tools=tools, handlers={"tools/call": answer})) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            assert [len(await tool.call_tool("t")) for _ in range(4)] == [1, 2, 1, 2]


async def test_results_are_delivered_where_the_validator_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert await note_on(ITEM, {"n": "one"}) is None
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "jsonschema_rs" in record.getMessage()


# How a result is sent for ...


async def test_meta_deadline_and_progress_reach_the_server_and_the_caller_as_before() -> None:
    seen: list[Any] = []

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        seen.append(params)
        return call(params["name"])

    def report(*arguments: Any) -> None:
        raise AssertionError(arguments)

    script = McpScript(handlers={"tools/list": answer_listing, "tools/call": answer})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url, progress_callback=report, request_timeout=5) as tool:
            await tool.call_tool("fits", _meta={"com.example/key": "value"}, _timeout=0)
    (params,) = seen
    assert params["_meta"]["com.example/key"] == "value"
    assert isinstance(params["_meta"]["progressToken"], int)


def test_every_tool_of_the_peer_has_a_result() -> None:
    assert {tool["name"] for tool in TOOLS} == set(RESULTS)
