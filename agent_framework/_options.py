# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Options of a chat request: their names, how they are merged, and what is checked before a request is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, cast

from typing_extensions import TypedDict, TypeVar

from .exceptions import ContentError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ._tools import ToolTypes

ResponseModelT = TypeVar("ResponseModelT", bound="BaseModel | None", default=None, covariant=True)

_TOOL_MODES = ("auto", "required", "none")
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}


class ToolMode(TypedDict, total=False):
    """Whether the model may, must or must not call tools. ``required_function_name`` goes with "required" only."""

    mode: Literal["auto", "required", "none"]
    required_function_name: str


class _ChatOptionsBase(TypedDict, total=False):
    """The options that every chat client knows."""

    # What is asked of the model.
    model: str
    instructions: str
    response_format: type[BaseModel] | Mapping[str, Any] | None
    max_tokens: int
    stop: str | Sequence[str]

    # Which tools it has.
    tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None
    tool_choice: ToolMode | Literal["auto", "required", "none"]
    allow_multiple_tool_calls: bool

    # How it picks its words.
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[str | int, float]
    seed: int

    # What the provider keeps.
    conversation_id: str
    store: bool
    user: str
    metadata: dict[str, Any]


if TYPE_CHECKING:

    class ChatOptions(_ChatOptionsBase, Generic[ResponseModelT], total=False):
        """Options for one request or for all requests of a client or agent; providers derive from it to add theirs.

        The type argument is the type of ``response.value`` when ``response_format`` is a pydantic model.
        """

        # mypy and pyright see the class of the structured answer through this key.
        response_format: type[ResponseModelT] | Mapping[str, Any] | None  # type: ignore[misc]

else:

    class ChatOptions(_ChatOptionsBase, Generic[ResponseModelT], total=False):
        """Options for one request or for all requests of a client or agent; providers derive from it to add theirs."""


def validate_tool_mode(tool_choice: ToolMode | Mapping[str, Any] | str | None) -> ToolMode | None:
    """Bring a tool choice into its long form.

    Returns:
        None for None.

    Raises:
        ContentError: The mode is unknown or missing, or a function is named with a mode other than "required".
    """
    if tool_choice is None:
        return None
    choice = tool_choice if isinstance(tool_choice, Mapping) else {"mode": tool_choice}
    mode = choice.get("mode")
    if mode not in _TOOL_MODES:
        raise ContentError(f"tool_choice must have one of the modes {', '.join(_TOOL_MODES)}; it is {tool_choice!r}.")
    if mode != "required" and "required_function_name" in choice:
        raise ContentError(f"tool_choice names a required function, but its mode is {mode}.")
    return cast("ToolMode", dict(choice))


def merge_chat_options(base: Mapping[str, Any] | None, override: Mapping[str, Any] | None) -> dict[str, Any]:
    """Merge two sets of options into a new dictionary; neither is changed.

    Instructions are joined by a newline, tools united, metadata and logit_bias merged; of the rest, and of their
    entries, the override's win. None in the override means: not given.
    """
    merged = dict(base or {})
    for key, value in (override or {}).items():
        if value is None:
            continue
        merger = _MERGERS.get(key)
        present = merged.get(key)
        merged[key] = value if present is None else merger(present, value) if merger else value
    return merged


def _merge_instructions(base: str, override: str) -> str:
    return "\n".join(text for text in (base, override) if text)


def _merge_tools(base: Any, override: Any) -> list[Any]:
    """Both, each object once, and of mappings that are equal the first."""
    from ._function_tool import get_tool_name

    united: list[Any] = []
    seen: set[int] = set()
    mappings: dict[str | None, list[Mapping[str, Any]]] = {}
    for tool in (*_as_tools(base), *_as_tools(override)):
        if id(tool) in seen:
            continue
        if isinstance(tool, Mapping):
            namesakes = mappings.setdefault(get_tool_name(tool), [])  # what is equal has the same name
            if tool in namesakes:
                continue
            namesakes.append(tool)
        seen.add(id(tool))
        united.append(tool)
    return united


def _as_tools(tools: Any) -> Sequence[Any]:
    return tools if isinstance(tools, (list, tuple)) else [tools]


def _merge_mappings(base: Mapping[Any, Any], override: Mapping[Any, Any]) -> dict[Any, Any]:
    return {**base, **override}


_MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "instructions": _merge_instructions,
    "tools": _merge_tools,
    "metadata": _merge_mappings,
    "logit_bias": _merge_mappings,
}


async def validate_chat_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the options and make their tools ready for a request.

    Returns:
        A new dictionary; see ``validate_tools`` for its tools.

    Raises:
        ValueError: A number is out of its range.
        TypeError: A number is none.
        ToolException: An MCP tool could not be connected.
    """
    checked = dict(options)
    for name, (low, high) in _RANGES.items():
        value = _number(checked, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}; it is {value}.")
    max_tokens = _number(checked, "max_tokens")
    if max_tokens is not None and max_tokens < 1:
        raise ValueError(f"max_tokens must be at least 1; it is {max_tokens}.")
    if "tools" in checked:
        checked["tools"] = await validate_tools(checked["tools"])
    return checked


def _number(options: Mapping[str, Any], name: str) -> float | None:
    value = options.get(name)
    if value is not None and not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}.")
    return value


async def validate_tools(
    tools: ToolTypes | Callable[..., Any] | Sequence[ToolTypes | Callable[..., Any]] | None,
) -> list[ToolTypes]:
    """Normalise tools; each MCP tool is connected if need be, and its functions take its place.

    Raises:
        ToolException: An MCP tool could not be connected.
    """
    from ._mcp import MCPTool
    from ._tools import normalize_tools

    ready: list[ToolTypes] = []
    for tool in normalize_tools(tools):
        if not isinstance(tool, MCPTool):
            ready.append(tool)
            continue
        if not tool.is_connected:
            await tool.connect()
        ready.extend(tool.functions)
    return ready
