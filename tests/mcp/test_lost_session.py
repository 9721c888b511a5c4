# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A session that the server has forgotten, however it says so: one call pays at most, and the next one reconnects."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPAuthenticationError, MCPError, MCPServerError

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import BOUND, HTML, JSON, Exchange, HttpServer, McpScript, RpcError, respond, respond_rpc

Refusal = Callable[[Exchange], Awaitable[Any]]

GONE = {"error": {"code": -32000, "message": "Bad Request: no valid session"}}


def with_error(status: int, code: int) -> Refusal:
    async def answer(exchange: Exchange) -> None:
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": "Session not found", "data": [1]}}
        await exchange.answer(status, json.dumps(error), JSON)

    return answer


REFUSALS: dict[str, Refusal] = {
    "404": partial(respond, status=404, body="no such session"),
    "404 with an error": with_error(404, -32001),
    "400": partial(respond, status=400, body="no such session"),
    "400 with an error": with_error(400, -32000),
    "401": partial(respond, status=401, body="who are you?"),
    "403": partial(respond, status=403, body="not you"),
    "409": partial(respond, status=409),
    "410": partial(respond, status=410),
    "422": partial(respond, status=422),
    "500": partial(respond, status=500, body="oh no"),
    "502 of a gateway": partial(respond, status=502, body="<h1>Bad Gateway</h1>", kind=HTML),
    "503": partial(respond, status=503),
    "an error in a 200": partial(respond_rpc, **GONE),
    "an error in an event stream": partial(respond_rpc, events=True, **GONE),
    "an internal error in a 200": partial(respond_rpc, error={"code": -32603, "message": "session?"}),
    "an invalid request in a 200": partial(respond_rpc, error={"code": -32600, "message": "session?"}),
}


class Forgetful(McpScript):
    """Refuses requests of sessions that it does not know in a way of its own."""

    def __init__(self, refuse: Refusal, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.refuse = refuse
        self.ran = 0

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        self.ran += 1
        return await super().call_tool(params)

    async def __call__(self, exchange: Exchange) -> object:
        session = exchange.headers.get("mcp-session-id")
        if exchange.name != "initialize" and session not in self.live_sessions and exchange.method != "GET":
            return await self.refuse(exchange)
        return await super().__call__(exchange)


@pytest.mark.parametrize("how", REFUSALS)
async def test_the_call_after_a_forgotten_session_works(how: str) -> None:
    script = Forgetful(REFUSALS[how])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await asyncio.wait_for(tool.call_tool("echo", a=1), BOUND)
            script.live_sessions.clear()
            if how.startswith("404"):
                await asyncio.wait_for(tool.call_tool("echo", a=2), BOUND)
            else:
                with pytest.raises(MCPError) as caught:
                    await asyncio.wait_for(tool.call_tool("echo", a=2), BOUND)
                assert caught.value.sent is True
                await asyncio.wait_for(tool.call_tool("echo", a=2), BOUND)
            assert script.opened_sessions == 2
            assert script.ran == 2


@pytest.mark.parametrize("how", REFUSALS)
async def test_connect_recovers_by_itself_from_a_forgotten_session(how: str) -> None:
    script = Forgetful(REFUSALS[how])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            script.live_sessions.clear()
            await asyncio.wait_for(tool.connect(), BOUND)
            assert script.opened_sessions == 2
            await asyncio.wait_for(tool.call_tool("echo", a=1), BOUND)
            await asyncio.wait_for(tool.load_tools(), BOUND)


@pytest.mark.parametrize("how", REFUSALS)
async def test_many_callers_of_a_forgotten_session_reconnect_once(how: str) -> None:
    script = Forgetful(REFUSALS[how])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            script.live_sessions.clear()
            first = await asyncio.gather(*(tool.call_tool("echo", a=i) for i in range(8)), return_exceptions=True)
            assert all(isinstance(outcome, (MCPError, list)) for outcome in first)
            await asyncio.wait_for(asyncio.gather(*(tool.call_tool("echo", a=i) for i in range(8))), BOUND)
            assert script.opened_sessions == 2
            assert script.ran == 8 + sum(isinstance(outcome, list) for outcome in first)


@pytest.mark.parametrize("how", [name for name in REFUSALS if not name.startswith("404")])
async def test_a_call_that_fails_on_a_live_session_costs_no_session(how: str) -> None:
    class OneBad(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            if exchange.name == "tools/call" and exchange.message["params"]["name"] == "bad":  # type: ignore[index]
                return await REFUSALS[how](exchange)
            return await super().__call__(exchange)

    script = OneBad()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for _ in range(2):
                with pytest.raises(MCPError):
                    await asyncio.wait_for(tool.call_tool("bad"), BOUND)
            await asyncio.wait_for(tool.call_tool("echo", a=1), BOUND)
            assert script.opened_sessions == 1


async def test_a_server_without_ping_that_answers_with_an_error_is_alive() -> None:
    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        raise RpcError(-32000, "no")

    async def no_ping(params: dict[str, Any]) -> dict[str, Any]:
        raise RpcError(-32601, "Method not found")

    script = McpScript(handlers={"tools/call": fail, "ping": no_ping})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for _ in range(3):
                with pytest.raises(MCPServerError, match="no"):
                    await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert script.opened_sessions == 1


async def test_too_many_requests_is_no_lost_session_and_no_reason_to_ask_more() -> None:
    script = Forgetful(partial(respond, status=429, retry_after="1"))
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            script.live_sessions.clear()
            with pytest.raises(MCPServerError) as caught:
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert caught.value.status_code == 429
            assert "ping" not in server.names
            assert tool.is_connected


@pytest.mark.parametrize("how", ["410", "500"])
async def test_no_farewell_goes_to_a_server_that_has_just_refused(how: str) -> None:
    script = Forgetful(REFUSALS[how])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            script.live_sessions.clear()
            with pytest.raises(MCPError):
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
        assert "DELETE" not in server.names[server.names.index("tools/call") :]


async def test_an_error_in_the_body_of_a_refusal_keeps_its_code_and_data() -> None:
    script = Forgetful(with_error(401, -32010))
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            script.live_sessions.clear()
            with pytest.raises(MCPAuthenticationError, match="Session not found") as caught:
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert (caught.value.status_code, caught.value.code, caught.value.data) == (401, -32010, [1])
