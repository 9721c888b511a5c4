# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Messages, and the forms in which callers may give them."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Literal, NewType

from ._content_types import Content, _parse_content_list
from ._serialization import SerializationMixin

RoleLiteral = Literal["system", "user", "assistant", "tool"]
Role = NewType("Role", str)


class Message(SerializationMixin):
    """What one participant of a conversation said.

    Attributes:
        role: system, user, assistant, tool, or any other word that a provider knows.
        contents: The items, in order.
        author_name: Who it was, when several share a role.
        message_id: The provider's id.
        additional_properties: Whatever else is to travel with the message; it is not sent to a model.
        raw_representation: The provider's own object.
    """

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"raw_representation"}

    def __init__(
        self,
        role: RoleLiteral | Role | str,
        contents: str | Content | Sequence[Content | str | Mapping[str, Any]] | None = None,
        *,
        author_name: str | None = None,
        message_id: str | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> None:
        self.role: str = role
        self.contents: list[Content] = _parse_content_list(_as_sequence(contents))
        self.author_name = author_name
        self.message_id = message_id
        self.additional_properties: MutableMapping[str, Any] = (
            {} if additional_properties is None else additional_properties
        )
        self.raw_representation = raw_representation

    @property
    def text(self) -> str:
        """The text items, joined by a space."""
        return " ".join(content.text or "" for content in self.contents if content.type == "text")

    def __repr__(self) -> str:
        return f"Message({self.role!r}, {self.contents!r})"


def _as_sequence(contents: Any) -> Sequence[Any]:
    if contents is None:
        return []
    return [contents] if isinstance(contents, (str, Content, Mapping)) else contents


AgentRunInputs = str | Content | Message | Sequence[str | Content | Message]


def normalize_messages(messages: AgentRunInputs | None = None) -> list[Message]:
    """Messages from what a caller may pass: text and content become messages of the user.

    Raises:
        TypeError: Something is neither text nor Content nor Message.
    """
    if messages is None:
        return []
    given = [messages] if isinstance(messages, (str, Content, Message)) else messages
    return [message if isinstance(message, Message) else _make_user_message(message) for message in given]


def _make_user_message(content: Any) -> Message:
    if not isinstance(content, (str, Content)):
        raise TypeError(f"A message is a str, a Content or a Message, not {type(content).__name__}.")
    return Message("user", [content])


def prepend_instructions_to_messages(
    messages: list[Message],
    instructions: str | Sequence[str] | None,
    role: RoleLiteral | str = "system",
) -> list[Message]:
    """Put instructions before the messages, a message for each.

    Nothing is added without instructions, or when the messages begin with the same ones already; then the list itself
    comes back. Otherwise it is a new list.
    """
    texts = [instructions] if isinstance(instructions, str) else list(instructions or ())
    texts = [text for text in texts if text]
    opening = [message.text for message in messages[: len(texts)] if message.role == role]
    if opening == texts:
        return messages
    return [*(Message(role, [text]) for text in texts), *messages]
