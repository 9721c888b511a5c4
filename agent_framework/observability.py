# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Spans and metrics of agent runs, model calls and function calls, by the GenAI semantic conventions.

Everything is off until ENABLE_INSTRUMENTATION is set or `enable_instrumentation()` is called; what is said to and by
the model is recorded only with sensitive data enabled too. Recording needs the OpenTelemetry API only, which is
imported when the first span is made. To see anything set up an SDK or an agent of your choice, or let
`configure_otel_providers()` do it, which needs `opentelemetry-sdk` and the exporters in question.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from typing_extensions import TypeVar

from ._concurrency import closing_stream
from ._otel_names import (
    FINISH_REASON_MAP,
    OPERATION_DURATION_BUCKET_BOUNDARIES,
    ROLE_EVENT_MAP,
    TOKEN_USAGE_BUCKET_BOUNDARIES,
    OtelAttr,
)
from ._otel_setup import (
    MessageListTimestampFilter,
    console_exporters,
    create_metric_views,
    create_resource,
    install,
    require_sdk,
)
from ._otel_setup import create_otlp_exporters as _create_otlp_exporters
from ._otel_setup import exporters_from_environment as _get_exporters_from_env
from ._types import ResponseStream, merge_chat_options, normalize_messages

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.sdk.metrics.view import View
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from ._tools import FunctionTool
    from ._types import Content, Message

__all__ = [
    "OBSERVABILITY_SETTINGS",
    "ROLE_EVENT_MAP",
    "AgentTelemetryLayer",
    "ChatTelemetryLayer",
    "EmbeddingTelemetryLayer",
    "MessageListTimestampFilter",
    "ObservabilitySettings",
    "OtelAttr",
    "capture_exception",
    "configure_otel_providers",
    "create_metric_views",
    "create_resource",
    "enable_instrumentation",
    "get_function_span",
    "get_function_span_attributes",
    "get_meter",
    "get_tracer",
]

logger = logging.getLogger("agent_framework")

OptionsCoT = TypeVar("OptionsCoT", covariant=True, default=Any)
EmbeddingInputT = TypeVar("EmbeddingInputT", default=str)
EmbeddingT = TypeVar("EmbeddingT", default=list[float])
EmbeddingOptionsT = TypeVar("EmbeddingOptionsT", covariant=True, default=Any)


# Settings...


_TRUE = frozenset({"true", "1", "yes", "on"})


def _read_bool_env(name: str, *, default: bool = False, variables: Mapping[str, str] = os.environ) -> bool:
    text = variables.get(name)
    return default if text is None else text.strip().lower() in _TRUE


def _read_int_env(name: str, *, default: int | None = None, variables: Mapping[str, str] = os.environ) -> int | None:
    text = variables.get(name)
    try:
        return int(text) if text else default
    except ValueError:
        # Read when the package is imported, where an error would be worse than telemetry that stays away.
        logger.warning("%s is not a whole number and is ignored.", name)
        return default


class ObservabilitySettings:
    """What is recorded, and where the set-up sends it. All values can be changed at any time.

    What is not given comes from the file, then from the environment, from the variable in capitals of the same name.

    Keyword Args:
        enable_instrumentation: Make spans and metrics.
        enable_sensitive_data: Record messages, arguments and results too.
        enable_console_exporters: Let the set-up print everything to standard output.
        vs_code_extension_port: Let the set-up send everything to this port of this machine, by OTLP over gRPC.
        env_file_path: A ``.env`` file.
        env_file_encoding: Its encoding, UTF-8 unless given.

    Raises:
        FileNotFoundError: env_file_path does not exist.
    """

    def __init__(
        self,
        *,
        enable_instrumentation: bool | None = None,
        enable_sensitive_data: bool | None = None,
        enable_console_exporters: bool | None = None,
        vs_code_extension_port: int | None = None,
        env_file_path: str | None = None,
        env_file_encoding: str | None = None,
    ) -> None:
        variables = _variables(env_file_path, env_file_encoding)

        def flag(given: bool | None, name: str) -> bool:
            return _read_bool_env(name, variables=variables) if given is None else given

        self.enable_instrumentation = flag(enable_instrumentation, "ENABLE_INSTRUMENTATION")
        self.enable_sensitive_data = flag(enable_sensitive_data, "ENABLE_SENSITIVE_DATA")
        self.enable_console_exporters = flag(enable_console_exporters, "ENABLE_CONSOLE_EXPORTERS")
        self.vs_code_extension_port = vs_code_extension_port
        if vs_code_extension_port is None:
            self.vs_code_extension_port = _read_int_env("VS_CODE_EXTENSION_PORT", variables=variables)
        self.env_file_path = env_file_path
        self.env_file_encoding = env_file_encoding
        self._executed_setup = False

    @property
    def ENABLED(self) -> bool:  # noqa: N802 - upstream's name
        """Whether spans and metrics are made."""
        return self.enable_instrumentation

    @property
    def SENSITIVE_DATA_ENABLED(self) -> bool:  # noqa: N802 - upstream's name
        """Whether messages, arguments and results are recorded."""
        return self.enable_instrumentation and self.enable_sensitive_data

    @property
    def is_setup(self) -> bool:
        """Whether providers have been set up with these settings."""
        return self._executed_setup

    def _configure(
        self, *, additional_exporters: Sequence[Any] | None = None, views: Sequence[View] | None = None
    ) -> None:
        """Set up providers once, with the exporters that the environment, the caller and the settings ask for."""
        if not self.ENABLED or self._executed_setup:
            return
        exporters = [*_get_exporters_from_env(self.env_file_path, self.env_file_encoding)]
        exporters.extend(additional_exporters or ())
        if self.enable_console_exporters:
            exporters.extend(console_exporters())
        if self.vs_code_extension_port:
            exporters.extend(_create_otlp_exporters(f"http://localhost:{self.vs_code_extension_port}"))
        self._configure_providers(exporters, views=views)
        self._executed_setup = True

    def _configure_providers(self, exporters: Sequence[Any], views: Sequence[View] | None = None) -> None:
        require_sdk("configure_otel_providers()")
        resource = create_resource(env_file_path=self.env_file_path, env_file_encoding=self.env_file_encoding)
        install(exporters, resource, views)


def _variables(env_file_path: str | None, env_file_encoding: str | None) -> Mapping[str, str]:
    if env_file_path is None:
        return os.environ
    from ._settings import _read_variables

    return ChainMap(_read_variables(env_file_path, env_file_encoding), os.environ)


OBSERVABILITY_SETTINGS = ObservabilitySettings()


def enable_instrumentation(*, enable_sensitive_data: bool | None = None) -> None:
    """Make spans and metrics from now on. Who takes them is not changed.

    Keyword Args:
        enable_sensitive_data: Also record messages, arguments and results; None asks ENABLE_SENSITIVE_DATA, which may
            have been set after the import, and without that leaves it as it is.
    """
    settings = OBSERVABILITY_SETTINGS
    settings.enable_instrumentation = True
    if enable_sensitive_data is None:
        enable_sensitive_data = _read_bool_env("ENABLE_SENSITIVE_DATA", default=settings.enable_sensitive_data)
    settings.enable_sensitive_data = enable_sensitive_data


def configure_otel_providers(
    *,
    enable_sensitive_data: bool | None = None,
    enable_console_exporters: bool | None = None,
    exporters: Sequence[Any] | None = None,
    views: Sequence[View] | None = None,
    vs_code_extension_port: int | None = None,
    env_file_path: str | None = None,
    env_file_encoding: str | None = None,
) -> None:
    """Set up OpenTelemetry for an application that does not do so itself, and make spans and metrics from now on.

    To be called once, when the application starts. Everything goes to the exporters given, to those that the
    OTEL_EXPORTER_OTLP_* variables describe (endpoint, protocol and headers, for all signals or for one), to the console
    and to the editor's extension, as far as each is asked for. What is not given comes from the file, then from the
    environment. When it fails, nothing has been switched on.

    Keyword Args:
        enable_sensitive_data: Record messages, arguments and results too.
        enable_console_exporters: Print everything to standard output.
        exporters: Exporters of spans, log records or metrics.
        views: Which metrics to keep; without any all of them, see `create_metric_views`.
        vs_code_extension_port: The port of this machine on which an extension of the editor listens.
        env_file_path: A ``.env`` file; its variables are put into the environment as far as they are not there.
        env_file_encoding: Its encoding, UTF-8 unless given.

    Raises:
        ModuleNotFoundError: `opentelemetry-sdk`, or the package of an exporter, is not installed.
        FileNotFoundError: env_file_path does not exist.
        TypeError: Something among the exporters is none.
        ValueError: OTEL_EXPORTER_OTLP_PROTOCOL names no protocol.
    """
    require_sdk("configure_otel_providers()")
    settings = ObservabilitySettings(
        enable_instrumentation=True,
        enable_sensitive_data=enable_sensitive_data,
        enable_console_exporters=enable_console_exporters,
        vs_code_extension_port=vs_code_extension_port,
        env_file_path=env_file_path,
        env_file_encoding=env_file_encoding,
    )
    settings._configure(additional_exporters=exporters, views=views)
    # The object stays the same one: others may hold it.
    vars(OBSERVABILITY_SETTINGS).update(vars(settings))


@cache
def _version() -> str:
    from ._telemetry import version_info

    return version_info


def get_tracer(
    instrumenting_module_name: str = "agent_framework",
    instrumenting_library_version: str | None = None,
    schema_url: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> Tracer:
    """The framework's tracer, of whatever provider is set up."""
    from opentelemetry import trace

    version = instrumenting_library_version or _version()
    provider = trace.get_tracer_provider()
    if attributes is None:
        return _tracer_of(provider, instrumenting_module_name, version, schema_url)
    return provider.get_tracer(instrumenting_module_name, version, schema_url, attributes)


@lru_cache(maxsize=8)
def _tracer_of(provider: TracerProvider, name: str, version: str, schema_url: str | None) -> Tracer:
    """The tracer of a provider, kept: the SDK makes one anew each time, which takes longer than a span."""
    return provider.get_tracer(name, version, schema_url)


def get_meter(
    name: str = "agent_framework",
    version: str | None = None,
    schema_url: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> Meter:
    """The framework's meter, of whatever provider is set up."""
    from opentelemetry import metrics

    return metrics.get_meter(name, version or _version(), schema_url=schema_url, attributes=attributes)


# Histograms...


@cache
def _get_duration_histogram() -> Histogram:
    return get_meter().create_histogram(
        OtelAttr.LLM_OPERATION_DURATION.value,
        unit="s",
        description="How long a model call took.",
        explicit_bucket_boundaries_advisory=OPERATION_DURATION_BUCKET_BOUNDARIES,
    )


@cache
def _get_token_usage_histogram() -> Histogram:
    return get_meter().create_histogram(
        OtelAttr.LLM_TOKEN_USAGE.value,
        unit="tokens",
        description="How many tokens a model call read and wrote.",
        explicit_bucket_boundaries_advisory=TOKEN_USAGE_BUCKET_BOUNDARIES,
    )


@cache
def function_duration_histogram() -> Histogram:
    """Durations of function calls, in seconds."""
    return get_meter().create_histogram(
        OtelAttr.MEASUREMENT_FUNCTION_INVOCATION_DURATION.value,
        unit="s",
        description="How long a function call took.",
        explicit_bucket_boundaries_advisory=OPERATION_DURATION_BUCKET_BOUNDARIES,
    )


# Spans...


def _span_name(attributes: Mapping[str, Any], subject: OtelAttr) -> str:
    return f"{attributes[OtelAttr.OPERATION.value]} {attributes.get(subject.value, 'unknown')}"


@contextlib.contextmanager
def _get_span(attributes: dict[str, Any], span_name_attribute: OtelAttr) -> Generator[Span, None, None]:
    """A current span that ends with the block and says so when an exception ends the block."""
    with get_tracer().start_as_current_span(
        _span_name(attributes, span_name_attribute),
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            capture_exception(span, error)
            raise


def capture_exception(span: Span, exception: Exception, timestamp: int | None = None) -> None:
    """Record on a span that an exception ended its work.

    Args:
        span: The span.
        exception: What was raised.
        timestamp: When, in nanoseconds since the epoch; now, unless given.
    """
    from opentelemetry.trace import StatusCode

    span.set_attribute(OtelAttr.ERROR_TYPE.value, type(exception).__name__)
    span.record_exception(exception, timestamp=timestamp)
    span.set_status(StatusCode.ERROR, repr(exception))


def get_function_span_attributes(function: FunctionTool, tool_call_id: str | None = None) -> dict[str, str]:
    """The attributes of the span of one function call."""
    attributes = {
        OtelAttr.OPERATION.value: OtelAttr.TOOL_EXECUTION_OPERATION.value,
        OtelAttr.TOOL_NAME.value: function.name,
        OtelAttr.TOOL_CALL_ID.value: tool_call_id or "unknown",
        OtelAttr.TOOL_TYPE.value: "function",
    }
    if function.description:
        attributes[OtelAttr.TOOL_DESCRIPTION.value] = function.description
    return attributes


def get_function_span(attributes: dict[str, str]) -> contextlib.AbstractContextManager[Span]:
    """The span of one function call: current while the function runs."""
    return _get_span(dict(attributes), OtelAttr.TOOL_NAME)


_END = object()


async def _next_inside(span: Span, source: AsyncIterator[Any]) -> Any:
    """The next item of a source, or _END; the span is the current one while the source works.

    Between two items the reader's code runs, perhaps in another context: the span must not be current there.
    """
    from opentelemetry.trace import use_span

    with use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
        try:
            return await source.__anext__()
        except StopAsyncIteration:
            return _END


def _traced_stream(
    open_stream: Callable[[], ResponseStream[Any, Any]],
    attributes: dict[str, Any],
    subject: OtelAttr,
    on_response: Callable[[Span, Any, float], None],
    on_start: Callable[[Span], None],
) -> ResponseStream[Any, Any]:
    """The same stream with a span around the reading of it. The span begins with the first read."""
    inner = open_stream()

    async def read() -> AsyncIterator[Any]:
        span = get_tracer().start_span(_span_name(attributes, subject), attributes=attributes)
        started = perf_counter()
        try:
            on_start(span)
            async with closing_stream(inner):
                while (update := await _next_inside(span, inner)) is not _END:
                    yield update
                on_response(span, await inner.get_final_response(), perf_counter() - started)
        except Exception as error:
            capture_exception(span, error)
            raise
        finally:
            span.end()

    return ResponseStream(read(), finalizer=lambda _: inner.get_final_response())


# What spans carry...

_REQUEST_OPTIONS = {
    "model": OtelAttr.REQUEST_MODEL,
    "conversation_id": OtelAttr.CONVERSATION_ID,
    "seed": OtelAttr.SEED,
    "frequency_penalty": OtelAttr.FREQUENCY_PENALTY,
    "presence_penalty": OtelAttr.PRESENCE_PENALTY,
    "max_tokens": OtelAttr.REQUEST_MAX_TOKENS,
    "stop": OtelAttr.STOP_SEQUENCES,
    "temperature": OtelAttr.REQUEST_TEMPERATURE,
    "top_p": OtelAttr.REQUEST_TOP_P,
    "top_k": OtelAttr.TOP_K,
}


def _request_attributes(options: Mapping[str, Any] | None) -> dict[str, Any]:
    given = options or {}
    return {attribute.value: given[key] for key, attribute in _REQUEST_OPTIONS.items() if given.get(key) is not None}


def _set_response(span: Span, response: Any, *, with_id: bool = True) -> dict[str, int]:
    """Put the response's facts on the span; returns the token counts that are known, by attribute."""
    usage = getattr(response, "usage_details", None) or {}
    counts = {
        attribute.value: usage[key]
        for key, attribute in (
            ("input_token_count", OtelAttr.INPUT_TOKENS),
            ("output_token_count", OtelAttr.OUTPUT_TOKENS),
        )
        if usage.get(key) is not None
    }
    attributes: dict[str, Any] = dict(counts)
    if with_id and (response_id := getattr(response, "response_id", None)):
        attributes[OtelAttr.RESPONSE_ID.value] = response_id
    if model := getattr(response, "model", None):
        attributes[OtelAttr.RESPONSE_MODEL.value] = model
    if finish_reason := getattr(response, "finish_reason", None):
        attributes[OtelAttr.FINISH_REASONS.value] = json.dumps([finish_reason])
    span.set_attributes(attributes)
    return counts


def _capture_messages(
    span: Span,
    provider_name: str,
    messages: Any,
    system_instructions: str | Sequence[str] | None = None,
    output: bool = False,
    finish_reason: str | None = None,
) -> None:
    """Put what was said on the span, and into the log message by message; nothing without sensitive data."""
    if not OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED or messages is None:
        return
    rows = [_to_otel_message(message) for message in normalize_messages(messages)]
    if finish_reason and rows:
        rows[-1]["finish_reason"] = FINISH_REASON_MAP.get(finish_reason, finish_reason)
    attribute = OtelAttr.OUTPUT_MESSAGES if output else OtelAttr.INPUT_MESSAGES
    span.set_attribute(attribute.value, json.dumps(rows, ensure_ascii=False, default=str))
    if system_instructions:
        texts = [system_instructions] if isinstance(system_instructions, str) else list(system_instructions)
        parts = [{"type": "text", "content": text} for text in texts]
        span.set_attribute(OtelAttr.SYSTEM_INSTRUCTIONS.value, json.dumps(parts, ensure_ascii=False))
    if logger.isEnabledFor(logging.INFO):
        _log_messages(rows, provider_name, output)


def _log_messages(rows: Sequence[dict[str, Any]], provider_name: str, output: bool) -> None:
    for index, row in enumerate(rows):
        event = OtelAttr.CHOICE if output else ROLE_EVENT_MAP.get(row["role"])
        extra: dict[str, Any] = {
            OtelAttr.PROVIDER_NAME.value: provider_name,
            MessageListTimestampFilter.INDEX_KEY: index,
        }
        if event is not None:
            extra[OtelAttr.EVENT_NAME.value] = event.value
        logger.info(row, extra=extra)


def _get_instructions_from_options(options: Any) -> str | list[str] | None:
    """The instructions in a model call's options, where there are any that are text."""
    instructions = options.get("instructions") if isinstance(options, Mapping) else None
    if isinstance(instructions, str):
        return instructions
    if isinstance(instructions, list) and all(isinstance(text, str) for text in instructions):
        return instructions
    return None


def _to_otel_message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [_to_otel_part(content) for content in message.contents]}


def _to_otel_part(content: Content) -> dict[str, Any]:
    """One item as the conventions' schema of recorded messages has it; a kind that is not in it as it is."""
    kind = content.type
    if kind in {"text", "text_reasoning"}:
        return {"type": "text" if kind == "text" else "reasoning", "content": content.text}
    if kind == "data":
        return {"type": "blob", "content": (content.uri or "").partition(",")[2], **_media(content)}
    if kind == "uri":
        return {"type": "uri", "uri": content.uri, **_media(content)}
    if kind == "function_result":
        response = "" if content.result is None else content.result
        return {"type": "tool_call_response", "id": content.call_id, "response": response}
    if kind == "function_call":
        called = {"id": content.call_id, "name": content.name, "arguments": content.arguments}
        return {"type": "tool_call", **called}
    return content.to_dict()


def _media(content: Content) -> dict[str, str | None]:
    modality = content.media_type.partition("/")[0] if content.media_type else None
    return {"mime_type": content.media_type, "modality": modality}


# Layers...


class ChatTelemetryLayer(Generic[OptionsCoT]):
    """Makes a span and two measurements of every single model call.

    Keyword Args:
        otel_provider_name: The provider's name; by default the class's OTEL_PROVIDER_NAME.
        **kwargs: For the next class.
    """

    def __init__(self, *args: Any, otel_provider_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.otel_provider_name: str = otel_provider_name or str(getattr(self, "OTEL_PROVIDER_NAME", "unknown"))

    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: bool = False,
        options: Any = None,
        compaction_strategy: Any = None,
        tokenizer: Any = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send messages to the model, in a span when instrumentation is enabled."""
        call = partial(
            super().get_response,  # type: ignore[misc]
            messages=messages,
            stream=stream,
            options=options,
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            function_invocation_kwargs=function_invocation_kwargs,
            client_kwargs=client_kwargs,
        )
        if not OBSERVABILITY_SETTINGS.ENABLED:
            return call()
        attributes = self._span_attributes(options)
        on_start = partial(_record_request, self.otel_provider_name, messages, options)
        on_response = partial(_record_chat_response, attributes)
        if stream:
            return _traced_stream(call, attributes, OtelAttr.REQUEST_MODEL, on_response, on_start)
        return _traced_call(call, attributes, OtelAttr.REQUEST_MODEL, on_response, on_start)

    def _span_attributes(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            OtelAttr.OPERATION.value: OtelAttr.CHAT_COMPLETION_OPERATION.value,
            OtelAttr.PROVIDER_NAME.value: self.otel_provider_name,
            OtelAttr.REQUEST_MODEL.value: getattr(self, "model", None) or "unknown",
            OtelAttr.ADDRESS.value: _service_url(self),
            OtelAttr.CHOICE_COUNT.value: 1,
            **_request_attributes(options),
        }


async def _traced_call(
    call: Callable[[], Any],
    attributes: dict[str, Any],
    subject: OtelAttr,
    on_response: Callable[[Span, Any, float], None],
    on_start: Callable[[Span], None],
) -> Any:
    with _get_span(attributes, subject) as span:
        on_start(span)
        started = perf_counter()
        response = await call()
        on_response(span, response, perf_counter() - started)
        return response


def _record_request(provider_name: str, messages: Any, options: Mapping[str, Any] | None, span: Span) -> None:
    _capture_messages(span, provider_name, messages, _get_instructions_from_options(options))


def _record_chat_response(attributes: Mapping[str, Any], span: Span, response: Any, duration: float) -> None:
    counts = _set_response(span, response)
    provider_name = attributes[OtelAttr.PROVIDER_NAME.value]
    _capture_messages(span, provider_name, response.messages, output=True, finish_reason=response.finish_reason)
    _measure(attributes, duration, counts, response.model)


def _measure(attributes: Mapping[str, Any], duration: float, counts: Mapping[str, int], model: str | None) -> None:
    """The two measurements of a model call.

    Args:
        attributes: Those of its span.
        duration: How long it took, in seconds.
        counts: The known token counts, by span attribute.
        model: The model that answered, where it says so.
    """
    tags = {
        attribute.value: attributes[attribute.value]
        for attribute in (OtelAttr.OPERATION, OtelAttr.PROVIDER_NAME, OtelAttr.REQUEST_MODEL, OtelAttr.ADDRESS)
    }
    if model:
        tags[OtelAttr.RESPONSE_MODEL.value] = model
    _get_duration_histogram().record(duration, tags)
    for attribute, kind in (
        (OtelAttr.INPUT_TOKENS, OtelAttr.T_TYPE_INPUT),
        (OtelAttr.OUTPUT_TOKENS, OtelAttr.T_TYPE_OUTPUT),
    ):
        if attribute.value in counts:
            _get_token_usage_histogram().record(counts[attribute.value], {**tags, OtelAttr.T_TYPE.value: kind.value})


class AgentTelemetryLayer:
    """Makes a span of every run of an agent.

    Keyword Args:
        otel_agent_provider_name: The provider's name; by default the class's AGENT_PROVIDER_NAME.
        otel_provider_name: The same, where the other is not given.
        **kwargs: For the next class.
    """

    AGENT_PROVIDER_NAME: ClassVar[str] = OtelAttr.AGENT_FRAMEWORK_GEN_AI_SYSTEM.value

    def __init__(
        self,
        *args: Any,
        otel_agent_provider_name: str | None = None,
        otel_provider_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.otel_provider_name: str = otel_agent_provider_name or otel_provider_name or self.AGENT_PROVIDER_NAME

    def run(
        self,
        messages: Any = None,
        *,
        stream: bool = False,
        session: Any = None,
        tools: Any = None,
        options: Any = None,
        compaction_strategy: Any = None,
        tokenizer: Any = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the agent, in a span when instrumentation is enabled. See Agent.run."""
        call = partial(
            super().run,  # type: ignore[misc]
            messages,
            stream=stream,
            session=session,
            tools=tools,
            options=options,
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            function_invocation_kwargs=function_invocation_kwargs,
            client_kwargs=client_kwargs,
        )
        if not OBSERVABILITY_SETTINGS.ENABLED:
            return call()
        merged = self._options_for_span(options)
        attributes = self._span_attributes(merged, session, tools)
        on_start = partial(_record_request, self.otel_provider_name, messages, merged)
        on_response = self._record_response
        if stream:
            return _traced_stream(call, attributes, OtelAttr.AGENT_NAME, on_response, on_start)
        return _traced_call(call, attributes, OtelAttr.AGENT_NAME, on_response, on_start)

    def _options_for_span(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        return merge_chat_options(getattr(self, "default_options", {}), options)

    def _span_attributes(self, options: Mapping[str, Any], session: Any, tools: Any) -> dict[str, Any]:
        agent = cast("Any", self)
        attributes = {
            **_request_attributes(options),
            OtelAttr.OPERATION.value: OtelAttr.AGENT_INVOKE_OPERATION.value,
            OtelAttr.PROVIDER_NAME.value: self.otel_provider_name,
            OtelAttr.AGENT_ID.value: agent.id,
            OtelAttr.AGENT_NAME.value: agent.name or agent.id,
        }
        if agent.description:
            attributes[OtelAttr.AGENT_DESCRIPTION.value] = agent.description
        if session is not None and session.service_session_id:
            attributes[OtelAttr.CONVERSATION_ID.value] = session.service_session_id
        if definitions := _tool_definitions(options.get("tools"), tools):
            attributes[OtelAttr.TOOL_DEFINITIONS.value] = json.dumps(definitions, ensure_ascii=False, default=str)
        return attributes

    def _record_response(self, span: Span, response: Any, duration: float) -> None:
        # The chat spans inside carry the response ids already; the usage is their sum.
        client_is_traced = isinstance(getattr(self, "client", None), ChatTelemetryLayer)
        _set_response(span, response, with_id=not client_is_traced)
        if response is not None:
            _capture_messages(span, self.otel_provider_name, response.messages, output=True)


def _tool_definitions(*groups: Any) -> list[Any]:
    from ._tools import FunctionTool, normalize_tools

    def definitions() -> Iterator[Any]:
        for group in groups:
            for tool in normalize_tools(group):
                if isinstance(tool, FunctionTool):
                    yield tool.to_json_schema_spec()
                elif isinstance(tool, Mapping):
                    yield dict(tool)

    return list(definitions())


class EmbeddingTelemetryLayer(Generic[EmbeddingInputT, EmbeddingT, EmbeddingOptionsT]):
    """Makes a span of every embedding request.

    Keyword Args:
        otel_provider_name: The provider's name; by default the class's OTEL_PROVIDER_NAME.
        **kwargs: For the next class.
    """

    def __init__(self, *args: Any, otel_provider_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.otel_provider_name: str = otel_provider_name or str(getattr(self, "OTEL_PROVIDER_NAME", "unknown"))

    async def get_embeddings(self, values: Sequence[EmbeddingInputT], *, options: Any = None) -> Any:
        """Get embeddings, in a span when instrumentation is enabled."""
        call = super().get_embeddings  # type: ignore[misc]
        if not OBSERVABILITY_SETTINGS.ENABLED:
            return await call(values, options=options)
        attributes = {
            OtelAttr.OPERATION.value: OtelAttr.EMBEDDING_OPERATION.value,
            OtelAttr.PROVIDER_NAME.value: self.otel_provider_name,
            OtelAttr.REQUEST_MODEL.value: (options or {}).get("model") or getattr(self, "model", None) or "unknown",
            OtelAttr.ADDRESS.value: _service_url(self),
        }
        with _get_span(attributes, OtelAttr.REQUEST_MODEL) as span:
            started = perf_counter()
            result = await call(values, options=options)
            duration = perf_counter() - started
            usage = getattr(result, "usage", None) or {}
            read = usage.get("input_token_count")
            counts = {} if read is None else {OtelAttr.INPUT_TOKENS.value: read}
            span.set_attributes(counts)
            _measure(attributes, duration, counts, None)
            return result


def _service_url(client: object) -> str:
    url = getattr(client, "service_url", None)
    return str(url()) if callable(url) else "unknown"


_OF_WORKFLOWS = frozenset(
    [
        "EdgeGroupDeliveryStatus",
        "create_edge_group_processing_span",
        "create_processing_span",
        "create_workflow_span",
        "workflow_tracer",
    ]
)


def __getattr__(name: str) -> Any:
    if name in _OF_WORKFLOWS:
        # Not an AttributeError: of that, `from ... import` would keep the name only and lose the sentence.
        raise ImportError(
            f"{name} is for workflows, which this package leaves out; upstream's agent-framework-core has them."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
