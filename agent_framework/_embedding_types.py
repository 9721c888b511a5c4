# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What embedding clients take and return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypedDict, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ._content_types import UsageDetails


class EmbeddingGenerationOptions(TypedDict, total=False):
    """Options that every embedding client knows; ``dimensions`` is the length wanted of each vector."""

    model: str
    dimensions: int


EmbeddingT = TypeVar("EmbeddingT", default="list[float]")
EmbeddingInputT = TypeVar("EmbeddingInputT", default="str")
EmbeddingOptionsT = TypeVar("EmbeddingOptionsT", default=EmbeddingGenerationOptions)


class Embedding(Generic[EmbeddingT]):
    """One vector, usually a list of floats."""

    def __init__(
        self,
        vector: EmbeddingT,
        *,
        model: str | None = None,
        dimensions: int | None = None,
        created_at: datetime | None = None,
        additional_properties: dict[str, Any] | None = None,
    ) -> None:
        self.vector = vector
        self.model = model
        self.created_at = created_at
        self.additional_properties = additional_properties or {}
        self._dimensions = dimensions

    @property
    def dimensions(self) -> int | None:
        """The number given by the provider, else the length of the vector, else None when it has none."""
        if self._dimensions is not None:
            return self._dimensions
        return len(self.vector) if hasattr(self.vector, "__len__") else None


class GeneratedEmbeddings(list[Embedding[EmbeddingT]], Generic[EmbeddingT, EmbeddingOptionsT]):
    """The embeddings of one request, in the order of its values."""

    def __init__(
        self,
        embeddings: Iterable[Embedding[EmbeddingT]] | None = None,
        *,
        options: EmbeddingOptionsT | None = None,
        usage: UsageDetails | None = None,
        additional_properties: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(embeddings or ())
        self.options = options
        self.usage = usage
        self.additional_properties = additional_properties or {}
