# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a server behind a URL cannot do to the program: fill its memory, hold its event loop, keep its calls."""

from __future__ import annotations

import asyncio
import gzip
import resource
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPError, MCPProtocolError, MCPServerError
from agent_framework._mcp_client.transports import events, messages, streamable_http

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import BOUND, JSON, Exchange, HttpServer, McpScript

MEBIBYTE = 1024 * 1024
LONGEST_STALL = 1.5  # seconds, on a machine with other work; where the loop is held, it is held for many
MOST_MEMORY = 200 * MEBIBYTE

BOMB = gzip.compress(b" " * (300 * MEBIBYTE), 1)
DEFLATED = zlib.compress(b" " * (300 * MEBIBYTE), 1)


class Hostile(McpScript):
    """Well-behaved, but for what it does to calls of ``bad``, or to notifications.

    Args:
        on_call: Answers a call of the tool ``bad``.
        on_notice: Answers notifications.
    """

    def __init__(
        self,
        on_call: Callable[[Exchange], Awaitable[Any]] | None = None,
        on_notice: Callable[[Exchange], Awaitable[Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.on_call = on_call
        self.on_notice = on_notice

    async def __call__(self, exchange: Exchange) -> object:
        message = exchange.message or {}
        if self.on_call and exchange.name == "tools/call" and message["params"]["name"] == "bad":
            return await self.on_call(exchange)
        if self.on_notice and exchange.name.startswith("notifications/"):
            return await self.on_notice(exchange)
        return await super().__call__(exchange)


@asynccontextmanager
async def unharmed() -> AsyncIterator[None]:
    """Fails if the event loop stood still in here, or if memory grew by much."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gaps = [0.0]

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        await asyncio.wait([ticker])
    assert max(gaps) < LONGEST_STALL
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MOST_MEMORY


def whole(status: int, body: bytes, **headers: str) -> Callable[[Exchange], Awaitable[Any]]:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(status, body, JSON, **headers)

    return answer


def endless(head: bytes, piece: bytes) -> Callable[[Exchange], Awaitable[Any]]:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(head)
        while True:
            await exchange.send(piece)
            await asyncio.sleep(0)

    return answer


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


BOMBS = {
    "an answer": (whole(200, BOMB, content_encoding="gzip"), MCPProtocolError),
    "an answer deflated": (whole(200, DEFLATED, content_encoding="deflate"), MCPProtocolError),
    "stacked codings": (whole(200, gzip.compress(BOMB), content_encoding="gzip, gzip"), MCPProtocolError),
    "an unknown coding": (whole(200, b"x", content_encoding="x-\x1b[2J"), MCPProtocolError),
    "a broken coding": (whole(200, b"no gzip", content_encoding="gzip"), MCPProtocolError),
    "a 202": (whole(202, BOMB, content_encoding="gzip"), MCPConnectionError),
    "a 500": (whole(500, BOMB, content_encoding="gzip"), MCPServerError),
    "a 500 of stacked codings": (whole(500, gzip.compress(BOMB), content_encoding="gzip, gzip"), MCPServerError),
    "a redirect": (whole(307, BOMB, content_encoding="gzip", location="/mcp?again"), MCPError),
    "a redirect elsewhere": (whole(307, BOMB, content_encoding="gzip", location="http://192.0.2.1/"), MCPError),
    "a 202 without end": (endless(head("202 Accepted"), b"x" * 65536), MCPConnectionError),
    "a 500 without end": (endless(head("500 No", f"content-type: {JSON}"), b" " * 65536), MCPServerError),
    "a page without end": (endless(head("200 OK", "content-type: text/html"), b"x" * 65536), MCPProtocolError),
    "single bytes without end": (
        endless(head("202 Accepted", "transfer-encoding: chunked"), b"1\r\nx\r\n" * 10_000),
        MCPConnectionError,
    ),
    "interim responses without end": (endless(b"", head("102 Processing") * 1000), MCPConnectionError),
}


@pytest.mark.parametrize("own_client", [True, False])
@pytest.mark.parametrize("name", BOMBS)
async def test_a_body_that_is_not_wanted_or_too_large_costs_its_call_alone(name: str, own_client: bool) -> None:
    on_call, kind = BOMBS[name]
    if name.startswith("interim") and not own_client:
        pytest.skip("what a client of the user's makes of interim responses is up to that client")
    async with httpx.AsyncClient() as client:
        with HttpServer(Hostile(on_call)) as server:
            async with MCPStreamableHTTPTool("x", server.url, http_client=None if own_client else client) as tool:
                async with unharmed():
                    with pytest.raises(kind) as caught:
                        await asyncio.wait_for(tool.call_tool("bad"), BOUND)
                assert "\x1b" not in str(caught.value)
                await asyncio.wait_for(tool.call_tool("echo", a=1), BOUND)


@pytest.mark.parametrize("name", ["a 202", "a 500", "a 202 without end", "single bytes without end", "a redirect"])
async def test_what_a_server_answers_to_notifications_is_not_read(name: str) -> None:
    with HttpServer(Hostile(on_notice=BOMBS[name][0])) as server:
        async with unharmed():
            async with MCPStreamableHTTPTool("x", server.url) as tool:
                for _ in range(3):
                    await asyncio.wait_for(tool.call_tool("echo", a=1), BOUND)


@pytest.mark.parametrize("piece", [b": nothing\n\n", b"\n", b"id: 1\n\n", b"event: ping\ndata:\n\n"])
async def test_an_event_stream_without_messages_holds_neither_the_loop_nor_other_tools(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MESSAGE_LIMIT", 4 * MEBIBYTE)
    flood = endless(head("200 OK", "content-type: text/event-stream"), piece * 5000)
    with HttpServer(Hostile(flood)) as server, HttpServer(McpScript()) as other:
        async with MCPStreamableHTTPTool("x", server.url) as tool, MCPStreamableHTTPTool("y", other.url) as sibling:
            async with unharmed():
                call = asyncio.create_task(tool.call_tool("bad"))
                for number in range(20):
                    await asyncio.wait_for(sibling.call_tool("echo", a=number), BOUND)
                with pytest.raises(MCPProtocolError, match="more than"):
                    await asyncio.wait_for(call, 4 * BOUND)


async def test_a_call_that_is_given_up_lets_go_of_a_flooding_stream() -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    flood = endless(head("200 OK", "content-type: text/event-stream"), b": nothing\n\n" * 5000)

    async def until_gone(exchange: Exchange) -> None:
        try:
            await flood(exchange)
        finally:
            loop.call_soon_threadsafe(gone.set)

    with HttpServer(Hostile(until_gone)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            async with unharmed():
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(tool.call_tool("bad", _timeout=0.2), BOUND)
                await asyncio.wait_for(gone.wait(), BOUND)


async def test_close_is_quick_in_the_middle_of_a_flood() -> None:
    flood = endless(head("200 OK", "content-type: text/event-stream"), b": nothing\n\n" * 5000)
    with HttpServer(Hostile(flood)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            calls = [asyncio.create_task(tool.call_tool("bad")) for _ in range(5)]
            await asyncio.sleep(0.1)
            started = time.monotonic()
        assert time.monotonic() - started < BOUND
        for call in calls:
            with pytest.raises(MCPError):
                await call


async def test_an_answer_of_too_many_values_is_refused_before_it_is_read() -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "result": {"content": [' + b"{}," * (6 * MEBIBYTE) + b"{}]}}"
    with HttpServer(Hostile(whole(200, body))) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            async with unharmed():
                with pytest.raises(MCPProtocolError, match="values"):
                    await asyncio.wait_for(tool.call_tool("bad"), 2 * BOUND)


def test_deep_nesting_is_no_json() -> None:
    for text in (b"[" * 1_000_000, b'{"a":' * 500_000):
        with pytest.raises(Exception, match="JSON"):
            messages.parse(text)


async def test_a_server_that_takes_no_answers_gets_few_connections() -> None:
    arrived = []

    async def ask(exchange: Exchange) -> None:
        await exchange.start_events()
        for number in range(1000):
            await exchange.send_event({"jsonrpc": "2.0", "id": f"ask-{number}", "method": "ping"})
        await exchange.send_event({"jsonrpc": "2.0", "id": exchange.message["id"], "result": {"content": []}})  # type: ignore[index]

    class Deaf(Hostile):
        async def __call__(self, exchange: Exchange) -> object:
            if exchange.name == "response":
                arrived.append(exchange)
                await asyncio.Event().wait()
            return await super().__call__(exchange)

    with HttpServer(Deaf(ask)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            async with unharmed():
                await asyncio.wait_for(tool.call_tool("bad"), 2 * BOUND)
                await asyncio.wait_for(tool.call_tool("echo", a=1), BOUND)
            assert len(arrived) <= streamable_http.MAX_NOTICES_AT_ONCE
            started = time.monotonic()
        assert time.monotonic() - started < BOUND
