# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a trace shows of requests to real servers, and what of it those servers are told."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.trace", reason="the OpenTelemetry SDK is not installed")

from fault_servers import BOUND, HTTP_FAULTS, HttpServer, McpScript, RpcError, never, unused_port
from opentelemetry import trace
from otel_recorder import measurements, metric_reader, span_exporter

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, observability
from agent_framework._mcp import MCPConnectionError, MCPServerError, MCPTimeoutError, MCPToolError
from agent_framework.exceptions import ToolException

PEER = str(Path(__file__).with_name("stdio_peer.py"))
OPERATION, SESSION = "mcp.client.operation.duration", "mcp.client.session.duration"


class Script(McpScript):
    """A server with tools that fail in their own way, and with a prompt."""

    def __init__(self) -> None:
        super().__init__(
            tools=[{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "fail", "refuse")],
            handlers={"prompts/list": self.list_prompts, "prompts/get": self.get_prompt},
        )

    async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        return {**await super().initialize(params), "capabilities": {"tools": {}, "prompts": {}}}

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "refuse":
            raise RpcError(-32602, "s3cret is no argument")
        return {**await super().call_tool(params), "isError": params["name"] == "fail"}

    async def list_prompts(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": [{"name": "greet"}]}

    async def get_prompt(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": {"type": "text", "text": "Hello."}}]}


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer(Script()) as running:
        yield running


@pytest.fixture(autouse=True)
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    exporter = span_exporter()
    metric_reader()
    switch(monkeypatch, on=True)
    exporter.clear()
    measurements()
    yield exporter
    exporter.clear()


def switch(monkeypatch: pytest.MonkeyPatch, *, on: bool) -> None:
    settings = observability.ObservabilitySettings(enable_instrumentation=on, enable_sensitive_data=False)
    monkeypatch.setattr(observability, "OBSERVABILITY_SETTINGS", settings)


def by_name(spans: Any) -> dict[str, Any]:
    return {span.name: span for span in spans.get_finished_spans()}


def traceparent(here: trace.SpanContext) -> str:
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def meta_of(exchange: Any) -> dict[str, Any]:
    return exchange.message["params"].get("_meta") or {}


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


async def test_every_request_has_a_span_below_the_caller_s(spans: Any, server: HttpServer) -> None:
    with trace.get_tracer("test").start_as_current_span("caller") as caller:
        async with MCPStreamableHTTPTool("script", server.url, load_prompts=True) as tool:
            await tool.call_tool("echo", x=1)
            await tool.get_prompt("greet")
    found = by_name(spans)
    names = ["initialize", "tools/list", "prompts/list", "tools/call echo", "prompts/get greet"]
    assert [span.name for span in spans.get_finished_spans()] == [*names, "caller"]
    for name in names:
        attributes = found[name].attributes
        assert found[name].parent.span_id == caller.get_span_context().span_id
        assert attributes["mcp.method.name"] == name.partition(" ")[0]
        assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", server.port)
        assert (attributes["network.transport"], attributes["network.protocol.name"]) == ("tcp", "http")
        assert attributes["mcp.protocol.version"]
        assert "error.type" not in attributes
    sent = [exchange.message for exchange in server.exchanges if exchange.message and "id" in exchange.message]
    assert [found[name].attributes["jsonrpc.request.id"] for name in names] == [str(item["id"]) for item in sent]


async def test_a_name_that_a_server_gave_is_printable_in_a_span(spans: Any, server: HttpServer) -> None:
    async with MCPStreamableHTTPTool("script", server.url) as tool:
        await within(tool.call_tool("evil\n\x1b[2Jname" + "x" * 1000))
    [span] = [span for span in spans.get_finished_spans() if span.name.startswith("tools/call")]
    assert span.name.startswith("tools/call evil namexxx")
    assert span.name.isprintable()
    assert len(span.name) < 300
    assert span.attributes["gen_ai.tool.name"] == span.name.removeprefix("tools/call ")


async def test_a_stdio_server_s_spans_say_that_it_is_behind_a_pipe(spans: Any) -> None:
    async with MCPStdioTool("peer", sys.executable, args=[PEER, "good"]) as tool:
        await tool.call_tool("echo")
    attributes = by_name(spans)["tools/call echo"].attributes
    assert attributes["network.transport"] == "pipe"
    assert not {"server.address", "network.protocol.name"} & set(attributes)


async def test_the_server_is_told_the_tool_call_s_own_span(spans: Any, server: HttpServer) -> None:
    async with MCPStreamableHTTPTool("script", server.url) as tool:
        (echo,) = [function for function in tool.functions if function.name == "echo"]
        await echo.invoke(arguments={})
    call = by_name(spans)["tools/call echo"]
    assert call.parent.span_id == by_name(spans)["execute_tool echo"].context.span_id
    assert meta_of(server.wait_for("tools/call"))["traceparent"] == traceparent(call.context)


async def test_calls_at_the_same_time_are_told_apart(spans: Any, server: HttpServer) -> None:
    async with MCPStreamableHTTPTool("script", server.url) as tool:
        await within(asyncio.gather(*(tool.call_tool("echo") for _ in range(5))))
    made = {traceparent(span.context) for span in spans.get_finished_spans() if span.name == "tools/call echo"}
    calls = [exchange for exchange in server.exchanges if exchange.name == "tools/call"]
    assert {meta_of(exchange)["traceparent"] for exchange in calls} == made
    assert len(made) == 5


async def test_a_call_that_is_sent_again_has_a_span_for_each_time(spans: Any) -> None:
    script = Script()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            script.live_sessions.clear()
            await tool.call_tool("echo")
    outcomes = [
        span.attributes.get("error.type") for span in spans.get_finished_spans() if span.name == "tools/call echo"
    ]
    assert outcomes == ["404", None]


async def test_with_instrumentation_off_the_server_is_told_the_caller_s_span(
    spans: Any, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch(monkeypatch, on=False)
    async with MCPStreamableHTTPTool("script", server.url) as tool:
        with trace.get_tracer("test").start_as_current_span("caller") as caller:
            await tool.call_tool("echo")
        await tool.call_tool("echo")
    assert list(by_name(spans)) == ["caller"]
    assert by_name(spans)["caller"].events == ()
    assert measurements() == {}
    first, second = (meta_of(exchange) for exchange in server.exchanges if exchange.name == "tools/call")
    assert first["traceparent"] == traceparent(caller.get_span_context())
    assert second == {}


@pytest.mark.parametrize(
    ("name", "error", "kind"), [("fail", MCPToolError, "tool_error"), ("refuse", MCPServerError, "-32602")]
)
async def test_a_failing_call_marks_its_span_and_its_measurement(
    spans: Any, server: HttpServer, name: str, error: type[Exception], kind: str
) -> None:
    async with MCPStreamableHTTPTool("script", server.url) as tool:
        with pytest.raises(error):
            await tool.call_tool(name)
    span = by_name(spans)[f"tools/call {name}"]
    assert span.attributes["error.type"] == kind
    assert not span.status.is_ok
    points = [dict(point.attributes) for point in measurements()[OPERATION]]
    assert [point.get("error.type") for point in points if point["mcp.method.name"] == "tools/call"] == [kind]


FAILING_HANDSHAKES = {
    "401": "401",
    "403": "403",
    "404": "404",
    "500": "500",
    "HTML": "MCPProtocolError",
    "bad JSON": "MCPProtocolError",
    "JSON-RPC error": "-32603",
    "wrong protocol version": "MCPProtocolError",
    "closed in mid-header": "MCPConnectionError",
}


@pytest.mark.parametrize("fault", FAILING_HANDSHAKES)
async def test_a_failing_handshake_marks_its_span(spans: Any, fault: str) -> None:
    with HttpServer(HTTP_FAULTS[fault]) as server:
        with pytest.raises(ToolException):
            await within(MCPStreamableHTTPTool("faulty", server.url).connect())
    span = by_name(spans)["initialize"]
    assert span.attributes["error.type"] == FAILING_HANDSHAKES[fault]
    assert not span.status.is_ok


async def test_a_refused_connection_marks_the_handshake_s_span(spans: Any) -> None:
    port = unused_port()
    with pytest.raises(MCPConnectionError):
        await within(MCPStreamableHTTPTool("nobody", f"http://127.0.0.1:{port}/mcp").connect())
    attributes = by_name(spans)["initialize"].attributes
    assert (attributes["error.type"], attributes["server.port"]) == ("MCPConnectionError", port)


async def test_a_handshake_that_takes_too_long_marks_its_span(spans: Any) -> None:
    with HttpServer(never) as server:
        with pytest.raises(MCPTimeoutError):
            await within(MCPStreamableHTTPTool("silent", server.url, connect_timeout=0.2).connect())
    assert by_name(spans)["initialize"].attributes["error.type"] == "MCPTimeoutError"


async def test_a_handshake_that_is_given_up_is_no_error(spans: Any) -> None:
    with HttpServer(never) as server:
        connecting = asyncio.ensure_future(MCPStreamableHTTPTool("silent", server.url).connect())
        await server.arrived("initialize")
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(connecting)
    assert "error.type" not in by_name(spans)["initialize"].attributes


async def test_a_process_that_exits_marks_the_handshake_s_span(spans: Any) -> None:
    with pytest.raises(MCPConnectionError):
        await within(MCPStdioTool("peer", sys.executable, args=[PEER, "exits"]).connect())
    assert by_name(spans)["initialize"].attributes["error.type"] == "MCPConnectionError"


async def test_a_lost_connection_marks_the_call_and_the_session(spans: Any) -> None:
    async with MCPStdioTool("peer", sys.executable, args=[PEER, "good"]) as tool:
        with pytest.raises(MCPConnectionError):
            await within(tool.call_tool("die"))
    assert by_name(spans)["tools/call die"].attributes["error.type"] == "MCPConnectionError"
    (session,) = measurements()[SESSION]
    assert session.attributes["error.type"] == "MCPConnectionError"


async def test_a_closed_session_is_measured_once(server: HttpServer) -> None:
    async with MCPStreamableHTTPTool("script", server.url):
        pass
    (session,) = measurements()[SESSION]
    assert session.count == 1
    assert session.attributes["mcp.protocol.version"]
    assert session.attributes["server.port"] == server.port
    assert "error.type" not in session.attributes


async def test_the_caller_s_span_tells_what_became_of_the_connection(spans: Any, server: HttpServer) -> None:
    with trace.get_tracer("test").start_as_current_span("caller"):
        async with MCPStreamableHTTPTool("script", server.url):
            pass
    states = [
        event.attributes["agent_framework.mcp.state.after"]
        for event in by_name(spans)["caller"].events
        if event.name == "mcp connection state"
    ]
    assert states == ["connecting", "ready", "closing", "closed"]


async def test_no_secret_is_in_spans_or_measurements(spans: Any, server: HttpServer) -> None:
    url = server.url.replace("http://", "http://user:s3cret@") + "?key=s3cret#s3cret"
    with trace.get_tracer("test").start_as_current_span("caller"):
        async with MCPStreamableHTTPTool("script", url) as tool:
            await tool.call_tool("echo", password="s3cret")
            for name in ("fail", "refuse"):
                with pytest.raises(ToolException):
                    await tool.call_tool(name, password="s3cret")
    recorded = json.dumps([json.loads(span.to_json()) for span in spans.get_finished_spans()])
    points = [dict(point.attributes) for found in measurements().values() for point in found]
    sessions = {session for session in server.sent_headers("mcp-session-id") if session}
    assert sessions
    assert "tools/call refuse" in recorded
    for secret in ("s3cret", *sessions):
        assert secret not in recorded + json.dumps(points)
