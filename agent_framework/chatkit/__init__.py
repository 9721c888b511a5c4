# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Agents behind OpenAI's ChatKit, from the distribution agent-framework-chatkit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_chatkit import (
        ThreadItemConverter, simple_to_agent_input, stream_agent_response,
    )

__all__ = [
    "ThreadItemConverter", "simple_to_agent_input", "stream_agent_response",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-chatkit")
