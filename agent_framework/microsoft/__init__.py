# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Copilot Studio agents, and policies of Microsoft Purview.

From the distributions agent-framework-copilotstudio and agent-framework-purview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_copilotstudio import (
        CopilotStudioAgent, acquire_token,
    )
    from agent_framework_purview import (
        CacheProvider, PurviewAppLocation, PurviewAuthenticationError, PurviewChatPolicyMiddleware, PurviewLocationType,
        PurviewPaymentRequiredError, PurviewPolicyMiddleware, PurviewRateLimitError, PurviewRequestError,
        PurviewServiceError, PurviewSettings,
    )

__all__ = [
    "CacheProvider", "CopilotStudioAgent", "PurviewAppLocation", "PurviewAuthenticationError",
    "PurviewChatPolicyMiddleware", "PurviewLocationType", "PurviewPaymentRequiredError", "PurviewPolicyMiddleware",
    "PurviewRateLimitError", "PurviewRequestError", "PurviewServiceError", "PurviewSettings", "acquire_token",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(
    __name__,
    __all__,
    "agent-framework-purview",
    {
        "agent-framework-copilotstudio": (
            "CopilotStudioAgent",
            "acquire_token",
        ),
    },
)
