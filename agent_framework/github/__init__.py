# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""The GitHub Copilot agent, from the distribution agent-framework-github-copilot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_github_copilot import (
        GitHubCopilotAgent, GitHubCopilotOptions, GitHubCopilotSettings,
    )

__all__ = [
    "GitHubCopilotAgent", "GitHubCopilotOptions", "GitHubCopilotSettings",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-github-copilot")
