# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Spans, metrics and trace context of MCP requests."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk.trace", reason="the OpenTelemetry SDK is not installed")

from mcp.types import CallToolResult, TextContent
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind, StatusCode
from otel_recorder import measurements, metric_reader, span_exporter
from sdk_names import sdk_error

from agent_framework import observability
from agent_framework._mcp import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPServerError,
    MCPTimeoutError,
    MCPToolError,
    _inject_otel_into_mcp_meta,
)
from agent_framework._mcp_client import _tracing
from agent_framework._mcp_client._causes import DeadlinePassed, ServerExited
from agent_framework._mcp_client._server import Server
from agent_framework._mcp_client._state import State
from agent_framework._mcp_client._tracing import (
    progress_recorder,
    record_session,
    record_state_change,
    request_span,
)

HTTP = Server("docs", url="https://example.test/mcp")
STDIO = Server("files", command="serve", args=("--token", "s3cret"))


def switch(monkeypatch: pytest.MonkeyPatch, *, on: bool, sensitive: bool = False) -> None:
    settings = observability.ObservabilitySettings(enable_instrumentation=on, enable_sensitive_data=sensitive)
    monkeypatch.setattr(observability, "OBSERVABILITY_SETTINGS", settings)


@pytest.fixture(autouse=True)
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    exporter = span_exporter()
    metric_reader()
    switch(monkeypatch, on=True)
    exporter.clear()
    measurements()
    yield exporter
    exporter.clear()


def only_span(spans: Any) -> Any:
    (span,) = spans.get_finished_spans()
    return span


def current_ids() -> tuple[int, int]:
    here = trace.get_current_span().get_span_context()
    return here.trace_id, here.span_id


def traceparent(here: trace.SpanContext) -> str:
    """A span as W3C Trace Context names it."""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


# One request ...


def test_a_tool_call_s_span_says_what_was_called_where_and_how(spans: Any) -> None:
    call = SimpleNamespace(request_id=None)
    with request_span("tools/call", HTTP, target="echo", protocol_version="2025-06-18", call=call):
        call.request_id = 7
    span = only_span(spans)
    assert (span.name, span.kind, span.status.status_code) == ("tools/call echo", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "echo",
        "gen_ai.operation.name": "execute_tool",
        "mcp.protocol.version": "2025-06-18",
        "jsonrpc.request.id": "7",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": "example.test",
        "server.port": 443,
    }


@pytest.mark.parametrize(
    ("method", "target", "name", "attributes"),
    [
        ("initialize", None, "initialize", {}),
        ("tools/list", None, "tools/list", {}),
        ("prompts/list", None, "prompts/list", {}),
        ("prompts/get", "greet", "prompts/get greet", {"gen_ai.prompt.name": "greet"}),
        ("resources/read", "file:///etc/passwd", "resources/read", {}),
        ("ping", None, "ping", {}),
    ],
)
def test_a_span_is_named_after_the_method_and_what_has_few_values(
    spans: Any, method: str, target: str | None, name: str, attributes: dict[str, str]
) -> None:
    with request_span(method, STDIO, target=target):
        pass
    assert only_span(spans).name == name
    assert dict(only_span(spans).attributes) == {"mcp.method.name": method, "network.transport": "pipe", **attributes}


@pytest.mark.parametrize(
    ("url", "protocol", "address", "port"),
    [
        ("http://127.0.0.1:12345/mcp", "http", "127.0.0.1", 12345),
        ("http://host/", "http", "host", 80),
        ("wss://host/ws", "websocket", "host", 443),
        ("ws://[::1]/ws", "websocket", "::1", 80),
        ("ws://[::1]:9/ws", "websocket", "::1", 9),
        ("http://host:no/", "http", "host", 80),
        ("<not a URL>", "http", None, None),
    ],
)
def test_where_a_server_is_comes_from_its_url(
    spans: Any, url: str, protocol: str, address: str | None, port: int | None
) -> None:
    with request_span("ping", Server("s", url=url)):
        pass
    attributes = only_span(spans).attributes
    assert attributes["network.protocol.name"] == protocol
    assert (attributes.get("server.address"), attributes.get("server.port")) == (address, port)


def test_of_a_session_somebody_lent_no_transport_is_known(spans: Any) -> None:
    with request_span("ping", Server("theirs")):
        pass
    assert dict(only_span(spans).attributes) == {"mcp.method.name": "ping"}


def test_the_span_is_current_inside_and_a_child_of_the_caller_s(spans: Any) -> None:
    with trace.get_tracer("test").start_as_current_span("caller") as caller:
        with request_span("tools/list", HTTP):
            inside = current_ids()
        assert trace.get_current_span() is caller
    request = next(span for span in spans.get_finished_spans() if span.name == "tools/list")
    assert inside == (request.context.trace_id, request.context.span_id)
    assert request.parent.span_id == caller.get_span_context().span_id


async def test_requests_at_the_same_time_have_spans_of_their_own(spans: Any) -> None:
    both = asyncio.Barrier(2) if sys.version_info >= (3, 11) else None

    async def request(target: str) -> tuple[int, int]:
        with request_span("tools/call", HTTP, target=target):
            await (both.wait() if both else asyncio.sleep(0))
            return current_ids()

    seen = await asyncio.gather(request("a"), request("b"))
    made = {span.name: (span.context.trace_id, span.context.span_id) for span in spans.get_finished_spans()}
    assert seen == [made["tools/call a"], made["tools/call b"]]


def test_the_handshake_s_answer_tells_the_protocol_version(spans: Any) -> None:
    with request_span("initialize", HTTP) as span:
        span.answered(SimpleNamespace(protocolVersion="2025-11-25"))
    assert only_span(spans).attributes["mcp.protocol.version"] == "2025-11-25"


# How it ends ...

ERRORS: dict[str, tuple[Exception, str]] = {
    "the tool's own": (MCPToolError("it failed"), "tool_error"),
    "a JSON-RPC error": (MCPServerError("no", code=-32602), "-32602"),
    "an HTTP status": (MCPServerError("no", status_code=503), "503"),
    "refused credentials": (MCPAuthenticationError("no", status_code=401), "401"),
    "a deadline": (MCPTimeoutError("late", timeout=1.0), "MCPTimeoutError"),
    "the session's own deadline, which is no JSON-RPC code": (MCPTimeoutError("late", code=408), "MCPTimeoutError"),
    "a lost connection": (MCPConnectionError("gone", sent=True), "MCPConnectionError"),
    "a foreign error that is known": (httpx.ConnectError("All connection attempts failed"), "MCPConnectionError"),
    "a foreign JSON-RPC error": (sdk_error(-32601, "no such method"), "-32601"),
    "a cause of ours": (DeadlinePassed(30.0, "connect_timeout"), "MCPTimeoutError"),
    "an error nobody foresaw": (KeyError("bug"), "KeyError"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_the_exception_that_passes_is_the_outcome(spans: Any, case: str) -> None:
    error, expected = ERRORS[case]
    with pytest.raises(type(error)), request_span("tools/call", HTTP, target="t"):
        raise error
    span = only_span(spans)
    assert span.attributes["error.type"] == expected
    assert span.status.status_code is StatusCode.ERROR
    code = span.attributes.get("rpc.response.status_code")
    assert code == (expected if expected.startswith("-") else None)
    (point,) = measurements()[_tracing.OPERATION_DURATION]
    assert point.attributes["error.type"] == expected


def test_a_tool_s_error_result_is_the_outcome_too(spans: Any) -> None:
    with request_span("tools/call", HTTP, target="t") as span:
        span.answered(CallToolResult(content=[TextContent(type="text", text="s3cret")], isError=True))
    assert only_span(spans).attributes["error.type"] == "tool_error"
    assert only_span(spans).status.status_code is StatusCode.ERROR


def test_a_good_result_is_no_error(spans: Any) -> None:
    with request_span("tools/call", HTTP, target="t") as span:
        span.answered(CallToolResult(content=[], isError=False))
    assert "error.type" not in only_span(spans).attributes


async def test_a_cancelled_request_ends_its_span_without_an_error(spans: Any) -> None:
    entered = asyncio.Event()

    async def request() -> None:
        with request_span("tools/call", HTTP, target="t"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(request())
    await asyncio.wait_for(entered.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    span = only_span(spans)
    assert "error.type" not in span.attributes
    assert span.status.status_code is StatusCode.UNSET
    assert _tracing.OPERATION_DURATION not in measurements()


def test_a_cancellation_with_a_known_reason_is_that_error(spans: Any) -> None:
    def interrupted() -> None:
        with request_span("initialize", STDIO) as span:
            span.failed(ServerExited(3, ""))
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        interrupted()
    assert only_span(spans).attributes["error.type"] == "MCPConnectionError"
    assert only_span(spans).status.status_code is StatusCode.ERROR


def test_what_kinds_of_errors_met_is_the_status_s_description(spans: Any) -> None:
    error = MCPConnectionError("'docs' at https://example.test/mcp refused: s3cret")
    error.__cause__ = httpx.ConnectError("s3cret")
    with pytest.raises(MCPConnectionError), request_span("ping", HTTP):
        raise error
    assert only_span(spans).status.description == "MCPConnectionError because of ConnectError"


# Metrics ...


def test_a_request_is_measured_with_the_convention_s_buckets() -> None:
    call = SimpleNamespace(request_id=1)
    for _ in range(2):
        with request_span("tools/call", HTTP, target="echo", call=call):
            pass
    (point,) = measurements()[_tracing.OPERATION_DURATION]
    assert point.count == 2
    assert tuple(point.explicit_bounds) == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
    assert point.attributes["mcp.method.name"] == "tools/call"
    assert point.attributes["gen_ai.tool.name"] == "echo"
    assert "jsonrpc.request.id" not in point.attributes


def test_a_session_is_measured_when_it_ends() -> None:
    record_session(HTTP, 12.5, protocol_version="2025-06-18")
    record_session(STDIO, 0.5, cause=ServerExited(-9, "s3cret"))
    plain, lost = sorted(measurements()[_tracing.SESSION_DURATION], key=lambda point: -point.sum)
    assert plain.sum == 12.5
    assert plain.attributes["mcp.protocol.version"] == "2025-06-18"
    assert "error.type" not in plain.attributes
    assert dict(lost.attributes) == {"network.transport": "pipe", "error.type": "MCPConnectionError"}


# Events ...


async def test_progress_is_noted_on_the_span_of_its_request_from_whatever_task(spans: Any) -> None:
    outside = trace.get_tracer("test").start_span("somebody else's")

    async def receive_loop(record: Any) -> None:
        with trace.use_span(outside, end_on_exit=True):
            record(1.0, 3.0, "reading s3cret")
            record(2.0)

    with request_span("tools/call", HTTP, target="t"):
        record = progress_recorder()
        await asyncio.ensure_future(receive_loop(record))
    record(3.0, 3.0, "late")
    by_name = {span.name: span for span in spans.get_finished_spans()}
    assert by_name["somebody else's"].events == ()
    events = by_name["tools/call t"].events
    assert [event.name for event in events] == ["mcp progress", "mcp progress"]
    assert [dict(event.attributes) for event in events] == [{"progress": 1.0, "total": 3.0}, {"progress": 2.0}]


def test_a_server_s_words_are_recorded_only_with_sensitive_data(spans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        with request_span("tools/call", HTTP, target="t"):
            progress_recorder()(1.0, None, "reading chapter 1")
            raise MCPServerError("Tool 't' failed: no such chapter.", code=-32000)

    switch(monkeypatch, on=True, sensitive=True)
    with pytest.raises(MCPServerError):
        fail()
    assert only_span(spans).events[0].attributes["message"] == "reading chapter 1"
    assert only_span(spans).status.description == "Tool 't' failed: no such chapter."


def test_a_change_of_state_is_noted_on_the_current_span(spans: Any) -> None:
    with trace.get_tracer("test").start_as_current_span("caller"):
        record_state_change(STDIO, State.CONNECTING, State.READY)
        record_state_change(STDIO, State.READY, State.CLOSING, ServerExited(1, "s3cret"))
    record_state_change(STDIO, State.CLOSING, State.CLOSED)
    ready, closing = only_span(spans).events
    assert dict(ready.attributes) == {
        "agent_framework.mcp.server": "files",
        "agent_framework.mcp.state.before": "connecting",
        "agent_framework.mcp.state.after": "ready",
    }
    assert closing.attributes["error.type"] == "MCPConnectionError"


# Trace context in _meta ...


def test_meta_continues_the_request_s_own_span(spans: Any) -> None:
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    with request_span("tools/call", HTTP, target="t"):
        meta = _inject_otel_into_mcp_meta()
    context.detach(token)
    assert meta == {"traceparent": traceparent(only_span(spans).context), "baggage": "tenant=acme"}


def test_without_anything_to_say_there_is_no_meta() -> None:
    assert _inject_otel_into_mcp_meta() is None
    assert _inject_otel_into_mcp_meta({}) is None


def test_with_instrumentation_off_a_trace_that_is_there_travels_on(monkeypatch: pytest.MonkeyPatch) -> None:
    switch(monkeypatch, on=False)
    with trace.get_tracer("test").start_as_current_span("caller") as caller:
        with request_span("tools/call", HTTP, target="t"):
            meta = _inject_otel_into_mcp_meta()
    assert meta == {"traceparent": traceparent(caller.get_span_context())}


# Nothing ...


def test_nothing_is_recorded_when_instrumentation_is_off(spans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    switch(monkeypatch, on=False)
    with trace.get_tracer("test").start_as_current_span("caller"):
        with request_span("tools/call", HTTP, target="t") as span:
            span.answered(CallToolResult(content=[], isError=True))
            span.failed(KeyError())
            assert progress_recorder() is None
        record_state_change(HTTP, State.NEW, State.CONNECTING)
        record_session(HTTP, 1.0)
    assert only_span(spans).name == "caller"
    assert only_span(spans).events == ()
    assert measurements() == {}
    assert request_span("ping", HTTP) is request_span("initialize", STDIO)


def test_without_a_provider_nothing_is_computed() -> None:
    script = """
import sys
from agent_framework import observability
from agent_framework._mcp import _inject_otel_into_mcp_meta
from agent_framework._mcp_client._server import Server
from agent_framework._mcp_client._tracing import _UNRECORDED, request_span
before = set(sys.modules)
assert request_span("ping", Server("s")) is _UNRECORDED
assert set(sys.modules) == before
observability.enable_instrumentation()
assert request_span("ping", Server("s")) is _UNRECORDED
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
assert not {"mcp", "anyio", "httpx"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_nothing_secret_is_recorded(spans: Any) -> None:
    from agent_framework._mcp_client._server import public_url

    server = Server("docs", url=public_url("https://user:s3cret@example.test:8443/mcp?key=s3cret#s3cret"))
    error = MCPServerError("the server said s3cret", code=-32000, data={"s3cret": 1})
    error.__cause__ = sdk_error(-32000, "s3cret")

    def fail(peer: Server) -> None:
        with request_span("tools/call", peer, target="t"):
            progress_recorder()(1.0, 2.0, "s3cret")
            record_state_change(peer, State.READY, State.CLOSING, error)
            raise error

    for peer in (server, STDIO):
        with pytest.raises(MCPServerError):
            fail(peer)
        record_session(peer, 1.0, cause=error)
    recorded = json.dumps([span.to_json() for span in spans.get_finished_spans()])
    points = [dict(point.attributes) for found in measurements().values() for point in found]
    assert len(points) == 4
    assert "s3cret" not in recorded + json.dumps(points)
