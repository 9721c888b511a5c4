# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Agents that speak the A2A protocol, from the distribution agent-framework-a2a."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_a2a import (
        A2AAgent,
    )

__all__ = [
    "A2AAgent",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-a2a")
