# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Answers over HTTP: event streams that leave their connection usable, and long answers that arrive whole."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client.session import ClientSession

from agent_framework import Content, MCPStreamableHTTPTool
from agent_framework._mcp_client.transports import streamable_http
from agent_framework.exceptions import ToolExecutionException

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import BOUND, EVENTS, Exchange, HttpServer, McpScript, RpcError

LONG = "x" * 10_000


def text(contents: Any) -> str:
    assert isinstance(contents, list)
    return "".join(item.text for item in contents if isinstance(item, Content))


class Streams(McpScript):
    """Answers with event streams that leave the connection usable, once they have ended.

    Args:
        before: Events before the answer.
        behind: What happens between the answer and the end.
    """

    def __init__(self, before: int = 0, behind: Callable[[Exchange], Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.before = before
        self.behind = behind

    async def _reply(self, exchange: Exchange, new_session: str | None) -> object:
        headers = {"mcp-session-id": new_session} if new_session else {}
        await exchange.start(200, {"content-type": EVENTS, "transfer-encoding": "chunked", **headers})
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "debug", "data": "working"}}
        for _ in range(self.before):
            await self.send_chunk(exchange, note)
        await self.send_chunk(exchange, await self._result(exchange))
        if self.behind is not None and exchange.name == "tools/call":
            await self.behind(exchange)
        await exchange.send(b"0\r\n\r\n")
        return None

    async def send_chunk(self, exchange: Exchange, message: dict[str, Any]) -> None:
        event = f"event: message\ndata: {json.dumps(message)}\n\n".encode()
        await exchange.send(b"%x\r\n%b\r\n" % (len(event), event))


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("own_client", [False, True])
async def test_event_streams_leave_their_connection_to_the_next_call(before: int, own_client: bool) -> None:
    async with httpx.AsyncClient() as client:
        with HttpServer(Streams(before)) as server:
            async with MCPStreamableHTTPTool("x", server.url, http_client=client if own_client else None) as tool:
                await tool.call_tool("echo", a=1)
                opened = server.connections
                for number in range(20):
                    assert text(await tool.call_tool("echo", a=number)) == json.dumps({"a": number})
            # Now and then a call begins before the end of the stream before it has come.
            assert server.connections - opened <= 2


async def test_a_pause_before_the_end_of_a_stream_delays_no_answer() -> None:
    async def wait(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)

    with HttpServer(Streams(behind=wait)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            started = time.monotonic()
            assert text(await tool.call_tool("echo", a=1)) == '{"a": 1}'
            assert time.monotonic() - started < 0.25


@pytest.mark.parametrize("before", [0, 2])
async def test_a_stream_that_never_ends_delays_neither_calls_nor_close(before: int) -> None:
    async def wait(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    with HttpServer(Streams(before, behind=wait)) as server:
        started = time.monotonic()
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for _ in range(5):
                await tool.call_tool("echo", a=1)
        assert time.monotonic() - started < BOUND / 2


async def test_a_stream_that_never_ends_is_left_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamable_http, "DRAIN_TIMEOUT", 0.05)
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def talk(exchange: Exchange) -> None:
        try:
            while True:
                await exchange.send(b"2\r\n\n\n\r\n")
                await asyncio.sleep(0.01)
        finally:
            loop.call_soon_threadsafe(left.set)

    with HttpServer(Streams(behind=talk)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await tool.call_tool("echo", a=1)
            await asyncio.wait_for(left.wait(), BOUND)
            assert text(await tool.call_tool("echo", a=2)) == '{"a": 2}'


async def test_a_stream_that_goes_on_and_on_is_left_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamable_http, "DRAIN_TIMEOUT", 2 * BOUND)
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def flood(exchange: Exchange) -> None:
        try:
            while True:
                await exchange.send(b"1000\r\n: %b\n\n\r\n" % (b"x" * 4092))
        finally:
            loop.call_soon_threadsafe(left.set)

    with HttpServer(Streams(behind=flood)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await tool.call_tool("echo", a=1)
            await asyncio.wait_for(left.wait(), BOUND)


@pytest.mark.parametrize("before", [0, 2])
async def test_what_breaks_behind_an_answer_breaks_nothing_else(before: int) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.send(b"ffff\r\nno such")
        exchange.writer.close()

    with HttpServer(Streams(before, behind=cut)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for number in range(5):
                assert text(await tool.call_tool("echo", a=number)) == json.dumps({"a": number})
            assert server.behaviour.opened_sessions == 1  # type: ignore[attr-defined]


# Long answers ...


@pytest.mark.parametrize("events", [False, True])
async def test_long_answers_arrive_whole_over_http(events: bool) -> None:
    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "fail":
            raise RpcError(-32000, LONG)
        return {"content": [{"type": "text", "text": params["name"] + LONG}], "isError": False}

    tools = [{"name": f"t{i}", "description": LONG, "inputSchema": {"type": "object"}} for i in range(20)]
    with HttpServer(McpScript(events=events, tools=tools, handlers={"tools/call": fail})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            assert [function.description for function in tool.functions] == [LONG] * 20
            found = await asyncio.gather(*(tool.call_tool(f"t{i}") for i in range(20)))
            assert [text(item) for item in found] == [f"t{i}{LONG}" for i in range(20)]
            with pytest.raises(ToolExecutionException, match=f"with an error: {LONG[:1000]}"):
                await tool.call_tool("fail")  # an error quotes the beginning


async def test_the_sdks_own_session_reads_the_transport() -> None:
    tools = [{"name": "t", "description": LONG, "inputSchema": {"type": "object"}}]
    with HttpServer(McpScript(tools=tools)) as server:
        tool = MCPStreamableHTTPTool("x", server.url, header_provider=lambda _: {})
        async with tool.get_mcp_client() as (read_stream, write_stream, *_):
            async with ClientSession(read_stream, write_stream) as session:
                await session.initialize()
                assert (await session.list_tools()).tools[0].description == LONG


@pytest.mark.parametrize("events", [False, True])
async def test_a_handshake_with_long_instructions_is_left_whole(events: bool) -> None:
    async def initialize(params: dict[str, Any]) -> dict[str, Any]:
        server = {"name": "x", "version": "1"}
        return {
            "protocolVersion": "2025-03-26",
            "capabilities": {"tools": {}},
            "serverInfo": server,
            "instructions": LONG,
        }

    with HttpServer(McpScript(events=events, handlers={"initialize": initialize})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await tool.call_tool("echo")
        # The transport has read in the answer which version was agreed on.
        assert set(server.sent_headers("mcp-protocol-version")[2:]) == {"2025-03-26"}
