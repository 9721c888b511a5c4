# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Sessions, and the providers that bring context into a run and keep its history."""

from __future__ import annotations

import copy
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from ._compaction import EXCLUDED_KEY
from ._middleware import CallNext, ChatContext, ChatMiddleware, MiddlewareTypes, categorize_middleware
from ._types import AgentResponse, ChatResponse, Message, ResponseStream
from .exceptions import ChatClientInvalidResponseException, MiddlewareException

if TYPE_CHECKING:
    from ._agents import SupportsAgentRun

LOCAL_HISTORY_CONVERSATION_ID: Final[str] = "agent_framework_local_history_persistence"


def is_local_history_conversation_id(conversation_id: str | None) -> bool:
    """Whether this is the marker of a history that is kept here rather than by the model's service."""
    return conversation_id == LOCAL_HISTORY_CONVERSATION_ID


# State that survives to_dict() and from_dict()...

_STATE_TYPES: dict[str, type] = {}


def register_state_type(cls: type) -> None:
    """Make from_dict() of a session restore objects of this class.

    Classes with to_dict and from_dict and pydantic models can be registered. The key is what the class method
    `_get_type_identifier` returns or, without one, the class name in lower case.
    """
    _STATE_TYPES[_type_identifier(cls)] = cls


def _type_identifier(cls: type) -> str:
    identify = getattr(cls, "_get_type_identifier", None)
    return str(identify()) if identify else cls.__name__.lower()


def _to_plain(value: Any) -> Any:
    if callable(to_dict := getattr(value, "to_dict", None)):
        return to_dict()
    if callable(model_dump := getattr(value, "model_dump", None)):
        # Registered on the way out so that a round trip in one process needs no preparation.
        _STATE_TYPES.setdefault(_type_identifier(type(value)), type(value))
        return {**model_dump(), "type": _type_identifier(type(value))}
    if isinstance(value, dict):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    cls = cast("Any", _STATE_TYPES.get(str(value.get("type"))))
    if hasattr(cls, "from_dict"):
        return cls.from_dict(value)
    if hasattr(cls, "model_validate"):
        return cls.model_validate({key: item for key, item in value.items() if key != "type"})
    return {key: _from_plain(item) for key, item in value.items()}


register_state_type(Message)


class AgentSession:
    """A conversation: its ids and whatever providers keep in it.

    Keyword Args:
        session_id: Our id of the conversation; a new uuid4 by default.
        service_session_id: The id under which the model's service keeps the conversation, if it does.

    Attributes:
        state: Values of providers, by source id. They survive to_dict() if they are plain or of a registered type.
    """

    def __init__(self, *, session_id: str | None = None, service_session_id: str | None = None) -> None:
        self._session_id = session_id or str(uuid.uuid4())
        self.service_session_id = service_session_id
        self.state: dict[str, Any] = {}

    @property
    def session_id(self) -> str:
        """Our id of the conversation."""
        return self._session_id

    def to_dict(self) -> dict[str, Any]:
        """The session as plain values, for JSON."""
        return {
            "type": "session",
            "session_id": self._session_id,
            "service_session_id": self.service_session_id,
            "state": _to_plain(self.state),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AgentSession:
        """A session from what to_dict() gave."""
        session = cls(session_id=data["session_id"], service_session_id=data.get("service_session_id"))
        session.state = _from_plain(dict(data.get("state") or {}))
        return session


class SessionContext:
    """What providers add to one run, and what came of it.

    Keyword Args:
        session_id: Our id of the conversation.
        service_session_id: The service's id of it.
        input_messages: The input of the run.
        context_messages: Messages to send before the input, by source id.
        instructions: Instructions to add.
        tools: Tools to add.
        middleware: Chat and function middleware to add, by source id.
        options: The run's options, to look at.
        metadata: For providers to share values.
    """

    def __init__(
        self,
        *,
        session_id: str | None = None,
        service_session_id: str | None = None,
        input_messages: list[Message],
        context_messages: dict[str, list[Message]] | None = None,
        instructions: list[str] | None = None,
        tools: list[Any] | None = None,
        middleware: dict[str, list[MiddlewareTypes]] | None = None,
        options: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.service_session_id = service_session_id
        self.input_messages = input_messages
        self.context_messages = context_messages or {}
        self.instructions = instructions or []
        self.tools = tools or []
        self.middleware: dict[str, list[MiddlewareTypes]] = {}
        for source_id, items in (middleware or {}).items():
            self.extend_middleware(source_id, items)
        self.options = options or {}
        self.metadata = metadata or {}
        self._response: AgentResponse | None = None

    @property
    def response(self) -> AgentResponse | None:
        """The run's response; None until there is one."""
        return self._response

    def extend_messages(self, source: str | object, messages: Sequence[Message]) -> None:
        """Send these messages before the input. They are copied, and marked with where they come from.

        Args:
            source: A source id, or the provider, whose class name then is in the mark too.
            messages: The messages.
        """
        source_id = source if isinstance(source, str) else str(cast("Any", source).source_id)
        mark = {"source_id": source_id}
        if not isinstance(source, str):
            mark["source_type"] = type(source).__name__
        self.context_messages.setdefault(source_id, []).extend(_marked(message, mark) for message in messages)

    def extend_instructions(self, source_id: str, instructions: str | Sequence[str]) -> None:
        """Add instructions after those of the agent and the run."""
        self.instructions.extend([instructions] if isinstance(instructions, str) else instructions)

    def extend_tools(self, source_id: str, tools: Sequence[Any]) -> None:
        """Add tools; one that can hold properties remembers its source as `context_source`."""
        for tool in tools:
            if isinstance(properties := getattr(tool, "additional_properties", None), dict):
                properties["context_source"] = source_id
            self.tools.append(tool)

    def extend_middleware(self, source_id: str, middleware: MiddlewareTypes | Sequence[MiddlewareTypes]) -> None:
        """Add chat or function middleware to this run.

        Raises:
            MiddlewareException: Agent middleware: the run it would wrap is already under way.
        """
        items = list(middleware) if isinstance(middleware, Sequence) else [middleware]
        if categorize_middleware(items)["agent"]:
            raise MiddlewareException("A context provider cannot add agent middleware: the run has already begun.")
        self.middleware.setdefault(source_id, []).extend(items)

    def get_middleware(self) -> list[MiddlewareTypes]:
        """All added middleware in the order in which providers added it."""
        return [item for items in self.middleware.values() for item in items]

    def get_messages(
        self,
        *,
        sources: set[str] | None = None,
        exclude_sources: set[str] | None = None,
        include_input: bool = False,
        include_response: bool = False,
    ) -> list[Message]:
        """Messages in the order of the conversation.

        Keyword Args:
            sources: Context from these sources only.
            exclude_sources: No context from these.
            include_input: Append the input of the run.
            include_response: Append the messages of the response, if there is one.
        """
        messages = [
            message
            for source_id, added in self.context_messages.items()
            if (sources is None or source_id in sources) and source_id not in (exclude_sources or ())
            for message in added
        ]
        if include_input:
            messages.extend(self.input_messages)
        if include_response and self.response is not None:
            messages.extend(self.response.messages)
        return messages


def _marked(message: Message, mark: dict[str, str]) -> Message:
    copied = copy.copy(message)
    copied.additional_properties = {"_attribution": mark, **(message.additional_properties or {})}
    return copied


class ContextProvider:
    """Takes part in every run of an agent: before it, adding to the context; after it, looking at the result.

    Args:
        source_id: Name of the provider; its part of `session.state` and its messages go by it.
    """

    def __init__(self, source_id: str) -> None:
        self.source_id = source_id

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Add to the context. `state` is the provider's own part of the session's state."""

    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Look at `context.response`."""


class HistoryProvider(ContextProvider, ABC):
    """Loads the conversation before a run and saves what the run adds to it.

    Args:
        source_id: Name of the provider.

    Keyword Args:
        load_messages: Load before a run.
        store_inputs: Save the input.
        store_context_messages: Save what other providers added.
        store_context_from: Of those, only these sources.
        store_outputs: Save the response.
    """

    def __init__(
        self,
        source_id: str,
        *,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_context_messages: bool = False,
        store_context_from: set[str] | None = None,
        store_outputs: bool = True,
    ) -> None:
        super().__init__(source_id)
        self.load_messages = load_messages
        self.store_inputs, self.store_outputs = store_inputs, store_outputs
        self.store_context_messages, self.store_context_from = store_context_messages, store_context_from

    @abstractmethod
    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """The conversation so far."""

    @abstractmethod
    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append to the conversation."""

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Put the conversation so far before the input."""
        if self.load_messages:
            context.extend_messages(self, await self.get_messages(context.session_id, state=state))

    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Save what the run added."""
        messages = self._context_messages_to_store(context)
        if self.store_inputs:
            messages.extend(context.input_messages)
        if self.store_outputs and context.response is not None:
            messages.extend(context.response.messages)
        if messages:
            await self.save_messages(context.session_id, messages, state=state)

    def _context_messages_to_store(self, context: SessionContext) -> list[Message]:
        if not self.store_context_messages:
            return []
        return context.get_messages(sources=self.store_context_from, exclude_sources={self.source_id})


def history_providers(providers: Sequence[ContextProvider]) -> list[HistoryProvider]:
    """Those of the providers that keep a history."""
    return [provider for provider in providers if isinstance(provider, HistoryProvider)]


class InMemoryHistoryProvider(HistoryProvider):
    """Keeps the conversation in the session itself, as `session.state[source_id]["messages"]`.

    Args:
        source_id: Name of the provider, "in_memory" by default.

    Keyword Args:
        load_messages: Load before a run.
        store_inputs: Save the input.
        store_context_messages: Save what other providers added.
        store_context_from: Of those, only these sources.
        store_outputs: Save the response.
        skip_excluded: Leave out messages that a compaction marked as excluded.
    """

    DEFAULT_SOURCE_ID: ClassVar[str] = "in_memory"

    def __init__(
        self,
        source_id: str | None = None,
        *,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_context_messages: bool = False,
        store_context_from: set[str] | None = None,
        store_outputs: bool = True,
        skip_excluded: bool = False,
    ) -> None:
        super().__init__(
            source_id or self.DEFAULT_SOURCE_ID,
            load_messages=load_messages,
            store_inputs=store_inputs,
            store_context_messages=store_context_messages,
            store_context_from=store_context_from,
            store_outputs=store_outputs,
        )
        self.skip_excluded = skip_excluded

    async def get_messages(
        self,
        session_id: str | None,
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> list[Message]:
        """The conversation so far."""
        messages: list[Message] = list((state or {}).get("messages", ()))
        if self.skip_excluded:
            return [message for message in messages if not (message.additional_properties or {}).get(EXCLUDED_KEY)]
        return messages

    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append to the conversation."""
        if state is not None:
            state.setdefault("messages", []).extend(messages)


# History for each model call...


class PerServiceCallHistoryPersistingMiddleware(ChatMiddleware):
    """Loads and saves histories around every single model call of a run, instead of around the run.

    What the function-calling loop has done is then kept also when a later call of the run fails. The loop is told, by
    a marker in the place of the service's conversation id, that it need not send the conversation again.

    Keyword Args:
        agent: The agent whose run it is.
        session: The session of the run.
        providers: The histories.
    """

    def __init__(self, *, agent: SupportsAgentRun, session: AgentSession, providers: Sequence[HistoryProvider]) -> None:
        self._agent = agent
        self._session = session
        self._providers = list(providers)
        self._brought: dict[str, list[Message]] = {}

    async def process(self, context: ChatContext, call_next: CallNext) -> None:
        """Send the histories and what is new; save what is new and the response."""
        new, brought = _split_by_source(context.messages)
        # Kept for the calls that follow, in which the loop sends results only.
        for source_id, messages in brought.items():
            self._brought.setdefault(source_id, []).extend(messages)
        of_call = SessionContext(
            session_id=self._session.session_id,
            input_messages=new,
            context_messages={source_id: list(messages) for source_id, messages in self._brought.items()},
        )
        for provider in self._providers:
            if provider.load_messages:
                await provider.before_run(**self._arguments(provider, of_call))
        context.messages = of_call.get_messages(include_input=True)
        context.options = _without_marker(context.options or {})
        context.kwargs = _without_marker(context.kwargs)
        await call_next()
        of_call.context_messages = brought
        if isinstance(context.result, ResponseStream):
            context.result = context.result.with_result_hook(lambda response: self._save(of_call, response))
        elif context.result is not None:
            context.result = await self._save(of_call, context.result)

    async def _save(self, of_call: SessionContext, response: ChatResponse) -> ChatResponse:
        if response.conversation_id is not None:
            raise ChatClientInvalidResponseException(
                "The model's service keeps the conversation itself; histories for each model call cannot be kept "
                "beside that. Leave out require_per_service_call_history_persistence, or set the option store=False."
            )
        of_call._response = AgentResponse(messages=response.messages)
        for provider in reversed(self._providers):
            await provider.after_run(**self._arguments(provider, of_call))
        if any(content.type == "function_call" for message in response.messages for content in message.contents):
            response = copy.copy(response)
            response.conversation_id = LOCAL_HISTORY_CONVERSATION_ID
        return response

    def _arguments(self, provider: HistoryProvider, of_call: SessionContext) -> dict[str, Any]:
        state = self._session.state.setdefault(provider.source_id, {})
        return {"agent": self._agent, "session": self._session, "context": of_call, "state": state}


def _split_by_source(messages: Sequence[Message]) -> tuple[list[Message], dict[str, list[Message]]]:
    """The messages that are new, and by source id those that providers brought."""
    new: list[Message] = []
    brought: dict[str, list[Message]] = {}
    for message in messages:
        mark = message.additional_properties.get("_attribution")
        source_id = mark.get("source_id") if isinstance(mark, Mapping) else None
        (new if source_id is None else brought.setdefault(source_id, [])).append(message)
    return new, brought


def _without_marker(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in values.items()
        if key != "conversation_id" or not is_local_history_conversation_id(value)
    }
