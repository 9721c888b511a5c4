# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent_framework import Agent, Content, Message, _otel_setup, observability, tool
from agent_framework.exceptions import ChatClientException

pytest.importorskip("opentelemetry.sdk.trace", reason="the OpenTelemetry SDK is not installed")

from opentelemetry import trace
from otel_recorder import measurements, metric_reader, span_exporter


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    exporter = span_exporter()
    metric_reader()
    monkeypatch.setattr(
        observability, "OBSERVABILITY_SETTINGS", observability.ObservabilitySettings(enable_instrumentation=True)
    )
    exporter.clear()
    measurements()
    yield exporter
    exporter.clear()


@tool
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


async def run(agent: Agent, stream: bool) -> Any:
    return await (agent.run("Two?", stream=True).get_final_response() if stream else agent.run("Two?"))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_is_a_tree_of_spans(spans: Any, scripted: Any, function_call: Any, stream: bool) -> None:
    agent = Agent(scripted([[function_call("double", x=2)], "Four."]), name="Counter", tools=[double])
    await run(agent, stream)
    by_name = {span.name: span for span in spans.get_finished_spans()}
    assert set(by_name) == {"invoke_agent Counter", "chat scripted-1", "execute_tool double"}
    root = by_name["invoke_agent Counter"]
    children = [span for span in spans.get_finished_spans() if span is not root]
    assert {span.parent.span_id for span in children} == {root.context.span_id}
    assert len(children) == 3
    assert root.attributes["gen_ai.usage.input_tokens"] == 20
    assert root.attributes["gen_ai.agent.id"] == agent.id
    assert json.loads(root.attributes["gen_ai.tool.definitions"])[0]["function"]["name"] == "double"
    chat = by_name["chat scripted-1"].attributes
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.usage.output_tokens"] == 5
    called = by_name["execute_tool double"].attributes
    assert called["gen_ai.tool.call.id"] == "call-1"
    assert not any("messages" in name or "arguments" in name for span in by_name.values() for name in span.attributes)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_said_is_recorded_only_when_asked_for(
    spans: Any, scripted: Any, function_call: Any, stream: bool
) -> None:
    observability.enable_instrumentation(enable_sensitive_data=True)
    await run(Agent(scripted([[function_call("double", x=2)], "Four."]), "Count.", name="C", tools=[double]), stream)
    by_name = {span.name: span.attributes for span in spans.get_finished_spans()}
    assert json.loads(by_name["execute_tool double"]["gen_ai.tool.call.arguments"]) == {"x": 2}
    assert "4" in by_name["execute_tool double"]["gen_ai.tool.call.result"]
    assert json.loads(by_name["invoke_agent C"]["gen_ai.input.messages"])[0]["parts"][0]["content"] == "Two?"
    assert json.loads(by_name["invoke_agent C"]["gen_ai.system_instructions"])[0]["content"] == "Count."
    assert "Four." in by_name["chat scripted-1"]["gen_ai.output.messages"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_marks_the_spans_it_passes(spans: Any, scripted: Any, stream: bool) -> None:
    with pytest.raises(ChatClientException):
        await run(Agent(scripted([ChatClientException("model gone")]), name="C"), stream)
    for span in spans.get_finished_spans():
        assert span.attributes["error.type"] == "ChatClientException"
        assert not span.status.is_ok
    assert len(spans.get_finished_spans()) == 2


async def test_the_span_of_a_tool_is_current_while_it_runs(spans: Any, scripted: Any, function_call: Any) -> None:
    seen: list[int] = []

    @tool
    def look() -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    await scripted([[function_call("look")], "Done."]).get_response([Message("user", ["?"])], options={"tools": [look]})
    (span,) = [one for one in spans.get_finished_spans() if one.name == "execute_tool look"]
    assert seen == [span.context.span_id]


async def test_a_stream_s_span_does_not_leak_into_the_reader(spans: Any, scripted: Any) -> None:
    async for _ in Agent(scripted(["a b c"]), name="C").run("?", stream=True):
        assert not trace.get_current_span().get_span_context().is_valid


async def test_nothing_is_recorded_when_instrumentation_is_off(
    spans: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observability, "OBSERVABILITY_SETTINGS", observability.ObservabilitySettings())
    await Agent(scripted(["Hi."]), tools=[double]).run("?")
    await double.invoke(arguments={"x": 1})
    assert spans.get_finished_spans() == ()


def test_the_environment_decides_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_INSTRUMENTATION", "true")
    monkeypatch.delenv("ENABLE_SENSITIVE_DATA", raising=False)
    settings = observability.ObservabilitySettings()
    assert (settings.ENABLED, settings.SENSITIVE_DATA_ENABLED) == (True, False)


# Metrics, and what is said...


async def test_model_calls_and_function_calls_are_measured(spans: Any, scripted: Any, function_call: Any) -> None:
    await Agent(scripted([[function_call("double", x=2)], "Four."]), name="C", tools=[double]).run("Two?")
    found = measurements()
    (calls,) = found["gen_ai.client.operation.duration"]
    assert calls.count == 2
    assert calls.attributes["gen_ai.operation.name"] == "chat"
    assert calls.attributes["gen_ai.request.model"] == "scripted-1"
    assert calls.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in found["gen_ai.client.token.usage"]}
    assert tokens == {"input": 20, "output": 10}
    (function,) = found["agent_framework.function.invocation.duration"]
    assert function.attributes["agent_framework.function.name"] == "double"


async def test_what_is_said_is_logged_message_by_message(
    spans: Any, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    observability.enable_instrumentation(enable_sensitive_data=True)
    with caplog.at_level(logging.INFO, "agent_framework"):
        await scripted(["Hi."]).get_response([Message("system", ["Be brief."]), Message("user", ["Hello?"])])
    rows = [record for record in caplog.records if hasattr(record, "event.name")]
    assert [getattr(row, "event.name") for row in rows] == [
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.choice",
    ]
    assert [row.chat_message_index for row in rows] == [0, 1, 0]
    assert rows[1].msg["parts"] == [{"type": "text", "content": "Hello?"}]
    assert rows[2].msg["finish_reason"] == "stop"


def test_messages_logged_in_one_instant_stay_in_order() -> None:
    records = [logging.makeLogRecord({"created": 1.0, "chat_message_index": index}) for index in range(3)]
    records.append(logging.makeLogRecord({"created": 1.0}))
    assert all(observability.MessageListTimestampFilter().filter(record) for record in records)
    assert [round(record.created * 1e6) for record in records] == [1_000_000, 1_000_001, 1_000_002, 1_000_000]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (Content.from_text("a"), {"type": "text", "content": "a"}),
        (Content.from_text_reasoning(text="hm"), {"type": "reasoning", "content": "hm"}),
        (
            Content.from_data(b"ab", "image/png"),
            {"type": "blob", "content": "YWI=", "mime_type": "image/png", "modality": "image"},
        ),
        (
            Content.from_uri("https://example.test/a.wav", media_type="audio/wav"),
            {"type": "uri", "uri": "https://example.test/a.wav", "mime_type": "audio/wav", "modality": "audio"},
        ),
        (
            Content.from_function_call("1", "f", arguments="{}"),
            {"type": "tool_call", "id": "1", "name": "f", "arguments": "{}"},
        ),
        (Content.from_function_result("1", result="r"), {"type": "tool_call_response", "id": "1", "response": "r"}),
    ],
)
def test_content_is_recorded_as_the_conventions_have_it(content: Content, part: dict[str, Any]) -> None:
    assert observability._to_otel_part(content) == part


# Settings and set-up...


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of the variables that are read."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "ENABLE_", "VS_CODE_EXTENSION_PORT")):
            monkeypatch.delenv(name)
    return monkeypatch


def test_an_argument_goes_before_the_file_and_that_before_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("ENABLE_SENSITIVE_DATA=true\nENABLE_CONSOLE_EXPORTERS=1\n")
    environment.setenv("ENABLE_SENSITIVE_DATA", "false")
    environment.setenv("VS_CODE_EXTENSION_PORT", "4317")
    settings = observability.ObservabilitySettings(enable_console_exporters=False, env_file_path=str(file))
    assert settings.enable_sensitive_data
    assert not settings.enable_console_exporters
    assert settings.vs_code_extension_port == 4317
    assert not settings.ENABLED
    assert not settings.SENSITIVE_DATA_ENABLED
    assert not settings.is_setup


def test_a_port_that_is_no_number_is_named_and_ignored(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setenv("VS_CODE_EXTENSION_PORT", "many")
    assert observability.ObservabilitySettings().vs_code_extension_port is None
    assert "VS_CODE_EXTENSION_PORT" in caplog.text


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        observability.ObservabilitySettings(env_file_path="/nowhere/.env")


def test_enabling_instrumentation_asks_the_environment_again(spans: Any, environment: pytest.MonkeyPatch) -> None:
    observability.enable_instrumentation()
    assert not observability.OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED
    environment.setenv("ENABLE_SENSITIVE_DATA", "true")
    observability.enable_instrumentation()
    assert observability.OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED
    observability.enable_instrumentation(enable_sensitive_data=False)
    assert not observability.OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED


def test_a_resource_is_named_by_what_is_closest(environment: pytest.MonkeyPatch) -> None:
    def names(**given: Any) -> tuple[Any, ...]:
        made = observability.create_resource(**given).attributes
        return made["service.name"], made.get("region")

    assert names() == ("agent_framework", None)
    environment.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed,region=north%20west")
    assert names() == ("listed", "north west")
    environment.setenv("OTEL_SERVICE_NAME", "named")
    assert names() == ("named", "north west")
    assert names(service_name="given", region="south") == ("given", "south")


def test_no_endpoint_means_no_exporter(environment: pytest.MonkeyPatch) -> None:
    assert observability._get_exporters_from_env() == []


@pytest.mark.parametrize(
    ("protocol", "package"),
    [
        ("", "opentelemetry-exporter-otlp-proto-grpc"),
        ("grpc", "opentelemetry-exporter-otlp-proto-grpc"),
        ("http/protobuf", "opentelemetry-exporter-otlp-proto-http"),
    ],
)
def test_an_exporter_that_is_not_installed_is_named(
    environment: pytest.MonkeyPatch, protocol: str, package: str
) -> None:
    kind = package.rpartition("-")[2]
    environment.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{kind}", None)
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    with pytest.raises(ModuleNotFoundError, match=f"pip install {package}"):
        observability._get_exporters_from_env()


def test_a_protocol_that_there_is_not_is_an_error(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:4318")
    environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="http/json"):
        observability._get_exporters_from_env()


def test_endpoints_and_headers_are_those_of_the_signal(environment: pytest.MonkeyPatch) -> None:
    made: dict[str, dict[str, Any]] = {}

    def stand_in(signal: str) -> Callable[..., str]:
        return lambda **options: made.update({signal: options}) or signal

    for signal, (module, name) in _otel_setup._EXPORTERS.items():
        path = f"opentelemetry.exporter.otlp.proto.http.{module}"
        environment.setitem(sys.modules, path, SimpleNamespace(**{name: stand_in(signal)}))
    environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")
    environment.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs/ingest")
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, broken")
    environment.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "tenant=x")
    assert observability._get_exporters_from_env() == ["logs", "traces", "metrics"]
    assert made == {
        "logs": {"endpoint": "http://logs/ingest", "headers": {"api-key": "a b"}},
        "traces": {"endpoint": "http://collector:4318/v1/traces", "headers": {"api-key": "a b", "tenant": "x"}},
        "metrics": {"endpoint": "http://collector:4318/v1/metrics", "headers": {"api-key": "a b"}},
    }


def run_alone(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own: providers are set once in a process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ENABLE_"))}
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env={**inherited, **variables}
    )


def test_a_console_shows_spans_log_records_and_metrics() -> None:
    script = """
import asyncio, logging
from agent_framework import observability, tool
from opentelemetry import _logs, metrics, trace
observability.configure_otel_providers(env_file_path=None, views=observability.create_metric_views())
assert observability.OBSERVABILITY_SETTINGS.ENABLED and observability.OBSERVABILITY_SETTINGS.is_setup
@tool
def double(x: int) -> int:
    return 2 * x
asyncio.run(double.invoke(arguments={"x": 2}))
logging.getLogger("agent_framework").warning("it is %s", "done", extra={"place": "here", "odd": object()})
for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
    provider.shutdown()
"""
    done = run_alone(script, ENABLE_CONSOLE_EXPORTERS="true", OTEL_SERVICE_NAME="tried")
    assert done.returncode == 0, done.stderr
    for shown in ('"execute_tool double"', "agent_framework.function.invocation.duration", '"it is done"', '"place"'):
        assert shown in done.stdout
    assert '"service.name": "tried"' in done.stdout


def test_providers_that_are_there_are_added_to() -> None:
    script = """
from agent_framework import observability
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs, ours = InMemorySpanExporter(), InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
observability.configure_otel_providers(exporters=[ours])
observability.get_tracer().start_span("one").end()
provider.force_flush()
assert [len(exporter.get_finished_spans()) for exporter in (theirs, ours)] == [1, 1]
provider.shutdown()
"""
    done = run_alone(script)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_no_exporter_is_refused_and_nothing_is_switched_on() -> None:
    script = """
from agent_framework import observability
try:
    observability.configure_otel_providers(exporters=[print])
except TypeError as error:
    print(error)
assert not observability.OBSERVABILITY_SETTINGS.ENABLED
"""
    done = run_alone(script)
    assert done.returncode == 0, done.stderr
    assert "is no exporter" in done.stdout


@pytest.mark.parametrize("call", ["configure_otel_providers()", "create_resource()", "create_metric_views()"])
def test_without_the_sdk_the_error_says_what_to_install(call: str) -> None:
    script = f"""
import sys
sys.modules["opentelemetry.sdk"] = None
from agent_framework import observability
try:
    observability.{call}
except ModuleNotFoundError as error:
    print(error)
assert not observability.OBSERVABILITY_SETTINGS.ENABLED
"""
    done = run_alone(script)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout.strip()
        == f"{call.replace('()', '')}() needs `opentelemetry-sdk`. Install it with `pip install opentelemetry-sdk`."
    )


def test_names_for_workflows_say_where_they_are() -> None:
    with pytest.raises(ImportError, match="workflows"):
        from agent_framework.observability import create_workflow_span  # noqa: F401
