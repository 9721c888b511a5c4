# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Models that Ollama runs, from the distribution agent-framework-ollama."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_ollama import (
        OllamaChatClient, OllamaChatOptions, OllamaEmbeddingClient, OllamaEmbeddingOptions, OllamaEmbeddingSettings,
        OllamaSettings,
    )

__all__ = [
    "OllamaChatClient", "OllamaChatOptions", "OllamaEmbeddingClient", "OllamaEmbeddingOptions",
    "OllamaEmbeddingSettings", "OllamaSettings",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-ollama")
