# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""OpenAI's models and those of Azure OpenAI, from the distribution agent-framework-openai."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# Names side by side, for reading: isort and the formatter would give each a line of its own.
# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_openai import (
        ContentFilterResultSeverity, OpenAIChatClient, OpenAIChatCompletionClient, OpenAIChatCompletionOptions,
        OpenAIChatOptions, OpenAIContentFilterException, OpenAIContinuationToken, OpenAIEmbeddingClient,
        OpenAIEmbeddingOptions, OpenAISettings, RawOpenAIChatClient, RawOpenAIChatCompletionClient,
    )

__all__ = [
    "ContentFilterResultSeverity", "OpenAIChatClient", "OpenAIChatCompletionClient", "OpenAIChatCompletionOptions",
    "OpenAIChatOptions", "OpenAIContentFilterException", "OpenAIContinuationToken", "OpenAIEmbeddingClient",
    "OpenAIEmbeddingOptions", "OpenAISettings", "RawOpenAIChatClient", "RawOpenAIChatCompletionClient",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-openai")
