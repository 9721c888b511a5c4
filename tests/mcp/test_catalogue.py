# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a server offers, as an agent sees it: names, permission, approval, schemas, and how it follows changes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPProtocolError
from agent_framework.exceptions import ToolException

OBJECT = {"type": "object", "properties": {}}
CHANGED = {"method": "notifications/tools/list_changed"}


def tools(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "inputSchema": OBJECT} for name in names]


def http_tool(server: HttpServer, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("script", server.url, **options)


def names(tool: MCPStreamableHTTPTool) -> list[str]:
    return [function.name for function in tool.functions]


class Prompts(McpScript):
    """Offers a tool and prompts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.prompts: list[dict[str, Any]] = [
            {
                "name": "greet/formally",
                "description": "A greeting.",
                "arguments": [{"name": "who", "required": True}, {"name": "tone", "description": "How."}],
            }
        ]
        self.handlers["prompts/list"] = self.list_prompts
        self.handlers["prompts/get"] = self.get_prompt

    async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        answer = await super().initialize(params)
        answer["capabilities"]["prompts"] = {"listChanged": True}
        return answer

    async def list_prompts(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": self.prompts}

    async def get_prompt(self, params: dict[str, Any]) -> dict[str, Any]:
        text = f"{params['name']} {sorted((params.get('arguments') or {}).items())}"
        return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}


@pytest.mark.parametrize(
    ("prefix", "exposed"),
    [
        (None, ["read-file", "_hidden", "a.b-c"]),
        ("fs", ["fs_read-file", "fs_hidden", "fs_a.b-c"]),
        ("my fs!--", ["my-fs_read-file", "my-fs_hidden", "my-fs_a.b-c"]),
        ("---", ["read-file", "_hidden", "a.b-c"]),
    ],
)
async def test_names_are_normalised_and_prefixed_and_the_server_hears_its_own(
    prefix: str | None, exposed: list[str]
) -> None:
    script = McpScript(tools=tools("read/file", "_hidden", "a.b-c"))
    with HttpServer(script) as server:
        async with http_tool(server, tool_name_prefix=prefix) as tool:
            assert names(tool) == exposed
            await tool.functions[0].invoke(arguments={})
            assert server.exchanges[-1].message["params"]["name"] == "read/file"  # type: ignore[index]


@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        (None, ["fs_read-file", "fs_write"]),
        ([], []),
        (["read/file"], ["fs_read-file"]),
        (["fs_write"], ["fs_write"]),
        (["read-file"], []),
    ],
)
async def test_allowed_tools_go_by_exposed_and_remote_name(allowed: list[str] | None, left: list[str]) -> None:
    with HttpServer(McpScript(tools=tools("read/file", "write"))) as server:
        async with http_tool(server, tool_name_prefix="fs", allowed_tools=allowed) as tool:
            assert names(tool) == left
            assert len(tool._functions) == 2


@pytest.mark.parametrize(
    ("mode", "needed"),
    [
        (None, ["never_require", "never_require"]),
        ("always_require", ["always_require", "always_require"]),
        ({"always_require_approval": ["read/file"]}, ["always_require", "never_require"]),
        (
            {"always_require_approval": ["read/file"], "never_require_approval": ["read/file", "write"]},
            ["always_require", "never_require"],
        ),
        ({"always_require_approval": ["other"]}, ["never_require", "never_require"]),
    ],
)
async def test_approval_is_asked_for_by_mode_and_by_name(mode: Any, needed: list[str]) -> None:
    with HttpServer(McpScript(tools=tools("read/file", "write"))) as server:
        async with http_tool(server, approval_mode=mode) as tool:
            assert [function.approval_mode for function in tool.functions] == needed


async def test_two_remote_tools_with_one_local_name_are_refused() -> None:
    with HttpServer(McpScript(tools=tools("a/b", "a b"))) as server:
        with pytest.raises(MCPProtocolError, match="'a/b' and 'a b'"):
            await http_tool(server).connect()


async def test_a_tool_that_is_listed_twice_is_one() -> None:
    with HttpServer(McpScript(tools=tools("a", "b", "a"))) as server:
        async with http_tool(server) as tool:
            assert names(tool) == ["a", "b"]


async def test_a_prompt_yields_to_a_tool_of_the_same_name() -> None:
    script = Prompts(tools=tools("greet-formally"))
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            assert names(tool) == ["greet-formally"]


BAD = [
    ({"name": "bad", "inputSchema": "no schema"}, "inputSchema"),
    ({"name": "bad", "inputSchema": ["nonsense"]}, "inputSchema"),
    ({"name": "bad"}, "inputSchema"),
    ({"name": "bad", "inputSchema": {"type": "string"}}, "not of type object"),
    ({"name": "bad", "inputSchema": {"type": "object", "properties": ["x"]}}, "not an object"),
    ({"name": "bad", "inputSchema": {"type": "object", "properties": {"x": 1}}}, "not a schema"),
    ({"name": "bad", "inputSchema": {"type": "object", "required": "x"}}, "list of names"),
    ("no object at all", "valid dictionary"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[str(number) for number in range(len(BAD))])
async def test_a_tool_that_cannot_be_used_is_named_and_costs_no_other(
    bad: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpServer(McpScript(tools=[*tools("first"), bad, *tools("last")])) as server:
        async with http_tool(server) as tool:
            assert names(tool) == ["first", "last"]
            assert (await tool.call_tool("last"))[0].text == "{}"  # type: ignore[union-attr]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert reason in warnings[0]
    assert server.url in warnings[0]


@pytest.mark.parametrize(
    ("given", "offered"),
    [
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"type": "object", "properties": None}, {"type": "object", "properties": {}}),
        ({}, {}),
        (None, {"type": "object", "properties": {}}),
        (
            {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "string"}}},
            {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "string"}}},
        ),
    ],
)
async def test_a_schema_is_offered_as_it_is_but_for_missing_properties(given: Any, offered: dict[str, Any]) -> None:
    with HttpServer(McpScript(tools=[{"name": "tool", "inputSchema": given}])) as server:
        async with http_tool(server) as tool:
            assert tool.functions[0].parameters() == offered


async def test_prompts_are_functions_with_text_parameters() -> None:
    with HttpServer(Prompts()) as server:
        async with http_tool(server, tool_name_prefix="p") as tool:
            prompt = next(function for function in tool.functions if function.name == "p_greet-formally")
            assert prompt.parameters() == {
                "type": "object",
                "properties": {
                    "who": {"type": "string", "description": None},
                    "tone": {"type": "string", "description": "How."},
                },
                "required": ["who"],
            }
            contents = await prompt.invoke(arguments={"who": "Ada"})
            assert contents[0].text == "greet/formally [('who', 'Ada')]"


async def test_a_prompt_gets_its_declared_arguments_as_text_and_nothing_else() -> None:
    with HttpServer(Prompts()) as server:
        async with http_tool(server) as tool:
            await tool.get_prompt("greet/formally", who="Ada", tone=3, session="secret", token="secret")
            sent = server.exchanges[-1].message["params"]["arguments"]  # type: ignore[index]
            assert sent == {"who": "Ada", "tone": "3"}


async def test_switched_off_kinds_are_neither_listed_nor_callable() -> None:
    with HttpServer(Prompts()) as server:
        async with http_tool(server, load_tools=False, load_prompts=False) as tool:
            assert tool.functions == []
            with pytest.raises(ToolException, match="load_tools=True"):
                await tool.call_tool("echo")
            with pytest.raises(ToolException, match="load_prompts=True"):
                await tool.get_prompt("greet/formally")
        assert not {"tools/list", "prompts/list", "tools/call"} & set(server.names)


class Changing(McpScript):
    """Can be told to announce that its tools have changed; answers a listing when it is let."""

    def __init__(self, **options: Any) -> None:
        super().__init__(standing_stream=True, **options)
        self.let = asyncio.Event()
        self.let.set()
        self.at_once = self.most_at_once = 0

    async def list_tools(self, params: dict[str, Any]) -> dict[str, Any]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await self.let.wait()
        self.at_once -= 1
        return await super().list_tools(params)

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        for _ in range((params.get("arguments") or {}).get("times", 0)):
            await self.push(CHANGED)
        return await super().call_tool(params)


async def listed(tool: MCPStreamableHTTPTool, expected: list[str]) -> None:
    async def wait() -> None:
        while names(tool) != expected:
            await asyncio.sleep(0.01)  # a list has no event; the bound is around it

    await asyncio.wait_for(wait(), BOUND)


async def test_an_announced_change_replaces_the_list() -> None:
    script = Changing(
        tools=[{"name": "old", "inputSchema": OBJECT}, {"name": "same", "inputSchema": {"type": "object"}}]
    )
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            await server.arrived("GET")
            changed = {"type": "object", "properties": {"x": {"type": "string"}}}
            script.tools = [{"name": "same", "inputSchema": changed}, {"name": "new", "inputSchema": OBJECT}]
            await tool.call_tool("same", times=1)
            await listed(tool, ["same", "new"])
            assert tool.functions[0].parameters() == changed


async def test_a_storm_of_announcements_costs_few_listings_and_blocks_no_call() -> None:
    script = Changing(tools=[{"name": "same", "inputSchema": {"type": "object"}}])
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            await server.arrived("GET")
            server._loop.call_soon_threadsafe(script.let.clear)
            await asyncio.wait_for(tool.call_tool("same", times=300), BOUND)
            await server.arrived("tools/list", 2)
            await asyncio.wait_for(tool.call_tool("same", times=300), BOUND)
            script.tools = tools("new")
            server._loop.call_soon_threadsafe(script.let.set)
            await listed(tool, ["new"])
            assert script.most_at_once == 1
            assert server.names.count("tools/list") < 60


async def test_a_failed_reload_keeps_the_list_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    script = Changing(tools=[{"name": "same", "inputSchema": {"type": "object"}}])
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            await server.arrived("GET")
            script.tools = "broken"  # type: ignore[assignment]
            await tool.call_tool("same", times=1)
            await server.arrived("tools/list", 2)

            async def warned() -> None:
                while not any("Background MCP reload failed" in record.message for record in caplog.records):
                    await asyncio.sleep(0.01)  # a log has no event; the bound is around it

            await asyncio.wait_for(warned(), BOUND)
            assert names(tool) == ["same"]
            assert tool.is_connected


async def test_loads_at_the_same_time_register_each_tool_once() -> None:
    with HttpServer(Prompts(tools=tools("a", "b"))) as server:
        async with http_tool(server) as tool:
            loads = [tool.load_tools() for _ in range(5)] + [tool.load_prompts() for _ in range(5)]
            await asyncio.wait_for(asyncio.gather(*loads), BOUND)
            assert names(tool) in (["a", "b", "greet-formally"], ["greet-formally", "a", "b"])


async def test_after_a_loss_the_list_follows_the_server_that_came_back() -> None:
    script = McpScript(tools=tools("old", "same"))
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            script.live_sessions.clear()
            script.tools = tools("same", "new")
            await tool.call_tool("same")
            await listed(tool, ["same", "new"])
            assert server.names.count("initialize") == 2


@pytest.mark.parametrize(("level", "sent"), [(logging.DEBUG, "debug"), (logging.WARNING, "warning"), (25, "warning")])
async def test_the_loggers_own_level_is_asked_for_where_logging_is_offered(level: int, sent: str) -> None:
    class Logging(McpScript):
        async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
            answer = await super().initialize(params)
            answer["capabilities"]["logging"] = {}
            return answer

        async def set_level(self, params: dict[str, Any]) -> dict[str, Any]:
            return {}

    script = Logging()
    script.handlers["logging/setLevel"] = script.set_level
    logger = logging.getLogger("agent_framework._mcp")
    logger.setLevel(level)
    try:
        with HttpServer(script) as server:
            async with http_tool(server):
                asked = [exchange.message for exchange in server.exchanges if exchange.name == "logging/setLevel"]
                assert [message["params"]["level"] for message in asked if message] == [sent]
    finally:
        logger.setLevel(logging.NOTSET)
