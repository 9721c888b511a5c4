# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Models, agents and memory of Microsoft Foundry, in the cloud and local.

From the distributions agent-framework-anthropic, agent-framework-foundry and agent-framework-foundry-local.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_anthropic import (
        AnthropicFoundryClient, RawAnthropicFoundryClient,
    )
    from agent_framework_foundry import (
        FoundryAgent, FoundryChatClient, FoundryChatOptions, FoundryEmbeddingClient, FoundryEmbeddingOptions,
        FoundryEmbeddingSettings, FoundryEvals, FoundryMemoryProvider, RawFoundryAgent, RawFoundryAgentChatClient,
        RawFoundryChatClient, RawFoundryEmbeddingClient, evaluate_foundry_target, evaluate_traces,
    )
    from agent_framework_foundry_local import (
        FoundryLocalChatOptions, FoundryLocalClient, FoundryLocalSettings,
    )

__all__ = [
    "AnthropicFoundryClient", "FoundryAgent", "FoundryChatClient", "FoundryChatOptions", "FoundryEmbeddingClient",
    "FoundryEmbeddingOptions", "FoundryEmbeddingSettings", "FoundryEvals", "FoundryLocalChatOptions",
    "FoundryLocalClient", "FoundryLocalSettings", "FoundryMemoryProvider", "RawAnthropicFoundryClient",
    "RawFoundryAgent", "RawFoundryAgentChatClient", "RawFoundryChatClient", "RawFoundryEmbeddingClient",
    "evaluate_foundry_target", "evaluate_traces",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(
    __name__,
    __all__,
    "agent-framework-foundry",
    {
        "agent-framework-foundry-local": (
            "FoundryLocalChatOptions",
            "FoundryLocalClient",
            "FoundryLocalSettings",
        ),
        "agent-framework-anthropic": (
            "AnthropicFoundryClient",
            "RawAnthropicFoundryClient",
        ),
    },
)
