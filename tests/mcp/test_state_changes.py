# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What ``on_state_change`` is told."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fault_servers import HttpServer, McpScript, unused_port

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPStateChange


def http_tool(url: str, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("remote", url, load_prompts=False, **options)


def steps(changes: list[MCPStateChange]) -> list[tuple[int, str, str]]:
    return [(change.generation, change.before, change.after) for change in changes]


async def test_every_change_is_told_in_order_with_its_generation() -> None:
    changes: list[MCPStateChange] = []
    script = McpScript()
    with HttpServer(script) as server:
        async with http_tool(server.url, on_state_change=changes.append) as tool:
            assert steps(changes) == [(1, "new", "connecting"), (1, "connecting", "ready")]
            script.live_sessions.clear()
            await tool.call_tool("echo")
    assert steps(changes) == [
        (1, "new", "connecting"),
        (1, "connecting", "ready"),
        (1, "ready", "closing"),
        (2, "new", "connecting"),
        (1, "closing", "closed"),
        (2, "connecting", "ready"),
        (2, "ready", "closing"),
        (2, "closing", "closed"),
    ] or steps(changes)[2:5] == [(1, "ready", "closing"), (1, "closing", "closed"), (2, "new", "connecting")]
    lost = changes[2]
    assert isinstance(lost.error, MCPConnectionError)
    assert lost.server in str(lost.error)
    assert "404" in str(lost.error)
    assert [change.error for change in changes if change is not lost] == [None] * (len(changes) - 1)


async def test_a_failed_dial_is_told_with_its_reason_and_no_secret() -> None:
    changes: list[MCPStateChange] = []
    url = f"http://user:hunter2@127.0.0.1:{unused_port()}/mcp?token=hunter2"
    with pytest.raises(MCPConnectionError):
        await http_tool(url, on_state_change=changes.append).connect()
    failed = changes[1]
    assert (failed.before, failed.after) == ("connecting", "closing")
    assert "connection refused" in str(failed.error)
    assert "hunter2" not in repr(changes)


async def test_a_callback_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def careless(change: MCPStateChange) -> None:
        raise ZeroDivisionError(change.after)

    with HttpServer(McpScript()) as server, caplog.at_level(logging.ERROR):
        async with http_tool(server.url, on_state_change=careless) as tool:
            assert await tool.call_tool("echo", text="fine")
    assert "on_state_change" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_the_state_is_the_new_one_when_the_callback_is_called() -> None:
    seen: list[tuple[str, bool]] = []
    with HttpServer(McpScript()) as server:
        tool = http_tool(server.url, on_state_change=lambda change: seen.append((change.after, tool.is_connected)))
        async with tool:
            pass
    assert seen == [("connecting", False), ("ready", True), ("closing", False), ("closed", False)]


def test_a_coroutine_function_is_refused_at_once() -> None:
    async def waits(change: MCPStateChange) -> None: ...

    with pytest.raises(TypeError, match="on_state_change"):
        http_tool("http://127.0.0.1:1/mcp", on_state_change=waits)  # type: ignore[arg-type]
