# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Agents for the AG-UI protocol, as server and as client, from the distribution agent-framework-ag-ui."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_ag_ui import (
        AGUIChatClient, AgentFrameworkAgent, AgentFrameworkWorkflow, add_agent_framework_fastapi_endpoint,
    )

__all__ = [
    "AGUIChatClient", "AgentFrameworkAgent", "AgentFrameworkWorkflow", "add_agent_framework_fastapi_endpoint",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-ag-ui")
