# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The function objects of a server: hosts label them when they are made, and a listing does not take labels off."""

from __future__ import annotations

from typing import Any

from fault_servers import HttpServer, McpScript
from sdk_names import field

from agent_framework import FunctionInvocationContext, MCPStreamableHTTPTool


async def test_a_host_sees_each_function_and_its_annotations_before_anybody_else() -> None:
    tools = [{"name": "echo", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]
    with HttpServer(McpScript(tools=tools)) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        seen: list[tuple[str, Any, bool]] = []
        tool._function_load_callback = lambda function, annotations: seen.append(
            (function.name, field(annotations, "readOnlyHint"), function in tool.functions)
        )
        await tool.connect()
        await tool.load_tools()
        await tool.close()
    assert seen == [("echo", True, False)] * 2


async def test_a_function_that_is_listed_as_before_stays_the_same_object() -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            before = tool.functions
            before[0].additional_properties["label"] = "secret"
            await tool.load_tools()
            assert tool.functions[0] is before[0]


async def test_a_function_that_changes_keeps_what_was_put_on_it() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            tool.functions[0].additional_properties["label"] = "secret"
            script.tools = [{**script.tools[0], "description": "harmless"}]
            await tool.load_tools()
            (changed,) = tool.functions
            assert (changed.description, changed.additional_properties["label"]) == ("harmless", "secret")


async def test_a_prompt_gets_headers_of_the_run_and_no_values_of_it() -> None:
    class Prompting(McpScript):
        async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
            answer = await super().initialize(params)
            return {**answer, "capabilities": {"prompts": {}}}

    async def list_prompts(params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": [{"name": "greet", "arguments": [{"name": "who"}]}]}

    async def get_prompt(params: dict[str, Any]) -> dict[str, Any]:
        text = {"type": "text", "text": f"hello {params['arguments']}"}
        return {"messages": [{"role": "user", "content": text}]}

    handlers = {"prompts/list": list_prompts, "prompts/get": get_prompt}
    with HttpServer(Prompting(handlers=handlers)) as server:
        async with MCPStreamableHTTPTool(
            "script", server.url, header_provider=lambda values: {"x-user": values["user"]}
        ) as tool:
            (function,) = tool.functions
            context = FunctionInvocationContext(function=function, arguments={}, kwargs={"user": "u-1"})
            (content,) = await function.invoke(arguments={"who": "you"}, context=context)
        assert content.text == "hello {'who': 'you'}"
        assert server.wait_for("prompts/get").headers["x-user"] == "u-1"
