# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What spans, attributes, events and metrics are called, and the buckets of the histograms."""

from __future__ import annotations

from enum import Enum


class OtelAttr(str, Enum):
    """Names of span attributes, of metrics and of the values they take."""

    # What is done, by whom and where (OpenTelemetry registry: gen_ai, server, service, error)...
    OPERATION = "gen_ai.operation.name"
    PROVIDER_NAME = "gen_ai.provider.name"
    SYSTEM = "gen_ai.system"
    ERROR_TYPE = "error.type"
    ADDRESS = "server.address"
    PORT = "server.port"
    SERVICE_NAME = "service.name"
    SERVICE_VERSION = "service.version"
    TRACE_ID = "TraceId"
    SPAN_ID = "SpanId"

    # What was asked for...
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
    ENCODING_FORMATS = "gen_ai.request.encoding_formats"
    OUTPUT_TYPE = "gen_ai.output.type"
    DATA_SOURCE_ID = "gen_ai.data_source.id"
    CONVERSATION_ID = "gen_ai.conversation.id"

    # What came back...
    RESPONSE_ID = "gen_ai.response.id"
    RESPONSE_MODEL = "gen_ai.response.model"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"

    # What was said: recorded with sensitive data only...
    INPUT_MESSAGES = "gen_ai.input.messages"
    OUTPUT_MESSAGES = "gen_ai.output.messages"
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
    TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
    TOOL_RESULT = "gen_ai.tool.call.result"

    # Agents and tools...
    AGENT_ID = "gen_ai.agent.id"
    AGENT_NAME = "gen_ai.agent.name"
    AGENT_DESCRIPTION = "gen_ai.agent.description"
    TOOL_DEFINITIONS = "gen_ai.tool.definitions"
    TOOL_NAME = "gen_ai.tool.name"
    TOOL_CALL_ID = "gen_ai.tool.call.id"
    TOOL_TYPE = "gen_ai.tool.type"
    TOOL_DESCRIPTION = "gen_ai.tool.description"

    # Events of the log...
    EVENT_NAME = "event.name"
    USER_MESSAGE = "gen_ai.user.message"
    ASSISTANT_MESSAGE = "gen_ai.assistant.message"
    SYSTEM_MESSAGE = "gen_ai.system.message"
    TOOL_MESSAGE = "gen_ai.tool.message"
    CHOICE = "gen_ai.choice"

    # Metrics...
    LLM_OPERATION_DURATION = "gen_ai.client.operation.duration"
    LLM_TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - a metric's name
    MEASUREMENT_FUNCTION_INVOCATION_DURATION = "agent_framework.function.invocation.duration"
    MEASUREMENT_FUNCTION_TAG_NAME = "agent_framework.function.name"
    T_TYPE = "gen_ai.token.type"
    T_TYPE_INPUT = "input"
    T_TYPE_OUTPUT = "output"
    T_UNIT = "tokens"
    DURATION_UNIT = "s"

    # Values of OPERATION and PROVIDER_NAME...
    CHAT_COMPLETION_OPERATION = "chat"
    EMBEDDING_OPERATION = "embeddings"
    TOOL_EXECUTION_OPERATION = "execute_tool"
    AGENT_INVOKE_OPERATION = "invoke_agent"
    AGENT_CREATE_OPERATION = "create_agent"
    AGENT_FRAMEWORK_GEN_AI_SYSTEM = "microsoft.agent_framework"

    def __str__(self) -> str:
        return self.value


ROLE_EVENT_MAP = {role: OtelAttr(f"gen_ai.{role}.message") for role in ("system", "user", "assistant", "tool")}
"""The log event of a message to the model, by its role."""

FINISH_REASON_MAP = {"stop": "stop", "length": "length", "tool_calls": "tool_call", "content_filter": "content_filter"}
"""Our finish reasons as the conventions spell them in recorded messages."""

OPERATION_DURATION_BUCKET_BOUNDARIES = tuple(0.01 * 2**power for power in range(14))
"""In seconds, as the conventions give them."""

TOKEN_USAGE_BUCKET_BOUNDARIES = tuple(4**power for power in range(14))
"""In tokens, as the conventions give them."""
