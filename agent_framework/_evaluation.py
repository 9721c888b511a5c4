# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Names of upstream's evaluation that provider packages import for their signatures. Evaluation itself is not here.

A package such as agent-framework-foundry loads with them, and all of it that has nothing to do with evaluation works.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NoReturn, TypeAlias

from ._left_out import refuse, sentence_about

__all__ = [
    "AgentEvalConverter",
    "ConversationSplit",
    "ConversationSplitter",
    "EvalItem",
    "EvalItemResult",
    "EvalResults",
    "EvalScoreResult",
]


class _NotHere(type):
    """Of classes that can be named and cannot be used."""

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(sentence_about(cls.__name__, of="evaluation"))

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(sentence_about(f"{cls.__name__}.{name}", of="evaluation"))


class ConversationSplit(str, Enum):
    """Which part of a conversation would be evaluated; a default in signatures."""

    LAST_TURN = "last_turn"
    FULL = "full"


ConversationSplitter: TypeAlias = "ConversationSplit | Callable[..., Any]"


class AgentEvalConverter(metaclass=_NotHere):
    """Not here."""


class EvalItem(metaclass=_NotHere):
    """Not here."""


class EvalItemResult(metaclass=_NotHere):
    """Not here."""


class EvalScoreResult(metaclass=_NotHere):
    """Not here."""


class EvalResults(metaclass=_NotHere):
    """Not here."""


def __getattr__(name: str) -> NoReturn:
    refuse(name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
