# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Functions that a model may call: FunctionTool, the `tool` decorator, and lists of tools."""

from __future__ import annotations

import copy
import inspect
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias, cast, overload

from . import observability
from ._serialization import SerializationMixin
from ._tool_schema import check_arguments, derive_input_model, find_context_parameter, takes_instance
from ._types import Content
from .exceptions import ToolException

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Span
    from pydantic import BaseModel

    from ._mcp import MCPTool
    from ._middleware import FunctionInvocationContext

logger = logging.getLogger("agent_framework")

SHELL_TOOL_KIND_VALUE: Final[str] = "shell"

ApprovalMode: TypeAlias = Literal["always_require", "never_require"]
# An alias, because `type` means something else inside of FunctionTool.
ModelClass: TypeAlias = "type[BaseModel]"


@dataclass
class _Counts:
    """How often a tool ran and failed. Shared with the copies of it that are bound to objects."""

    invocations: int = 0
    exceptions: int = 0


class FunctionTool(SerializationMixin):
    """A function that a model may call.

    Keyword Args:
        name: The name that the model sees.
        description: What the model is told about it.
        approval_mode: "always_require": the user is asked before each call.
        kind: A tag for providers, for example "shell".
        max_invocations: Calls in the object's whole life; at least 1.
        max_invocation_exceptions: Failing calls in the object's whole life; at least 1.
        additional_properties: Kept as given.
        func: The function, sync or async. Without one the tool is only declared, and the caller carries calls out.
        input_model: A pydantic model class or a JSON schema (a mapping); by default derived from the signature.
        result_parser: Turns what the function returned into text or content.
        **kwargs: Set as attributes.

    Raises:
        TypeError: input_model is neither a model class nor a mapping.
        ValueError: A limit is below 1, or two parameters take the invocation context.
    """

    type: ClassVar[str] = "function_tool"
    INJECTABLE: ClassVar[set[str]] = {"func"}
    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"additional_properties", "input_model", "result_parser"}

    def __init__(
        self,
        *,
        name: str,
        description: str = "",
        approval_mode: ApprovalMode | None = None,
        kind: str | None = None,
        max_invocations: int | None = None,
        max_invocation_exceptions: int | None = None,
        additional_properties: dict[str, Any] | None = None,
        func: Callable[..., Any] | None = None,
        input_model: ModelClass | Mapping[str, Any] | None = None,
        result_parser: Callable[[Any], str | list[Content]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = name
        self.description = description
        self.approval_mode: ApprovalMode = approval_mode or "never_require"
        self.kind = kind
        self.max_invocations = _at_least_one("max_invocations", max_invocations)
        self.max_invocation_exceptions = _at_least_one("max_invocation_exceptions", max_invocation_exceptions)
        self.additional_properties = additional_properties
        self.func = func
        self.result_parser = result_parser
        self._instance: Any = None
        self._counts = _Counts()
        self._schema_supplied = isinstance(input_model, Mapping)
        self._cached_schema: dict[str, Any] | None = None
        self._context_parameter_name = (
            find_context_parameter(func, accept_ctx=input_model is not None) if func is not None else None
        )
        self.input_model = self._resolve_input_model(input_model)
        for key, value in kwargs.items():
            setattr(self, key, value)

    def _resolve_input_model(self, given: ModelClass | Mapping[str, Any] | None) -> ModelClass | None:
        if isinstance(given, Mapping):
            self._cached_schema = dict(given)
            return None
        if given is None:
            return derive_input_model(self.name, self.func, self._context_parameter_name) if self.func else None
        model: Any = given
        if not (inspect.isclass(model) and hasattr(model, "model_json_schema")):
            raise TypeError(f"input_model must be a pydantic model class or a JSON schema, not {model!r}.")
        return given

    def __str__(self) -> str:
        return f"{type(self).__name__}(name={self.name}, description={self.description})"

    def __get__(self, obj: Any, objtype: Any = None) -> FunctionTool:
        """The tool itself on a class; on an object, a copy whose calls get the object as first argument."""
        if obj is None or self.func is None or not takes_instance(self.func):
            return self
        bound = copy.copy(self)
        bound._instance = obj
        return bound

    @property
    def declaration_only(self) -> bool:
        """Whether there is no function to call."""
        return self.func is None

    @property
    def invocation_count(self) -> int:
        """Calls so far, in the object's whole life."""
        return self._counts.invocations

    @invocation_count.setter
    def invocation_count(self, value: int) -> None:
        self._counts.invocations = value

    @property
    def invocation_exception_count(self) -> int:
        """Calls so far that raised."""
        return self._counts.exceptions

    @invocation_exception_count.setter
    def invocation_exception_count(self, value: int) -> None:
        self._counts.exceptions = value

    @property
    def _invocation_duration_histogram(self) -> Histogram:
        return observability.function_duration_histogram()

    # What the model sees...

    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments; a new top level each time, because providers add to it."""
        return dict(self._schema())

    def _schema(self) -> dict[str, Any]:
        if self._cached_schema is None:
            self._cached_schema = (
                self.input_model.model_json_schema() if self.input_model else {"type": "object", "properties": {}}
            )
        return self._cached_schema

    def to_json_schema_spec(self) -> dict[str, Any]:
        """The tool as chat completion APIs declare it."""
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters()},
        }

    def to_dict(self, *, exclude: set[str] | None = None, exclude_none: bool = True) -> dict[str, Any]:
        """The tool as plain values; the function itself is left out."""
        result = super().to_dict(exclude=exclude, exclude_none=exclude_none)
        extra = {
            "invocation_count": self.invocation_count,
            "invocation_exception_count": self.invocation_exception_count,
            "input_model": self.parameters(),
        }
        result.update({key: value for key, value in extra.items() if key not in (exclude or ())})
        return result

    # Calling...

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is; for an async one this gives the coroutine.

        Raises:
            ToolException: There is no function, or a limit is reached.
        """
        func = self._checked_func()
        self._counts.invocations += 1
        if self._instance is not None:
            args = (self._instance, *args)
        try:
            return func(*args, **kwargs)
        except Exception:  # counted, and the caller's to deal with
            self._counts.exceptions += 1
            raise

    def _checked_func(self) -> Callable[..., Any]:
        if self.func is None:
            raise ToolException(f"Function '{self.name}' is only declared here; its caller has to carry it out.")
        if self.max_invocations is not None and self.invocation_count >= self.max_invocations:
            raise ToolException(f"Function '{self.name}' has reached its maximum invocation limit.", log_level=None)
        if (
            self.max_invocation_exceptions is not None
            and self.invocation_exception_count >= self.max_invocation_exceptions
        ):
            raise ToolException(f"Function '{self.name}' has reached its maximum exception limit.", log_level=None)
        return self.func

    async def invoke(
        self,
        *,
        arguments: Mapping[str, Any] | BaseModel | None = None,
        context: FunctionInvocationContext | None = None,
        tool_call_id: str | None = None,
        **kwargs: Any,
    ) -> list[Content]:
        """Call the function with arguments as the model gave them, and return its result as content.

        Keyword Args:
            arguments: The arguments; without them, kwargs that are parameters, then those of the context.
            context: Given to the function if it takes one; its arguments are replaced by the validated ones.
            tool_call_id: The id of the model's call, for the span.
            **kwargs: Arguments by name.

        Raises:
            TypeError: The arguments do not fit the schema, or a keyword is no parameter.
            ValueError: The arguments do not fit the pydantic model (a ValidationError).
            ToolException: There is no function, or a limit is reached.
            Exception: Whatever the function raises.
        """
        validated = self.validate_arguments(self._given_arguments(arguments, context, kwargs))
        context = self._prepare_context(context, validated)
        call_arguments = dict(validated)
        if self._context_parameter_name is not None:
            call_arguments[self._context_parameter_name] = context
        if not observability.OBSERVABILITY_SETTINGS.ENABLED:
            return self._parse(await self._run(call_arguments))
        return await self._run_in_span(call_arguments, validated, tool_call_id)

    def _given_arguments(
        self,
        arguments: Mapping[str, Any] | BaseModel | None,
        context: FunctionInvocationContext | None,
        kwargs: dict[str, Any],
    ) -> Mapping[str, Any]:
        known = self._schema().get("properties") or {} if kwargs else {}
        if unknown := [name for name in kwargs if name not in known]:
            raise TypeError(f"Function '{self.name}' has no parameters named {', '.join(unknown)}.")
        given: Any = arguments if arguments is not None else kwargs or (context.arguments if context else None) or {}
        if isinstance(given, Mapping):
            return given
        if not hasattr(given, "model_dump"):
            raise TypeError(f"Arguments of '{self.name}' must be a mapping or a model, not {type(given).__name__}.")
        return cast("Mapping[str, Any]", given.model_dump())

    def validate_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function gets them.

        Raises:
            TypeError: They do not fit the JSON schema.
            ValueError: They do not fit the pydantic model (a ValidationError).
            ToolException: They are what `Content.parse_arguments` makes of something that is no JSON object.
        """
        if self.input_model is None:
            check_arguments(arguments, self._schema(), self.name)
            return dict(arguments)
        if arguments.keys() == {"raw"}:  # a model class would drop it
            from ._mcp_client import _arguments

            declared = _arguments.declared_by_schema(self._schema())
            _arguments.require_an_object(f"Function '{self.name}'", arguments, declared)
        model = self.input_model.model_validate(dict(arguments))
        # None stands for "not given", except where the function has no default to fall back on.
        required = {name: None for name, field in type(model).model_fields.items() if field.is_required()}
        return {**required, **model.model_dump(exclude_none=True)}

    def _prepare_context(
        self, context: FunctionInvocationContext | None, validated: dict[str, Any]
    ) -> FunctionInvocationContext | None:
        if context is None:
            if self._context_parameter_name is None:
                return None
            from ._middleware import FunctionInvocationContext

            return FunctionInvocationContext(self, validated)
        context.function = self
        context.arguments = validated
        context.kwargs = dict(context.kwargs)
        return context

    async def _run(self, arguments: dict[str, Any]) -> Any:
        result = self(**arguments)
        if not inspect.isawaitable(result):
            return result
        try:
            return await result
        except Exception:  # as in __call__
            # A sync function's failure was counted in __call__; an async one's shows only here.
            self._counts.exceptions += 1
            raise

    async def _run_in_span(
        self, call_arguments: dict[str, Any], validated: dict[str, Any], tool_call_id: str | None
    ) -> list[Content]:
        with observability.get_function_span(observability.get_function_span_attributes(self, tool_call_id)) as span:
            _record_sensitive(span, observability.OtelAttr.TOOL_ARGUMENTS, validated)
            tags = {observability.OtelAttr.MEASUREMENT_FUNCTION_TAG_NAME.value: self.name}
            started = perf_counter()
            try:
                result = self._parse(await self._run(call_arguments))
            except Exception as error:  # noted on the metric, and the caller's to deal with
                tags[observability.OtelAttr.ERROR_TYPE.value] = type(error).__name__
                raise
            finally:
                self._invocation_duration_histogram.record(perf_counter() - started, tags)
            _record_sensitive(span, observability.OtelAttr.TOOL_RESULT, [item.to_dict() for item in result])
            return result

    # Results...

    def _parse(self, value: Any) -> list[Content]:
        if self.result_parser is None:
            return self.parse_result(value)
        try:
            parsed = self.result_parser(value)
        except Exception:  # the user's own code; the function has run, and its result must not be lost
            logger.warning("The result parser of function '%s' failed; its text is used.", self.name, exc_info=True)
            parsed = str(value)
        return [Content.from_text(parsed)] if isinstance(parsed, str) else list(parsed)

    @staticmethod
    def parse_result(value: Any) -> list[Content]:
        """A function's return value as content: text stays text, content stays, anything else becomes JSON."""
        if value is None:
            return [Content.from_text("")]
        if isinstance(value, str):
            return [Content.from_text(value)]
        if isinstance(value, Content):
            return [value]
        if isinstance(value, list) and any(isinstance(item, Content) for item in value):
            return [content for item in value for content in FunctionTool.parse_result(item)]
        return [Content.from_text(_to_text(value))]


def _at_least_one(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}.")
    return value


def _record_sensitive(span: Span, attribute: observability.OtelAttr, value: Any) -> None:
    if observability.OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED:
        span.set_attribute(attribute.value, json.dumps(value, ensure_ascii=False, default=str))


def _to_text(value: Any) -> str:
    plain = _to_plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, default=str)


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    for method in ("model_dump", "to_dict"):
        if not isinstance(value, type) and callable(dump := getattr(value, method, None)):
            return dump()
    return value.text if isinstance(getattr(value, "text", None), str) else value


# The decorator...


@overload
def tool(func: Callable[..., Any], **options: Any) -> FunctionTool: ...


@overload
def tool(
    func: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    schema: type[BaseModel] | Mapping[str, Any] | None = None,
    approval_mode: ApprovalMode | None = None,
    kind: str | None = None,
    max_invocations: int | None = None,
    max_invocation_exceptions: int | None = None,
    additional_properties: dict[str, Any] | None = None,
    result_parser: Callable[[Any], str | list[Content]] | None = None,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...


def tool(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    schema: type[BaseModel] | Mapping[str, Any] | None = None,
    **options: Any,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a function a tool, with or without parentheses.

    In the signature, `Annotated[T, "text"]` describes a parameter; one without annotation is a string.

    Args:
        func: The function.

    Keyword Args:
        name: The function's name unless given.
        description: The function's docstring unless given.
        schema: A pydantic model class or JSON schema, instead of the signature.
        **options: Further keywords of FunctionTool: approval_mode, kind, max_invocations, max_invocation_exceptions,
            additional_properties, result_parser.
    """

    def decorate(function: Callable[..., Any]) -> FunctionTool:
        return FunctionTool(
            name=name or str(getattr(function, "__name__", type(function).__name__)),
            description=(inspect.getdoc(function) or "") if description is None else description,
            func=function,
            input_model=schema,
            **options,
        )

    return decorate if func is None else decorate(func)


# Lists of tools...

ToolTypes: TypeAlias = FunctionTool | Mapping[str, Any] | object
"""A FunctionTool, an MCPTool, a provider's own declaration as a mapping, or an object of its SDK."""


def normalize_tools(tools: ToolTypes | Callable[..., Any] | Sequence[Any] | None) -> list[Any]:
    """One or many tools as a list: plain functions become FunctionTools, everything else stays as it is."""
    if tools is None:
        return []
    given: Any = tools if _is_sequence(tools) else [tools]
    return [one if isinstance(one, (FunctionTool, Mapping)) else _normalize_tool(one) for one in given]


def _is_sequence(tools: Any) -> bool:
    return isinstance(tools, list) or (isinstance(tools, Sequence) and not isinstance(tools, (str, bytes)))


def _normalize_tool(one: Any) -> Any:
    return one if is_mcp_tool(one) or not callable(one) else tool(one)


def is_mcp_tool(one: Any) -> bool:
    """Whether this is an MCPTool: a server with functions, rather than a function."""
    return bool(mcp_tools([one]))


def mcp_tools(tools: Iterable[Any]) -> list[MCPTool]:
    """Those of the tools that are servers with functions, rather than functions."""
    server_class = _mcp_tool_class()
    # Almost all tools are functions, for which the first question alone has a short way in Python.
    return [one for one in tools if not isinstance(one, FunctionTool) and isinstance(one, server_class)]


@cache
def _mcp_tool_class() -> type[MCPTool]:
    """MCPTool, whose module needs this one. Kept, because an import takes as long as looking at fifty tools."""
    from ._mcp import MCPTool

    return MCPTool


DUPLICATE_TOOL_NAME: Final[str] = "Tool names must be unique."


def get_tool_name(one: Any) -> str | None:
    """The name under which the model would call a tool, or None for a provider's own kinds."""
    # Almost all tools are functions, and asking whether something is a Mapping takes longer than all the rest.
    if isinstance(one, FunctionTool) or not isinstance(one, Mapping):
        name = getattr(one, "name", None)
    else:
        function = one.get("function")
        name = function.get("name") if isinstance(function, Mapping) else one.get("name")
    return name if isinstance(name, str) else None


def append_unique_tools(existing: list[Any], new: Iterable[Any], *, advice: str = DUPLICATE_TOOL_NAME) -> list[Any]:
    """Append tools to a list and return it; the same object twice is one tool.

    Takes a time that is proportional to the number of tools.

    Raises:
        ValueError: Two different tools have the same name.
    """
    seen = set(map(id, existing))  # the list keeps them alive, so that no other object gets the id of one
    by_name = {name: one for one in existing if (name := get_tool_name(one)) is not None}
    for one in new:
        if id(one) in seen:
            continue
        name = get_tool_name(one)
        known = one if name is None else by_name.setdefault(name, one)
        if known is one:
            seen.add(id(one))
            existing.append(one)
        elif not _is_same_tool(one, known):
            raise ValueError(f"Duplicate tool name '{name}'. {advice}")
    return existing


def functions_by_name(tools: Sequence[Any]) -> dict[str, FunctionTool]:
    """The FunctionTools among the tools, by their names.

    Raises:
        ValueError: Two different tools have the same name.
    """
    by_name = {one.name: one for one in tools if isinstance(one, FunctionTool)}
    if len(by_name) == len(tools):
        return by_name  # nothing but functions, each with a name of its own
    return {one.name: one for one in append_unique_tools([], tools) if isinstance(one, FunctionTool)}


def _is_same_tool(one: Any, other: Any) -> bool:
    if not (isinstance(one, FunctionTool) and isinstance(other, FunctionTool)):
        return bool(one == other)
    # A plain function given twice is wrapped twice, and each access to a method makes a new bound copy.
    return one.func is not None and one.func == other.func and one._instance is other._instance
