# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What a compaction strategy and a tokenizer must offer, and the keys under which strategies mark messages.

The strategies themselves are not in this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ._messages import Message

# In the additional properties of a message.
EXCLUDED_KEY: Final = "_excluded"
EXCLUDE_REASON_KEY: Final = "_exclude_reason"
GROUP_ANNOTATION_KEY: Final = "_group"
SUMMARIZED_BY_SUMMARY_ID_KEY: Final = "_summarized_by_summary_id"
SUMMARY_OF_GROUP_IDS_KEY: Final = "_summary_of_group_ids"
SUMMARY_OF_MESSAGE_IDS_KEY: Final = "_summary_of_message_ids"

# In the mapping under GROUP_ANNOTATION_KEY.
GROUP_ID_KEY: Final = "id"
GROUP_INDEX_KEY: Final = "index"
GROUP_KIND_KEY: Final = "kind"
GROUP_HAS_REASONING_KEY: Final = "has_reasoning"
GROUP_TOKEN_COUNT_KEY: Final = "token_count"  # noqa: S105 - a key for a number

# In the state of a session.
COMPACTION_STATE_KEY: Final = "_compaction_messages"


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


class CharacterEstimatorTokenizer:
    """Guesses: four characters make a token."""

    def count_tokens(self, text: str) -> int:
        """The number of tokens that the text probably has; at least 1."""
        return max(1, len(text) // 4)


def __getattr__(name: str) -> Any:
    from ._left_out import refuse

    refuse(name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
