# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Tools, and the layer that runs the function-calling loop around a chat client.

The loop asks the model, carries out the function calls of its response (`_function_calls`), appends the results, and
asks again, until the model answers without calls, a limit is reached, or somebody else has to act.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, overload

from typing_extensions import TypedDict, TypeVar

from ._approvals import ApprovalLedger, settle_approvals, split_approval_messages
from ._approvals import is_hosted_approval as _is_hosted_tool_approval
from ._concurrency import closing_stream
from ._function_calls import BatchOutcome, CallSettings, carry_out_batch
from ._function_tool import (
    SHELL_TOOL_KIND_VALUE,
    FunctionTool,
    ToolTypes,
    functions_by_name,
    mcp_tools,
    normalize_tools,
    tool,
)
from ._function_tool import get_tool_name as _get_tool_name
from ._middleware import FunctionMiddlewarePipeline, categorize_middleware
from ._open_tools import OpenTools
from ._sessions import is_local_history_conversation_id
from ._tool_schema import _parse_annotation
from ._types import (
    ChatResponse,
    ChatResponseUpdate,
    Content,
    Message,
    ResponseStream,
    add_usage_details,
    normalize_messages,
)

if TYPE_CHECKING:
    from ._compaction import CompactionStrategy, TokenizerProtocol
    from ._middleware import ChatAndFunctionMiddlewareTypes, FunctionMiddlewareTypes
    from ._types import ChatOptions, ResponseModelBoundT, UsageDetails

__all__ = [
    "DEFAULT_MAX_CONSECUTIVE_ERRORS_PER_REQUEST",
    "DEFAULT_MAX_ITERATIONS",
    "SHELL_TOOL_KIND_VALUE",
    "FunctionInvocationConfiguration",
    "FunctionInvocationLayer",
    "FunctionTool",
    "ToolTypes",
    "_get_tool_name",
    "_is_hosted_tool_approval",
    "_parse_annotation",
    "_parse_inputs",
    "_update_conversation_id",
    "normalize_function_invocation_configuration",
    "normalize_tools",
    "tool",
]


# TypedDict is no bound that may be written, says PEP 589; but with it, type checkers read a literal as options.
OptionsCoT = TypeVar("OptionsCoT", bound=TypedDict, covariant=True, default="ChatOptions[None]")  # type: ignore[valid-type]

DEFAULT_MAX_ITERATIONS: Final[int] = 40
DEFAULT_MAX_CONSECUTIVE_ERRORS_PER_REQUEST: Final[int] = 3

_NOT_FOR_TOOLS = frozenset({"middleware", "conversation_id", "_function_middleware_pipeline"})

_REQUEST_MESSAGE_SUFFIX = ":user-input"


class FunctionInvocationConfiguration(TypedDict, total=False):
    """How the function-calling loop behaves.

    Keys:
        enabled: False: one plain model call. Default True.
        max_iterations: Model calls with tools; at least 1. Default 40.
        max_function_calls: Calls carried out in one request, looked at after each batch; None, the default: any number.
        max_consecutive_errors_per_request: Batches with an error in a row before tools are withheld. Default 3.
        terminate_on_unknown_calls: A call of an unknown function raises KeyError. Default False.
        additional_tools: Tools, or their names, that the caller carries out itself. Default none.
        include_detailed_errors: The model is shown the text of every exception. Default False; what a ToolException
            says is always shown.
    """

    enabled: bool
    max_iterations: int
    max_function_calls: int | None
    max_consecutive_errors_per_request: int
    terminate_on_unknown_calls: bool
    additional_tools: Sequence[Any]
    include_detailed_errors: bool


def normalize_function_invocation_configuration(
    config: FunctionInvocationConfiguration | None,
) -> FunctionInvocationConfiguration:
    """The configuration with all keys.

    Raises:
        ValueError: A limit is too low.
    """
    complete = FunctionInvocationConfiguration(
        enabled=True,
        max_iterations=DEFAULT_MAX_ITERATIONS,
        max_function_calls=None,
        max_consecutive_errors_per_request=DEFAULT_MAX_CONSECUTIVE_ERRORS_PER_REQUEST,
        terminate_on_unknown_calls=False,
        additional_tools=[],
        include_detailed_errors=False,
    )
    complete.update(config or {})
    max_calls = complete["max_function_calls"]
    if complete["max_iterations"] < 1:
        raise ValueError("max_iterations must be at least 1.")
    if max_calls is not None and max_calls < 1:
        raise ValueError("max_function_calls must be at least 1 or None.")
    if complete["max_consecutive_errors_per_request"] < 0:
        raise ValueError("max_consecutive_errors_per_request must be at least 0.")
    return complete


_CONSTRUCTOR_OF_KEY: Final[dict[str, Callable[..., Content]]] = {
    "uri": Content.from_uri,
    "file_id": Content.from_hosted_file,
    "vector_store_id": Content.from_hosted_vector_store,
    "data": Content.from_data,
}


def _parse_inputs(inputs: Content | Mapping[str, Any] | str | list[Any] | None) -> list[Content]:
    """The inputs of a hosted tool as content: text is a URI, a mapping the arguments of a constructor of Content.

    Raises:
        ValueError: A mapping has none of the keys uri, file_id, vector_store_id and data.
        TypeError: An input is of another type.
    """
    if inputs is None:
        return []
    return [_parse_input(one) for one in (inputs if isinstance(inputs, list) else [inputs])]


def _parse_input(one: Any) -> Content:
    if isinstance(one, Content):
        return one
    if isinstance(one, str):
        return Content.from_uri(one, media_type="text/plain")
    if not isinstance(one, Mapping):
        raise TypeError(f"An input of a tool is a Content, a str or a mapping, not {type(one).__name__}.")
    make = next((constructor for key, constructor in _CONSTRUCTOR_OF_KEY.items() if key in one), None)
    if make is None:
        raise ValueError(f"An input of a tool needs one of the keys {', '.join(_CONSTRUCTOR_OF_KEY)}, not {list(one)}.")
    return make(**one)


def _update_conversation_id(
    kwargs: dict[str, Any], conversation_id: str | None, options: dict[str, Any] | None = None
) -> None:
    """Continue the service's conversation in the next model call."""
    if conversation_id is None:
        return
    kwargs.get("chat_options", kwargs)["conversation_id"] = conversation_id
    if options is not None:
        options["conversation_id"] = conversation_id


# The loop...


@dataclass
class _Loop:
    """One get_response(): what is sent next, and what has come so far."""

    call_model: Callable[..., Any]
    messages: list[Message]
    options: dict[str, Any]
    config: FunctionInvocationConfiguration
    settings: CallSettings
    ledger: ApprovalLedger
    model_calls: int = 0
    calls_made: int = 0
    errors_in_a_row: int = 0
    withhold_tools: bool = False
    earlier: list[Message] = field(default_factory=list)
    usage: UsageDetails | None = None

    def ask(self, stream: bool) -> Any:
        """Call the model with what there is now."""
        self.model_calls += 1
        if self.model_calls > self.config["max_iterations"]:
            self.withhold_tools = True
        options = {**self.options, "tool_choice": "none"} if self.withhold_tools else dict(self.options)
        return self.call_model(messages=self.messages, options=options, stream=stream)

    def tools(self) -> dict[str, FunctionTool]:
        """The functions by name. Read for every batch: a tool may change the list in the options.

        Raises:
            ValueError: Two different tools have the same name.
        """
        return functions_by_name(normalize_tools(self.options.get("tools")))

    async def replace_mcp_tools(self, open_tools: OpenTools) -> None:
        """Put the functions of MCP tools in their place; what has to be opened for that is kept open.

        Raises:
            ToolException: An MCP tool could not be connected; the model has not been asked.
        """
        tools = normalize_tools(self.options.get("tools"))
        # Otherwise the caller's own list stays, because tools may change it on the way.
        if mcp_tools(tools):
            self.options["tools"] = await open_tools.append([], tools)

    async def settle_approvals(self) -> ChatResponse | None:
        """Carry out what the user approved; a response if the model is not to be asked now."""
        outcome = await settle_approvals(self.messages, self.tools(), self.settings, self.ledger)
        self._count(outcome)
        if not outcome.returns_to_caller:
            return None
        messages = [Message("assistant", outcome.requests)] if outcome.requests else []
        if outcome.terminates:
            messages.append(Message("tool", outcome.results))
        return ChatResponse(messages=messages)

    async def act_on(self, response: ChatResponse) -> BatchOutcome | None:
        """Carry out the calls of a response; None when there is nothing to do and the response is the answer."""
        self.usage = add_usage_details(self.usage, response.usage_details) if response.usage_details else self.usage
        calls = [] if self.withhold_tools else _open_calls(response)
        if not calls or not self.options.get("tools"):
            return None
        outcome = await carry_out_batch(calls, self.tools(), self.settings)
        self._count(outcome)
        self.ledger.remember(outcome.requests)
        return outcome

    def _count(self, outcome: BatchOutcome) -> None:
        if not outcome.executed:
            return
        self.calls_made += outcome.executed
        self.errors_in_a_row = self.errors_in_a_row + 1 if outcome.failed else 0
        limit = self.config["max_function_calls"]
        too_many_calls = limit is not None and self.calls_made >= limit
        too_many_errors = outcome.failed and self.errors_in_a_row >= self.config["max_consecutive_errors_per_request"]
        self.withhold_tools |= too_many_calls or too_many_errors

    def go_on(self, response: ChatResponse, outcome: BatchOutcome) -> None:
        """Prepare the next model call."""
        step = _messages_of_step(response, outcome)
        self.earlier.extend(step)
        if response.conversation_id is not None:
            # The service has the history: it needs the results only.
            self.options["conversation_id"] = response.conversation_id
            self.messages = step[len(response.messages) :]
        else:
            self.messages = [*self.messages, *step]
        if _is_required(self.options.get("tool_choice")):
            self.options["tool_choice"] = None

    def finish(self, response: ChatResponse, outcome: BatchOutcome | None = None) -> ChatResponse:
        """The response for the caller: everything that was said, in a copy of the client's last response."""
        finished = copy.copy(response)
        last = response.messages if outcome is None else _messages_of_step(response, outcome)
        finished.messages = [*self.earlier, *last]
        finished.usage_details = self.usage
        if is_local_history_conversation_id(finished.conversation_id):
            finished.conversation_id = None
        return finished


def _open_calls(response: ChatResponse) -> list[Content]:
    """The function calls without a result, each call id once."""
    contents = [content for message in response.messages for content in message.contents]
    seen = {content.call_id for content in contents if content.type == "function_result"}
    calls: list[Content] = []
    for content in contents:
        if content.type == "function_call" and content.call_id not in seen:
            seen.add(content.call_id)
            calls.append(content)
    return calls


def _messages_of_step(response: ChatResponse, outcome: BatchOutcome) -> list[Message]:
    """The response's messages, with requests in the assistant's, and the results after them."""
    messages = list(response.messages)
    if outcome.declared:
        messages = _mark_declared(messages, {call.call_id: call for call in outcome.declared})
    if outcome.requests:
        messages[-1] = copy.copy(messages[-1])
        messages[-1].contents = [*messages[-1].contents, *outcome.requests]
    if outcome.results:
        messages.append(Message("tool", outcome.results))
    return messages


def _mark_declared(messages: Sequence[Message], declared: Mapping[str | None, Content]) -> list[Message]:
    marked: list[Message] = []
    for message in messages:
        if any(content.type == "function_call" and content.call_id in declared for content in message.contents):
            message = copy.copy(message)  # noqa: PLW2901 - the client's own object stays as it is
            message.contents = [
                declared.get(content.call_id, content) if content.type == "function_call" else content
                for content in message.contents
            ]
        marked.append(message)
    return marked


def _updates_of_step(outcome: BatchOutcome, message_id: str | None) -> list[ChatResponseUpdate]:
    """What a stream says about a batch: requests to the user, calls left to the caller, results."""
    updates = []
    if outcome.requests:
        updates.append(ChatResponseUpdate(contents=outcome.requests, role="assistant", message_id=message_id))
    if outcome.declared:
        # A message of its own: next to the pieces of the same call they would be taken for more of them.
        own_id = f"{message_id or ''}{_REQUEST_MESSAGE_SUFFIX}"
        updates.append(ChatResponseUpdate(contents=outcome.declared, role="assistant", message_id=own_id))
    if outcome.results:
        updates.append(ChatResponseUpdate(contents=outcome.results, role="tool"))
    return updates


def fold_declared_calls(messages: list[Message]) -> None:
    """Where a response was made from updates: put calls left to the caller back to where the model made them."""
    repeated = [one for one in messages if (one.message_id or "").endswith(_REQUEST_MESSAGE_SUFFIX)]
    if not repeated:
        return
    declared = {content.call_id: content for message in repeated for content in message.contents}
    messages[:] = _mark_declared([one for one in messages if one not in repeated], declared)


def _is_required(tool_choice: Any) -> bool:
    return tool_choice == "required" or (isinstance(tool_choice, Mapping) and tool_choice.get("mode") == "required")


async def _run_loop(loop: _Loop) -> ChatResponse:
    async with OpenTools() as open_tools:
        await loop.replace_mcp_tools(open_tools)
        if (settled := await loop.settle_approvals()) is not None:
            return settled
        while True:
            response: ChatResponse = await loop.ask(stream=False)
            outcome = await loop.act_on(response)
            if outcome is None or outcome.returns_to_caller:
                return loop.finish(response, outcome)
            loop.go_on(response, outcome)


class _StreamedLoop:
    """The loop with the model's updates passed through as they come."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._passed_on: list[ChatResponseUpdate] = []
        self._finished: ChatResponse | None = None

    async def updates(self) -> AsyncIterator[ChatResponseUpdate]:
        loop = self._loop
        async with OpenTools() as open_tools:
            await loop.replace_mcp_tools(open_tools)
            if (settled := await loop.settle_approvals()) is not None:
                for message in settled.messages:
                    yield self._pass_on(ChatResponseUpdate(contents=message.contents, role=message.role))
                self._finished = settled
            while self._finished is None:
                message_id = None
                async with closing_stream(loop.ask(stream=True)) as stream:
                    async for update in stream:
                        message_id = update.message_id or message_id
                        yield self._pass_on(update)
                    response: ChatResponse = await stream.get_final_response()
                outcome = await loop.act_on(response)
                for update in _updates_of_step(outcome, message_id) if outcome else ():
                    yield self._pass_on(update)
                if outcome is None or outcome.returns_to_caller:
                    self._finished = loop.finish(response, outcome)
                else:
                    loop.go_on(response, outcome)

    def _pass_on(self, update: ChatResponseUpdate) -> ChatResponseUpdate:
        self._passed_on.append(update)
        return update

    def finalize(self, updates: Sequence[ChatResponseUpdate], *, response_format: Any) -> ChatResponse:
        """The final response: the same as without streaming, unless a hook replaced updates on the way out."""
        same = len(updates) == len(self._passed_on) and all(
            one is other for one, other in zip(updates, self._passed_on, strict=True)
        )
        if same and self._finished is not None:
            return self._finished
        response: ChatResponse = ChatResponse.from_updates(updates, output_format_type=response_format)
        fold_declared_calls(response.messages)
        return response


class FunctionInvocationLayer(Generic[OptionsCoT]):
    """Carries out the function calls of a chat client's model.

    Keyword Args:
        middleware: Chat and function middleware of the client.
        function_invocation_configuration: How the loop behaves; missing keys get their defaults.
        **kwargs: For the next class.
    """

    def __init__(
        self,
        *,
        middleware: Sequence[ChatAndFunctionMiddlewareTypes] | None = None,
        function_invocation_configuration: FunctionInvocationConfiguration | None = None,
        **kwargs: Any,
    ) -> None:
        sorted_middleware = categorize_middleware(middleware)
        self.function_middleware: list[FunctionMiddlewareTypes] = sorted_middleware["function"]
        self.function_invocation_configuration = normalize_function_invocation_configuration(
            function_invocation_configuration
        )
        self._approval_ledger = ApprovalLedger()
        if sorted_middleware["chat"]:
            kwargs["middleware"] = sorted_middleware["chat"]
        super().__init__(**kwargs)

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
        middleware: Sequence[ChatAndFunctionMiddlewareTypes] | None = None,
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
        middleware: Sequence[ChatAndFunctionMiddlewareTypes] | None = None,
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
        middleware: Sequence[ChatAndFunctionMiddlewareTypes] | None = None,
    ) -> ResponseStream[ChatResponseUpdate, ChatResponse[Any]]: ...

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
        middleware: Sequence[ChatAndFunctionMiddlewareTypes] | None = None,
    ) -> Any:
        """Send messages to the model and carry out the functions it calls, until it answers.

        Args:
            messages: The conversation. Approval responses in it are replaced by results, in the caller's own objects.

        Keyword Args:
            stream: Return a ResponseStream of ChatResponseUpdate instead of an awaitable of ChatResponse.
            options: Chat options. An MCP tool in them that is not connected is connected for this request.
            compaction_strategy: Used for this request instead of the client's.
            tokenizer: Used for this request instead of the client's.
            function_invocation_kwargs: Values for tools that take a FunctionInvocationContext.
            client_kwargs: Values for the client; "session" and "middleware" are taken out.
            middleware: Chat and function middleware of this request.

        Raises:
            ChatClientException: The model's service could not be reached, or refused.
            ToolException: An MCP tool could not be connected; the model was not asked.
            ValueError: Two different tools have the same name, or an option has a value that it cannot have.
            KeyError: The model called an unknown function, and the configuration says that this ends everything.
        """
        kwargs, chat_options = dict(client_kwargs or {}), dict(options or {})
        runtime_kwargs = {
            **(function_invocation_kwargs or {}),
            **(chat_options.pop("additional_function_arguments", None) or {}),
        }
        session = kwargs.pop("session", None)
        of_call = categorize_middleware(kwargs.pop("middleware", None), middleware)
        if of_call["chat"]:
            kwargs["middleware"] = of_call["chat"]
        call_model = partial(
            super().get_response,  # type: ignore[misc]
            compaction_strategy=compaction_strategy,
            tokenizer=tokenizer,
            function_invocation_kwargs=runtime_kwargs,
            client_kwargs=kwargs,
        )
        config = normalize_function_invocation_configuration(self.function_invocation_configuration)
        if not config["enabled"]:
            return call_model(messages=messages, options=chat_options, stream=stream)
        pipeline = FunctionMiddlewarePipeline(*self.function_middleware, *of_call["function"])
        loop = _Loop(
            call_model,
            split_approval_messages(normalize_messages(messages)),
            chat_options,
            config,
            _call_settings(config, pipeline, runtime_kwargs, session),
            self._approval_ledger,
        )
        if not stream:
            return _run_loop(loop)
        streamed = _StreamedLoop(loop)
        finalizer = partial(streamed.finalize, response_format=chat_options.get("response_format"))
        return ResponseStream(streamed.updates(), finalizer=finalizer)


def _call_settings(
    config: FunctionInvocationConfiguration,
    pipeline: FunctionMiddlewarePipeline,
    runtime_kwargs: Mapping[str, Any],
    session: Any,
) -> CallSettings:
    for_tools = {key: value for key, value in runtime_kwargs.items() if key not in _NOT_FOR_TOOLS}
    if session is not None:
        for_tools["session"] = session
    names = (one if isinstance(one, str) else _get_tool_name(one) for one in config["additional_tools"])
    return CallSettings(
        middleware=pipeline,
        runtime_kwargs=for_tools,
        session=session,
        caller_handles=frozenset(name for name in names if name is not None),
        include_detailed_errors=config["include_detailed_errors"],
        terminate_on_unknown_calls=config["terminate_on_unknown_calls"],
    )
