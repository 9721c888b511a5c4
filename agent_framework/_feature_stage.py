# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""How provider packages mark what is not final yet. Here the marks are for reading only: nothing warns at run time."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

MarkedT = TypeVar("MarkedT", bound="Callable[..., Any]")


class ExperimentalFeature(str, Enum):
    """Features that may change or go at any time."""

    EVALS = "EVALS"
    SKILLS = "SKILLS"


class ReleaseCandidateFeature(str, Enum):
    """Features that are nearly final; there are none."""


def experimental(*, feature_id: ExperimentalFeature | str) -> Callable[[MarkedT], MarkedT]:
    """Mark a class or function as belonging to an experimental feature."""
    return _mark("experimental", feature_id)


def release_candidate(*, feature_id: ReleaseCandidateFeature | str) -> Callable[[MarkedT], MarkedT]:
    """Mark a class or function as belonging to a feature that is nearly final."""
    return _mark("release_candidate", feature_id)


def _mark(stage: str, feature_id: Enum | str) -> Callable[[MarkedT], MarkedT]:
    def mark(marked: MarkedT) -> MarkedT:
        target: Any = marked
        target.__feature_stage__ = stage
        target.__feature_id__ = feature_id.value if isinstance(feature_id, Enum) else feature_id
        return marked

    return mark
