# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A server that stays away: every call fails soon and by name, few dials are made, and the first call after its return
works."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest
from fault_servers import BOUND, Behaviour, Exchange, HttpServer, McpScript, never

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPServerError, MCPStateChange, MCPTimeoutError
from agent_framework._mcp_client import _outage
from agent_framework._mcp_client._outage import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, Outage

SOON = PATIENCE + 0.8  # seconds; what a call may take in an outage, on a machine with other work


async def unavailable(exchange: Exchange) -> None:
    await exchange.answer(503, "back soon")


def dials(server: HttpServer, since: int = 0) -> int:
    return server.names[since:].count("initialize")


async def lose(tool: MCPStreamableHTTPTool, server: HttpServer) -> None:
    """Has the tool find out that the server is away."""
    with pytest.raises(MCPServerError):
        await tool.call_tool("echo")
    tool.is_connected = False  # a 503 alone is no reason to give a session up
    with pytest.raises((MCPServerError, MCPConnectionError)):
        await tool.connect()


async def test_many_impatient_callers_make_few_dials_and_each_gets_the_reason() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("far", server.url, load_prompts=False) as tool:
            server.behaviour = unavailable
            await lose(tool, server)
            before, begun = len(server.exchanges), time.monotonic()

            async def insist() -> int:
                errors = 0
                while time.monotonic() - begun < 2:
                    started = time.monotonic()
                    with pytest.raises(MCPServerError, match="503") as caught:
                        await tool.call_tool("echo")
                    assert caught.value.sent is False
                    assert time.monotonic() - started < SOON
                    errors += 1
                return errors

            errors = await asyncio.gather(*(insist() for _ in range(20)))
            assert sum(errors) >= 20
            allowed = 4 + (time.monotonic() - begun) / LONGEST_PAUSE
            assert dials(server, before) <= allowed

            server.behaviour = script
            assert await tool.call_tool("echo", text="back")
            assert tool.is_connected


async def test_nothing_is_dialled_while_nobody_calls() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("far", server.url, load_prompts=False) as tool:
            server.behaviour = unavailable
            await lose(tool, server)
            before = len(server.exchanges)
            await asyncio.sleep(3 * LONGEST_PAUSE)
            assert dials(server, before) == 0


async def test_a_server_that_accepts_and_never_answers_costs_its_deadline_once() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("deaf", server.url, load_prompts=False, connect_timeout=4) as tool:
            await fall_silent(tool, server, script)
            before = dials(server)
            for _ in range(2):
                started = time.monotonic()
                with pytest.raises(MCPTimeoutError, match="goes on by itself") as caught:
                    await tool.call_tool("echo")
                assert caught.value.sent is False
                assert caught.value.timeout == PATIENCE
                assert time.monotonic() - started < SOON
            assert dials(server) - before == 1

            server.behaviour = script
            server.drop_connections()  # the dial that hangs fails now, and the next call's succeeds
            assert await tool.call_tool("echo", text="back")


def silent_at_the_handshake(script: McpScript) -> Behaviour:
    async def behave(exchange: Exchange) -> object:
        return await (never if exchange.name == "initialize" else script)(exchange)

    return behave


async def fall_silent(tool: MCPStreamableHTTPTool, server: HttpServer, script: McpScript) -> None:
    """Has the tool find out that the server answers no handshake any more."""
    script.live_sessions.clear()
    server.behaviour = silent_at_the_handshake(script)
    tool.connect_timeout = 0.3
    with pytest.raises(MCPTimeoutError, match="connect_timeout"):
        await tool.call_tool("echo")
    tool.connect_timeout = 20


async def test_a_dial_that_nobody_has_patience_for_is_there_for_the_next_call() -> None:
    script, answering = McpScript(), asyncio.Event()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("slow", server.url, load_prompts=False) as tool:
            await fall_silent(tool, server, script)

            async def late(exchange: Exchange) -> object:
                if exchange.name == "initialize":
                    await answering.wait()
                return await script(exchange)

            server.behaviour = late
            with pytest.raises(MCPTimeoutError, match="goes on by itself"):
                await tool.call_tool("echo")
            before = dials(server)
            server._loop.call_soon_threadsafe(answering.set)
            assert await asyncio.wait_for(tool.call_tool("echo", text="here"), BOUND)
            assert dials(server) == before
            await server.arrived("tools/list", 2)  # what came back may offer something else


async def test_close_ends_a_dial_that_goes_on_by_itself() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("slow", server.url, load_prompts=False)
        await tool.connect()
        await fall_silent(tool, server, script)
        with pytest.raises(MCPTimeoutError, match="goes on by itself"):
            await tool.call_tool("echo")
        await asyncio.wait_for(tool.close(), BOUND)
        with pytest.raises(MCPConnectionError, match="not connected"):
            await tool.call_tool("echo")


async def test_a_tool_that_is_closed_as_its_dial_fails_is_not_dialled_again() -> None:
    script, closings = McpScript(), list[asyncio.Task[None]]()

    def close_at_once(change: MCPStateChange) -> None:
        if change.generation == 3 and change.after == "closing":
            closings.append(asyncio.create_task(tool.close()))

    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("slow", server.url, load_prompts=False, on_state_change=close_at_once)
        await tool.connect()
        await fall_silent(tool, server, script)
        with pytest.raises(MCPTimeoutError, match="goes on by itself"):
            await tool.call_tool("echo")
        call, before = asyncio.create_task(tool.call_tool("echo")), dials(server)
        await asyncio.sleep(0)
        server.behaviour = script
        server.drop_connections()
        with pytest.raises(MCPConnectionError):
            await asyncio.wait_for(call, BOUND)
        await asyncio.wait_for(asyncio.gather(*closings), BOUND)
        assert len(closings) == 1
        assert dials(server) == before
        assert not tool.is_connected


async def test_a_tool_that_is_closed_in_a_pause_stays_closed() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("far", server.url, load_prompts=False)
        await tool.connect()
        server.behaviour = unavailable
        await lose(tool, server)
        for _ in range(4):
            with pytest.raises(MCPServerError):
                await tool.call_tool("echo")
        before = dials(server)
        call = asyncio.create_task(tool.call_tool("echo"))
        await asyncio.sleep(0)
        await tool.close()
        with pytest.raises(MCPConnectionError, match="closed"):
            await asyncio.wait_for(call, BOUND)
        assert dials(server) == before


async def test_a_tool_that_is_closed_after_its_server_went_away_stays_closed() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("far", server.url, load_prompts=False)
        await tool.connect()
        server.behaviour = unavailable
        await lose(tool, server)
        await tool.close()
        server.behaviour = script
        before = dials(server)
        with pytest.raises(MCPConnectionError, match="not connected"):
            await tool.call_tool("echo")
        assert dials(server) == before
        await tool.connect()
        assert await tool.call_tool("echo", text="wanted again")
        await tool.close()


async def test_a_caller_who_is_cancelled_in_a_pause_leaves_the_others_alone() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("far", server.url, load_prompts=False) as tool:
            server.behaviour = unavailable
            await lose(tool, server)
            for _ in range(4):
                with pytest.raises(MCPServerError):
                    await tool.call_tool("echo")
            leaver, stayer = (asyncio.create_task(tool.call_tool("echo", text="x")) for _ in range(2))
            await asyncio.sleep(0)
            server.behaviour = script
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver
            assert await asyncio.wait_for(stayer, BOUND)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not count cancellations")
@pytest.mark.parametrize("cancelled", ["before its patience ends", "after its patience ended"])
async def test_a_caller_who_is_cancelled_in_the_turn_in_which_its_patience_ends_is_cancelled(
    cancelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_outage, "PATIENCE", 0.4)
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("deaf", server.url, load_prompts=False) as tool:
            await fall_silent(tool, server, script)
            before = dials(server)
            caller = asyncio.create_task(tool.call_tool("echo"))
            await server.arrived("initialize", before + 1)
            asyncio.get_running_loop().call_later(0.01 if cancelled.startswith("before") else 0.5, caller.cancel)
            time.sleep(0.6)  # both timers are due when the loop turns again
            await asyncio.wait([caller], timeout=BOUND)
            assert caller.cancelled()


def test_pauses_grow_to_a_limit_and_end_with_the_outage() -> None:
    outage = Outage()
    assert outage.pause(0.0) == 0.0
    pauses = []
    for _ in range(40):
        outage.note_failure(10.0, unanswered=False)
        pauses.append(outage.pause(10.0))
    assert pauses[:3] == pytest.approx([0.0, FIRST_PAUSE, 2 * FIRST_PAUSE])
    assert max(pauses) == pauses[-1] == pytest.approx(LONGEST_PAUSE)
    assert outage.pause(10.0 + LONGEST_PAUSE) == 0.0
    assert outage.patience is None
    outage.note_failure(20.0, unanswered=True)
    assert outage.patience == PATIENCE
    outage.note_return()
    assert (outage.pause(20.0), outage.patience) == (0.0, None)
