# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Which part of a result the model reads, and what goes past it to the host."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from fault_servers import HttpServer, McpScript

from agent_framework import Content, FunctionInvocationContext, MCPStreamableHTTPTool
from agent_framework._mcp import MCPToolError
from agent_framework._mcp_client import _results

RESULT = {"content": [{"type": "text", "text": "words"}], "structuredContent": {"n": 1}, "_meta": {"ifc": {"a": "b"}}}
CARRIES = hasattr(importlib.import_module("agent_framework._tools"), "_FunctionResultCarrier")


def answering(result: dict[str, Any]) -> McpScript:
    async def call(params: dict[str, Any]) -> dict[str, Any]:
        return result

    return McpScript(handlers={"tools/call": call})


@pytest.mark.parametrize(
    ("mode", "texts"),
    [
        ("both", ["words", '{"n": 1}']),
        ("content_first", ["words"]),
        ("content_only", ["words"]),
        ("structured_first", ['{"n": 1}']),
        ("structured_only", ['{"n": 1}']),
    ],
)
async def test_a_mode_chooses_what_the_model_reads(mode: Any, texts: list[str]) -> None:
    with HttpServer(answering(RESULT)) as server:
        async with MCPStreamableHTTPTool("script", server.url, tool_result_content=mode) as tool:
            assert [item.text for item in await tool.call_tool("echo")] == texts


@pytest.mark.parametrize(
    ("mode", "result", "texts"),
    [
        ("content_first", {"content": [], "structuredContent": {"n": 1}}, ['{"n": 1}']),
        ("structured_first", {"content": [{"type": "text", "text": "words"}]}, ["words"]),
        ("content_only", {"content": [], "structuredContent": {"n": 1}}, ["null"]),
        ("structured_only", {"content": [{"type": "text", "text": "words"}]}, ["null"]),
    ],
)
async def test_first_takes_the_other_part_where_there_is_only_that_one(
    mode: Any, result: dict[str, Any], texts: list[str]
) -> None:
    with HttpServer(answering(result)) as server:
        async with MCPStreamableHTTPTool("script", server.url, tool_result_content=mode) as tool:
            assert [item.text for item in await tool.call_tool("echo")] == texts


@pytest.mark.parametrize("options", [{"tool_result_content": "some"}, {"max_host_payload_size_bytes": 0}])
def test_what_is_no_mode_or_no_size_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        MCPStreamableHTTPTool("script", "http://127.0.0.1/mcp", **options)


async def test_the_meta_of_a_result_is_on_each_content() -> None:
    with HttpServer(answering(RESULT)) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            contents = await tool.call_tool("echo")
    assert [item.additional_properties["_meta"] for item in contents] == [{"ifc": {"a": "b"}}]


IMAGE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
LINK = {"type": "resource_link", "uri": "https://example.com/a", "name": "a"}


async def parsed(result: dict[str, Any], **options: Any) -> Any:
    with HttpServer(answering(result)) as server:
        async with MCPStreamableHTTPTool("script", server.url, **options) as tool:
            return await tool.call_tool("echo")


async def test_a_structured_result_is_read_once_unless_told_otherwise() -> None:
    words = json.dumps(RESULT["structuredContent"])
    contents = await parsed({"content": [{"type": "text", "text": words}], "structuredContent": {"n": 1}})
    assert [item.text for item in contents] == [words]


async def test_what_is_no_text_stays_beside_a_structured_result() -> None:
    contents = await parsed({**RESULT, "content": [IMAGE, *RESULT["content"], LINK]})
    assert [item.type for item in contents] == ["data", "uri", "text"]
    assert contents[-1].text == '{"n": 1}'


@pytest.mark.parametrize(
    ("content", "structured", "texts"),
    [
        (["line 1\nline 2"], {"result": "line 1\nline 2"}, ["line 1\nline 2"]),
        (["other words"], {"result": "words"}, ['{"result": "words"}']),
        (["1", "2"], {"result": [1, 2]}, ['{"result": [1, 2]}']),
        (["words"], {"result": "words", "more": 1}, ['{"result": "words", "more": 1}']),
        ([], {"result": None}, ['{"result": null}']),
    ],
)
async def test_a_string_that_a_server_wraps_into_an_object_is_read_as_it_is(
    content: list[str], structured: Any, texts: list[str]
) -> None:
    blocks = [{"type": "text", "text": text} for text in content]
    contents = await parsed({"content": blocks, "structuredContent": structured})
    assert [item.text for item in contents] == texts


async def test_a_result_of_links_only_is_not_empty_for_the_model() -> None:
    described = {**LINK, "uri": "https://example.com/b", "title": "B\nb", "description": "the other\x1b[2J one"}
    contents = await parsed({"content": [LINK, described]})
    assert [(item.type, item.uri) for item in contents[:2]] == [
        ("uri", "https://example.com/a"),
        ("uri", "https://example.com/b"),
    ]
    assert Content.from_function_result("1", result=contents).result == (
        "a: https://example.com/a\nB b: https://example.com/b (the other one)"
    )
    assert [item.type for item in await parsed({"content": [LINK, *RESULT["content"]]})] == ["uri", "text"]


async def message_of(result: dict[str, Any], **options: Any) -> str:
    with pytest.raises(MCPToolError) as caught:
        await parsed({**result, "isError": True}, **options)
    assert caught.value.sent is True
    return caught.value.text


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"content": [{"type": "text", "text": "no such file"}]}, "no such file"),
        ({"content": [], "structuredContent": {"code": 7}}, '{"code": 7}'),
        (RESULT, 'words\n{"n": 1}'),
        ({"content": [LINK]}, "a: https://example.com/a"),
    ],
)
async def test_a_failure_says_what_it_has(result: dict[str, Any], message: str) -> None:
    assert await message_of(result) == message


@pytest.mark.parametrize(
    ("content", "end"),
    [
        ([], "reports a failure without a text."),
        (
            [IMAGE] * 7,
            "reports a failure without a text. Its result holds: image, image, image, image, image and 2 more.",
        ),
        ([{"type": "text", "text": ""}], "reports a failure without a text. Its result holds: text."),
    ],
)
async def test_a_failure_without_a_text_says_so(content: list[dict[str, Any]], end: str) -> None:
    message = await message_of({"content": content})
    assert message.startswith("Tool 'echo' on MCP server 'script'")
    assert message.endswith(end)


@pytest.mark.parametrize(
    ("mode", "result", "message"),
    [
        ("structured_only", RESULT, '{"n": 1}'),
        ("content_only", RESULT, "words"),
        ("structured_only", {"content": [{"type": "text", "text": "words"}]}, "words"),
        ("content_only", {"content": [], "structuredContent": {"n": 1}}, '{"n": 1}'),
    ],
)
async def test_a_failure_says_something_in_every_mode(mode: Any, result: dict[str, Any], message: str) -> None:
    assert await message_of(result, tool_result_content=mode) == message


async def test_a_parser_that_finds_no_text_in_a_failure_does_not_make_it_mute() -> None:
    message = await message_of(RESULT, parse_tool_results=lambda result: "")
    assert message.endswith("reports a failure without a text. Its result holds: text, structured content.")


async def carried(server: HttpServer, **options: Any) -> Any:
    async with MCPStreamableHTTPTool("script", server.url, **options) as tool:
        function = tool.functions[0]
        context = FunctionInvocationContext(function=function, arguments={})
        await function.invoke(arguments={}, context=context)
        return context.metadata.get("_function_result_carrier")


async def test_a_host_that_carries_results_gets_the_whole_one() -> None:
    with HttpServer(answering(RESULT)) as server:
        carrier = await carried(server)
    if not CARRIES:
        assert carrier is None
        return
    assert carrier.additional_properties[_results.HOST_PAYLOAD_KEY] == {**RESULT, "isError": False}
    assert carrier.additional_properties["_meta"] == RESULT["_meta"]
    assert _results.HOST_PAYLOAD_KEY in carrier.exclusive_outer_keys


@pytest.mark.skipif(not CARRIES, reason="this host carries no results")
async def test_a_result_that_is_too_large_is_not_carried() -> None:
    with HttpServer(answering(RESULT)) as server:
        carrier = await carried(server, max_host_payload_size_bytes=20)
    assert _results.HOST_PAYLOAD_KEY not in carrier.additional_properties
