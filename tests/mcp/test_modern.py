# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Servers that speak protocol 2026-07-28, alone or beside the handshake, over HTTP."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
)
from agent_framework._mcp_client import _eras, _input_required, _sdk, _subscriptions

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import BOUND, Exchange, HttpServer, McpScript, RpcError, never, respond, unused_port
from modern_server import BAD_PARAMS, HEADER_MISMATCH, META, NO_SUCH_VERSION, VERSION, ModernScript, text, tool

SPEAKS_IT = bool(_sdk.MODERN_VERSIONS)
modern = pytest.mark.skipif(not SPEAKS_IT, reason="SDK 1.x does not speak protocol 2026-07-28")

ASK = {"method": "elicitation/create", "params": {"message": "sure?", "requestedSchema": {"type": "object"}}}


def said(contents: Any) -> str:
    return "".join(item.text for item in contents)


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


@pytest.mark.skipif(SPEAKS_IT, reason="this SDK speaks protocol 2026-07-28")
async def test_with_the_older_sdk_a_modern_only_server_is_named_as_such_with_what_to_install() -> None:
    with HttpServer(ModernScript()) as server:
        with pytest.raises(MCPProtocolError, match=r"only protocol 2026-07-28; install 'mcp>=2\.2'"):
            await MCPStreamableHTTPTool("x", server.url).connect()


@modern
@pytest.mark.parametrize("events", [False, True])
async def test_a_modern_server_is_listed_and_called(events: bool) -> None:
    with HttpServer(ModernScript(events=events)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            assert mcp.protocol_version == VERSION
            assert mcp.server_info is not None
            assert (mcp.server_info.name, mcp.server_info.version) == ("modern", "7")
            assert [function.name for function in mcp.functions] == ["echo"]
            assert said(await within(mcp.call_tool("echo", a=1))) == '{"a": 1}'
        assert mcp.protocol_version is None
        assert not {"initialize", "ping", "GET", "DELETE"} & set(server.names)


@modern
async def test_a_legacy_server_is_asked_once_and_remembered() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            assert mcp.protocol_version not in (None, VERSION)
            script.live_sessions.clear()
            await within(mcp.call_tool("echo"))
            await mcp.connect(reset=True)
        assert script.opened_sessions == 3
        assert server.names.count("server/discover") == 1


@modern
async def test_the_era_can_be_fixed() -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("x", server.url, protocol_mode="legacy"):
            assert "server/discover" not in server.names
        with pytest.raises(MCPError):
            await MCPStreamableHTTPTool("x", server.url, protocol_mode=VERSION).connect()
        assert server.names.count("initialize") == 1
    with HttpServer(ModernScript()) as server:
        async with MCPStreamableHTTPTool("x", server.url, protocol_mode=VERSION):
            assert server.names[0] == "server/discover"
        with pytest.raises(MCPProtocolError, match="protocol_mode='auto'"):
            await MCPStreamableHTTPTool("x", server.url, protocol_mode="legacy").connect()


@pytest.mark.parametrize("mode", ["", "modern", 2026, None])
def test_a_mode_that_is_none_is_an_error_of_the_constructor(mode: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="protocol_mode"):
        MCPStreamableHTTPTool("x", "http://127.0.0.1/mcp", protocol_mode=mode)


@modern
async def test_a_server_of_both_eras_is_spoken_to_in_the_newer_one() -> None:
    class Both(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            is_modern = exchange.headers.get("mcp-protocol-version") == VERSION
            return await (newer(exchange) if is_modern else super().__call__(exchange))

    newer = ModernScript(versions=(VERSION, "2025-11-25"))
    with HttpServer(Both()) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            assert mcp.protocol_version == VERSION
        async with MCPStreamableHTTPTool("x", server.url, protocol_mode="legacy") as mcp:
            assert mcp.protocol_version == "2025-11-25"


@modern
async def test_a_discovery_that_advertises_older_versions_alone_leads_to_the_handshake() -> None:
    async def discover(params: dict[str, Any]) -> dict[str, Any]:
        return {"supportedVersions": ["2025-11-25"], "capabilities": {}, "resultType": "complete"}

    with HttpServer(McpScript(handlers={"server/discover": discover}, sessions=False)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            assert mcp.protocol_version == "2025-11-25"


@modern
async def test_a_server_that_shares_no_version_with_us_says_which_it_speaks() -> None:
    with HttpServer(ModernScript(versions=("2031-01-01",))) as server:
        with pytest.raises(MCPError, match="2031-01-01"):
            await MCPStreamableHTTPTool("x", server.url).connect()


@modern
async def test_a_server_that_does_not_answer_the_probe_gets_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_eras, "PROBE_TIMEOUT", 0.2)

    class Silent(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            return await (never(exchange) if exchange.name == "server/discover" else super().__call__(exchange))

    with HttpServer(Silent()) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            await within(mcp.call_tool("echo"))


@modern
async def test_an_outage_is_no_era_and_costs_one_attempt() -> None:
    port = unused_port()
    mcp = MCPStreamableHTTPTool("x", f"http://127.0.0.1:{port}/mcp")
    with pytest.raises(MCPConnectionError, match="refused"):
        await mcp.connect()
    with HttpServer(ModernScript(), port=port):
        async with mcp:
            assert mcp.protocol_version == VERSION


@modern
@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_no_era(status: int) -> None:
    with HttpServer(partial(respond, status=status)) as server:
        mcp = MCPStreamableHTTPTool("x", server.url)
        with pytest.raises(MCPAuthenticationError):
            await mcp.connect()
        server.behaviour = ModernScript()
        async with mcp:
            assert mcp.protocol_version == VERSION


@modern
async def test_a_server_that_comes_back_in_another_era_is_found_again() -> None:
    with HttpServer(McpScript()) as server:
        mcp = MCPStreamableHTTPTool("x", server.url)
        await mcp.connect()
        assert mcp.protocol_version != VERSION
        server.behaviour = ModernScript()
        await within(mcp.connect(reset=True))
        assert mcp.protocol_version == VERSION
        server.behaviour = McpScript()
        await within(mcp.connect(reset=True))
        assert mcp.protocol_version != VERSION
        await mcp.close()


# Calls ...


@modern
async def test_giving_a_call_up_closes_its_stream_and_sends_nothing() -> None:
    async def slow(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    script = ModernScript(handlers={"tools/call": slow})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            call = asyncio.create_task(mcp.call_tool("echo"))
            await server.arrived("tools/call")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            with pytest.raises(MCPTimeoutError):
                await mcp.call_tool("echo", _timeout=0.1)
            await until(lambda: script.given_up == 2)
            assert "notifications/cancelled" not in server.names


async def until(condition: Any) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)  # it changes in the server's thread

    await within(poll())


@modern
@pytest.mark.parametrize("events", [False, True])
async def test_an_error_keeps_its_code_and_costs_its_call_alone(events: bool) -> None:
    async def refuse(params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "bad":
            raise RpcError(BAD_PARAMS, "no such tool")
        return text("right")

    with HttpServer(ModernScript(handlers={"tools/call": refuse}, events=events)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            with pytest.raises(MCPServerError, match="no such tool") as caught:
                await within(mcp.call_tool("bad"))
            assert (caught.value.code, caught.value.status_code) == (BAD_PARAMS, None if events else 400)
            assert said(await within(mcp.call_tool("echo"))) == "right"
            assert mcp.is_connected


@modern
async def test_a_server_that_goes_away_and_returns_is_used_again() -> None:
    with HttpServer(ModernScript()) as server:
        port = server.port
        mcp = MCPStreamableHTTPTool("x", server.url)
        await mcp.connect()
    with pytest.raises(MCPConnectionError):
        await within(mcp.call_tool("echo"))
    with HttpServer(ModernScript(), port=port):
        assert said(await within(mcp.call_tool("echo"))) == "{}"
        await mcp.close()


@modern
async def test_one_bad_tool_costs_one_tool(caplog: pytest.LogCaptureFixture) -> None:
    bad = [{"name": 7}, {"name": "x", "inputSchema": {"type": "object", "properties": {"a": {"x-mcp-header": "a b"}}}}]
    with HttpServer(ModernScript(tools=[*bad, tool("echo")])) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            assert [function.name for function in mcp.functions] == ["echo"]
    assert caplog.text.count("cannot be used") == 1  # one record tells of all


REGION = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


class Mirroring(ModernScript):
    """Wants the argument ``region`` in a header, once it has said so."""

    wants = True

    def wrong_with(self, exchange: Exchange, message: dict[str, Any]) -> dict[str, Any] | None:
        region = ((message.get("params") or {}).get("arguments") or {}).get("region")
        if self.wants and region and exchange.headers.get("mcp-param-region") != region:
            return {"code": HEADER_MISMATCH, "message": "the region in the header differs"}
        return super().wrong_with(exchange, message)


@modern
async def test_arguments_that_a_schema_marks_are_mirrored_in_headers() -> None:
    with HttpServer(Mirroring(tools=[tool("echo", REGION)])) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            assert said(await within(mcp.call_tool("echo", region="eu"))) == '{"region": "eu"}'
        assert server.names.count("tools/call") == 1


@modern
async def test_a_header_that_is_missing_is_sent_after_a_listing() -> None:
    script = Mirroring(tools=[tool("echo", {"properties": {"region": {"type": "string"}}})])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            script.tools = [tool("echo", REGION)]
            assert said(await within(mcp.call_tool("echo", region="eu"))) == '{"region": "eu"}'
            assert server.names.count("tools/call") == 2
            script.tools = [tool("echo", {"properties": {"region": {"type": "string"}}})]
            await mcp.load_tools()
            with pytest.raises(MCPServerError, match="differs"):
                await within(mcp.call_tool("echo", region="eu"))
            assert server.names.count("tools/call") == 4


@modern
async def test_the_log_level_goes_with_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []

    async def call(params: dict[str, Any]) -> dict[str, Any]:
        levels.append(params["_meta"].get(META + "logLevel"))
        return text("right")

    monkeypatch.setattr(logging.getLogger("agent_framework._mcp"), "level", logging.WARNING)
    script = ModernScript(handlers={"tools/call": call}, capabilities={"tools": {}, "logging": {}})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            await within(mcp.call_tool("echo"))
        assert levels == ["warning"]
        assert "logging/setLevel" not in server.names


# More input ...


class Asking(ModernScript):
    """Wants to know something before it answers a call.

    Args:
        rounds: The questions of each round.
    """

    def __init__(self, *rounds: Mapping[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.rounds = rounds
        self.answers: list[Any] = []

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        number = int(params.get("requestState", "0"))
        self.answers.append(params.get("inputResponses"))
        if number < len(self.rounds):
            state = {"requestState": str(number + 1)}
            return {"resultType": "input_required", "inputRequests": dict(self.rounds[number]), **state}
        return text("done")


@modern
async def test_what_a_server_wants_to_know_is_asked_and_sent_with_the_request_again() -> None:
    script = Asking({"q": ASK}, {}, {"a": ASK, "b": ASK})
    asked = []

    async def answer(params: Any) -> dict[str, Any]:
        asked.append(params.message)
        return {"yes": True}

    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url, elicitation_callback=answer) as mcp:
            assert said(await within(mcp.call_tool("echo", a=1))) == "done"
    given = {"action": "accept", "content": {"yes": True}}
    assert script.answers == [None, {"q": given}, None, {"a": given, "b": given}]
    assert asked == ["sure?"] * 3


@modern
async def test_roots_are_told_when_a_server_wants_to_know() -> None:
    script = Asking({"r": {"method": "roots/list"}})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url, roots=["/work"]) as mcp:
            assert said(await within(mcp.call_tool("echo"))) == "done"
    assert script.answers[1]["r"]["roots"][0]["uri"] == "file:///work"


@modern
@pytest.mark.parametrize(
    "question",
    [ASK, {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}, {"method": "x"}, {}],
)
async def test_a_question_that_is_refused_ends_the_call_with_an_error(question: Any) -> None:
    script = Asking({"q": question})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            with pytest.raises(MCPError, match="was refused") as caught:
                await within(mcp.call_tool("echo"))
            assert caught.value.sent is True
            script.rounds = ()
            assert said(await within(mcp.call_tool("echo"))) == "done"


@modern
async def test_questions_have_a_bound() -> None:
    with HttpServer(Asking(*[{}] * 50)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            with pytest.raises(MCPProtocolError, match="more than 10 times"):
                await within(mcp.call_tool("echo"))
            assert server.names.count("tools/call") == _input_required.MAX_ROUNDS + 1
    many = {str(number): ASK for number in range(_input_required.MAX_QUESTIONS + 1)}
    with HttpServer(Asking(many)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            with pytest.raises(MCPProtocolError, match="inputs at once"):
                await within(mcp.call_tool("echo"))


@modern
async def test_headers_of_a_call_are_on_each_of_its_rounds() -> None:
    with HttpServer(Asking({}, {})) as server:
        headers = lambda values: {"x-call": str(values.get("a", "none"))}  # noqa: E731
        async with MCPStreamableHTTPTool("x", server.url, header_provider=headers) as mcp:
            await within(mcp.call_tool("echo", a=1))
        calls = [exchange for exchange in server.exchanges if exchange.name == "tools/call"]
        assert [exchange.headers["x-call"] for exchange in calls] == ["1", "1", "1"]


# Changes ...


@modern
async def test_a_change_of_the_list_is_told_on_a_subscription_which_is_opened_again_after_a_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_subscriptions, "FIRST_DELAY", 0.05)
    script = ModernScript()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            await asyncio.to_thread(script.listening.wait, BOUND)
            script.tools = [tool("echo"), tool("new")]
            server._run(script.tools_changed())
            await until(lambda: [function.name for function in mcp.functions] == ["echo", "new"])
            script.tools = [tool("other")]
            server._run(script.drop_listeners())
            await until(lambda: [function.name for function in mcp.functions] == ["other"])
            assert mcp.is_connected
        assert server.names.count("subscriptions/listen") == 2


@modern
async def test_a_server_that_announces_no_changes_is_not_subscribed_to() -> None:
    with HttpServer(ModernScript(capabilities={"tools": {}})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as mcp:
            await within(mcp.call_tool("echo"))
        assert "subscriptions/listen" not in server.names


@modern
async def test_a_sign_of_life_is_asked_for_without_ping() -> None:
    async def slow(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.5)
        return text("late")

    with HttpServer(ModernScript(handlers={"tools/call": slow})) as server:
        async with MCPStreamableHTTPTool("x", server.url, ping_interval=0.1) as mcp:
            assert said(await within(mcp.call_tool("echo"))) == "late"
        assert server.names.count("server/discover") > 1
        assert "ping" not in server.names


@modern
def test_codes_are_those_of_the_sdk() -> None:
    from mcp import types

    assert getattr(types, "UNSUPPORTED_PROTOCOL_VERSION") == _eras.UNSUPPORTED_VERSION == NO_SUCH_VERSION  # noqa: B009
    assert getattr(types, "HEADER_MISMATCH") == HEADER_MISMATCH  # noqa: B009
