# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A server that fails or goes away while it is in use: one failure costs one call, and nothing runs twice."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, CLOSE, Exchange, HttpServer, McpScript

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPToolError,
)

PEER = str(Path(__file__).with_name("stdio_peer.py"))


class Faulty(McpScript):
    """Does to a call of the tool named like a fault what that fault says; waits in `wait`; counts what ran."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ran: list[str] = []

    async def __call__(self, exchange: Exchange) -> object:
        message = exchange.message or {}
        fault = (message.get("params") or {}).get("name") if message.get("method") == "tools/call" else None
        if fault is None or fault in ("echo", "wait"):
            return await super().__call__(exchange)
        self.ran.append(fault)
        if fault.isdigit():
            await exchange.answer(int(fault), "{}", "text/plain", www_authenticate='Bearer realm="x"')
        elif fault == "cut":
            return CLOSE
        elif fault == "html":
            await exchange.answer(200, "<p>hello", "text/html")
        elif fault == "accepted":
            await exchange.answer(202)
        elif fault == "truncated":
            await exchange.start(200, {"content-type": "application/json", "content-length": "1000"})
            await exchange.send(b'{"jsonrpc"')
            return CLOSE
        elif fault == "empty stream":
            await exchange.start_events()
            return CLOSE
        elif fault == "half an event":
            await exchange.start_events()
            await exchange.send(b'event: message\ndata: {"jsonrpc": "2.0", "id"')
            return CLOSE
        elif fault == "foreign id":
            await exchange.answer(200, '{"jsonrpc": "2.0", "id": 999, "result": {}}', "application/json")
        else:
            raise AssertionError(fault)
        return None

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        self.ran.append(params["name"])
        if params["name"] == "wait":
            await self.release.wait()
        return await super().call_tool(params)

    release: asyncio.Event


FAULTS: list[tuple[str, type[MCPError], int | None]] = [
    ("401", MCPAuthenticationError, 401),
    ("403", MCPAuthenticationError, 403),
    ("429", MCPServerError, 429),
    ("500", MCPServerError, 500),
    ("503", MCPServerError, 503),
    ("cut", MCPConnectionError, None),
    ("html", MCPProtocolError, None),
    ("accepted", MCPConnectionError, None),
    ("truncated", MCPConnectionError, None),
    ("empty stream", MCPConnectionError, None),
    ("half an event", MCPConnectionError, None),
    ("foreign id", MCPProtocolError, None),
]


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
@pytest.mark.parametrize(("fault", "kind", "status"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
async def test_a_failed_exchange_costs_its_own_call_only(
    fault: str, kind: type[MCPError], status: int | None, events: bool
) -> None:
    script = Faulty(events=events)
    with HttpServer(script) as server:
        script.release = asyncio.Event()
        async with MCPStreamableHTTPTool("faulty", server.url) as tool:
            siblings = [asyncio.create_task(tool.call_tool("wait", number=number)) for number in range(9)]
            await server.arrived("tools/call", 9)
            with pytest.raises(kind) as caught:
                await asyncio.wait_for(tool.call_tool(fault), BOUND)
            error = caught.value
            assert (error.status_code, error.phase, error.sent) == (status, "call", True)
            assert server.url in str(error)
            assert isinstance(error.__cause__, Exception)
            server._loop.call_soon_threadsafe(script.release.set)
            answers = await asyncio.wait_for(asyncio.gather(*siblings), BOUND)
            assert [answer[0].text for answer in answers] == [f'{{"number": {number}}}' for number in range(9)]
            assert (await tool.call_tool("echo"))[0].text == "{}"
        assert server.names.count("initialize") == 1
        assert script.ran.count(fault) == 1


async def test_a_refused_token_is_shown_with_its_challenge() -> None:
    with HttpServer(Faulty()) as server:
        async with MCPStreamableHTTPTool("faulty", server.url) as tool:
            with pytest.raises(MCPAuthenticationError, match="HTTP 401 Unauthorized") as caught:
                await tool.call_tool("401")
            assert caught.value.www_authenticate == 'Bearer realm="x"'


async def test_a_json_rpc_error_keeps_code_and_message() -> None:
    with HttpServer(McpScript(handlers={})) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            with pytest.raises(MCPServerError, match="Method not found") as caught:
                await tool.get_prompt("greeting")
            assert (caught.value.code, caught.value.phase) == (-32601, "prompt")
            assert tool.is_connected


async def test_an_error_result_is_the_tools_own_error() -> None:
    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": "no such file"}], "isError": True}

    with HttpServer(McpScript(handlers={"tools/call": fail})) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            with pytest.raises(MCPToolError, match="no such file"):
                await tool.call_tool("echo")


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
async def test_a_forgotten_session_is_opened_anew_once_and_every_call_is_answered(events: bool) -> None:
    script = McpScript(events=events)
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            script.live_sessions.clear()
            answers = await asyncio.wait_for(asyncio.gather(*(tool.call_tool("echo", n=n) for n in range(8))), BOUND)
            assert [answer[0].text for answer in answers] == [f'{{"n": {n}}}' for n in range(8)]
            assert script.opened_sessions == 2
            assert "generation=2" in repr(tool)


async def test_a_server_that_dies_in_a_call_is_named_and_the_next_call_finds_its_successor() -> None:
    first = Faulty()
    server = HttpServer(first)
    with server:
        first.release = asyncio.Event()
        tool = MCPStreamableHTTPTool("script", server.url)
        await tool.connect()
        calls = [asyncio.create_task(tool.call_tool("wait")) for _ in range(4)]
        await server.arrived("tools/call", 4)
    for outcome in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 1):
        assert isinstance(outcome, MCPConnectionError)
        assert outcome.sent is True
        assert "it may have run there" in str(outcome)
    assert not tool.is_connected
    with pytest.raises(MCPConnectionError, match="connection refused") as caught:
        await tool.call_tool("echo")
    assert caught.value.sent is False
    with HttpServer(McpScript(), port=server.port) as successor:
        assert (await tool.call_tool("echo"))[0].text == "{}"
        assert not any(b'"wait"' in exchange.body for exchange in successor.exchanges)
        await tool.close()


async def test_a_stdio_server_that_dies_in_a_call_is_named_with_its_exit_code() -> None:
    async with MCPStdioTool("peer", sys.executable, args=[PEER, "good"]) as tool:
        hanging = asyncio.create_task(tool.call_tool("hang"))
        await asyncio.sleep(0)
        with pytest.raises(MCPConnectionError, match="exited with code 4") as caught:
            await asyncio.wait_for(tool.call_tool("die"), BOUND)
        assert caught.value.sent is True
        with pytest.raises(MCPConnectionError, match="exited with code 4"):
            await asyncio.wait_for(hanging, BOUND)
        assert not tool.is_connected
        assert (await asyncio.wait_for(tool.call_tool("echo"), BOUND))[0].text == "{}"
        assert "generation=2" in repr(tool)


async def test_calls_that_find_the_child_dead_share_one_new_one(tmp_path: Path) -> None:
    record = tmp_path / "record"
    async with MCPStdioTool("peer", sys.executable, args=[PEER, "good", str(record)]) as tool:
        with pytest.raises(MCPConnectionError):
            await tool.call_tool("die")
        await asyncio.wait_for(asyncio.gather(*(tool.call_tool("echo", n=n) for n in range(8))), BOUND)
        assert record.read_text().count('"initialize"') == 2
        assert record.read_text().count('"die"') == 1


async def test_a_broken_stream_with_event_ids_is_resumed() -> None:
    class Resumable(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            message = exchange.message or {}
            if exchange.headers.get("last-event-id") == "e1":
                await exchange.start_events()
                await exchange.send_event(
                    {"jsonrpc": "2.0", "id": self.asked, "result": {"content": [{"type": "text", "text": "resumed"}]}}
                )
                return CLOSE
            if message.get("method") == "tools/call":
                self.asked = message["id"]
                await exchange.start_events()
                await exchange.send(b"id: e1\nretry: 10\ndata:\n\n")
                return CLOSE
            return await super().__call__(exchange)

        asked: int

    with HttpServer(Resumable(sessions=True)) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            assert (await asyncio.wait_for(tool.call_tool("echo"), BOUND))[0].text == "resumed"
            assert server.names.count("tools/call") == 1


async def test_a_broken_stream_that_cannot_be_resumed_ends_the_call() -> None:
    class Gone(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            if "last-event-id" in exchange.headers:
                await exchange.answer(500)
                return None
            if exchange.name == "tools/call":
                await exchange.start_events()
                await exchange.send(b"id: e1\nretry: 10\ndata:\n\n")
                return CLOSE
            return await super().__call__(exchange)

    with HttpServer(Gone()) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            with pytest.raises(MCPServerError) as caught:
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert (caught.value.status_code, caught.value.sent) == (500, True)
            assert tool.is_connected


async def test_a_call_whose_stream_broke_is_not_sent_again_to_a_server_that_has_forgotten_the_session() -> None:
    class Restarted(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            if exchange.name != "tools/call":
                return await super().__call__(exchange)
            await exchange.start_events()
            await exchange.send(b"id: e1\nretry: 10\ndata:\n\n")
            self.live_sessions.clear()
            return CLOSE

    with HttpServer(Restarted()) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            with pytest.raises(MCPConnectionError) as caught:
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert server.names.count("tools/call") == 1
            assert caught.value.sent is True


async def test_a_server_that_answers_400_to_a_forgotten_session_costs_one_call() -> None:
    class Sloppy(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            session = exchange.headers.get("mcp-session-id")
            if session and session not in self.live_sessions:
                await exchange.answer(400, "no such session")
                return None
            return await super().__call__(exchange)

    script = Sloppy()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            script.live_sessions.clear()
            with pytest.raises(MCPServerError) as caught:
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert (caught.value.status_code, caught.value.sent) == (400, True)
            assert not tool.is_connected
            assert (await asyncio.wait_for(tool.call_tool("echo"), BOUND))[0].text == "{}"
