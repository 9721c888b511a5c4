# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Anthropic's models, on its own service and on others, and the Claude agent.

From the distributions agent-framework-anthropic and agent-framework-claude.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_anthropic import (
        AnthropicBedrockClient, AnthropicChatOptions, AnthropicClient, AnthropicFoundryClient, AnthropicVertexClient,
        RawAnthropicBedrockClient, RawAnthropicClient, RawAnthropicFoundryClient, RawAnthropicVertexClient,
    )
    from agent_framework_claude import (
        ClaudeAgent, ClaudeAgentOptions, RawClaudeAgent,
    )

__all__ = [
    "AnthropicBedrockClient", "AnthropicChatOptions", "AnthropicClient", "AnthropicFoundryClient",
    "AnthropicVertexClient", "ClaudeAgent", "ClaudeAgentOptions", "RawAnthropicBedrockClient", "RawAnthropicClient",
    "RawAnthropicFoundryClient", "RawAnthropicVertexClient", "RawClaudeAgent",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(
    __name__,
    __all__,
    "agent-framework-anthropic",
    {
        "agent-framework-claude": (
            "ClaudeAgent",
            "ClaudeAgentOptions",
            "RawClaudeAgent",
        ),
    },
)
