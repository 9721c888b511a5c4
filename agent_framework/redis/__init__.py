# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
# mypy: disable-error-code="import-not-found,import-untyped"

"""Context and history kept in Redis, from the distribution agent-framework-redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy_namespace import lazy_namespace

# isort: off
# fmt: off
if TYPE_CHECKING:
    from agent_framework_redis import (
        RedisContextProvider, RedisHistoryProvider,
    )

__all__ = [
    "RedisContextProvider", "RedisHistoryProvider",
]
# fmt: on
# isort: on

__getattr__, __dir__ = lazy_namespace(__name__, __all__, "agent-framework-redis")
