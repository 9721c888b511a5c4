# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Which part of a result the model reads, and what goes past it to the host."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from fault_servers import HttpServer, McpScript

from agent_framework import FunctionInvocationContext, MCPStreamableHTTPTool
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
    assert [item.additional_properties["_meta"] for item in contents] == [{"ifc": {"a": "b"}}] * 2


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
