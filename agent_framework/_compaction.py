# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What a compaction strategy and a tokenizer must offer. The strategies themselves are not in this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ._messages import Message


@runtime_checkable
class TokenizerProtocol(Protocol):
    """Counts tokens as a model would."""

    def count_tokens(self, text: str) -> int:
        """The number of tokens in the text."""
        ...


@runtime_checkable
class CompactionStrategy(Protocol):
    """Makes a conversation smaller before it goes to a model."""

    async def __call__(self, messages: list[Message]) -> bool:
        """Change the list in place; True when anything changed."""
        ...
