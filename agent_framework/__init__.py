# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Agents, tools and MCP servers: the public names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import _installed

# Names side by side, for reading: isort and the formatter would give each a line of its own.
# isort: off
# fmt: off
from ._agents import Agent, BaseAgent, RawAgent, SupportsAgentRun
from ._clients import (
    BaseChatClient, BaseEmbeddingClient, SupportsChatGetResponse, SupportsCodeInterpreterTool, SupportsFileSearchTool,
    SupportsGetEmbeddings, SupportsImageGenerationTool, SupportsMCPTool, SupportsWebSearchTool,
)
from ._compaction import (
    COMPACTION_STATE_KEY, EXCLUDE_REASON_KEY, EXCLUDED_KEY, GROUP_ANNOTATION_KEY, GROUP_HAS_REASONING_KEY, GROUP_ID_KEY,
    GROUP_INDEX_KEY, GROUP_KIND_KEY, GROUP_TOKEN_COUNT_KEY, SUMMARIZED_BY_SUMMARY_ID_KEY, SUMMARY_OF_GROUP_IDS_KEY,
    SUMMARY_OF_MESSAGE_IDS_KEY, CharacterEstimatorTokenizer, CompactionStrategy, TokenizerProtocol,
)
from ._feature_stage import ExperimentalFeature, ReleaseCandidateFeature
from ._mcp import MCPStateChange, MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from ._middleware import (
    AgentContext, AgentMiddleware, AgentMiddlewareLayer, AgentMiddlewareTypes, ChatAndFunctionMiddlewareTypes,
    ChatContext, ChatMiddleware, ChatMiddlewareLayer, ChatMiddlewareTypes, FunctionInvocationContext,
    FunctionMiddleware, FunctionMiddlewareTypes, MiddlewareTermination, MiddlewareType, MiddlewareTypes,
    agent_middleware, chat_middleware, function_middleware,
)
from ._sessions import (
    AgentSession, ContextProvider, HistoryProvider, InMemoryHistoryProvider, SessionContext, register_state_type,
)
from ._settings import SecretString, load_settings
from ._telemetry import USER_AGENT_KEY, USER_AGENT_TELEMETRY_DISABLED_ENV_VAR, prepend_agent_framework_to_user_agent
from ._tools import (
    DEFAULT_MAX_ITERATIONS, FunctionInvocationConfiguration, FunctionInvocationLayer, FunctionTool, ToolTypes,
    normalize_function_invocation_configuration, normalize_tools, tool,
)
from ._types import (
    AgentResponse, AgentResponseUpdate, AgentRunInputs, Annotation, ChatOptions, ChatResponse, ChatResponseUpdate,
    Content, ContinuationToken, Embedding, EmbeddingGenerationOptions, EmbeddingInputT, EmbeddingT, FinalT,
    FinishReason, FinishReasonLiteral, GeneratedEmbeddings, Message, OuterFinalT, OuterUpdateT, ResponseStream, Role,
    RoleLiteral, TextSpanRegion, ToolMode, UpdateT, UsageDetails, add_usage_details, detect_media_type_from_base64,
    map_chat_to_agent_update, merge_chat_options, normalize_messages, prepend_instructions_to_messages,
    validate_chat_options, validate_tool_mode, validate_tools,
)
from .exceptions import (
    MiddlewareException, UserInputRequiredException, WorkflowCheckpointException, WorkflowConvergenceException,
    WorkflowException, WorkflowRunnerException,
)

__all__ = [
    "AGENT_FRAMEWORK_USER_AGENT", "APP_INFO", "COMPACTION_STATE_KEY", "DEFAULT_MAX_ITERATIONS", "EXCLUDED_KEY",
    "EXCLUDE_REASON_KEY", "GROUP_ANNOTATION_KEY", "GROUP_HAS_REASONING_KEY", "GROUP_ID_KEY", "GROUP_INDEX_KEY",
    "GROUP_KIND_KEY", "GROUP_TOKEN_COUNT_KEY", "SUMMARIZED_BY_SUMMARY_ID_KEY", "SUMMARY_OF_GROUP_IDS_KEY",
    "SUMMARY_OF_MESSAGE_IDS_KEY", "USER_AGENT_KEY", "USER_AGENT_TELEMETRY_DISABLED_ENV_VAR", "Agent", "AgentContext",
    "AgentMiddleware", "AgentMiddlewareLayer", "AgentMiddlewareTypes", "AgentResponse", "AgentResponseUpdate",
    "AgentRunInputs", "AgentSession", "Annotation", "BaseAgent", "BaseChatClient", "BaseEmbeddingClient",
    "CharacterEstimatorTokenizer", "ChatAndFunctionMiddlewareTypes", "ChatContext", "ChatMiddleware",
    "ChatMiddlewareLayer", "ChatMiddlewareTypes", "ChatOptions", "ChatResponse", "ChatResponseUpdate",
    "CompactionStrategy", "Content", "ContextProvider", "ContinuationToken", "Embedding", "EmbeddingGenerationOptions",
    "EmbeddingInputT", "EmbeddingT", "ExperimentalFeature", "FinalT", "FinishReason", "FinishReasonLiteral",
    "FunctionInvocationConfiguration", "FunctionInvocationContext", "FunctionInvocationLayer", "FunctionMiddleware",
    "FunctionMiddlewareTypes", "FunctionTool", "GeneratedEmbeddings", "HistoryProvider", "InMemoryHistoryProvider",
    "MCPStateChange", "MCPStdioTool", "MCPStreamableHTTPTool", "MCPWebsocketTool", "Message", "MiddlewareException",
    "MiddlewareTermination", "MiddlewareType", "MiddlewareTypes", "OuterFinalT", "OuterUpdateT", "RawAgent",
    "ReleaseCandidateFeature", "ResponseStream", "Role", "RoleLiteral", "SecretString", "SessionContext",
    "SupportsAgentRun", "SupportsChatGetResponse", "SupportsCodeInterpreterTool", "SupportsFileSearchTool",
    "SupportsGetEmbeddings", "SupportsImageGenerationTool", "SupportsMCPTool", "SupportsWebSearchTool",
    "TextSpanRegion", "TokenizerProtocol", "ToolMode", "ToolTypes", "UpdateT", "UsageDetails",
    "UserInputRequiredException", "WorkflowCheckpointException", "WorkflowConvergenceException", "WorkflowException",
    "WorkflowRunnerException", "__version__", "add_usage_details", "agent_middleware", "chat_middleware",
    "detect_media_type_from_base64", "function_middleware", "load_settings", "map_chat_to_agent_update",
    "merge_chat_options", "normalize_function_invocation_configuration", "normalize_messages", "normalize_tools",
    "prepend_agent_framework_to_user_agent", "prepend_instructions_to_messages", "register_state_type", "tool",
    "validate_chat_options", "validate_tool_mode", "validate_tools",
]
# fmt: on
# isort: on

_installed.warn_of_newer_needs(sys.path)

AGENT_FRAMEWORK_USER_AGENT: str
APP_INFO: dict[str, str] | None
__version__: str
"""The version of the installed distribution, agent-framework-core."""


if not TYPE_CHECKING:
    # Hidden from type checkers: to them, a name that does not exist is to be an error.

    def __getattr__(name: str) -> Any:
        # Looked up when somebody asks: reading a distribution's metadata takes longer than importing this package.
        if name == "__version__":
            from ._telemetry import version_info

            return version_info
        if name in {"AGENT_FRAMEWORK_USER_AGENT", "APP_INFO"}:
            from . import _telemetry

            return getattr(_telemetry, name)
        from ._left_out import refuse

        refuse(name, __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
