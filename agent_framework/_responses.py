# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Responses of chat clients and agents, their updates, and how updates become a response."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NewType, Union, cast

from typing_extensions import Self, TypedDict, TypeVar

from ._content_types import Content, UsageDetails, _coalesce, _parse_content_list, add_usage_details
from ._messages import Message, Role, RoleLiteral
from ._options import ResponseModelT
from ._serialization import SerializationMixin

if TYPE_CHECKING:
    from pydantic import BaseModel

logger = logging.getLogger("agent_framework")

FinishReasonLiteral = Literal["stop", "length", "tool_calls", "content_filter"]
FinishReason = NewType("FinishReason", str)
CreatedAtT = str
StructuredResponseFormat = Union["type[BaseModel]", Mapping[str, Any], None]

ChatResponseT = TypeVar("ChatResponseT", bound="ChatResponse[Any]")
AgentResponseT = TypeVar("AgentResponseT", bound="AgentResponse[Any]")
ResponseModelBoundT = TypeVar("ResponseModelBoundT", bound="BaseModel")

# A piece without text, role or id belongs to what came before; one that opens a response is the model's.
_DEFAULT_ROLE = "assistant"
_JOINED_TYPES = ("text", "text_reasoning", "function_call")


class ContinuationToken(TypedDict):
    """With what a provider finds a response again that is still being made; providers add their keys."""


class _Response(SerializationMixin, Generic[ResponseModelT]):
    """What chat and agent responses share."""

    _TEXT_SEPARATOR: ClassVar[str]

    def __init__(
        self,
        *,
        messages: Message | Sequence[Message | Mapping[str, Any]] | None,
        response_id: str | None,
        created_at: CreatedAtT | None,
        usage_details: UsageDetails | None,
        value: ResponseModelT | None,
        response_format: StructuredResponseFormat,
        continuation_token: ContinuationToken | None,
        additional_properties: dict[str, Any] | None,
        raw_representation: Any,
    ) -> None:
        self.messages: list[Message] = _parse_messages(messages)
        self.response_id = response_id
        self.created_at = created_at
        self.usage_details = usage_details
        self.continuation_token = continuation_token
        self.additional_properties: dict[str, Any] = {} if additional_properties is None else additional_properties
        self.raw_representation = raw_representation
        self._value: Any = value
        self._value_parsed = value is not None
        self._response_format = response_format

    @property
    def text(self) -> str:
        """The text of the messages."""
        return self._TEXT_SEPARATOR.join(message.text for message in self.messages)

    @property
    def value(self) -> ResponseModelT | None:
        """The text as what ``response_format`` asked for, parsed at the first look; None without a format or text.

        Raises:
            pydantic.ValidationError: The text does not fit the model.
            ValueError: The text is no JSON.
        """
        if not self._value_parsed:
            self._value = _parse_structured_response_value(self.text, self._response_format)
            self._value_parsed = True
        return cast("ResponseModelT | None", self._value)

    def __str__(self) -> str:
        return self.text


class ChatResponse(_Response[ResponseModelT], Generic[ResponseModelT]):
    """What a model answered.

    Attributes:
        messages: One or more messages.
        response_id: The provider's id of this response.
        conversation_id: The provider's id of the conversation, when it keeps the history.
        model: The model that answered.
        created_at: When, as text.
        finish_reason: stop, length, tool_calls, content_filter, or a word of the provider.
        usage_details: Tokens.
        continuation_token: Set while the provider is still working on the response.
        additional_properties: Whatever else the provider tells.
        raw_representation: The provider's own object, or a list of them.
    """

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"additional_properties", "raw_representation"}
    _TEXT_SEPARATOR: ClassVar[str] = "\n"

    def __init__(
        self,
        *,
        messages: Message | Sequence[Message | Mapping[str, Any]] | None = None,
        response_id: str | None = None,
        conversation_id: str | None = None,
        model: str | None = None,
        created_at: CreatedAtT | None = None,
        finish_reason: FinishReasonLiteral | FinishReason | None = None,
        usage_details: UsageDetails | None = None,
        value: ResponseModelT | None = None,
        response_format: StructuredResponseFormat = None,
        continuation_token: ContinuationToken | None = None,
        additional_properties: dict[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> None:
        super().__init__(
            messages=messages,
            response_id=response_id,
            created_at=created_at,
            usage_details=usage_details,
            value=value,
            response_format=response_format,
            continuation_token=continuation_token,
            additional_properties=additional_properties,
            raw_representation=raw_representation,
        )
        self.conversation_id = conversation_id
        self.model = model
        self.finish_reason = finish_reason

    @property
    def text(self) -> str:
        """The text of the messages, a line for each, without space around it."""
        return super().text.strip()

    @classmethod
    def from_updates(
        cls,
        updates: Sequence[ChatResponseUpdate],
        *,
        output_format_type: StructuredResponseFormat = None,
    ) -> Self:
        """Put the updates of one response together."""
        response = cls(response_format=output_format_type)
        _apply_updates(response, updates)
        return response

    @classmethod
    async def from_update_generator(
        cls,
        updates: AsyncIterable[ChatResponseUpdate],
        *,
        output_format_type: StructuredResponseFormat = None,
    ) -> Self:
        """Read a stream of updates to its end and put them together."""
        return cls.from_updates([update async for update in updates], output_format_type=output_format_type)


class ChatResponseUpdate(SerializationMixin):
    """A piece of a model's answer; the fields are those of ChatResponse and of the message that it belongs to."""

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"raw_representation"}

    def __init__(
        self,
        *,
        contents: Sequence[Content | str | Mapping[str, Any]] | None = None,
        role: RoleLiteral | Role | str | None = None,
        author_name: str | None = None,
        response_id: str | None = None,
        message_id: str | None = None,
        conversation_id: str | None = None,
        model: str | None = None,
        created_at: CreatedAtT | None = None,
        finish_reason: FinishReasonLiteral | FinishReason | None = None,
        continuation_token: ContinuationToken | None = None,
        additional_properties: dict[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> None:
        # Of the message.
        self.role: str | None = role
        self.contents: list[Content] = _parse_update_contents(contents)
        self.message_id = message_id
        self.author_name = author_name
        # Of the response.
        self.response_id = response_id
        self.created_at = created_at
        self.model = model
        self.conversation_id = conversation_id
        self.continuation_token = continuation_token
        self.finish_reason = finish_reason
        self.raw_representation = raw_representation
        self.additional_properties = additional_properties

    @property
    def text(self) -> str:
        """The text items, with nothing between them."""
        return _join_texts(self.contents)

    def __str__(self) -> str:
        return self.text


class AgentResponse(_Response[ResponseModelT], Generic[ResponseModelT]):
    """What an agent answered: all messages of the run, tool calls and results included.

    Attributes:
        messages: The messages, in order.
        response_id: The id of the model's last response.
        agent_id: The agent that answered.
        created_at: When, as text.
        usage_details: Tokens of all model calls of the run.
        continuation_token: Set while the provider is still working on the response.
        additional_properties: Whatever else the provider tells.
        raw_representation: The chat response, or a list of updates.
    """

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"raw_representation"}
    _TEXT_SEPARATOR: ClassVar[str] = ""

    def __init__(
        self,
        *,
        messages: Message | Sequence[Message | Mapping[str, Any]] | None = None,
        response_id: str | None = None,
        agent_id: str | None = None,
        created_at: CreatedAtT | None = None,
        usage_details: UsageDetails | None = None,
        value: ResponseModelT | None = None,
        response_format: StructuredResponseFormat = None,
        continuation_token: ContinuationToken | None = None,
        raw_representation: Any = None,
        additional_properties: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            messages=messages,
            response_id=response_id,
            created_at=created_at,
            usage_details=usage_details,
            value=value,
            response_format=response_format,
            continuation_token=continuation_token,
            additional_properties=additional_properties,
            raw_representation=raw_representation,
        )
        self.agent_id = agent_id

    @property
    def user_input_requests(self) -> list[Content]:
        """What waits for the user: approvals, consent, calls that the caller has to carry out."""
        return _user_input_requests(content for message in self.messages for content in message.contents)

    @classmethod
    def from_updates(
        cls,
        updates: Sequence[AgentResponseUpdate],
        *,
        output_format_type: StructuredResponseFormat = None,
        value: Any = None,
    ) -> Self:
        """Put the updates of one run together."""
        response = cls(response_format=output_format_type, value=value)
        _apply_updates(response, updates)
        return response

    @classmethod
    async def from_update_generator(
        cls,
        updates: AsyncIterable[AgentResponseUpdate],
        *,
        output_format_type: StructuredResponseFormat = None,
    ) -> Self:
        """Read a stream of updates to its end and put them together."""
        return cls.from_updates([update async for update in updates], output_format_type=output_format_type)


class AgentResponseUpdate(SerializationMixin):
    """A piece of an agent's answer; the fields are those of AgentResponse and of the message that it belongs to."""

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"raw_representation"}

    def __init__(
        self,
        *,
        contents: Sequence[Content | str | Mapping[str, Any]] | None = None,
        role: RoleLiteral | Role | str | None = None,
        author_name: str | None = None,
        agent_id: str | None = None,
        response_id: str | None = None,
        message_id: str | None = None,
        created_at: CreatedAtT | None = None,
        continuation_token: ContinuationToken | None = None,
        additional_properties: dict[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> None:
        # Of the message.
        self.role: str | None = role
        self.contents: list[Content] = _parse_update_contents(contents)
        self.message_id = message_id
        self.author_name = author_name
        # Of the response.
        self.agent_id = agent_id
        self.created_at = created_at
        self.response_id = response_id
        self.continuation_token = continuation_token
        self.raw_representation = raw_representation
        self.additional_properties = additional_properties

    @property
    def text(self) -> str:
        """The text items, with nothing between them."""
        return _join_texts(self.contents)

    @property
    def user_input_requests(self) -> list[Content]:
        """What waits for the user in this piece."""
        return _user_input_requests(self.contents)

    def __str__(self) -> str:
        return self.text


def map_chat_to_agent_update(update: ChatResponseUpdate, agent_name: str | None) -> AgentResponseUpdate:
    """An agent's update from its client's; the agent's name fills in where no author is named."""
    return AgentResponseUpdate(
        role=update.role,
        contents=update.contents,
        message_id=update.message_id,
        author_name=update.author_name or agent_name,
        created_at=update.created_at,
        response_id=update.response_id,
        continuation_token=update.continuation_token,
        raw_representation=update,
        additional_properties=update.additional_properties,
    )


def _parse_messages(messages: Message | Sequence[Message | Mapping[str, Any]] | None) -> list[Message]:
    if messages is None:
        return []
    given = [messages] if isinstance(messages, (Message, Mapping)) else messages
    return [message if isinstance(message, Message) else Message.from_dict(message) for message in given]


def _parse_update_contents(contents: Sequence[Content | str | Mapping[str, Any]] | str | None) -> list[Content]:
    if isinstance(contents, str):
        contents = [contents]
    return [] if contents is None else _parse_content_list(contents)


def _join_texts(contents: Iterable[Content]) -> str:
    return "".join(content.text or "" for content in contents if content.type == "text")


def _user_input_requests(contents: Iterable[Content]) -> list[Content]:
    return [content for content in contents if content.user_input_request]


def _apply_updates(
    response: ChatResponse[Any] | AgentResponse[Any],
    updates: Iterable[ChatResponseUpdate] | Iterable[AgentResponseUpdate],
) -> None:
    for update in updates:
        _process_update(response, update)
    _finalize_response(response)


def _process_update(
    response: ChatResponse[Any] | AgentResponse[Any], update: ChatResponseUpdate | AgentResponseUpdate
) -> None:
    """Add one update. Pieces are joined at the end, by _finalize_response."""
    message = _message_for_update(response.messages, update)
    message.author_name = update.author_name or message.author_name
    message.message_id = update.message_id or message.message_id
    for content in update.contents:
        if content.type == "usage":
            response.usage_details = add_usage_details(response.usage_details, content.usage_details)
        else:
            message.contents.append(content)
    for name in ("response_id", "created_at", "conversation_id", "model", "finish_reason", "agent_id"):
        value = getattr(update, name, None)
        if value is not None and hasattr(response, name):
            setattr(response, name, value)
    # Not kept from earlier updates: a response that has gone on has another place to continue, or none.
    response.continuation_token = update.continuation_token
    response.additional_properties.update(update.additional_properties or {})
    if response.raw_representation is None:
        response.raw_representation = []
    response.raw_representation.append(update.raw_representation)


def _message_for_update(messages: list[Message], update: ChatResponseUpdate | AgentResponseUpdate) -> Message:
    """The message that an update goes on with, or a new one when its id or its role is another."""
    last = messages[-1] if messages else None
    if last is not None and _goes_on(last, update):
        return last
    messages.append(Message(update.role or _DEFAULT_ROLE))
    return messages[-1]


def _goes_on(message: Message, update: ChatResponseUpdate | AgentResponseUpdate) -> bool:
    another_id = update.message_id and message.message_id and update.message_id != message.message_id
    another_role = update.role and update.role != message.role
    return not another_id and not another_role


def _finalize_response(response: ChatResponse[Any] | AgentResponse[Any]) -> None:
    """Join the pieces of every message."""
    for message in response.messages:
        for type_str in _JOINED_TYPES:
            _coalesce(message.contents, type_str)


def _parse_structured_response_value(text: str, response_format: Any) -> Any:
    """The text as a pydantic model, or as JSON when the format is a schema; None without text or format.

    Raises:
        pydantic.ValidationError: The text does not fit the model.
        ValueError: The text is no JSON.
    """
    if not text or response_format is None:
        return None
    if isinstance(response_format, Mapping):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"The response is not valid JSON: {error}") from error
    if hasattr(response_format, "model_validate_json"):
        return response_format.model_validate_json(text)
    logger.warning("A response_format is a pydantic model class or a JSON schema, not a %s.", type(response_format))
    return None
