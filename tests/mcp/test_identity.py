# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""For whom a session is open: fixed headers, the run that opens it, and another run with other headers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript

from agent_framework import FunctionInvocationContext, MCPStreamableHTTPTool
from agent_framework._mcp import MCPError, MCPTimeoutError

AUTH = "authorization"


def by_token(values: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": values["token"]}


def by_token_or_nobody(values: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": values.get("token", "nobody")}


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


async def run(tool: MCPStreamableHTTPTool, token: str, arguments: dict[str, Any] | None = None) -> None:
    """What hosts from 1.19 on do in a run that calls the first tool."""
    values = {"token": token}
    await tool._prepare_for_run(values)
    if not tool.is_connected:
        await tool.connect()
        await tool._prepare_for_run(values)
    function = tool.functions[0]
    context = FunctionInvocationContext(function=function, arguments=arguments or {}, kwargs=values)
    await function.invoke(arguments=arguments or {}, context=context)


def sent(server: HttpServer, *names: str) -> list[str | None]:
    return [exchange.headers.get(AUTH) for exchange in server.exchanges if not names or exchange.name in names]


async def test_fixed_headers_are_on_every_request() -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("script", server.url, static_headers={"Authorization": "k"}) as tool:
            await within(tool.call_tool("echo"))
        assert set(sent(server)) == {"k"}


async def test_headers_of_a_call_win_over_fixed_ones() -> None:
    fixed = {"authorization": "k", "x-app": "a"}
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("script", server.url, static_headers=fixed, header_provider=by_token) as tool:
            await within(tool.call_tool("echo", token="t"))
        assert (set(sent(server)), sent(server, "tools/call")) == ({"k", "t"}, ["t"])
        assert set(server.sent_headers("x-app")) == {"a"}


async def test_the_run_that_opens_a_session_is_on_its_handshake() -> None:
    with HttpServer(McpScript()) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token)
        await within(run(tool, "a"))
        await within(tool.close())
        assert set(sent(server)) == {"a"}


async def test_a_run_that_leaves_something_out_fails_and_opens_nothing() -> None:
    with HttpServer(McpScript()) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token)
        await tool._prepare_for_run({})
        with pytest.raises(MCPError):
            await within(tool.connect())
        await within(tool.close())
        assert server.exchanges == []


async def test_what_a_run_brought_is_gone_after_a_close() -> None:
    with HttpServer(McpScript()) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token_or_nobody)
        await within(run(tool, "a"))
        await within(tool.close())
        before = len(server.exchanges)
        await within(tool.connect())
        await within(tool.close())
        assert set(sent(server)[before:]) == {"nobody"}


async def test_another_run_gets_a_session_of_its_own() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token)
        for token in ("a", "a", "b"):
            await within(run(tool, token))
        assert (script.opened_sessions, sent(server, "tools/call")) == (2, ["a", "a", "b"])
        assert sent(server, "initialize") == ["a", "b"]
        await within(tool.close())


async def test_calls_of_two_users_at_once_never_meet_on_a_session() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token)
        await within(run(tool, "a"))
        await within(asyncio.gather(*(run(tool, token) for token in "abab")))
        await within(tool.close())
        users: dict[Any, set[Any]] = {}
        for exchange in server.exchanges:
            users.setdefault(exchange.headers.get("mcp-session-id"), set()).add(exchange.headers.get(AUTH))
        users.pop(None)  # the handshakes
        assert len(users) == script.opened_sessions
        assert all(len(tokens) == 1 for tokens in users.values())


async def test_waiting_for_another_user_has_an_end() -> None:
    async def hang(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with HttpServer(McpScript(handlers={"tools/call": hang})) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token, connect_timeout=0.3)
        call = asyncio.create_task(run(tool, "a"))
        await server.arrived("tools/call")
        with pytest.raises(MCPTimeoutError, match="other headers") as caught:
            await within(run(tool, "b"))
        assert caught.value.sent is False
        await within(tool.close())
        with pytest.raises(MCPError):
            await within(call)


async def test_a_model_cannot_speak_for_the_user() -> None:
    tools = [{"name": "echo", "inputSchema": {"type": "object", "properties": {"token": {"type": "string"}}}}]
    with HttpServer(McpScript(tools=tools)) as server:
        tool = MCPStreamableHTTPTool("script", server.url, header_provider=by_token)
        await within(run(tool, "user", {"token": "admin"}))
        await within(tool.close())
        assert set(sent(server)) == {"user"}


async def test_a_model_cannot_speak_for_a_run_that_says_nothing() -> None:
    tools = [{"name": "echo", "inputSchema": {"type": "object", "properties": {"token": {"type": "string"}}}}]
    with HttpServer(McpScript(tools=tools)) as server:
        async with MCPStreamableHTTPTool("script", server.url, header_provider=by_token_or_nobody) as tool:
            await tool._prepare_for_run({})
            function = tool.functions[0]
            context = FunctionInvocationContext(function=function, arguments={})
            await within(function.invoke(arguments={"token": "admin"}, context=context))
        assert set(sent(server)) == {"nobody"}


async def test_a_session_of_the_users_own_is_kept_whoever_runs() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("owner", server.url) as owner:
            tool = MCPStreamableHTTPTool("guest", server.url, session=owner.session, header_provider=by_token)
            await tool.connect()
            for token in "ab":
                await within(run(tool, token))
            await within(tool.close())
            assert (script.opened_sessions, len(sent(server, "tools/call"))) == (1, 2)
