# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Models on Amazon Bedrock, from the distributions agent-framework-anthropic and agent-framework-bedrock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_anthropic import (
        AnthropicBedrockClient, RawAnthropicBedrockClient,
    )
    from agent_framework_bedrock import (
        BedrockChatClient, BedrockChatOptions, BedrockEmbeddingClient, BedrockEmbeddingOptions,
        BedrockEmbeddingSettings, BedrockGuardrailConfig, BedrockSettings,
    )

__all__ = [
    "AnthropicBedrockClient", "BedrockChatClient", "BedrockChatOptions", "BedrockEmbeddingClient",
    "BedrockEmbeddingOptions", "BedrockEmbeddingSettings", "BedrockGuardrailConfig", "BedrockSettings",
    "RawAnthropicBedrockClient",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(
    __name__,
    __all__,
    "agent-framework-bedrock",
    {
        "agent-framework-anthropic": (
            "AnthropicBedrockClient",
            "RawAnthropicBedrockClient",
        ),
    },
)
