# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Cancellation: it reaches exactly those who were cancelled, at once, and leaves nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from fault_servers import ANYIO_LOSES_SOCKETS, BOUND, HttpServer, McpScript, never

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPTimeoutError, MCPTool

PEER = str(Path(__file__).with_name("stdio_peer.py"))
AT_ONCE = 1.0  # seconds; what is measured takes some milliseconds, a busy machine adds to it


@pytest.fixture(params=["http", "stdio", "stubborn"])
def silent(request: pytest.FixtureRequest) -> Any:
    """A tool whose server takes everything and answers nothing."""
    if request.param == "http":
        with HttpServer(never) as server:
            yield MCPStreamableHTTPTool("silent", server.url)
    else:
        peer = {"stdio": "silent", "stubborn": "stubborn"}[request.param]
        yield MCPStdioTool("silent", sys.executable, args=[PEER, peer])


async def dialing(tool: MCPTool) -> asyncio.Task[None]:
    """A task that is connecting, and far enough to have a transport."""
    task = asyncio.create_task(tool.connect())
    while tool._lifecycle_owner_task is None:  # no event says so; it takes a few turns of the loop
        await asyncio.sleep(0)
    done, _ = await asyncio.wait({task}, timeout=0.3)
    assert not done
    return task


async def test_cancelling_connect_gives_cancelled_error_at_once(silent: MCPTool) -> None:
    task = await dialing(silent)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < AT_ONCE
    assert task.cancelled()
    assert not silent.is_connected
    assert len(asyncio.all_tasks()) == 1


async def test_wait_for_on_connect_gives_its_timeout_error_at_once(silent: MCPTool) -> None:
    started = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(silent.connect(), 0.3)
    assert time.monotonic() - started < 0.3 + AT_ONCE
    assert len(asyncio.all_tasks()) == 1


async def test_fail_after_around_connect_gives_its_timeout_error_at_once(silent: MCPTool) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        with anyio.fail_after(0.3):
            await silent.connect()
    assert not isinstance(caught.value, MCPTimeoutError)
    assert time.monotonic() - started < 0.3 + AT_ONCE


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and Task.cancelling came with Python 3.11")
async def test_timeout_around_async_with_leaves_no_cancellation_pending(silent: MCPTool) -> None:
    async def use() -> None:
        async with asyncio.timeout(0.3), silent:
            raise AssertionError

    with pytest.raises(TimeoutError):
        await use()
    task: Any = asyncio.current_task()
    assert task.cancelling() == 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup came with Python 3.11")
async def test_a_failing_sibling_in_a_task_group_cancels_connect(silent: MCPTool) -> None:
    async def fail_soon() -> None:
        await asyncio.sleep(0.2)
        raise KeyError("sibling")

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(silent.connect())
            tasks.create_task(fail_soon())

    with pytest.raises(ExceptionGroup) as caught:  # noqa: F821
        await both()
    assert [type(error) for error in caught.value.exceptions] == [KeyError]
    assert not silent.is_connected


async def test_one_of_two_callers_may_leave_without_harm_to_the_other() -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(McpScript):
        async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(release.wait(), loop))
            return await super().initialize(params)

    with HttpServer(Slow()) as server:
        tool = MCPStreamableHTTPTool("slow", server.url)
        first, second = (asyncio.create_task(tool.connect()) for _ in range(2))
        await server.arrived("initialize")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        release.set()
        await asyncio.wait_for(second, BOUND)
        assert server.names.count("initialize") == 1
        assert tool.is_connected
        await tool.close()


async def test_after_a_cancelled_connect_the_object_connects(silent: MCPTool) -> None:
    task = await dialing(silent)
    task.cancel()
    await asyncio.wait({task})
    with HttpServer(McpScript()) as server:
        if isinstance(silent, MCPStreamableHTTPTool):
            silent.url = server.url
        else:
            silent.args[-1] = "good"  # type: ignore[attr-defined]
        async with silent:
            assert silent.is_connected


async def test_a_cancelled_listing_takes_the_attempt_down() -> None:
    async def stall(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with HttpServer(McpScript(handlers={"tools/list": stall})) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        task = asyncio.create_task(tool.connect())
        await server.arrived("tools/list")
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < AT_ONCE
        assert not tool.is_connected


@pytest.mark.parametrize("events", [False, True])
async def test_a_cancelled_call_is_told_to_the_server_and_costs_nobody_else(events: bool) -> None:
    class Script(McpScript):
        async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
            if params["name"] == "stall":
                await asyncio.Event().wait()
            return await super().call_tool(params)

    with HttpServer(Script(events=events)) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            stalled = asyncio.create_task(tool.call_tool("stall"))
            request = (await server.arrived("tools/call")).message
            stalled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stalled
            notice = (await server.arrived("notifications/cancelled")).message
            assert notice["params"]["requestId"] == request["id"]
            assert (await tool.call_tool("echo"))[0].text == "{}"
            assert server.names.count("initialize") == 1


async def test_a_call_that_is_too_slow_is_a_timeout_error_and_told_to_the_server() -> None:
    with HttpServer(McpScript(handlers={"tools/call": _stall})) as server:
        async with MCPStreamableHTTPTool("script", server.url, request_timeout=1) as tool:
            with pytest.raises(TimeoutError, match="no answer within 1 s") as caught:
                await tool.call_tool("echo")
            assert isinstance(caught.value, MCPTimeoutError)
            assert (caught.value.sent, caught.value.timeout, caught.value.phase) == (True, 1, "call")
            await server.arrived("notifications/cancelled")


async def test_a_cancelled_owner_cancels_nobody_else() -> None:
    with HttpServer(McpScript(handlers={"tools/call": _stall})) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        await tool.connect()
        call = asyncio.create_task(tool.call_tool("echo"))
        await server.arrived("tools/call")
        owner = tool._lifecycle_owner_task
        assert owner is not None
        owner.cancel()
        with pytest.raises(MCPConnectionError, match="cancelled"):
            await asyncio.wait_for(call, BOUND)
        assert not tool.is_connected
        await tool.connect()
        assert tool.is_connected
        await tool.close()


@pytest.mark.skipif(ANYIO_LOSES_SOCKETS, reason="anyio before 4.16 loses the socket of a cancelled connect")
@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_an_owner_that_is_cancelled_while_dialing_fails_the_dial(turns: int) -> None:
    with HttpServer(never) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        dial = asyncio.create_task(tool.connect())
        while tool._lifecycle_owner_task is None:  # as above
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        tool._lifecycle_owner_task.cancel()
        with pytest.raises(MCPConnectionError, match="cancelled"):
            await asyncio.wait_for(dial, BOUND)


async def test_a_cancelled_close_still_closes() -> None:
    with HttpServer(McpScript()) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        await tool.connect()
        closing = asyncio.create_task(tool.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        await server.arrived("DELETE")
        await asyncio.wait_for(tool.close(), BOUND)
        assert len(asyncio.all_tasks()) == 1


async def _stall(params: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError
