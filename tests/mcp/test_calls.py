# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a call sends and what comes back, on the wire."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from fault_servers import BOUND, Exchange, HttpServer, McpScript

from agent_framework import Content, FunctionInvocationContext, MCPStreamableHTTPTool
from agent_framework._mcp import MCPError, MCPTimeoutError, MCPToolError
from agent_framework.exceptions import ToolExecutionException

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}, "session": {"type": "string"}}}


def script(**tool: Any) -> McpScript:
    return McpScript(tools=[{"name": "echo", "inputSchema": SCHEMA, **tool}])


def http_tool(server: HttpServer, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("script", server.url, **options)


def last_call(server: HttpServer) -> dict[str, Any]:
    message = [exchange.message for exchange in server.exchanges if exchange.name == "tools/call"][-1]
    assert message is not None
    return message["params"]


async def invoke(tool: MCPStreamableHTTPTool, arguments: dict[str, Any], **values: Any) -> list[Content]:
    """Call the tool's first function as an agent's run does."""
    function = tool.functions[0]
    context = FunctionInvocationContext(function=function, arguments=arguments, kwargs=values)
    return await function.invoke(arguments=arguments, context=context)


@pytest.mark.parametrize(
    ("schema", "extra", "sent"),
    [
        (SCHEMA, None, {"x": 1, "session": "s"}),
        (SCHEMA, "token", {"x": 1, "token": "t", "session": "s"}),
        (SCHEMA, ["token", "tool_choice"], {"x": 1, "token": "t", "session": "s", "tool_choice": "auto"}),
        (SCHEMA, {"echo": "token", "other": "y"}, {"x": 1, "token": "t", "session": "s"}),
        (SCHEMA, {"*": ["y"], "other": "token"}, {"x": 1, "y": 2, "session": "s"}),
        ({"type": "object", "properties": {}}, None, {}),
        ({"type": "object"}, None, {"x": 1, "y": 2, "token": "t"}),
        ({"type": "object"}, "session", {"x": 1, "y": 2, "token": "t", "session": "s"}),
        ({**SCHEMA, "additionalProperties": True}, None, {"x": 1, "y": 2, "token": "t", "session": "s"}),
    ],
)
async def test_a_caller_sends_what_is_declared_or_named(
    schema: dict[str, Any], extra: Any, sent: dict[str, Any]
) -> None:
    with HttpServer(script(inputSchema=schema)) as server:
        async with http_tool(server, additional_tool_argument_names=extra) as tool:
            await tool.call_tool("echo", x=1, y=2, token="t", session="s", tool_choice="auto")
            assert last_call(server).get("arguments") == sent


@pytest.mark.parametrize("schema", [SCHEMA, {"type": "object"}, {**SCHEMA, "additionalProperties": True}])
async def test_values_of_a_run_never_reach_the_server_by_chance(schema: dict[str, Any]) -> None:
    with HttpServer(script(inputSchema=schema)) as server:
        async with http_tool(server) as tool:
            await invoke(tool, {"x": 1}, token="secret", tool_name="secret", self="secret", chat_options="secret")
            assert last_call(server)["arguments"] == {"x": 1}


async def test_what_is_held_back_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with HttpServer(script()) as server:
        async with http_tool(server) as tool:
            await tool.call_tool("echo", x=1, colour="red", tools=[])
    assert [record.getMessage() for record in caplog.records if "colour" in record.getMessage()]
    assert "tools" not in caplog.text.replace("additional_tool_argument_names", "")


async def test_arguments_may_be_called_like_our_own_parameters() -> None:
    schema = {"type": "object", "properties": {"tool_name": {}, "ctx": {}, "context": {}}}
    with HttpServer(script(inputSchema=schema)) as server:
        async with http_tool(server) as tool:
            arguments = {"tool_name": "a", "ctx": "c", "context": "d"}
            await invoke(tool, dict(arguments))
            assert last_call(server)["arguments"] == arguments


async def test_the_meta_a_tool_was_listed_with_comes_back_and_wins_over_the_callers() -> None:
    with HttpServer(script(_meta={"vendor/key": "listed"})) as server:
        async with http_tool(server) as tool:
            given = {"vendor/key": "mine", "other": 1}
            await tool.call_tool("echo", _meta=given)
            assert last_call(server)["_meta"] == {"vendor/key": "listed", "other": 1}
            assert given == {"vendor/key": "mine", "other": 1}
            await tool.call_tool("echo")
            assert last_call(server)["_meta"] == {"vendor/key": "listed"}


async def test_a_model_writes_no_meta_but_a_run_may() -> None:
    with HttpServer(script()) as server:
        async with http_tool(server) as tool:
            await invoke(tool, {"x": 1, "_meta": {"evil": 1}})
            assert "_meta" not in last_call(server)
            await invoke(tool, {"x": 1, "_meta": {"evil": 1}}, _meta={"trusted": 1})
            assert last_call(server)["_meta"] == {"trusted": 1}
            assert last_call(server)["arguments"] == {"x": 1}


@pytest.mark.parametrize("key", ["", "-a", "a-", "/x", "1a/x", "a./x", "a b", "a/b/c"])
async def test_a_meta_key_that_breaks_the_rule_is_refused_before_anything_is_sent(key: str) -> None:
    with HttpServer(script()) as server:
        async with http_tool(server) as tool:
            with pytest.raises(ToolExecutionException, match="_meta"):
                await tool.call_tool("echo", _meta={key: 1})
            assert "tools/call" not in server.names


async def test_a_call_may_have_a_deadline_of_its_own() -> None:
    async def stall(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with HttpServer(McpScript(handlers={"tools/call": stall})) as server:
        async with http_tool(server, request_timeout=30) as tool:
            with pytest.raises(MCPTimeoutError, match=r"0\.2 s \(_timeout\)"):
                await tool.call_tool("echo", _timeout=0.2)
            with pytest.raises(ValueError, match="_timeout"):
                await tool.call_tool("echo", _timeout=-1)


@pytest.mark.parametrize("limit", [BOUND, 0, None])
async def test_a_call_may_take_longer_than_the_others(limit: float | None) -> None:
    async def stall(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.6)  # a slow tool
        return {"content": [{"type": "text", "text": "done"}]}

    with HttpServer(McpScript(handlers={"tools/call": stall})) as server:
        async with http_tool(server, request_timeout=0.2) as tool:
            with pytest.raises(MCPTimeoutError, match=r"0\.2 s \(request_timeout\)"):
                await tool.call_tool("echo")
            (content,) = await tool.call_tool("echo", _timeout=limit)
            assert content.text == "done"  # type: ignore[union-attr]


async def test_parsers_replace_the_built_in_ones_also_for_errors() -> None:
    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": "raw"}], "isError": True}

    with HttpServer(McpScript(handlers={"tools/call": fail})) as server:
        async with http_tool(server, parse_tool_results=lambda result: f"parsed {result.content[0].text}") as tool:
            with pytest.raises(MCPToolError, match="parsed raw"):
                await tool.call_tool("echo")


async def test_a_parser_that_fails_says_that_the_tool_has_run() -> None:
    with HttpServer(script()) as server:
        async with http_tool(server, parse_tool_results=lambda result: result.nonsense) as tool:
            with pytest.raises(MCPError, match="its result could not be parsed") as caught:
                await tool.call_tool("echo")
            assert caught.value.sent is True


async def test_progress_reaches_a_callback_and_its_failure_costs_nothing() -> None:
    seen: list[Any] = []

    class Slow(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            message = exchange.message or {}
            if message.get("method") != "tools/call":
                return await super().__call__(exchange)
            token = message["params"]["_meta"]["progressToken"]
            await exchange.start_events()
            for step in (1, 2):
                params = {"progressToken": token, "progress": step, "total": 2, "message": f"step {step}"}
                await exchange.send_event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
            await exchange.send_event({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}})
            return None

    async def report(*arguments: Any) -> None:
        seen.append(arguments)
        raise KeyError("a bug of the user's")

    with HttpServer(Slow()) as server:
        async with http_tool(server, progress_callback=report) as tool:
            assert (await asyncio.wait_for(tool.call_tool("echo"), BOUND))[0].text == "null"  # type: ignore[union-attr]
            assert seen == [("echo", 1.0, 2.0, "step 1"), ("echo", 2.0, 2.0, "step 2")]
            assert tool.is_connected


async def test_structured_output_needs_no_second_listing_after_a_reconnect() -> None:
    structured = {"content": [], "structuredContent": {"n": 1}}

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        return structured

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    served = McpScript(
        tools=[{"name": "echo", "inputSchema": SCHEMA, "outputSchema": schema}], handlers={"tools/call": answer}
    )
    with HttpServer(served) as server:
        async with http_tool(server) as tool:
            served.live_sessions.clear()
            contents = await tool.call_tool("echo")
            assert json.loads(contents[0].text) == {"n": 1}  # type: ignore[union-attr,arg-type]
            posts = [exchange.name for exchange in server.exchanges if exchange.method == "POST"]
            assert posts.index("tools/call", 5) < len(posts)


# Headers ...


def token_for(values: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {values['user']}"}


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
async def test_overlapping_calls_carry_each_its_own_headers(events: bool) -> None:
    class Slow(McpScript):
        async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
            await asyncio.sleep(0.5)
            return await super().call_tool(params)

    with HttpServer(Slow(events=events, tools=[{"name": "echo", "inputSchema": SCHEMA}])) as server:
        async with http_tool(server, header_provider=token_for) as tool:
            started = time.monotonic()
            await asyncio.gather(*(invoke(tool, {"x": number}, user=f"u{number}") for number in range(4)))
            assert time.monotonic() - started < 1.5
        calls = [exchange for exchange in server.exchanges if exchange.name == "tools/call"]
        assert {
            exchange.headers["authorization"]: exchange.message["params"]["arguments"]["x"] for exchange in calls
        } == {  # type: ignore[index]
            f"Bearer u{number}": number for number in range(4)
        }
        others = [exchange for exchange in server.exchanges if exchange.name != "tools/call"]
        assert not any("authorization" in exchange.headers for exchange in others)


async def test_every_request_of_a_session_carries_the_providers_headers() -> None:
    asked: list[dict[str, Any]] = []

    def provide(values: dict[str, Any]) -> dict[str, str]:
        asked.append(values)
        return {"x-tenant": values.get("tenant", "ambient")}

    with HttpServer(script()) as server:
        async with http_tool(server, header_provider=provide) as tool:
            await server.arrived("GET")
            await tool.call_tool("echo", x=1, tenant="mine")
        by_name = dict(zip(server.names, server.sent_headers("x-tenant"), strict=True))
        assert by_name == {
            "initialize": "ambient",
            "notifications/initialized": "ambient",
            "GET": "ambient",
            "tools/list": "ambient",
            "tools/call": "mine",
            "DELETE": "ambient",
        }
        assert {"x": 1, "tenant": "mine"} in asked


async def test_a_call_without_headers_gets_none_of_the_ambient_ones() -> None:
    with HttpServer(script()) as server:
        provide = lambda values: {} if values else {"x-ambient": "1"}  # noqa: E731
        async with http_tool(server, header_provider=provide) as tool:
            await tool.call_tool("echo", x=1)
        call = next(exchange for exchange in server.exchanges if exchange.name == "tools/call")
        assert "x-ambient" not in call.headers


async def test_a_provider_that_fails_fails_the_request_it_was_asked_for() -> None:
    def broken(values: dict[str, Any]) -> dict[str, str]:
        raise ValueError("no token")

    with HttpServer(script()) as server:
        with pytest.raises(MCPError, match="no token"):
            await asyncio.wait_for(http_tool(server, header_provider=broken).connect(), BOUND)
        async with http_tool(server, header_provider=token_for) as tool:
            with pytest.raises(MCPError, match="header_provider") as caught:
                await tool.call_tool("echo", x=1)
            assert caught.value.sent is False


async def test_headers_do_not_follow_a_redirect_to_another_origin() -> None:
    with HttpServer(McpScript(sessions=False)) as elsewhere:

        async def redirect(exchange: Exchange) -> None:
            await exchange.answer(307, location=elsewhere.url)

        with HttpServer(redirect) as server:
            with pytest.raises(MCPError, match="HTTP 307"):
                await http_tool(server, header_provider=lambda values: {"x-secret": "1"}).connect()
        assert elsewhere.exchanges == []


async def test_a_redirect_within_the_origin_is_followed_with_its_headers() -> None:
    served = McpScript(sessions=False)

    async def redirect(exchange: Exchange) -> object:
        if exchange.path == "/mcp":
            await exchange.answer(307, location="/mcp/")
            return None
        return await served(exchange)

    with HttpServer(redirect) as server:
        async with http_tool(server, header_provider=lambda values: {"x-secret": "1"}) as tool:
            assert tool.is_connected
        assert {exchange.headers.get("x-secret") for exchange in server.exchanges if exchange.path == "/mcp/"} == {"1"}
