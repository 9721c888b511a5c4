# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Chat clients: what everybody may call, and the base class for those who write one."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, cast, overload, runtime_checkable

from typing_extensions import TypedDict, TypeVar

from ._compaction import EXCLUDED_KEY
from ._concurrency import Deferred
from ._endpoint_errors import translate_request_error
from ._function_tool import mcp_tools
from ._serialization import SerializationMixin
from ._tools import normalize_function_invocation_configuration
from ._types import ChatResponse, ResponseStream, normalize_messages, validate_chat_options, validate_tools

if TYPE_CHECKING:
    from ._agents import Agent
    from ._compaction import CompactionStrategy, TokenizerProtocol
    from ._middleware import MiddlewareTypes
    from ._sessions import ContextProvider
    from ._tools import FunctionInvocationConfiguration, ToolTypes
    from ._types import ChatOptions, ChatResponseUpdate, GeneratedEmbeddings, Message, ResponseModelBoundT

# TypedDict is no bound that may be written, says PEP 589; but with it, type checkers read a literal as options.
OptionsContraT = TypeVar("OptionsContraT", bound=TypedDict, contravariant=True, default="ChatOptions[None]")  # type: ignore[valid-type]
OptionsCoT = TypeVar("OptionsCoT", bound=TypedDict, covariant=True, default="ChatOptions[None]")  # type: ignore[valid-type]
EmbeddingInputT = TypeVar("EmbeddingInputT", default=str)
EmbeddingInputContraT = TypeVar("EmbeddingInputContraT", contravariant=True, default=str)
EmbeddingT = TypeVar("EmbeddingT", default=list[float])
EmbeddingOptionsT = TypeVar("EmbeddingOptionsT", default=Any)
EmbeddingOptionsContraT = TypeVar("EmbeddingOptionsContraT", contravariant=True, default=Any)


@runtime_checkable
class SupportsChatGetResponse(Protocol[OptionsContraT]):
    """Whatever answers a conversation: the interface that agents need of a client."""

    additional_properties: dict[str, Any]

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = ...,
        options: ChatOptions[ResponseModelBoundT],
        compaction_strategy: CompactionStrategy | None = ...,
        tokenizer: TokenizerProtocol | None = ...,
        function_invocation_kwargs: Mapping[str, Any] | None = ...,
        client_kwargs: Mapping[str, Any] | None = ...,
    ) -> Awaitable[ChatResponse[ResponseModelBoundT]]: ...

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = ...,
        options: OptionsContraT | ChatOptions[None] | None = ...,
        compaction_strategy: CompactionStrategy | None = ...,
        tokenizer: TokenizerProtocol | None = ...,
        function_invocation_kwargs: Mapping[str, Any] | None = ...,
        client_kwargs: Mapping[str, Any] | None = ...,
    ) -> Awaitable[ChatResponse[Any]]: ...

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[True],
        options: OptionsContraT | ChatOptions[Any] | None = ...,
        compaction_strategy: CompactionStrategy | None = ...,
        tokenizer: TokenizerProtocol | None = ...,
        function_invocation_kwargs: Mapping[str, Any] | None = ...,
        client_kwargs: Mapping[str, Any] | None = ...,
    ) -> ResponseStream[ChatResponseUpdate, ChatResponse[Any]]: ...

    def get_response(self, messages: Sequence[Message], **kwargs: Any) -> Any:
        """Send messages; returns an awaitable response or, with stream=True, a ResponseStream at once."""
        ...


class BaseChatClient(SerializationMixin, ABC, Generic[OptionsCoT]):
    """Base of chat clients: a subclass makes the request in `_inner_get_response`.

    A full client puts FunctionInvocationLayer, ChatMiddlewareLayer and ChatTelemetryLayer, in this order, before its
    raw client among the base classes.

    Keyword Args:
        compaction_strategy: Makes conversations smaller before they are sent; a call may bring its own.
        tokenizer: For strategies that count.
        additional_properties: Whatever else is to be kept with the client.
    """

    OTEL_PROVIDER_NAME: ClassVar[str] = "unknown"
    STORES_BY_DEFAULT: ClassVar[bool] = False
    """Whether the service keeps the conversation unless told otherwise."""

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"additional_properties", "compaction_strategy", "tokenizer"}

    compaction_strategy: CompactionStrategy | None = None
    tokenizer: TokenizerProtocol | None = None

    def __init__(
        self,
        *,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        additional_properties: dict[str, Any] | None = None,
    ) -> None:
        self.compaction_strategy = compaction_strategy
        self.tokenizer = tokenizer
        self.additional_properties: dict[str, Any] = {} if additional_properties is None else additional_properties

    @abstractmethod
    def _inner_get_response(
        self,
        *,
        messages: Sequence[Message],
        stream: bool,
        options: Mapping[str, Any],
        **kwargs: Any,
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        """Make one request. With stream=True a ResponseStream is returned at once, see `_build_response_stream`."""

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = ...,
        options: ChatOptions[ResponseModelBoundT],
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Awaitable[ChatResponse[ResponseModelBoundT]]: ...

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = ...,
        options: OptionsCoT | ChatOptions[None] | None = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Awaitable[ChatResponse[Any]]: ...

    @overload
    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[True],
        options: OptionsCoT | ChatOptions[Any] | None = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> ResponseStream[ChatResponseUpdate, ChatResponse[Any]]: ...

    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: bool = False,
        options: Any = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send a conversation to the model.

        Args:
            messages: The conversation.

        Keyword Args:
            stream: Return a ResponseStream of ChatResponseUpdate instead of an awaitable of ChatResponse.
            options: Chat options. An MCP tool in them is connected, if need be, and left open: its functions are called
                later, by the caller. (With a function-calling loop around this client, the loop opens and closes it.)
            compaction_strategy: Used for this request instead of the client's.
            tokenizer: Used for this request instead of the client's.
            function_invocation_kwargs: Values for tools.
            client_kwargs: Values for this client's own request.

        Raises:
            ChatClientException: The service could not be reached, or refused; when the result is awaited or read.
            ChatClientInvalidRequestException: The messages or options cannot be made a request; perhaps at once.
            ToolException: An MCP tool could not be connected.
            ValueError: An option has a value that it cannot have; perhaps at once.
        """
        chat_options = dict(options or {})
        request = partial(self._request, stream=stream, **dict(client_kwargs or {}))
        prepared = normalize_messages(cast("Any", messages))
        strategy = compaction_strategy or self.compaction_strategy
        if strategy is None and not _has_mcp_tool(chat_options.get("tools")):
            return request(messages=prepared, options=chat_options)

        async def prepare() -> dict[str, Any]:
            ready = await self._prepare_messages_for_model_call(
                prepared, compaction_strategy=strategy, tokenizer=tokenizer
            )
            if _has_mcp_tool(tools := chat_options.get("tools")):
                chat_options["tools"] = await validate_tools(tools)
            return {"messages": ready, "options": chat_options}

        if stream:
            return ResponseStream.from_awaitable(Deferred(partial(_open_stream, request, prepare)))
        return _await_response(request, prepare)

    def _request(self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any) -> Any:
        """Make one request. Every failure of it passes `_translate_error`."""
        try:
            answer: Any = self._inner_get_response(messages=messages, stream=stream, options=options, **kwargs)
        except Exception as error:  # whatever it is, the translation decides
            translated = self._translate_error(error, building=True)
            if translated is error:
                raise
            raise translated from error
        if isinstance(answer, ResponseStream):
            answer._translate_error = self._translate_error
            return answer
        return self._await_answer(answer)

    async def _await_answer(self, answer: Awaitable[ChatResponse]) -> ChatResponse:
        try:
            return await answer
        except Exception as error:  # as in _request
            translated = self._translate_error(error)
            if translated is error:
                raise
            raise translated from error

    def _translate_error(self, error: Exception, *, building: bool = False) -> Exception:
        return translate_request_error(error, self.service_url(), building=building)

    async def _prepare_messages_for_model_call(
        self,
        messages: Sequence[Message],
        *,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
    ) -> list[Message]:
        """The messages to send: what the strategy left."""
        prepared = list(messages)
        if compaction_strategy is not None:
            await compaction_strategy(prepared)
        return [message for message in prepared if not message.additional_properties.get(EXCLUDED_KEY)]

    async def _validate_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options with checked values, and with the functions of MCP tools in their place."""
        return await validate_chat_options(options)

    def _build_response_stream(
        self,
        stream: AsyncIterable[ChatResponseUpdate] | Awaitable[AsyncIterable[ChatResponseUpdate]],
        *,
        response_format: Any = None,
    ) -> ResponseStream[ChatResponseUpdate, ChatResponse]:
        """A ResponseStream of the updates that a service sends."""
        return ResponseStream(
            stream, finalizer=partial(self._finalize_response_updates, response_format=response_format)
        )

    def _finalize_response_updates(
        self, updates: Sequence[ChatResponseUpdate], *, response_format: Any = None
    ) -> ChatResponse[Any]:
        return ChatResponse.from_updates(updates, output_format_type=response_format)

    def service_url(self) -> str:
        """Where requests go, for telemetry."""
        return "Unknown"

    def as_agent(
        self,
        *,
        id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        instructions: str | None = None,
        tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None = None,
        default_options: Any = None,
        context_providers: Sequence[ContextProvider] | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        require_per_service_call_history_persistence: bool = False,
        function_invocation_configuration: FunctionInvocationConfiguration | None = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        additional_properties: Mapping[str, Any] | None = None,
    ) -> Agent[OptionsCoT]:
        """An agent on this client; the keywords are those of Agent.

        With a `function_invocation_configuration` the agent gets a copy of the client that behaves like that; the
        copy shares the connection.
        """
        from ._agents import Agent

        client = self
        if function_invocation_configuration is not None:
            client = copy.copy(self)
            cast("Any", client).function_invocation_configuration = normalize_function_invocation_configuration(
                function_invocation_configuration
            )
        return Agent(
            client=cast("Any", client),
            id=id,
            name=name,
            description=description,
            instructions=instructions,
            tools=tools,
            default_options=default_options,
            context_providers=context_providers,
            middleware=middleware,
            require_per_service_call_history_persistence=require_per_service_call_history_persistence,
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            additional_properties=dict(additional_properties or {}),
        )


def _has_mcp_tool(tools: Any) -> bool:
    return bool(mcp_tools(tools if isinstance(tools, Sequence) else [tools]))


async def _await_response(
    request: Callable[..., Any], prepare: Callable[[], Awaitable[dict[str, Any]]]
) -> ChatResponse:
    return cast("ChatResponse", await request(**await prepare()))


async def _open_stream(
    request: Callable[..., Any], prepare: Callable[[], Awaitable[dict[str, Any]]]
) -> ResponseStream[Any, Any]:
    return cast("ResponseStream[Any, Any]", request(**await prepare()))


# What a client may offer besides: hosted tools, and embeddings...


@runtime_checkable
class SupportsCodeInterpreterTool(Protocol):
    """A client whose service runs code."""

    @staticmethod
    def get_code_interpreter_tool(**kwargs: Any) -> Any:
        """The tool's declaration."""
        ...


@runtime_checkable
class SupportsWebSearchTool(Protocol):
    """A client whose service searches the web."""

    @staticmethod
    def get_web_search_tool(**kwargs: Any) -> Any:
        """The tool's declaration."""
        ...


@runtime_checkable
class SupportsImageGenerationTool(Protocol):
    """A client whose service makes images."""

    @staticmethod
    def get_image_generation_tool(**kwargs: Any) -> Any:
        """The tool's declaration."""
        ...


@runtime_checkable
class SupportsMCPTool(Protocol):
    """A client whose service calls MCP servers by itself."""

    @staticmethod
    def get_mcp_tool(**kwargs: Any) -> Any:
        """The tool's declaration."""
        ...


@runtime_checkable
class SupportsFileSearchTool(Protocol):
    """A client whose service searches files."""

    @staticmethod
    def get_file_search_tool(**kwargs: Any) -> Any:
        """The tool's declaration."""
        ...


@runtime_checkable
class SupportsGetEmbeddings(Protocol[EmbeddingInputContraT, EmbeddingT, EmbeddingOptionsContraT]):
    """Whatever turns values into embeddings."""

    additional_properties: dict[str, Any]

    def get_embeddings(
        self, values: Sequence[EmbeddingInputContraT], *, options: EmbeddingOptionsContraT | None = None
    ) -> Awaitable[GeneratedEmbeddings[EmbeddingT, Any]]:
        """One embedding for each value."""
        ...


class BaseEmbeddingClient(SerializationMixin, ABC, Generic[EmbeddingInputT, EmbeddingT, EmbeddingOptionsT]):
    """Base of embedding clients.

    Keyword Args:
        additional_properties: Whatever else is to be kept with the client.
    """

    OTEL_PROVIDER_NAME: ClassVar[str] = "unknown"
    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"additional_properties"}

    def __init__(self, *, additional_properties: dict[str, Any] | None = None) -> None:
        self.additional_properties: dict[str, Any] = {} if additional_properties is None else additional_properties

    @abstractmethod
    async def get_embeddings(
        self, values: Sequence[EmbeddingInputT], *, options: EmbeddingOptionsT | None = None
    ) -> GeneratedEmbeddings[EmbeddingT, Any]:
        """One embedding for each value."""
