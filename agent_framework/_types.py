# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The data that travels through the framework, gathered from one module for each subject."""

from __future__ import annotations

from ._content_types import (
    Annotation,
    Content,
    ContentType,
    TextSpanRegion,
    UsageDetails,
    _coalesce_text_content,
    _get_data_bytes,
    _get_data_bytes_as_str,
    _parse_content_list,
    add_usage_details,
)
from ._data_uris import detect_media_type_from_base64
from ._data_uris import validate_uri as _validate_uri
from ._embedding_types import (
    Embedding,
    EmbeddingGenerationOptions,
    EmbeddingInputT,
    EmbeddingOptionsT,
    EmbeddingT,
    GeneratedEmbeddings,
)
from ._messages import (
    AgentRunInputs,
    Message,
    Role,
    RoleLiteral,
    normalize_messages,
    prepend_instructions_to_messages,
)
from ._options import (
    ChatOptions,
    ResponseModelT,
    ToolMode,
    merge_chat_options,
    validate_chat_options,
    validate_tool_mode,
    validate_tools,
)
from ._response_stream import FinalT, OuterFinalT, OuterUpdateT, ResponseStream, UpdateT
from ._responses import (
    AgentResponse,
    AgentResponseT,
    AgentResponseUpdate,
    ChatResponse,
    ChatResponseT,
    ChatResponseUpdate,
    ContinuationToken,
    CreatedAtT,
    FinishReason,
    FinishReasonLiteral,
    ResponseModelBoundT,
    StructuredResponseFormat,
    _finalize_response,
    _parse_structured_response_value,
    _process_update,
    map_chat_to_agent_update,
)

# fmt: off
__all__ = [
    "AgentResponse", "AgentResponseT", "AgentResponseUpdate", "AgentRunInputs", "Annotation", "ChatOptions",
    "ChatResponse", "ChatResponseT", "ChatResponseUpdate", "Content", "ContentType", "ContinuationToken", "CreatedAtT",
    "Embedding", "EmbeddingGenerationOptions", "EmbeddingInputT", "EmbeddingOptionsT", "EmbeddingT", "FinalT",
    "FinishReason", "FinishReasonLiteral", "GeneratedEmbeddings", "Message", "OuterFinalT", "OuterUpdateT",
    "ResponseModelBoundT", "ResponseModelT", "ResponseStream", "Role", "RoleLiteral", "StructuredResponseFormat",
    "TextSpanRegion", "ToolMode", "UpdateT", "UsageDetails", "_coalesce_text_content", "_finalize_response",
    "_get_data_bytes", "_get_data_bytes_as_str", "_parse_content_list", "_parse_structured_response_value",
    "_process_update", "_validate_uri", "add_usage_details", "detect_media_type_from_base64",
    "map_chat_to_agent_update", "merge_chat_options", "normalize_messages", "prepend_instructions_to_messages",
    "validate_chat_options", "validate_tool_mode", "validate_tools",
]
# fmt: on
