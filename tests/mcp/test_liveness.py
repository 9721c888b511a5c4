# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The optional check that a silent server is alive: only while calls wait, and any sign of life counts."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, Exchange, HttpServer, McpScript, RpcError, freeze, never

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError

PEER = str(Path(__file__).with_name("bad_peer.py"))
INTERVAL = 0.2  # seconds
DONE = {"type": "text", "text": "done"}


class Slow(McpScript):
    """Answers calls when `release` is set, and everything else at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.release = asyncio.Event()

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        await self.release.wait()
        return await super().call_tool(params)


def text(content: Any) -> str:
    (item,) = content
    return str(item.text)


def http_tool(server: HttpServer, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("remote", server.url, load_prompts=False, **options)


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
async def test_calls_on_a_server_that_falls_silent_end_by_name_and_the_next_one_works(events: bool) -> None:
    script = Slow(events=events)
    with HttpServer(script) as server:
        async with http_tool(server, ping_interval=INTERVAL) as tool:
            calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(3)]
            await server.arrived("tools/call", 3)
            server.behaviour = never
            started = time.monotonic()
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND)
            assert time.monotonic() - started >= INTERVAL
            for outcome in outcomes:
                assert isinstance(outcome, MCPConnectionError)
                assert outcome.sent is True
                assert "no sign of life" in str(outcome)
                assert "ping_interval" in str(outcome)
            assert not tool.is_connected
            server.behaviour = McpScript()
            assert await tool.call_tool("echo", text="again")


@pytest.mark.parametrize("answers_ping", [True, False], ids=["ping", "error for ping"])
async def test_a_server_that_answers_pings_may_take_its_time(answers_ping: bool) -> None:
    async def refuse(params: dict[str, Any]) -> dict[str, Any]:
        raise RpcError(-32601, "Method not found")

    script = Slow(handlers={} if answers_ping else {"ping": refuse})
    with HttpServer(script) as server:
        async with http_tool(server, ping_interval=INTERVAL) as tool:
            call = asyncio.create_task(tool.call_tool("echo", text="late"))
            await server.arrived("ping", 4)
            server._loop.call_soon_threadsafe(script.release.set)
            assert await asyncio.wait_for(call, BOUND)
            assert tool.is_connected


async def test_progress_is_a_sign_of_life_and_needs_no_ping() -> None:
    async def work(exchange: Exchange) -> object:
        message = exchange.message or {}
        if message.get("method") != "tools/call":
            return await script(exchange)
        await exchange.start_events()
        for step in range(10):
            params = {"progressToken": message["params"]["_meta"]["progressToken"], "progress": step}
            await exchange.send_event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
            await asyncio.sleep(INTERVAL / 4)
        await exchange.send_event({"jsonrpc": "2.0", "id": message["id"], "result": {"content": [DONE]}})
        return None

    script = McpScript()
    with HttpServer(work) as server:
        async with http_tool(server, ping_interval=2 * INTERVAL, progress_callback=lambda *step: None) as tool:
            assert text(await tool.call_tool("echo")) == "done"
            assert "ping" not in server.names


async def test_nobody_is_pinged_while_no_call_waits() -> None:
    script = Slow()
    with HttpServer(script) as server:
        async with http_tool(server, ping_interval=0.05) as tool:
            script.release.set()
            await tool.call_tool("echo")
            await asyncio.sleep(0.3)
            await tool.call_tool("echo")  # after a silence that was nobody's fault
            assert "ping" not in server.names
            assert tool.is_connected


async def test_nobody_is_pinged_unless_asked_for() -> None:
    script = Slow()
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            call = asyncio.create_task(tool.call_tool("echo"))
            await server.arrived("tools/call")
            await asyncio.sleep(0.3)
            server._loop.call_soon_threadsafe(script.release.set)
            await asyncio.wait_for(call, BOUND)
            assert "ping" not in server.names


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
async def test_a_frozen_child_process_is_found_out_and_replaced() -> None:
    tool = MCPStdioTool("child", sys.executable, args=[PEER], load_prompts=False, ping_interval=INTERVAL)
    async with tool:
        child = int(text(await tool.call_tool("pid")))
        call = asyncio.create_task(tool.call_tool("hang"))
        freeze(child)
        with pytest.raises(MCPConnectionError, match="no sign of life") as caught:
            await asyncio.wait_for(call, BOUND)
        assert caught.value.sent is True
        assert await asyncio.wait_for(tool.call_tool("echo", text="new"), 2 * BOUND)


@pytest.mark.parametrize("bad", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused_at_once(bad: float) -> None:
    with pytest.raises(ValueError, match="ping_interval"):
        MCPStdioTool("child", "true", ping_interval=bad)
