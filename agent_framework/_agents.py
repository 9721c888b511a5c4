# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Agents: a chat client with instructions, tools, middleware and memory."""

from __future__ import annotations

import copy
import inspect
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, Protocol, cast, overload, runtime_checkable

from typing_extensions import Self, TypedDict, TypeVar

from ._approvals import split_approval_messages
from ._concurrency import closing_stream
from ._function_tool import append_unique_tools, mcp_tools
from ._function_tool import get_tool_name as _get_tool_name
from ._middleware import AgentMiddlewareLayer, FunctionInvocationContext
from ._open_tools import OpenTools
from ._serialization import SerializationMixin
from ._sessions import (
    AgentSession,
    ContextProvider,
    InMemoryHistoryProvider,
    PerServiceCallHistoryPersistingMiddleware,
    SessionContext,
    history_providers,
    is_local_history_conversation_id,
)
from ._tools import FunctionTool, fold_declared_calls, normalize_tools
from ._types import (
    AgentResponse,
    AgentResponseUpdate,
    ChatOptions,
    ChatResponse,
    Message,
    ResponseStream,
    map_chat_to_agent_update,
    merge_chat_options,
    normalize_messages,
)
from .exceptions import AgentInvalidRequestException, AgentInvalidResponseException, UserInputRequiredException
from .observability import AgentTelemetryLayer

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from ._clients import SupportsChatGetResponse
    from ._compaction import CompactionStrategy, TokenizerProtocol
    from ._function_tool import ApprovalMode
    from ._mcp import MCPTool
    from ._middleware import MiddlewareTypes
    from ._tools import ToolTypes
    from ._types import AgentRunInputs, ResponseModelBoundT

__all__ = [
    "Agent",
    "BaseAgent",
    "RawAgent",
    "SupportsAgentRun",
    "_get_tool_name",
    "_merge_options",
    "_sanitize_agent_name",
]


# TypedDict is no bound that may be written, says PEP 589; but with it, type checkers read a literal as options.
OptionsCoT = TypeVar("OptionsCoT", bound=TypedDict, covariant=True, default="ChatOptions[None]")  # type: ignore[valid-type]

UNNAMED_AGENT: Final = "UnnamedAgent"
"""What an agent without a name is called where it has to be called something."""


@runtime_checkable
class SupportsAgentRun(Protocol):
    """Whatever can be run like an agent."""

    id: str
    name: str | None
    description: str | None

    @overload
    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: Literal[False] = ...,
        session: AgentSession | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Awaitable[AgentResponse[Any]]: ...

    @overload
    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: Literal[True],
        session: AgentSession | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> ResponseStream[AgentResponseUpdate, AgentResponse[Any]]: ...

    def run(self, messages: AgentRunInputs | None = None, **kwargs: Any) -> Any:
        """An awaitable AgentResponse or, with stream=True, a ResponseStream at once."""
        ...

    def create_session(self, *, session_id: str | None = None) -> AgentSession:
        """A new conversation."""
        ...

    def get_session(self, service_session_id: str, *, session_id: str | None = None) -> AgentSession:
        """A conversation that the service keeps."""
        ...


class BaseAgent(SerializationMixin):
    """What agents of all kinds have in common.

    Keyword Args:
        id: A uuid4 unless given.
        name: For people, telemetry and the author of messages.
        description: What the agent is for.
        context_providers: Take part in every run.
        middleware: Of all kinds.
        additional_properties: Whatever else is to be kept with the agent.
    """

    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"additional_properties"}

    require_per_service_call_history_persistence: bool = False

    def __init__(
        self,
        *,
        id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        context_providers: Sequence[ContextProvider] | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
    ) -> None:
        self.id = id or str(uuid.uuid4())
        self.name = name
        self.description = description
        self.context_providers: list[ContextProvider] = list(context_providers or ())
        self.middleware: list[MiddlewareTypes] | None = list(middleware or ())
        self.additional_properties: dict[str, Any] = dict(additional_properties or {})

    def create_session(self, *, session_id: str | None = None) -> AgentSession:
        """A new conversation."""
        return AgentSession(session_id=session_id)

    def get_session(self, service_session_id: str, *, session_id: str | None = None) -> AgentSession:
        """A conversation that the model's service keeps under this id."""
        return AgentSession(session_id=session_id, service_session_id=service_session_id)

    def _providers_of_run(self) -> list[ContextProvider]:
        """The providers that take part in runs; histories for each model call do not."""
        if not self.require_per_service_call_history_persistence:
            return self.context_providers
        histories = history_providers(self.context_providers)
        return [provider for provider in self.context_providers if provider not in histories]

    async def _run_before_providers(self, context: SessionContext, session: AgentSession) -> None:
        for provider in self._providers_of_run():
            state = session.state.setdefault(provider.source_id, {})
            await provider.before_run(agent=cast("Any", self), session=session, context=context, state=state)

    async def _run_after_providers(self, *, session: AgentSession | None, context: SessionContext) -> None:
        if session is None:
            return
        for provider in reversed(self._providers_of_run()):
            state = session.state.setdefault(provider.source_id, {})
            await provider.after_run(agent=cast("Any", self), session=session, context=context, state=state)

    def as_tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_name: str = "task",
        arg_description: str | None = None,
        approval_mode: ApprovalMode = "never_require",
        stream_callback: Callable[[AgentResponseUpdate], Awaitable[None] | None] | None = None,
        propagate_session: bool = False,
    ) -> FunctionTool:
        """The agent as a tool of another agent: one text in, the agent's answer out.

        Keyword Args:
            name: By default made from the agent's name.
            description: By default the agent's.
            arg_name: The name of the one argument.
            arg_description: What the model is told about it.
            approval_mode: "always_require": the user is asked before each call.
            stream_callback: Called with each update of the run.
            propagate_session: Run in the session of the calling agent.

        Raises:
            ValueError: There is no name.
        """
        tool_name = name or _sanitize_agent_name(self.name)
        if not tool_name:
            raise ValueError("An agent without a name needs the name of the tool: as_tool(name=...).")

        async def run_agent(ctx: FunctionInvocationContext, **arguments: str) -> str:
            stream: ResponseStream[AgentResponseUpdate, AgentResponse] = cast("Any", self).run(
                arguments[arg_name],
                stream=True,
                session=ctx.session if propagate_session else None,
                function_invocation_kwargs={key: value for key, value in ctx.kwargs.items() if key != "session"},
            )
            async for update in stream:
                if stream_callback is not None and inspect.isawaitable(called := stream_callback(update)):
                    await called
            response = await stream.get_final_response()
            if response.user_input_requests:
                raise UserInputRequiredException(response.user_input_requests)
            return response.text

        argument = {"type": "string", "description": arg_description or f"Task for {tool_name}"}
        return FunctionTool(
            name=tool_name,
            description=description or self.description or "",
            approval_mode=approval_mode,
            func=run_agent,
            input_model={
                "type": "object",
                "properties": {arg_name: argument},
                "required": [arg_name],
                "additionalProperties": False,
            },
        )

    def as_mcp_server(
        self,
        *,
        server_name: str = "Agent",
        version: str | None = None,
        instructions: str | None = None,
        lifespan: Callable[[Server[Any]], AbstractAsyncContextManager[Any]] | None = None,
        **kwargs: Any,
    ) -> Server[Any]:
        """The agent as an MCP server with one tool: a text in, the text of the agent's answer out.

        The server is to be run by the caller, over a transport of the MCP SDK.

        Keyword Args:
            server_name: What the server calls itself.
            version: Its version; by default the SDK's.
            instructions: What clients are told about it.
            lifespan: Makes an async context manager that is entered while the server runs.
            **kwargs: For the SDK's server.

        Raises:
            ModuleNotFoundError: The package mcp is not installed.
        """
        from ._agent_server import make_server

        tool = self.as_tool(name=_sanitize_agent_name(self.name or UNNAMED_AGENT))
        options = {"version": version, "instructions": instructions, **kwargs}
        return make_server(tool, server_name, lifespan=lifespan, **options)


@dataclass
class _RunRequest:
    """The arguments of one run."""

    messages: AgentRunInputs | None
    session: AgentSession | None
    tools: Any
    options: Mapping[str, Any] | None
    compaction_strategy: CompactionStrategy | None
    tokenizer: TokenizerProtocol | None
    function_invocation_kwargs: Mapping[str, Any] | None
    client_kwargs: Mapping[str, Any] | None


@dataclass
class _Run:
    """One run: what the client is called with, and what the end of the run needs."""

    request: dict[str, Any]
    session: AgentSession | None
    provider_session: AgentSession | None
    context: SessionContext

    @property
    def response_format(self) -> Any:
        return self.request["options"].get("response_format")


class RawAgent(BaseAgent, Generic[OptionsCoT]):
    """An agent without middleware and telemetry; see Agent.

    MCP tools are kept apart from the others, in `mcp_tools`, and connected when the agent is entered with `async with`
    or when a run needs them. Those that were connected already are left alone.
    """

    INJECTABLE: ClassVar[set[str]] = {"client"}
    AGENT_PROVIDER_NAME: ClassVar[str] = "microsoft.agent_framework"

    def __init__(
        self,
        client: SupportsChatGetResponse[OptionsCoT],
        instructions: str | None = None,
        *,
        id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None = None,
        default_options: OptionsCoT | None = None,
        context_providers: Sequence[ContextProvider] | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        require_per_service_call_history_persistence: bool = False,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            id=id,
            name=name,
            description=description,
            context_providers=context_providers,
            middleware=middleware,
            additional_properties=additional_properties,
        )
        self.client = client
        self.require_per_service_call_history_persistence = require_per_service_call_history_persistence
        self.compaction_strategy = compaction_strategy
        self.tokenizer = tokenizer
        options: dict[str, Any] = dict(cast("Any", default_options) or {})
        self.mcp_tools, plain_tools = _separate_mcp_tools([*_tool_list(tools), *_tool_list(options.pop("tools", None))])
        options = {"tool_choice": "auto", "model": getattr(client, "model", None), **options}
        options["instructions"] = _join_instructions(instructions, options.get("instructions"))
        self.default_options: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        self.default_options["tools"] = append_unique_tools([], plain_tools)
        self._async_exit_stack = AsyncExitStack()
        self._open_tools: OpenTools | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if isinstance(self.client, AbstractAsyncContextManager):
                await stack.enter_async_context(self.client)
            open_tools = await stack.enter_async_context(OpenTools())
            await open_tools.keep(self.mcp_tools)
            # Only now: what fails above is undone by the stack of this block.
            self._async_exit_stack.push_async_exit(stack.pop_all())
        self._open_tools = open_tools
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self._open_tools = None
        await self._async_exit_stack.__aexit__(exc_type, exc_val, exc_tb)

    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,
        tools: Any = None,
        options: Any = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the agent once. See Agent.run."""
        request = _RunRequest(
            messages,
            session,
            tools,
            options,
            compaction_strategy or self.compaction_strategy,
            tokenizer or self.tokenizer,
            function_invocation_kwargs,
            client_kwargs,
        )
        return self._run_streaming(request) if stream else self._run_once(request)

    async def _run_once(self, request: _RunRequest) -> AgentResponse[Any]:
        async with OpenTools() as own_tools:
            run = await self._prepare_run(request, own_tools)
            response = await cast("Any", self.client).get_response(stream=False, **run.request)
            if not response:
                raise AgentInvalidResponseException("The chat client returned no response.")
            return await self._finish(run, self._prepare_agent_response(run, response), response.conversation_id)

    def _run_streaming(self, request: _RunRequest) -> ResponseStream[AgentResponseUpdate, AgentResponse[Any]]:
        runs: list[tuple[_Run, str | None]] = []

        async def read() -> AsyncIterator[AgentResponseUpdate]:
            async with OpenTools() as own_tools:
                run = await self._prepare_run(request, own_tools)
                async with closing_stream(cast("Any", self.client).get_response(stream=True, **run.request)) as stream:
                    async for update in stream:
                        yield map_chat_to_agent_update(update, self._author_name)
                    runs.append((run, (await stream.get_final_response()).conversation_id))

        async def finalize(updates: Sequence[AgentResponseUpdate]) -> AgentResponse[Any]:
            run, conversation_id = runs[0]
            response: AgentResponse[Any] = AgentResponse.from_updates(updates, output_format_type=run.response_format)
            fold_declared_calls(response.messages)
            response.messages = self._with_author(response.messages)
            response.agent_id = self.id
            return await self._finish(run, response, conversation_id)

        return ResponseStream(read(), finalizer=finalize)

    @property
    def _author_name(self) -> str:
        return self.name or UNNAMED_AGENT

    def _with_author(self, messages: Sequence[Message]) -> list[Message]:
        return [message if message.author_name else _signed(message, self._author_name) for message in messages]

    def _prepare_agent_response(self, run: _Run, response: ChatResponse[Any]) -> AgentResponse[Any]:
        return AgentResponse(
            messages=self._with_author(response.messages),
            response_id=response.response_id,
            created_at=response.created_at,
            usage_details=response.usage_details,
            response_format=run.response_format,
            continuation_token=response.continuation_token,
            additional_properties=response.additional_properties,
            raw_representation=response,
            agent_id=self.id,
        )

    async def _finish(self, run: _Run, response: AgentResponse[Any], conversation_id: str | None) -> AgentResponse[Any]:
        if run.session is not None and conversation_id and not is_local_history_conversation_id(conversation_id):
            run.session.service_session_id = conversation_id
        run.context._response = response
        await self._run_after_providers(session=run.provider_session, context=run.context)
        return response

    # Before the model is asked...

    async def _prepare_run(self, request: _RunRequest, own_tools: OpenTools) -> _Run:
        """Everything that a run needs; MCP tools that it opens for itself are kept by `own_tools`."""
        session = request.session
        input_messages = split_approval_messages(normalize_messages(request.messages))
        run_options = dict(request.options or {})
        run_tools = [*_tool_list(request.tools), *_tool_list(run_options.pop("tools", None))]
        options = merge_chat_options(
            {key: value for key, value in self.default_options.items() if key != "tools"}, cast("Any", run_options)
        )
        if session is not None and session.service_session_id:
            options.setdefault("conversation_id", session.service_session_id)
        self._add_history_if_nobody_keeps_it(session, options)
        provider_session = session or (AgentSession() if self.context_providers else None)
        histories = self._histories_of_calls(provider_session, options)
        context = SessionContext(
            session_id=provider_session.session_id if provider_session else None,
            service_session_id=session.service_session_id if session else None,
            input_messages=input_messages,
            options=dict(options),
        )
        if provider_session is not None:
            await self._run_before_providers(context, provider_session)
        tools = await self._open_run_tools([*run_tools, *context.tools], own_tools)
        options["instructions"] = _join_instructions(options.get("instructions"), *context.instructions)
        if tools:
            options["tools"] = tools
        client_request = {
            "messages": context.get_messages(include_input=True),
            "options": {key: value for key, value in options.items() if value is not None},
            "compaction_strategy": request.compaction_strategy,
            "tokenizer": request.tokenizer,
            "function_invocation_kwargs": request.function_invocation_kwargs,
            "client_kwargs": _client_kwargs(request, context, histories),
        }
        return _Run(client_request, session, provider_session, context)

    def _add_history_if_nobody_keeps_it(self, session: AgentSession | None, options: Mapping[str, Any]) -> None:
        if session is None or self.context_providers or options.get("conversation_id"):
            return
        if not self._service_stores(options):
            self.context_providers.append(InMemoryHistoryProvider())

    def _service_stores(self, options: Mapping[str, Any]) -> bool:
        store = options.get("store")
        return bool(getattr(self.client, "STORES_BY_DEFAULT", False) if store is None else store)

    def _histories_of_calls(
        self, session: AgentSession | None, options: Mapping[str, Any]
    ) -> PerServiceCallHistoryPersistingMiddleware | None:
        """What keeps the histories around each model call, if that is wanted and the service does not do it.

        Raises:
            AgentInvalidRequestException: The service keeps this conversation already.
        """
        histories = history_providers(self.context_providers)
        if not self.require_per_service_call_history_persistence or not histories or self._service_stores(options):
            return None
        if options.get("conversation_id"):
            raise AgentInvalidRequestException(
                "The model's service keeps this conversation; require_per_service_call_history_persistence is for "
                "conversations that it does not keep."
            )
        assert session is not None  # there are providers
        return PerServiceCallHistoryPersistingMiddleware(agent=cast("Any", self), session=session, providers=histories)

    async def _open_run_tools(self, run_tools: Sequence[Any], own_tools: OpenTools) -> list[Any]:
        """All tools of a run, MCP tools connected and replaced by their functions.

        Raises:
            ToolException: An MCP tool could not be connected.
            ValueError: Two different tools have the same name.
        """
        # An agent in `async with` keeps what its runs open; otherwise the run itself closes it.
        open_tools = own_tools if self._open_tools is None else self._open_tools
        tools: list[Any] = list(self.default_options.get("tools") or ())
        return await open_tools.append(tools, normalize_tools([*run_tools, *self.mcp_tools]))


class Agent(AgentMiddlewareLayer, AgentTelemetryLayer, RawAgent[OptionsCoT], Generic[OptionsCoT]):
    """A chat client with instructions, tools, middleware and memory.

    Args:
        client: Answers conversations; usually one with the function-calling loop.
        instructions: What the model is told first.

    Keyword Args:
        id: A uuid4 unless given.
        name: For people, telemetry and the author of messages.
        description: What the agent is for.
        tools: For every run: functions, FunctionTools, MCP tools, a provider's own declarations.
        default_options: Chat options for every run.
        context_providers: Take part in every run: history, memory, further instructions.
        middleware: Around runs, model calls and function calls.
        require_per_service_call_history_persistence: History providers load and save around each model call, not around
            the run: what tools have done is remembered also when a later model call of the run fails.
        compaction_strategy: Makes conversations smaller before they are sent.
        tokenizer: For strategies that count.
        additional_properties: Whatever else is to be kept with the agent.

    Raises:
        ValueError: Two different tools have the same name.
    """

    def __init__(
        self,
        client: SupportsChatGetResponse[OptionsCoT],
        instructions: str | None = None,
        *,
        id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None = None,
        default_options: OptionsCoT | None = None,
        context_providers: Sequence[ContextProvider] | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        require_per_service_call_history_persistence: bool = False,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            client,
            instructions,
            id=id,
            name=name,
            description=description,
            tools=tools,
            default_options=default_options,
            context_providers=context_providers,
            middleware=middleware,
            require_per_service_call_history_persistence=require_per_service_call_history_persistence,
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            additional_properties=additional_properties,
        )

    @overload  # type: ignore[override]
    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: Literal[False] = ...,
        session: AgentSession | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None = None,
        options: ChatOptions[ResponseModelBoundT],
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Awaitable[AgentResponse[ResponseModelBoundT]]: ...

    @overload
    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: Literal[False] = ...,
        session: AgentSession | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None = None,
        options: OptionsCoT | ChatOptions[None] | None = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Awaitable[AgentResponse[Any]]: ...

    @overload
    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: Literal[True],
        session: AgentSession | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None = None,
        options: OptionsCoT | ChatOptions[Any] | None = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> ResponseStream[AgentResponseUpdate, AgentResponse[Any]]: ...

    def run(
        self,
        messages: AgentRunInputs | None = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        tools: Any = None,
        options: Any = None,
        compaction_strategy: CompactionStrategy | None = None,
        tokenizer: TokenizerProtocol | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the agent once.

        Args:
            messages: The input. Approval responses in it are replaced by results, in the caller's own objects.

        Keyword Args:
            stream: Return a ResponseStream at once instead of an awaitable; nothing happens before it is read.
            session: The conversation that this run belongs to; without one nothing is remembered.
            middleware: Added inside the agent's own.
            tools: Added to the agent's. An MCP tool that is not connected is connected for the run, or, inside of
                `async with agent`, until that ends.
            options: Chat options; they win over the agent's, instructions are joined, tools united.
            compaction_strategy: Used instead of the agent's.
            tokenizer: Used instead of the agent's.
            function_invocation_kwargs: Values for tools that take a FunctionInvocationContext.
            client_kwargs: Values for the chat client.

        Raises:
            ToolException: An MCP tool could not be connected; the model was not asked.
            ChatClientException: The model's service could not be reached, or refused.
            AgentInvalidResponseException: The chat client returned nothing.
            ValueError: Two different tools have the same name.
        """
        return super().run(
            messages,
            stream=stream,
            session=session,
            middleware=middleware,
            tools=tools,
            options=options,
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            function_invocation_kwargs=function_invocation_kwargs,
            client_kwargs=client_kwargs,
        )


def _tool_list(tools: Any) -> list[Any]:
    return normalize_tools(tools)


def _separate_mcp_tools(tools: Sequence[Any]) -> tuple[list[MCPTool], list[Any]]:
    servers = mcp_tools(tools)
    known = {id(server) for server in servers}
    return servers, [one for one in tools if id(one) not in known]


def _join_instructions(*parts: Any) -> str | None:
    return "\n".join(part for part in parts if part) or None


def _signed(message: Message, author_name: str) -> Message:
    signed = copy.copy(message)
    signed.author_name = author_name
    return signed


def _client_kwargs(
    request: _RunRequest, context: SessionContext, histories: PerServiceCallHistoryPersistingMiddleware | None
) -> dict[str, Any]:
    kwargs = dict(request.client_kwargs or {})
    if request.session is not None:
        kwargs["session"] = request.session
    # Histories come first: all other middleware sees what is sent to the model in the end.
    outermost = [] if histories is None else [histories]
    if added := [*outermost, *(kwargs.get("middleware") or ()), *context.get_middleware()]:
        kwargs["middleware"] = added
    return kwargs


def _merge_options(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Chat options of an agent and of a run, merged; tools of the same name are one, and the agent's comes first."""
    merged = merge_chat_options(cast("Any", base), cast("Any", override))
    if merged.get("tools"):
        by_name: dict[Any, Any] = {}
        for tool in merged["tools"]:
            by_name.setdefault(_get_tool_name(tool) or id(tool), tool)
        merged["tools"] = list(by_name.values())
    return merged


def _sanitize_agent_name(agent_name: str | None) -> str | None:
    """A name that a tool can have: letters, digits and underscores, not beginning with a digit."""
    if agent_name is None:
        return None
    name = re.sub(r"_+", "_", re.sub(r"[^0-9A-Za-z_]", "_", agent_name)).strip("_")
    return f"_{name}" if name[:1].isdigit() else name or "agent"
