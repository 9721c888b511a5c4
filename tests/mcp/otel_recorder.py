# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What OpenTelemetry records in this process, for tests to look at.

The API lets a process set each provider once, so all tests share these. Needs the OpenTelemetry SDK.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@cache
def span_exporter() -> InMemorySpanExporter:
    """Gets every span that ends; `clear` it first."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@cache
def metric_reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader(preferred_temporality={Histogram: AggregationTemporality.DELTA})
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
    return reader


def measurements() -> dict[str, list[Any]]:
    """The histograms' data points since the last look, by metric."""
    data = metric_reader().get_metrics_data()
    found = [
        metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    return {metric.name: list(metric.data.data_points) for metric in found}
