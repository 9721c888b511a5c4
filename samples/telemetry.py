# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Spans of a run, its model calls and its tool calls, on the console.

    pip install opentelemetry-sdk
    python samples/telemetry.py

The framework makes spans by the OpenTelemetry API only. Where they go is for the program to say: here to the console,
in one line each; with another exporter of the SDK to wherever your traces are kept.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from local.client import chat_client
from local.servers import CALENDAR_SERVER

from agent_framework import Agent, MCPStdioTool
from agent_framework.observability import enable_instrumentation

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def in_one_line(span: ReadableSpan) -> str:
    """Name, duration and tokens of a span; those inside of another one are indented, and end before it."""
    attributes = span.attributes or {}
    milliseconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    tokens = f", {count} tokens in" if (count := attributes.get("gen_ai.usage.input_tokens")) else ""
    return f"{'    ' if span.parent else '  '}{span.name}: {milliseconds:.1f} ms{tokens}\n"


async def main() -> None:
    """Sets up the SDK, switches the framework's spans on, and runs an agent."""
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    except ImportError:
        print("Nothing to show: the OpenTelemetry SDK is not installed (pip install opentelemetry-sdk).")
        return
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=in_one_line)))
    trace.set_tracer_provider(provider)
    enable_instrumentation()  # or ENABLE_INSTRUMENTATION=true; enable_sensitive_data=True also records what is said

    print("Spans, in the order in which they end:")
    async with chat_client() as client:
        calendar = MCPStdioTool(name="calendar", command=sys.executable, args=[CALENDAR_SERVER])
        async with Agent(client=client, name="Scheduler", tools=calendar) as agent:
            print("agent:", await agent.run("Which weekday is 2024-02-29?"))
    provider.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
