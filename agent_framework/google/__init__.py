# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Models on Google Cloud, from the distribution agent-framework-anthropic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_anthropic import (
        AnthropicVertexClient, RawAnthropicVertexClient,
    )

__all__ = [
    "AnthropicVertexClient", "RawAnthropicVertexClient",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-anthropic")
