# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Middleware around agent runs, model calls and function calls.

A pipeline calls its middleware from the outside in. Each gets the context and `call_next`, which takes no
arguments; what came of the call is in `context.result`, where any middleware may replace it.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast

from typing_extensions import TypedDict, TypeVar

from ._concurrency import Deferred
from ._types import AgentResponse, ChatResponse, ResponseStream, normalize_messages
from .exceptions import MiddlewareException

if TYPE_CHECKING:
    from ._agents import SupportsAgentRun
    from ._clients import SupportsChatGetResponse
    from ._sessions import AgentSession
    from ._tools import FunctionTool
    from ._types import ChatOptions, Message

ContextT = TypeVar("ContextT")
# TypedDict is no bound that may be written, says PEP 589; but with it, type checkers read a literal as options.
OptionsCoT = TypeVar("OptionsCoT", bound=TypedDict, covariant=True, default="ChatOptions[None]")  # type: ignore[valid-type]


class MiddlewareTermination(MiddlewareException):
    """Raised by middleware to end the run, the model call or the function loop it wraps.

    Args:
        message: Why, for logs.

    Keyword Args:
        result: What to use as the outcome instead of what the context holds.
    """

    def __init__(self, message: str = "Middleware terminated execution.", *, result: Any = None) -> None:
        super().__init__(message, log_level=None)
        self.result = result


class MiddlewareType(str, Enum):
    """What a middleware wraps."""

    AGENT = "agent"
    FUNCTION = "function"
    CHAT = "chat"


# Contexts...


class FunctionInvocationContext:
    """One function call on its way to the function.

    Args:
        function: The tool that is called.
        arguments: Its arguments, already validated; changes are validated again before the call.
        session: The session of the agent run, if there is one.
        metadata: For middleware to share values; copied.
        result: The outcome, set by the call or by middleware.
        kwargs: The caller's runtime values (`function_invocation_kwargs`); copied, never seen by the model.
    """

    def __init__(
        self,
        function: FunctionTool,
        arguments: Any,
        session: AgentSession | None = None,
        metadata: Mapping[str, Any] | None = None,
        result: Any = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.session = session
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.result = result
        self.kwargs: dict[str, Any] = dict(kwargs or {})


class _StreamHooks:
    """Hooks that a context collects for the stream that the call will produce."""

    def __init__(
        self,
        transform: Sequence[Callable[[Any], Any]] | None,
        result: Sequence[Callable[[Any], Any]] | None,
        cleanup: Sequence[Callable[[], Any]] | None,
    ) -> None:
        self.stream_transform_hooks = list(transform or ())
        self.stream_result_hooks = list(result or ())
        self.stream_cleanup_hooks = list(cleanup or ())

    def attach_to(self, stream: ResponseStream[Any, Any]) -> ResponseStream[Any, Any]:
        """Put the collected hooks on a stream and return it."""
        for transform_hook in self.stream_transform_hooks:
            stream = stream.with_transform_hook(transform_hook)
        for result_hook in self.stream_result_hooks:
            stream = stream.with_result_hook(result_hook)
        for cleanup_hook in self.stream_cleanup_hooks:
            stream = stream.with_cleanup_hook(cleanup_hook)
        return stream


class AgentContext(_StreamHooks):
    """One agent run on its way to the agent. Everything may be changed before `call_next`.

    Keyword Args:
        agent: The agent.
        messages: The input of the run.
        session: The session, if there is one.
        tools: Tools of this run only.
        options: Chat options of this run.
        stream: Whether the result is to be a ResponseStream.
        compaction_strategy: As given to run().
        tokenizer: As given to run().
        metadata: For middleware to share values; copied.
        result: An AgentResponse or, when streaming, a ResponseStream; set by the run or by middleware.
        kwargs: Other values of the caller; copied.
        client_kwargs: Values for the chat client.
        function_invocation_kwargs: Values for the functions that the run calls.
        stream_transform_hooks: Called with each update of the stream.
        stream_result_hooks: Called with the stream's final response.
        stream_cleanup_hooks: Called without arguments at the stream's end.
    """

    def __init__(
        self,
        *,
        agent: SupportsAgentRun,
        messages: list[Message],
        session: AgentSession | None = None,
        tools: Any = None,
        options: Mapping[str, Any] | None = None,
        stream: bool = False,
        compaction_strategy: Any = None,
        tokenizer: Any = None,
        metadata: Mapping[str, Any] | None = None,
        result: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        stream_transform_hooks: Sequence[Callable[[Any], Any]] | None = None,
        stream_result_hooks: Sequence[Callable[[Any], Any]] | None = None,
        stream_cleanup_hooks: Sequence[Callable[[], Any]] | None = None,
    ) -> None:
        super().__init__(stream_transform_hooks, stream_result_hooks, stream_cleanup_hooks)
        self.agent, self.session = agent, session
        self.messages, self.tools, self.options = messages, tools, options
        self.stream, self.result = stream, result
        self.compaction_strategy, self.tokenizer = compaction_strategy, tokenizer
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.kwargs: dict[str, Any] = dict(kwargs or {})
        self.client_kwargs: dict[str, Any] = dict(client_kwargs or {})
        self.function_invocation_kwargs: dict[str, Any] = dict(function_invocation_kwargs or {})


class ChatContext(_StreamHooks):
    """One model call on its way to the chat client. Everything may be changed before `call_next`.

    Args:
        client: The chat client.
        messages: What is sent to the model.
        options: The chat options.
        stream: Whether the result is to be a ResponseStream.
        metadata: For middleware to share values; copied.
        result: A ChatResponse or, when streaming, a ResponseStream; set by the call or by middleware.
        kwargs: Values for the client's own request; copied.
        function_invocation_kwargs: Values for functions; only passed along here.
        stream_transform_hooks: Called with each update of the stream.
        stream_result_hooks: Called with the stream's final response.
        stream_cleanup_hooks: Called without arguments at the stream's end.
    """

    def __init__(
        self,
        client: SupportsChatGetResponse,
        messages: Sequence[Message],
        options: Mapping[str, Any] | None,
        stream: bool = False,
        metadata: Mapping[str, Any] | None = None,
        result: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        stream_transform_hooks: Sequence[Callable[[Any], Any]] | None = None,
        stream_result_hooks: Sequence[Callable[[Any], Any]] | None = None,
        stream_cleanup_hooks: Sequence[Callable[[], Any]] | None = None,
    ) -> None:
        super().__init__(stream_transform_hooks, stream_result_hooks, stream_cleanup_hooks)
        self.client = client
        self.messages = messages
        self.options = options
        self.stream = stream
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.result = result
        self.kwargs: dict[str, Any] = dict(kwargs or {})
        self.function_invocation_kwargs: dict[str, Any] = dict(function_invocation_kwargs or {})


# What users write...

CallNext: TypeAlias = Callable[[], Awaitable[None]]


class AgentMiddleware(ABC):
    """Wraps agent runs."""

    @abstractmethod
    async def process(self, context: AgentContext, call_next: CallNext) -> None:
        """Look at or change the context, call the rest with `await call_next()`, look at or change the result."""


class FunctionMiddleware(ABC):
    """Wraps function calls."""

    @abstractmethod
    async def process(self, context: FunctionInvocationContext, call_next: CallNext) -> None:
        """Look at or change the context, call the rest with `await call_next()`, look at or change the result."""


class ChatMiddleware(ABC):
    """Wraps single model calls."""

    @abstractmethod
    async def process(self, context: ChatContext, call_next: CallNext) -> None:
        """Look at or change the context, call the rest with `await call_next()`, look at or change the result."""


AgentMiddlewareCallable: TypeAlias = Callable[[AgentContext, CallNext], Awaitable[None]]
FunctionMiddlewareCallable: TypeAlias = Callable[[FunctionInvocationContext, CallNext], Awaitable[None]]
ChatMiddlewareCallable: TypeAlias = Callable[[ChatContext, CallNext], Awaitable[None]]
AgentMiddlewareTypes: TypeAlias = AgentMiddleware | AgentMiddlewareCallable
FunctionMiddlewareTypes: TypeAlias = FunctionMiddleware | FunctionMiddlewareCallable
ChatMiddlewareTypes: TypeAlias = ChatMiddleware | ChatMiddlewareCallable
ChatAndFunctionMiddlewareTypes: TypeAlias = FunctionMiddlewareTypes | ChatMiddlewareTypes
MiddlewareTypes: TypeAlias = AgentMiddlewareTypes | FunctionMiddlewareTypes | ChatMiddlewareTypes


def agent_middleware(func: AgentMiddlewareCallable) -> AgentMiddlewareCallable:
    """Mark a function as middleware around agent runs."""
    return _mark(func, MiddlewareType.AGENT)


def function_middleware(func: FunctionMiddlewareCallable) -> FunctionMiddlewareCallable:
    """Mark a function as middleware around function calls."""
    return _mark(func, MiddlewareType.FUNCTION)


def chat_middleware(func: ChatMiddlewareCallable) -> ChatMiddlewareCallable:
    """Mark a function as middleware around model calls."""
    return _mark(func, MiddlewareType.CHAT)


CallableT = TypeVar("CallableT", bound=Callable[..., Any])


def _mark(func: CallableT, kind: MiddlewareType) -> CallableT:
    cast("Any", func)._middleware_type = kind
    return func


# Which middleware is which...


class MiddlewareDict(TypedDict):
    """Middleware by what it wraps, each in the order given."""

    agent: list[Any]
    function: list[Any]
    chat: list[Any]


_CLASSES: dict[type, MiddlewareType] = {
    AgentMiddleware: MiddlewareType.AGENT,
    FunctionMiddleware: MiddlewareType.FUNCTION,
    ChatMiddleware: MiddlewareType.CHAT,
}
_CONTEXTS: dict[type, MiddlewareType] = {
    AgentContext: MiddlewareType.AGENT,
    FunctionInvocationContext: MiddlewareType.FUNCTION,
    ChatContext: MiddlewareType.CHAT,
}


def categorize_middleware(*middleware_sources: MiddlewareTypes | Sequence[MiddlewareTypes] | None) -> MiddlewareDict:
    """Sort middleware, given one by one or in sequences, by what it wraps.

    Raises:
        MiddlewareException: A function tells neither by decorator nor by annotation what it wraps, or tells both
            and they differ, or takes fewer than two parameters.
    """
    result = MiddlewareDict(agent=[], function=[], chat=[])
    for source in middleware_sources:
        if source is None:
            continue
        for middleware in source if isinstance(source, Sequence) else [source]:
            result[_determine_middleware_type(middleware).value].append(middleware)
    return result


def _determine_middleware_type(middleware: Any) -> MiddlewareType:
    for base, kind in _CLASSES.items():
        if isinstance(middleware, base):
            return kind
    if not callable(middleware):
        raise MiddlewareException(f"Middleware must be a middleware object or a function, not {middleware!r}.")
    name = getattr(middleware, "__name__", repr(middleware))
    parameters = list(inspect.signature(middleware).parameters.values())
    if len(parameters) < 2:
        raise MiddlewareException(f"Middleware function {name} must take two parameters: context and call_next.")
    marked: MiddlewareType | None = getattr(middleware, "_middleware_type", None)
    annotated = _type_from_annotation(parameters[0].annotation)
    if marked and annotated and marked is not annotated:
        raise MiddlewareException(
            f"Middleware function {name} is decorated as {marked.value} middleware "
            f"but its context is annotated for {annotated.value} middleware."
        )
    kind_found = marked or annotated
    if kind_found is None:
        raise MiddlewareException(
            f"Cannot tell what middleware function {name} wraps: decorate it with @agent_middleware, "
            "@function_middleware or @chat_middleware, or annotate its first parameter with the context class."
        )
    return kind_found


def _type_from_annotation(annotation: Any) -> MiddlewareType | None:
    for context, kind in _CONTEXTS.items():
        # Under `from __future__ import annotations` the annotation is the source text.
        if annotation is context or (isinstance(annotation, str) and annotation.split(".")[-1] == context.__name__):
            return kind
    return None


# Pipelines...


class _MiddlewarePipeline(Generic[ContextT]):
    """Middleware of one kind, called from the outside in around a final handler."""

    def __init__(self, *middleware: Any) -> None:
        self._middleware = middleware
        self._processes: list[Callable[[Any, CallNext], Awaitable[None]]] = [
            cast("Any", one).process if isinstance(one, tuple(_CLASSES)) else one for one in middleware
        ]

    @property
    def has_middlewares(self) -> bool:
        """Whether there is anything to call besides the final handler."""
        return bool(self._processes)

    def matches(self, middleware: Sequence[Any]) -> bool:
        """Whether the pipeline was made of exactly these objects in this order."""
        return len(middleware) == len(self._middleware) and all(map(_is, middleware, self._middleware))

    async def _process(self, context: Any, final_handler: Callable[[Any], Any]) -> None:
        async def call(index: int) -> None:
            if index < len(self._processes):
                await self._processes[index](context, partial(call, index + 1))
                return
            result = final_handler(context)
            # A ResponseStream is awaitable too, but it is itself the result.
            context.result = await result if inspect.iscoroutine(result) or _is_plain_awaitable(result) else result

        await call(0)


class _StreamingPipeline(_MiddlewarePipeline[ContextT]):
    """A pipeline whose termination is an ordinary end and whose result may be a stream."""

    async def execute(self, context: ContextT, final_handler: Callable[[ContextT], Any]) -> Any:
        """Call everything and return what `context.result` holds at the end.

        Raises:
            MiddlewareException: The run is streaming and the result is neither None nor a ResponseStream, or the
                other way round.
        """
        state = cast("Any", context)
        try:
            await self._process(context, final_handler)
        except MiddlewareTermination as termination:
            if termination.result is not None:
                state.result = termination.result
        if state.result is not None and isinstance(state.result, ResponseStream) is not state.stream:
            wanted = "a ResponseStream" if state.stream else "a response, not a stream"
            raise MiddlewareException(f"Middleware must leave {wanted} in context.result, not {type(state.result)}.")
        return state.result


class AgentMiddlewarePipeline(_StreamingPipeline[AgentContext]):
    """The middleware around one agent run."""


class ChatMiddlewarePipeline(_StreamingPipeline[ChatContext]):
    """The middleware around one model call."""


class FunctionMiddlewarePipeline(_MiddlewarePipeline[FunctionInvocationContext]):
    """The middleware around one function call."""

    async def execute(
        self,
        context: FunctionInvocationContext,
        final_handler: Callable[[FunctionInvocationContext], Awaitable[Any]],
    ) -> Any:
        """Call everything and return what `context.result` holds at the end.

        Raises:
            MiddlewareTermination: A middleware ended the loop; the function-calling loop handles it.
        """
        await self._process(context, final_handler)
        return context.result


def _is(one: object, other: object) -> bool:
    return one is other


def _is_plain_awaitable(value: Any) -> bool:
    return inspect.isawaitable(value) and not isinstance(value, ResponseStream)


def _run_streaming(
    execute: Callable[[], Awaitable[Any]], context: AgentContext | ChatContext, response_type: Any
) -> ResponseStream[Any, Any]:
    """A stream that runs the pipeline when it is first read."""

    async def start() -> ResponseStream[Any, Any]:
        stream = await execute()
        if stream is None:
            stream = ResponseStream(_nothing(), finalizer=response_type.from_updates)
        return context.attach_to(stream)

    return ResponseStream.from_awaitable(Deferred(start))


async def _nothing() -> AsyncIterator[Any]:
    no_updates: tuple[Any, ...] = ()
    for update in no_updates:
        yield update


# Layers...


class ChatMiddlewareLayer(Generic[OptionsCoT]):
    """Wraps every single model call of a chat client in chat middleware.

    Keyword Args:
        middleware: Chat middleware of the client; what a call brings comes inside of it.
        **kwargs: For the next class.
    """

    def __init__(self, *, middleware: Sequence[ChatAndFunctionMiddlewareTypes] | None = None, **kwargs: Any) -> None:
        self.chat_middleware: list[ChatMiddlewareTypes] = categorize_middleware(middleware)["chat"]
        super().__init__(**kwargs)

    def get_response(
        self,
        messages: Sequence[Message],
        *,
        stream: bool = False,
        options: Any = None,
        compaction_strategy: Any = None,
        tokenizer: Any = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send messages through the chat middleware to the model; `client_kwargs["middleware"]` adds to it."""
        call = partial(
            super().get_response,  # type: ignore[misc]
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
        )
        kwargs = dict(client_kwargs or {})
        pipeline = ChatMiddlewarePipeline(
            *self.chat_middleware, *categorize_middleware(kwargs.pop("middleware", None))["chat"]
        )
        context = ChatContext(
            cast("Any", self),
            messages,
            options,
            stream,
            kwargs=kwargs,
            function_invocation_kwargs=function_invocation_kwargs,
        )
        if not pipeline.has_middlewares:
            return _call_client(call, context)
        execute = partial(pipeline.execute, context, partial(_call_client, call))
        return _run_streaming(execute, context, ChatResponse) if stream else execute()


def _call_client(call: Callable[..., Any], context: ChatContext) -> Any:
    return call(
        messages=context.messages,
        stream=context.stream,
        options=context.options,
        function_invocation_kwargs=context.function_invocation_kwargs,
        client_kwargs=context.kwargs,
    )


class AgentMiddlewareLayer:
    """Wraps the runs of an agent in agent middleware and hands function and chat middleware to the client.

    Keyword Args:
        middleware: Middleware of all kinds; what a run brings comes inside of it.
        **kwargs: For the next class.
    """

    middleware: list[MiddlewareTypes] | None

    def __init__(self, *args: Any, middleware: Sequence[MiddlewareTypes] | None = None, **kwargs: Any) -> None:
        self.agent_middleware: list[AgentMiddlewareTypes] = categorize_middleware(middleware)["agent"]
        super().__init__(*args, **kwargs, middleware=middleware)  # type: ignore[call-arg]

    def run(
        self,
        messages: Any = None,
        *,
        stream: bool = False,
        session: AgentSession | None = None,
        middleware: Sequence[MiddlewareTypes] | None = None,
        tools: Any = None,
        options: Any = None,
        compaction_strategy: Any = None,
        tokenizer: Any = None,
        function_invocation_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the agent through its middleware and that of this run. See Agent.run."""
        # self.middleware is read at each run: it may be edited after construction.
        own, extra = categorize_middleware(self.middleware), categorize_middleware(middleware)
        kwargs = _with_client_middleware(client_kwargs, own, extra)
        call = super().run  # type: ignore[misc]
        pipeline = AgentMiddlewarePipeline(*own["agent"], *extra["agent"])
        context = AgentContext(
            agent=cast("Any", self),
            messages=normalize_messages(messages) if messages is not None else [],
            session=session,
            tools=tools,
            options=options,
            stream=stream,
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            client_kwargs=kwargs,
            function_invocation_kwargs=function_invocation_kwargs,
        )
        if not pipeline.has_middlewares:
            return _call_agent(call, context)
        execute = partial(pipeline.execute, context, partial(_call_agent, call))
        return _run_streaming(execute, context, AgentResponse) if stream else _run_agent(execute)


async def _run_agent(execute: Callable[[], Awaitable[Any]]) -> AgentResponse:
    return cast("AgentResponse", await execute())


def _with_client_middleware(
    client_kwargs: Mapping[str, Any] | None, own: MiddlewareDict, extra: MiddlewareDict
) -> dict[str, Any]:
    kwargs = dict(client_kwargs or {})
    middleware = [*own["chat"], *own["function"], *extra["chat"], *extra["function"]]
    if middleware:
        kwargs["middleware"] = [*middleware, *(kwargs.get("middleware") or ())]
    return kwargs


_RUN_KEYWORDS = (
    *("stream", "session", "tools", "options", "compaction_strategy", "tokenizer"),
    *("function_invocation_kwargs", "client_kwargs"),
)


def _call_agent(call: Callable[..., Any], context: AgentContext) -> Any:
    return call(context.messages, **{name: getattr(context, name) for name in _RUN_KEYWORDS})
