# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Memory kept by Mem0, from the distribution agent-framework-mem0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_mem0 import (
        Mem0ContextProvider,
    )

__all__ = [
    "Mem0ContextProvider",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-mem0")
