# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Progressive disclosure: a model sees loaders, and loads and unloads what it needs."""

from __future__ import annotations

from typing import Any

import pytest
from fault_servers import HttpServer, McpScript

from agent_framework import FunctionInvocationContext, FunctionTool, MCPStreamableHTTPTool
from agent_framework._mcp_client import _disclosure
from agent_framework.exceptions import ToolException

NAMES = ("read", "write", "erase")
LOADERS = ["list_mcp_tools", "load_tool", "unload_tool"]
CAN_CHANGE = hasattr(FunctionInvocationContext, "add_tools")


class Run(FunctionInvocationContext):
    """The context of a call in a run, on any host: with the run's tools, and ways to change them."""

    def __init__(self, tools: list[Any] | None) -> None:
        super().__init__(FunctionTool(name="x", func=lambda: None), {})
        self.tools = tools

    def add_tools(self, tools: Any) -> None:
        self.tools = [*(self.tools or []), *tools]

    def remove_tools(self, tools: Any) -> None:
        self.tools = [item for item in self.tools or [] if item.name not in tools]


@pytest.fixture(autouse=True)
def any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_disclosure, "check_host", lambda: None)


@pytest.fixture
def server() -> Any:
    tools = [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in NAMES]
    with HttpServer(McpScript(tools=tools)) as running:
        yield running


def disclosing(server: HttpServer, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("script", server.url, use_progressive_disclosure=True, **options)


def names(tools: Any) -> list[str]:
    return [item.name for item in tools]


async def use(tool: MCPStreamableHTTPTool, loader: str, run: Run, *wanted: str) -> Any:
    function = next(item for item in tool.functions if item.name.endswith(loader))
    arguments = {"tool": list(wanted)} if wanted else {}
    (content,) = await function.invoke(arguments=arguments, context=run)
    return content.text


def test_it_needs_loading_tools() -> None:
    with pytest.raises(ValueError, match="load_tools"):
        MCPStreamableHTTPTool("x", "http://127.0.0.1/mcp", use_progressive_disclosure=True, load_tools=False)


def test_a_host_without_live_tools_refuses_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if CAN_CHANGE:
        _disclosure.check_host()
        return
    with pytest.raises(NotImplementedError, match="use_progressive_disclosure"):
        MCPStreamableHTTPTool("x", "http://127.0.0.1/mcp", use_progressive_disclosure=True)


async def test_loaders_leave_out_what_they_do_not_declare(server: HttpServer) -> None:
    async with disclosing(server) as tool:
        list_tools, load, unload = tool.functions
        run = Run(list(tool.functions))
        given = {"ctx": 1, "query": "x", "tool": "read"}
        assert '"read"' in (await list_tools.invoke(arguments=given, context=run))[0].text
        assert "is loaded" in (await load.invoke(arguments=given, context=run))[0].text
        assert "is unloaded" in (await unload.invoke(arguments=given, context=run))[0].text


async def test_a_model_sees_the_loaders_and_what_is_always_there(server: HttpServer) -> None:
    async with disclosing(server, always_load=["read"]) as tool:
        assert names(tool.functions) == [*LOADERS, "read"]
        assert tool.functions[0] is tool.functions[0]


async def test_loaders_take_the_prefix(server: HttpServer) -> None:
    async with disclosing(server, tool_name_prefix="fs") as tool:
        assert names(tool.functions) == [f"fs_{name}" for name in LOADERS]


async def test_listing_shows_only_what_is_allowed(server: HttpServer) -> None:
    async with disclosing(server, allowed_tools=["read", "write"]) as tool:
        listed = await use(tool, "list_mcp_tools", Run([]))
    assert [f'"{name}"' in listed for name in NAMES] == [True, True, False]


async def test_loading_and_unloading_changes_the_run_and_later_runs(server: HttpServer) -> None:
    async with disclosing(server) as tool:
        run = Run(list(tool.functions))
        assert "is loaded" in await use(tool, "load_tool", run, "read", "write")
        assert names(run.tools) == names(tool.functions) == [*LOADERS, "read", "write"]
        assert "loaded already" in await use(tool, "load_tool", run, "read")
        assert "is unloaded" in await use(tool, "unload_tool", run, "read")
        assert names(run.tools) == names(tool.functions) == [*LOADERS, "write"]
        assert "is not loaded" in await use(tool, "unload_tool", run, "read")


async def test_each_name_gets_a_line_of_its_own(server: HttpServer) -> None:
    async with disclosing(server, always_load=["read"], allowed_tools=["read", "write"]) as tool:
        run = Run(list(tool.functions))
        lines = (await use(tool, "load_tool", run, "write", "erase", "read")).splitlines()
        assert ["loaded" in line for line in lines] == [True, False, True]
        assert "stays" in await use(tool, "unload_tool", run, "read")
        assert names(run.tools) == [*LOADERS, "read", "write"]


async def test_a_tool_named_like_a_loader_is_not_shown(server: HttpServer) -> None:
    server.behaviour.tools.append({"name": "load_tool", "inputSchema": {"type": "object"}})  # type: ignore[attr-defined]
    async with disclosing(server, always_load=["load_tool"]) as tool:
        assert names(tool.functions) == LOADERS
        assert "tool_name_prefix" in await use(tool, "load_tool", Run([]), "load_tool")


async def test_loading_outside_a_run_fails(server: HttpServer) -> None:
    async with disclosing(server) as tool:
        with pytest.raises(ToolException, match="run"):
            await use(tool, "load_tool", Run(None), "read")


async def test_what_is_loaded_keeps_its_approval(server: HttpServer) -> None:
    approval: Any = {"always_require_approval": ["erase"]}
    async with disclosing(server, approval_mode=approval) as tool:
        run = Run([])
        await use(tool, "load_tool", run, "erase")
    assert [item.approval_mode for item in run.tools or []] == ["always_require"]


@pytest.mark.skipif(not CAN_CHANGE, reason="this host cannot change the tools of a run")
async def test_the_hosts_own_context_takes_what_is_loaded(server: HttpServer) -> None:
    async with disclosing(server) as tool:
        live: list[Any] = list(tool.functions)
        context: Any = FunctionInvocationContext(function=tool.functions[1], arguments={}, tools=live)  # type: ignore[call-arg,unused-ignore]
        await tool.functions[1].invoke(arguments={"tool": "read"}, context=context)
        assert names(live) == [*LOADERS, "read"]
