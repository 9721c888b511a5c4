# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Azure services around agents: durable tasks, functions, search, Cosmos DB.

From the distributions agent-framework-azure-ai-search, agent-framework-azure-cosmos, agent-framework-azurefunctions and
agent-framework-durabletask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_azure_ai_search import (
        AzureAISearchContextProvider, AzureAISearchSettings,
    )
    from agent_framework_azure_cosmos import (
        CosmosHistoryProvider,
    )
    from agent_framework_azurefunctions import (
        AgentFunctionApp,
    )
    from agent_framework_durabletask import (
        AgentCallbackContext, AgentResponseCallbackProtocol, DurableAIAgent, DurableAIAgentClient,
        DurableAIAgentOrchestrationContext, DurableAIAgentWorker,
    )

__all__ = [
    "AgentCallbackContext", "AgentFunctionApp", "AgentResponseCallbackProtocol", "AzureAISearchContextProvider",
    "AzureAISearchSettings", "CosmosHistoryProvider", "DurableAIAgent", "DurableAIAgentClient",
    "DurableAIAgentOrchestrationContext", "DurableAIAgentWorker",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(
    __name__,
    __all__,
    "agent-framework-durabletask",
    {
        "agent-framework-azure-ai-search": (
            "AzureAISearchContextProvider",
            "AzureAISearchSettings",
        ),
        "agent-framework-azurefunctions": ("AgentFunctionApp",),
        "agent-framework-azure-cosmos": ("CosmosHistoryProvider",),
    },
)
