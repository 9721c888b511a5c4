# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent_framework import Agent, Message, observability, tool

sdk_trace = pytest.importorskip("opentelemetry.sdk.trace", reason="the OpenTelemetry SDK is not installed")

from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    made = InMemorySpanExporter()
    provider = sdk_trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)  # once in a process; nothing else here sets one
    return made


@pytest.fixture
def spans(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    monkeypatch.setattr(
        observability, "OBSERVABILITY_SETTINGS", observability.ObservabilitySettings(enable_instrumentation=True)
    )
    exporter.clear()
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
    with pytest.raises(ConnectionError):
        await run(Agent(scripted([ConnectionError("model gone")]), name="C"), stream)
    for span in spans.get_finished_spans():
        assert span.attributes["error.type"] == "ConnectionError"
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
