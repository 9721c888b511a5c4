# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Sets up the OpenTelemetry SDK: resource, exporters, providers.

For applications that have no set-up of their own. The SDK and its exporters are optional; this module is imported
with ``observability``, and they only by the functions that need them.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from ._otel_names import OtelAttr

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.view import View
    from opentelemetry.sdk.resources import Resource

METRIC_EXPORT_INTERVAL = 5000
"""How often metrics are exported, in milliseconds: soon enough for somebody who watches a console."""

_METRIC_NAMESPACES = ("agent_framework*", "gen_ai*", "mcp*")
_DEFAULT_SERVICE_NAME = "agent_framework"

# Signal: module and class of the exporter inside a protocol's package.
_EXPORTERS = {
    "logs": ("_log_exporter", "OTLPLogExporter"),
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
}
_PROTOCOLS = {"grpc": "grpc", "http": "http", "http/protobuf": "http"}


class _needs_sdk:  # noqa: N801  # reads as a phrase: with _needs_sdk("create_resource()")
    """Says what to install when an import inside fails."""

    def __init__(self, who: str, package: str = "opentelemetry-sdk") -> None:
        self._who = who
        self._package = package

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ImportError):
            raise ModuleNotFoundError(
                f"{self._who} needs `{self._package}`. Install it with `pip install {self._package}`.", name=error.name
            ) from error


def require_sdk(who: str) -> None:
    """Say at once, before anything is changed, that the SDK is missing.

    Raises:
        ModuleNotFoundError: It is.
    """
    with _needs_sdk(who):
        importlib.import_module("opentelemetry.sdk.trace")


def load_env_file(path: str | None, encoding: str | None) -> None:
    """Put a file's variables into the environment, where the SDK reads its own; what is set there already stays."""
    if path is not None:
        from dotenv import load_dotenv

        load_dotenv(path, encoding=encoding or "utf-8")


def parse_headers(text: str) -> dict[str, str]:
    """Pairs ``key=value``, separated by commas and percent-encoded (OTLP exporter specification, headers)."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, separator, value in pairs if separator and key.strip()}


# Resource and views...


def create_resource(
    service_name: str | None = None,
    service_version: str | None = None,
    env_file_path: str | None = None,
    env_file_encoding: str | None = None,
    **attributes: Any,
) -> Resource:
    """Describe this service to those who read its telemetry.

    What is given here goes before the environment, there OTEL_SERVICE_NAME and OTEL_SERVICE_VERSION go before
    OTEL_RESOURCE_ATTRIBUTES, and that before the defaults: "agent_framework" and the version of this package.

    Args:
        service_name: The service's name.
        service_version: Its version.
        env_file_path: A ``.env`` file to read into the environment first.
        env_file_encoding: Its encoding, UTF-8 unless given.
        **attributes: Other attributes of the resource.

    Raises:
        ModuleNotFoundError: ``opentelemetry-sdk`` is not installed.
    """
    with _needs_sdk("create_resource()"):
        from opentelemetry.sdk.resources import Resource
    from ._telemetry import version_info

    load_env_file(env_file_path, env_file_encoding)
    known = parse_headers(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    for attribute, given, variable, default in (
        (OtelAttr.SERVICE_NAME, service_name, "OTEL_SERVICE_NAME", _DEFAULT_SERVICE_NAME),
        (OtelAttr.SERVICE_VERSION, service_version, "OTEL_SERVICE_VERSION", version_info),
    ):
        value = given or os.environ.get(variable) or known.get(attribute.value) or default
        known[attribute.value] = value
    return Resource.create({**known, **attributes})


def create_metric_views() -> list[View]:
    """Views that keep the framework's metrics, those of models and MCP servers included, and drop all others.

    Raises:
        ModuleNotFoundError: ``opentelemetry-sdk`` is not installed.
    """
    with _needs_sdk("create_metric_views()"):
        from opentelemetry.sdk.metrics.view import DropAggregation, View

    kept = [View(instrument_name=pattern) for pattern in _METRIC_NAMESPACES]
    return [*kept, View(instrument_name="*", aggregation=DropAggregation())]


# Exporters...


def create_otlp_exporters(
    endpoint: str | None = None,
    protocol: str = "grpc",
    headers: Mapping[str, str] | None = None,
    **by_signal: Any,
) -> list[Any]:
    """Exporters that send by OTLP, for the signals that have somewhere to go.

    Args:
        endpoint: Where all signals go; over HTTP each at its own path below, as the specification says.
        protocol: ``"grpc"`` or ``"http/protobuf"`` (also ``"http"``).
        headers: What to send along.
        **by_signal: ``traces_endpoint``, ``traces_headers`` and the like, for one signal each; used as given.

    Raises:
        ModuleNotFoundError: The package with the exporters is not installed.
        ValueError: There is no such protocol.
    """
    made = []
    for signal in _EXPORTERS:
        target = by_signal.get(f"{signal}_endpoint") or _endpoint_of(signal, endpoint, protocol)
        if target:
            make = _exporter_class(signal, protocol)
            made.append(make(endpoint=target, headers=by_signal.get(f"{signal}_headers") or headers or None))
    return made


def _endpoint_of(signal: str, base: str | None, protocol: str) -> str | None:
    if base is None or _PROTOCOLS.get(protocol) != "http":
        return base
    return f"{base.rstrip('/')}/v1/{signal}"


def _exporter_class(signal: str, protocol: str) -> Callable[..., Any]:
    kind = _PROTOCOLS.get(protocol)
    if kind is None:
        raise ValueError(f"There is no OTLP protocol {protocol!r}; use one of {', '.join(sorted(_PROTOCOLS))}.")
    module, name = _EXPORTERS[signal]
    with _needs_sdk("Exporting by OTLP", f"opentelemetry-exporter-otlp-proto-{kind}"):
        exporters = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{kind}.{module}")
    made: Callable[..., Any] = getattr(exporters, name)
    return made


def exporters_from_environment(env_file_path: str | None = None, env_file_encoding: str | None = None) -> list[Any]:
    """The exporters that the OTEL_EXPORTER_OTLP_* variables ask for; none without an endpoint.

    Endpoints and headers may be given for all signals, or for one (``..._TRACES_ENDPOINT``).

    Raises:
        ModuleNotFoundError: The package with the exporters is not installed.
        ValueError: OTEL_EXPORTER_OTLP_PROTOCOL names no protocol.
    """
    load_env_file(env_file_path, env_file_encoding)

    def variable(name: str) -> str:
        return os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")

    common = parse_headers(variable("HEADERS"))
    by_signal: dict[str, Any] = {}
    for signal in _EXPORTERS:
        by_signal[f"{signal}_endpoint"] = variable(f"{signal.upper()}_ENDPOINT") or None
        by_signal[f"{signal}_headers"] = {**common, **parse_headers(variable(f"{signal.upper()}_HEADERS"))} or None
    protocol = variable("PROTOCOL").lower() or "grpc"
    return create_otlp_exporters(variable("ENDPOINT") or None, protocol, **by_signal)


def console_exporters() -> list[Any]:
    """Exporters that print spans, log records and metrics to standard output."""
    with _needs_sdk("Printing telemetry to the console"):
        from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    return [ConsoleSpanExporter(), ConsoleLogRecordExporter(), ConsoleMetricExporter()]


# Providers...


def install(exporters: Sequence[Any], resource: Resource, views: Sequence[View] | None) -> None:
    """Let exporters get what is recorded from now on.

    A provider that is there already, ours or another's, is added to as far as it can be: the API lets each signal have
    one provider for the life of the process.

    Raises:
        TypeError: Something is no exporter.
    """
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    for exporter in exporters:
        if not isinstance(exporter, (SpanExporter, LogRecordExporter, MetricExporter)):
            raise TypeError(f"{type(exporter).__name__} is no exporter of spans, log records or metrics.")
    _install_spans([one for one in exporters if isinstance(one, SpanExporter)], resource)
    _install_logs([one for one in exporters if isinstance(one, LogRecordExporter)], resource)
    _install_metrics([one for one in exporters if isinstance(one, MetricExporter)], resource, views)


def _install_spans(exporters: Sequence[Any], resource: Resource) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if not exporters:
        return
    provider: Any = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        provider = TracerProvider(resource=resource)
        trace.set_tracer_provider(provider)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))


def _install_logs(exporters: Sequence[Any], resource: Resource) -> None:
    from opentelemetry import _logs
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    if not exporters:
        return
    provider: Any = _logs.get_logger_provider()
    if not hasattr(provider, "add_log_record_processor"):
        provider = LoggerProvider(resource=resource)
        _logs.set_logger_provider(provider)
    for exporter in exporters:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger("agent_framework")
    if not any(isinstance(handler, OtelLogHandler) for handler in logger.handlers):
        handler = OtelLogHandler()
        handler.addFilter(MessageListTimestampFilter())
        logger.addHandler(handler)


def _install_metrics(exporters: Sequence[Any], resource: Resource, views: Sequence[View] | None) -> None:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    if not exporters:
        return
    if isinstance(metrics.get_meter_provider(), MeterProvider):
        # It takes readers at its making only, and nothing else can.
        logging.getLogger("agent_framework").warning("A MeterProvider is there already; no metric exporter was added.")
        return
    readers = [PeriodicExportingMetricReader(one, export_interval_millis=METRIC_EXPORT_INTERVAL) for one in exporters]
    metrics.set_meter_provider(MeterProvider(metric_readers=readers, resource=resource, views=views or ()))


class MessageListTimestampFilter(logging.Filter):
    """Keeps the messages of one model call in order: they are logged in the same instant, and backends sort by time.

    Each gets a microsecond per place in the list.
    """

    INDEX_KEY: ClassVar[str] = "chat_message_index"

    def filter(self, record: logging.LogRecord) -> bool:
        """Shift the record's time; every record passes."""
        record.created += getattr(record, self.INDEX_KEY, 0) * 1e-6
        return True


class OtelLogHandler(logging.Handler):
    """Sends what is logged to OpenTelemetry; the SDK's own handler is on its way out of the SDK."""

    def emit(self, record: logging.LogRecord) -> None:
        """Turn one record of ``logging`` into one of OpenTelemetry."""
        from opentelemetry import _logs, context

        _logs.get_logger(record.name).emit(
            _logs.LogRecord(
                timestamp=int(record.created * 1e9),
                context=context.get_current(),
                severity_text=record.levelname,
                severity_number=_severity(record.levelno),
                body=record.msg if isinstance(record.msg, Mapping) else record.getMessage(),
                attributes=_extras(record),
            )
        )


def _severity(level: int) -> Any:
    """A level of ``logging`` as a severity number (OpenTelemetry logs data model, 1 to 24 in steps of four)."""
    from opentelemetry._logs import SeverityNumber

    steps = ((logging.CRITICAL, 21), (logging.ERROR, 17), (logging.WARNING, 13), (logging.INFO, 9), (logging.DEBUG, 5))
    return SeverityNumber(next((number for least, number in steps if level >= least), 1))


_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """What ``extra`` brought, as far as an attribute can hold it, and the exception's kind."""
    attributes = {
        str(name): value
        for name, value in vars(record).items()
        if name not in _OF_EVERY_RECORD and isinstance(value, (str, bool, int, float))
    }
    if record.exc_info and record.exc_info[0] is not None:
        attributes["exception.type"] = record.exc_info[0].__name__
    return attributes
