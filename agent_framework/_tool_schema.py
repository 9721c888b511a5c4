# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""From a Python function to the schema of its arguments, and from arguments to a verdict."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel

_CONTEXT_CLASS = re.compile(r"\bFunctionInvocationContext\b")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CONTEXT_PARAMETERS_KEPT = 256

_context_parameters: dict[Any, str | None] = {}
"""What was found, by the code and the annotations of plain functions whose annotations are text."""


def find_context_parameter(func: Callable[..., Any], *, accept_ctx: bool) -> str | None:
    """The name of the parameter that takes the FunctionInvocationContext.

    No annotation is resolved: the class, a union with it, and source text that names it are recognised as they stand.

    Args:
        func: The function.
        accept_ctx: Also accept a parameter named `ctx` that has no annotation.

    Raises:
        ValueError: More than one parameter takes the context.
    """
    given = func.__dict__ if type(func) is FunctionType else {"__wrapped__": None}
    annotations = getattr(func, "__annotations__", {})
    if given or not all(isinstance(annotation, str) for annotation in annotations.values()):
        return _find_context_parameter(func, accept_ctx)
    # The tools of a server are hundreds of closures of one function, and a signature takes as long as all the rest.
    key = (func.__code__, accept_ctx, *annotations.items())
    if key not in _context_parameters:
        if len(_context_parameters) >= _CONTEXT_PARAMETERS_KEPT:
            _context_parameters.clear()
        _context_parameters[key] = _find_context_parameter(func, accept_ctx)
    return _context_parameters[key]


def _find_context_parameter(func: Callable[..., Any], accept_ctx: bool) -> str | None:
    names = [
        parameter.name
        for parameter in inspect.signature(func).parameters.values()
        if parameter.kind not in _VARIADIC
        and (
            _names_context(parameter.annotation)
            or (accept_ctx and parameter.name == "ctx" and parameter.annotation is inspect.Parameter.empty)
        )
    ]
    if len(names) > 1:
        raise ValueError(f"Only one parameter can take the invocation context, not {', '.join(names)}.")
    return names[0] if names else None


def _names_context(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _CONTEXT_CLASS.search(annotation) is not None
    if isinstance(annotation, typing.ForwardRef):
        return _names_context(annotation.__forward_arg__)
    if get_origin(annotation) is not None:
        return any(_names_context(argument) for argument in get_args(annotation))
    return getattr(annotation, "__name__", None) == "FunctionInvocationContext"


def takes_instance(func: Callable[..., Any]) -> bool:
    """Whether the first parameter says that the function is a method that has not been bound yet."""
    return next(iter(inspect.signature(func).parameters), None) in {"self", "cls"}


def derive_input_model(name: str, func: Callable[..., Any], context_parameter: str | None) -> type[BaseModel]:
    """A pydantic model with one field for each parameter that the model is to fill.

    Raises:
        NameError: An annotation names something that is not defined where the function is.
    """
    from pydantic import create_model

    parameters = list(inspect.signature(func).parameters.values())
    if takes_instance(func):
        parameters = parameters[1:]
    wanted = [one for one in parameters if one.kind not in _VARIADIC and one.name != context_parameter]
    hints = _resolve_hints(func, {one.name for one in wanted})
    fields: dict[str, Any] = {
        one.name: (
            _parse_annotation(hints.get(one.name, str)),
            ... if one.default is inspect.Parameter.empty else one.default,
        )
        for one in wanted
    }
    return create_model(f"{name}_input", **fields)


def _resolve_hints(func: Callable[..., Any], names: set[str]) -> dict[str, Any]:
    """The types of these parameters only: what the others name need not exist at run time."""
    plain = inspect.unwrap(func)
    plain = getattr(plain, "__func__", plain)
    annotations = {name: hint for name, hint in getattr(plain, "__annotations__", {}).items() if name in names}
    try:
        return typing.get_type_hints(
            SimpleNamespace(__annotations__=annotations),
            globalns=getattr(plain, "__globals__", {}),
            localns=_enclosing_names(plain),
            include_extras=True,
        )
    except NameError as error:
        name = getattr(func, "__name__", repr(func))
        raise NameError(f"An annotation of '{name}' cannot be resolved, so it cannot be a tool: {error}") from error


def _enclosing_names(func: Any) -> dict[str, Any]:
    code, cells = getattr(func, "__code__", None), getattr(func, "__closure__", None)
    if code is None or cells is None:
        return {}
    return {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True) if _is_filled(cell)}


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - a cell tells only by raising that its variable has no value yet
    except ValueError:
        return False
    return True


def _parse_annotation(annotation: Any) -> Any:
    """The annotation as pydantic understands it: the first text in Annotated becomes the description."""
    if get_origin(annotation) is not Annotated:
        return annotation
    from pydantic import Field

    kind, *metadata = get_args(annotation)
    text = next((item for item in metadata if isinstance(item, str)), None)
    if text is None:
        return annotation
    parts = (kind, Field(description=text), *(item for item in metadata if item is not text))
    return cast("Any", Annotated)[parts]


# The light check of arguments...

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "null": (type(None),),
}


_SHOWN = 20
"""How many names or values of a list an error shows; a schema may be a third party's, of any length."""

_TEXT_SHOWN = 200
"""How long the text of one of them may be, in characters."""


def check_arguments(arguments: Mapping[str, Any], schema: Mapping[str, Any], tool_name: str) -> None:
    """Compare arguments with the top level of a JSON schema. What is nested is the callee's business.

    Patterns and references are left to the callee too, so that a schema can cost no more than its own length.

    Raises:
        TypeError: Something required is missing, something is not allowed, or a value does not fit its type or enum.
    """
    properties: Mapping[str, Any] = schema.get("properties") or {}
    missing = [name for name in schema.get("required") or () if name not in arguments]
    if missing:
        raise TypeError(f"Arguments of '{tool_name}' lack required: {_enumerated(missing)}.")
    if schema.get("additionalProperties") is False and (unknown := [key for key in arguments if key not in properties]):
        raise TypeError(f"Arguments of '{tool_name}' hold names it does not know: {_enumerated(unknown)}.")
    for name, value in arguments.items():
        if isinstance(wanted := properties.get(name), Mapping):
            _check_value(name, value, wanted, tool_name)


def _check_value(name: str, value: Any, schema: Mapping[str, Any], tool_name: str) -> None:
    allowed = schema.get("enum")
    if isinstance(allowed, Collection) and not isinstance(allowed, (str, Mapping)) and value not in allowed:
        one_of = _enumerated([repr(item) for item in islice(allowed, _SHOWN + 1)])
        raise TypeError(f"Argument '{name}' of '{tool_name}' must be one of [{one_of}], not {_shortened(repr(value))}.")
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, (list, tuple)) or not all(isinstance(kind, str) for kind in kinds):
        return
    if not any(_is_of_type(value, kind) for kind in kinds):
        wanted = _enumerated(kinds, " or ")
        raise TypeError(f"Argument '{name}' of '{tool_name}' must be {wanted}, not {_shortened(repr(value))}.")


def _enumerated(items: Sequence[str], joiner: str = ", ") -> str:
    shown = joiner.join(map(_shortened, items[:_SHOWN]))
    return shown if len(items) <= _SHOWN else f"{shown} ..."


def _shortened(text: str) -> str:
    return text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]}..."


def _is_of_type(value: Any, kind: str) -> bool:
    if kind not in _TYPES:
        return True  # a type from a later draft of the standard: not ours to refuse
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())
