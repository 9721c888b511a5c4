# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Spans and metrics of agent runs, model calls and function calls, by the GenAI semantic conventions.

Everything is off until ENABLE_INSTRUMENTATION is set or `enable_instrumentation()` is called; what is said to and by
the model is recorded only with sensitive data enabled too. Only the OpenTelemetry API is used, and it is imported when
the first span is made: set up an SDK or an agent of your choice to see anything.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from typing_extensions import TypeVar

from ._concurrency import closing_stream

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.trace import Span, Tracer

    from ._tools import FunctionTool
    from ._types import Content, Message, ResponseStream

__all__ = [
    "OBSERVABILITY_SETTINGS",
    "AgentTelemetryLayer",
    "ChatTelemetryLayer",
    "EmbeddingTelemetryLayer",
    "ObservabilitySettings",
    "OtelAttr",
    "capture_exception",
    "enable_instrumentation",
    "get_function_span",
    "get_function_span_attributes",
    "get_meter",
    "get_tracer",
]

OptionsCoT = TypeVar("OptionsCoT", covariant=True, default=Any)
EmbeddingInputT = TypeVar("EmbeddingInputT", default=str)
EmbeddingT = TypeVar("EmbeddingT", default=list[float])
EmbeddingOptionsT = TypeVar("EmbeddingOptionsT", covariant=True, default=Any)


class OtelAttr(str, Enum):
    """Names of span attributes, of metrics and of the values they take."""

    OPERATION = "gen_ai.operation.name"
    PROVIDER_NAME = "gen_ai.provider.name"
    ERROR_TYPE = "error.type"
    ADDRESS = "server.address"
    REQUEST_MODEL = "gen_ai.request.model"
    CHOICE_COUNT = "gen_ai.request.choice.count"
    SEED = "gen_ai.request.seed"
    FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
    PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
    STOP_SEQUENCES = "gen_ai.request.stop_sequences"
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
    REQUEST_TEMPERATURE = "gen_ai.request.temperature"
    REQUEST_TOP_P = "gen_ai.request.top_p"
    TOP_K = "gen_ai.request.top_k"
    RESPONSE_ID = "gen_ai.response.id"
    RESPONSE_MODEL = "gen_ai.response.model"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    INPUT_MESSAGES = "gen_ai.input.messages"
    OUTPUT_MESSAGES = "gen_ai.output.messages"
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
    CONVERSATION_ID = "gen_ai.conversation.id"
    AGENT_ID = "gen_ai.agent.id"
    AGENT_NAME = "gen_ai.agent.name"
    AGENT_DESCRIPTION = "gen_ai.agent.description"
    TOOL_DEFINITIONS = "gen_ai.tool.definitions"
    TOOL_NAME = "gen_ai.tool.name"
    TOOL_CALL_ID = "gen_ai.tool.call.id"
    TOOL_TYPE = "gen_ai.tool.type"
    TOOL_DESCRIPTION = "gen_ai.tool.description"
    TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
    TOOL_RESULT = "gen_ai.tool.call.result"
    T_TYPE = "gen_ai.token.type"
    T_TYPE_INPUT = "input"
    T_TYPE_OUTPUT = "output"
    T_UNIT = "tokens"
    DURATION_UNIT = "s"
    LLM_OPERATION_DURATION = "gen_ai.client.operation.duration"
    LLM_TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - a metric's name
    MEASUREMENT_FUNCTION_INVOCATION_DURATION = "agent_framework.function.invocation.duration"
    MEASUREMENT_FUNCTION_TAG_NAME = "agent_framework.function.name"
    CHAT_COMPLETION_OPERATION = "chat"
    EMBEDDING_OPERATION = "embeddings"
    TOOL_EXECUTION_OPERATION = "execute_tool"
    AGENT_INVOKE_OPERATION = "invoke_agent"
    AGENT_FRAMEWORK_GEN_AI_SYSTEM = "microsoft.agent_framework"

    def __str__(self) -> str:
        return self.value


# Settings...


def _environment_flag(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


class ObservabilitySettings:
    """What is recorded. Both values can be changed at any time.

    Keyword Args:
        enable_instrumentation: Make spans and metrics; by default what ENABLE_INSTRUMENTATION says.
        enable_sensitive_data: Record messages, arguments and results; by default what ENABLE_SENSITIVE_DATA says.
    """

    def __init__(
        self, *, enable_instrumentation: bool | None = None, enable_sensitive_data: bool | None = None
    ) -> None:
        self.enable_instrumentation = (
            _environment_flag("ENABLE_INSTRUMENTATION") if enable_instrumentation is None else enable_instrumentation
        )
        self.enable_sensitive_data = (
            _environment_flag("ENABLE_SENSITIVE_DATA") if enable_sensitive_data is None else enable_sensitive_data
        )

    @property
    def ENABLED(self) -> bool:  # noqa: N802 - upstream's name
        """Whether spans and metrics are made."""
        return self.enable_instrumentation

    @property
    def SENSITIVE_DATA_ENABLED(self) -> bool:  # noqa: N802 - upstream's name
        """Whether messages, arguments and results are recorded."""
        return self.enable_instrumentation and self.enable_sensitive_data


OBSERVABILITY_SETTINGS = ObservabilitySettings()


def enable_instrumentation(*, enable_sensitive_data: bool | None = None) -> None:
    """Make spans and metrics from now on.

    Keyword Args:
        enable_sensitive_data: Also record messages, arguments and results; None leaves that as it is.
    """
    OBSERVABILITY_SETTINGS.enable_instrumentation = True
    if enable_sensitive_data is not None:
        OBSERVABILITY_SETTINGS.enable_sensitive_data = enable_sensitive_data


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

    return trace.get_tracer(
        instrumenting_module_name,
        instrumenting_library_version or _version(),
        schema_url=schema_url,
        attributes=attributes,
    )


def get_meter(
    name: str = "agent_framework",
    version: str | None = None,
    schema_url: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> Meter:
    """The framework's meter, of whatever provider is set up."""
    from opentelemetry import metrics

    return metrics.get_meter(name, version or _version(), schema_url=schema_url, attributes=attributes)


# Histograms: bucket bounds as the semantic conventions give them...

DURATION_BUCKETS = tuple(0.01 * 2**power for power in range(14))  # seconds
TOKEN_BUCKETS = tuple(4**power for power in range(14))


@cache
def _duration_histogram() -> Histogram:
    return get_meter().create_histogram(
        OtelAttr.LLM_OPERATION_DURATION.value,
        unit="s",
        description="How long a model call took.",
        explicit_bucket_boundaries_advisory=DURATION_BUCKETS,
    )


@cache
def _token_histogram() -> Histogram:
    return get_meter().create_histogram(
        OtelAttr.LLM_TOKEN_USAGE.value,
        unit="tokens",
        description="How many tokens a model call read and wrote.",
        explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
    )


@cache
def function_duration_histogram() -> Histogram:
    """Durations of function calls, in seconds."""
    return get_meter().create_histogram(
        OtelAttr.MEASUREMENT_FUNCTION_INVOCATION_DURATION.value,
        unit="s",
        description="How long a function call took.",
        explicit_bucket_boundaries_advisory=DURATION_BUCKETS,
    )


# Spans...


def _span_name(attributes: Mapping[str, Any], subject: OtelAttr) -> str:
    return f"{attributes[OtelAttr.OPERATION.value]} {attributes.get(subject.value, 'unknown')}"


@contextlib.contextmanager
def _span(attributes: dict[str, Any], subject: OtelAttr) -> Generator[Span, None, None]:
    """A current span that ends with the block and says so when an exception ends the block."""
    with get_tracer().start_as_current_span(
        _span_name(attributes, subject), attributes=attributes, record_exception=False, set_status_on_exception=False
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
    return _span(dict(attributes), OtelAttr.TOOL_NAME)


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
    from ._types import ResponseStream

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


def _set_messages(span: Span, attribute: OtelAttr, messages: Any, finish_reason: Any = None) -> None:
    from ._types import normalize_messages

    if not OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED or messages is None:
        return
    rows = [_message_for_span(message) for message in normalize_messages(messages)]
    if finish_reason and rows:
        rows[-1]["finish_reason"] = finish_reason
    span.set_attribute(attribute.value, json.dumps(rows, ensure_ascii=False, default=str))


def _set_instructions(span: Span, options: Mapping[str, Any] | None) -> None:
    instructions = (options or {}).get("instructions")
    if OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED and instructions:
        texts = [instructions] if isinstance(instructions, str) else list(instructions)
        parts = [{"type": "text", "content": text} for text in texts]
        span.set_attribute(OtelAttr.SYSTEM_INSTRUCTIONS.value, json.dumps(parts, ensure_ascii=False))


def _message_for_span(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [_part_for_span(content) for content in message.contents]}


def _part_for_span(content: Content) -> dict[str, Any]:
    match content.type:
        case "text":
            return {"type": "text", "content": content.text}
        case "text_reasoning":
            return {"type": "reasoning", "content": content.text}
        case "uri" | "data":
            return {"type": content.type, "uri": content.uri, "mime_type": content.media_type}
        case "function_call":
            return {"type": "tool_call", "id": content.call_id, "name": content.name, "arguments": content.arguments}
        case "function_result":
            return {"type": "tool_call_response", "id": content.call_id, "response": content.result}
        case _:
            return content.to_dict()


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
        on_start = partial(_record_request, messages=messages, options=options)
        on_response = partial(_record_chat_response, attributes)
        if stream:
            return _traced_stream(call, attributes, OtelAttr.REQUEST_MODEL, on_response, on_start)
        return _traced_call(call, attributes, OtelAttr.REQUEST_MODEL, on_response, on_start)

    def _span_attributes(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        url = getattr(self, "service_url", None)
        return {
            OtelAttr.OPERATION.value: OtelAttr.CHAT_COMPLETION_OPERATION.value,
            OtelAttr.PROVIDER_NAME.value: self.otel_provider_name,
            OtelAttr.REQUEST_MODEL.value: getattr(self, "model", None) or "unknown",
            OtelAttr.ADDRESS.value: url() if callable(url) else "unknown",
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
    with _span(attributes, subject) as span:
        on_start(span)
        started = perf_counter()
        response = await call()
        on_response(span, response, perf_counter() - started)
        return response


def _record_request(span: Span, *, messages: Any, options: Mapping[str, Any] | None) -> None:
    _set_messages(span, OtelAttr.INPUT_MESSAGES, messages)
    _set_instructions(span, options)


def _record_chat_response(attributes: Mapping[str, Any], span: Span, response: Any, duration: float) -> None:
    counts = _set_response(span, response)
    _set_messages(span, OtelAttr.OUTPUT_MESSAGES, response.messages, response.finish_reason)
    tags = {
        attribute.value: attributes[attribute.value]
        for attribute in (OtelAttr.OPERATION, OtelAttr.PROVIDER_NAME, OtelAttr.REQUEST_MODEL, OtelAttr.ADDRESS)
    }
    if response.model:
        tags[OtelAttr.RESPONSE_MODEL.value] = response.model
    _duration_histogram().record(duration, tags)
    for attribute, kind in (
        (OtelAttr.INPUT_TOKENS, OtelAttr.T_TYPE_INPUT),
        (OtelAttr.OUTPUT_TOKENS, OtelAttr.T_TYPE_OUTPUT),
    ):
        if attribute.value in counts:
            _token_histogram().record(counts[attribute.value], {**tags, OtelAttr.T_TYPE.value: kind.value})


class AgentTelemetryLayer:
    """Makes a span of every run of an agent.

    Keyword Args:
        otel_agent_provider_name: The provider's name; by default the class's AGENT_PROVIDER_NAME.
        **kwargs: For the next class.
    """

    AGENT_PROVIDER_NAME: ClassVar[str] = OtelAttr.AGENT_FRAMEWORK_GEN_AI_SYSTEM.value

    def __init__(self, *args: Any, otel_agent_provider_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.otel_provider_name = otel_agent_provider_name or self.AGENT_PROVIDER_NAME

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
        on_start = partial(_record_request, messages=messages, options=merged)
        on_response = self._record_response
        if stream:
            return _traced_stream(call, attributes, OtelAttr.AGENT_NAME, on_response, on_start)
        return _traced_call(call, attributes, OtelAttr.AGENT_NAME, on_response, on_start)

    def _options_for_span(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        from ._types import merge_chat_options

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
            _set_messages(span, OtelAttr.OUTPUT_MESSAGES, response.messages)


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
        }
        with _span(attributes, OtelAttr.REQUEST_MODEL) as span:
            result = await call(values, options=options)
            _set_response(span, getattr(result, "usage", None) and _UsageOf(result.usage))
            return result


class _UsageOf:
    def __init__(self, usage: Mapping[str, Any]) -> None:
        self.usage_details = usage
