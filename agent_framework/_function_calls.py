# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Carrying out the function calls of a model: one call, and the batch of calls of one response.

This is the one place where an exception becomes a result for the model. What is no Exception, a cancellation above
all, passes through untouched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ._concurrency import run_together
from ._middleware import FunctionInvocationContext, FunctionMiddlewarePipeline, MiddlewareTermination
from ._types import Content
from .exceptions import MCPToolError, ToolException, UserInputRequiredException

if TYPE_CHECKING:
    from ._function_tool import FunctionTool
    from ._sessions import AgentSession


@dataclass
class CallSettings:
    """What every call of one get_response() shares."""

    middleware: FunctionMiddlewarePipeline
    runtime_kwargs: Mapping[str, Any]
    session: AgentSession | None
    caller_handles: frozenset[str]
    include_detailed_errors: bool
    terminate_on_unknown_calls: bool


@dataclass
class CallOutcome:
    """What came of one call: results for the model or requests to the user."""

    contents: list[Content]
    failed: bool = False
    needs_user: bool = False
    terminates: bool = False


@dataclass
class BatchOutcome:
    """What came of the calls of one response, in the order of the calls."""

    results: list[Content] = field(default_factory=list)
    requests: list[Content] = field(default_factory=list)
    declared: list[Content] = field(default_factory=list)
    executed: int = 0
    failed: bool = False
    terminates: bool = False

    @property
    def returns_to_caller(self) -> bool:
        """Whether the loop ends here, because somebody else has to act or middleware said so."""
        return self.terminates or bool(self.requests or self.declared)

    def add(self, outcome: CallOutcome) -> None:
        """Count in the outcome of one call that was carried out."""
        (self.requests if outcome.needs_user else self.results).extend(outcome.contents)
        self.executed += 1
        self.failed |= outcome.failed
        self.terminates |= outcome.terminates


async def carry_out_batch(
    calls: Sequence[Content], tools: Mapping[str, FunctionTool], settings: CallSettings
) -> BatchOutcome:
    """Run the calls that can run, all at once, and turn the others into requests to the user or the caller.

    Raises:
        KeyError: A name is unknown and the settings say that this ends everything.
    """
    batch = BatchOutcome()
    runnable: list[Content] = []
    for call in calls:
        tool = tools.get(call.name or "")
        if call.name in settings.caller_handles or (tool is not None and tool.declaration_only):
            batch.declared.append(dataclasses.replace(call, user_input_request=True, id=call.call_id))
        elif tool is not None and tool.approval_mode == "always_require" and _is_readable(call):
            batch.requests.append(Content.from_function_approval_request(call.call_id or "", call))
        elif tool is None and settings.terminate_on_unknown_calls:
            raise KeyError(f"The model called a function that does not exist: {call.name}")
        else:
            runnable.append(call)
    for outcome in await carry_out_together(runnable, tools, settings):
        batch.add(outcome)
    return batch


async def carry_out_together(
    calls: Sequence[Content], tools: Mapping[str, FunctionTool], settings: CallSettings
) -> list[CallOutcome]:
    """Run calls at once, without asking anybody."""
    return await run_together([partial(_carry_out, call, tools.get(call.name or ""), settings) for call in calls])


async def _carry_out(call: Content, tool: FunctionTool | None, settings: CallSettings) -> CallOutcome:
    if tool is None:
        unknown = KeyError(f'Function "{call.name}" not found.')
        return _failure(call, f'Error: Requested function "{call.name}" not found.', unknown)
    try:
        arguments = tool.validate_arguments(read_arguments(call))
    except ToolException as error:
        return _failure(call, f"Error: Argument parsing failed. {error}", error)
    except (TypeError, ValueError) as error:  # what a light check and what pydantic raise
        return _failure(call, _with_details("Error: Argument parsing failed.", error, settings), error)
    context = FunctionInvocationContext(tool, arguments, settings.session, kwargs=settings.runtime_kwargs)
    try:
        result = await _invoke(tool, context, call, settings.middleware)
    except MiddlewareTermination as termination:
        result = context.result if termination.result is None else termination.result
        return CallOutcome([_result(call, result)], terminates=True)
    except UserInputRequiredException as request:
        return CallOutcome(_requests_of_call(call, request.contents), needs_user=True)
    except MCPToolError as error:
        return _failure(call, f"Error: {error.text}", error)  # the model reads the tool's own lines
    except ToolException as error:
        # Its message was written to be read, by the model too.
        return _failure(call, f"Error: {error}", error)
    except Exception as error:  # noqa: BLE001 - any other failure is the tool's own; its text may hold anything
        return _failure(call, _with_details("Error: Function failed.", error, settings), error)
    return CallOutcome([_result(call, result)])


def read_arguments(call: Content) -> dict[str, Any]:
    """The arguments of a model's call; an empty text and null are none.

    Raises:
        ToolException: They are no JSON object. The message is for the model too, and says where they break.
    """
    from ._mcp_client import _json_object

    try:
        return _json_object.read_arguments(call.arguments)
    except ValueError as error:
        sentence = f"The arguments of '{call.name}' are no JSON object, so nothing was run: {error}."
        raise ToolException(sentence, log_level=None) from error


def _is_readable(call: Content) -> bool:
    """Whether there is something that a person could approve; the model is told about the rest."""
    try:
        read_arguments(call)
    except ToolException:
        return False
    return True


async def _invoke(
    tool: FunctionTool, context: FunctionInvocationContext, call: Content, middleware: FunctionMiddlewarePipeline
) -> Any:
    async def call_tool(context: FunctionInvocationContext) -> list[Content]:
        return await tool.invoke(arguments=context.arguments, context=context, tool_call_id=call.call_id)

    if not middleware.has_middlewares:
        return await call_tool(context)
    return await middleware.execute(context, call_tool)


def _result(call: Content, result: Any, exception: str | None = None) -> Content:
    return Content.from_function_result(
        call.call_id or "",
        result=result,
        exception=exception,
        # Providers keep there what they need to answer a call of a special kind.
        additional_properties=dict(call.additional_properties),
    )


def _failure(call: Content, text: str, error: Exception) -> CallOutcome:
    return CallOutcome([_result(call, text, str(error))], failed=True)


def rejection(call: Content, text: str = "Error: Tool call invocation was rejected by user.") -> Content:
    """The result of a call that was not carried out because of what the user said."""
    return _result(call, text)


def _with_details(text: str, error: Exception, settings: CallSettings) -> str:
    return f"{text} Exception: {error}" if settings.include_detailed_errors else text


def _requests_of_call(call: Content, contents: Sequence[Any]) -> list[Content]:
    requests = [content for content in contents if isinstance(content, Content)]
    for request in requests:
        request.call_id = call.call_id
        request.id = request.id or call.call_id
    return requests
