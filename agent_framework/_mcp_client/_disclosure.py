# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Progressive disclosure: a model sees three loaders, and loads of a large server what it needs.

The host must be able to change the tools of a run that is under way (``FunctionInvocationContext.add_tools``;
agent-framework-core 1.8 and later).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import ToolExecutionException
from . import _naming

if TYPE_CHECKING:
    from .._middleware import FunctionInvocationContext
    from .._tools import FunctionTool

LIST = "list_mcp_tools"
LOAD = "load_tool"
UNLOAD = "unload_tool"

_ONE_OR_MORE = {
    "type": "object",
    "properties": {
        "tool": {
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "One name, or several.",
        }
    },
    "required": ["tool"],
}


def check_host() -> None:
    """See whether the host can do it.

    Raises:
        NotImplementedError: It cannot.
    """
    from .. import _middleware

    if not hasattr(_middleware.FunctionInvocationContext, "add_tools"):
        raise NotImplementedError(
            "use_progressive_disclosure needs a host that can change the tools of a run that is under way, "
            "as agent-framework-core 1.8 and later can; this one cannot."
        )


class Disclosure:
    """What a model sees of a server.

    Args:
        offered: All functions that the user allows, as they are now.
        prefix: The prefix of their names, as it is now.
        always: Names of functions that are there from the beginning and cannot be unloaded.
        remote_name: Tells the server's own name of a function.
    """

    def __init__(
        self,
        offered: Callable[[], list[FunctionTool]],
        prefix: Callable[[], str | None],
        always: Collection[str],
        remote_name: Callable[[FunctionTool], str],
    ) -> None:
        self._offered = offered
        self._prefix = prefix
        self._always = frozenset(always)
        self._remote_name = remote_name
        self._loaded: set[str] = set()
        self._loaders: list[FunctionTool] = []

    def functions(self) -> list[FunctionTool]:
        """The loaders, what is always there, and what was loaded."""
        return [*self._loader_tools(), *(item for item in self._loadable() if self._is_shown(item))]

    def _loadable(self) -> list[FunctionTool]:
        reserved = self._reserved()
        return [item for item in self._offered() if item.name not in reserved]

    def _reserved(self) -> set[str]:
        return {_naming.exposed_name(name, self._prefix()) for name in (LIST, LOAD, UNLOAD)}

    def _is_shown(self, function: FunctionTool) -> bool:
        return function.name in self._loaded or self._is_fixed(function)

    def _is_fixed(self, function: FunctionTool) -> bool:
        return bool(self._names(function) & self._always)

    def _names(self, function: FunctionTool) -> set[str]:
        return {function.name, self._remote_name(function)}

    def _loader_tools(self) -> list[FunctionTool]:
        # The same objects every time: hosts take a second object of the same name for another tool.
        if {item.name for item in self._loaders} != self._reserved():
            self._loaders = [
                self._loader(LIST, self._list, "Lists the tools of this server.", {"type": "object", "properties": {}}),
                self._loader(LOAD, self._load, "Makes tools of this server callable from the next step.", _ONE_OR_MORE),
                self._loader(UNLOAD, self._unload, "Takes tools away that are no longer needed.", _ONE_OR_MORE),
            ]
        return self._loaders

    def _loader(self, name: str, function: Callable[..., Any], description: str, schema: Any) -> FunctionTool:
        from .._tools import FunctionTool

        return FunctionTool(
            func=function,
            name=_naming.exposed_name(name, self._prefix()),
            description=description,
            approval_mode="never_require",
            input_model=schema,
        )

    # What the model calls ...

    # What it gives and they do not declare is left out.

    def _list(self, /, ctx: FunctionInvocationContext, **undeclared: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": item.name,
                "remote_name": self._remote_name(item),
                "description": item.description,
                "parameters": item.parameters(),
                "approval_mode": item.approval_mode,
                "loaded": self._is_shown(item) or item.name in _live_names(ctx),
                "always_loaded": self._is_fixed(item),
            }
            for item in self._loadable()
        ]

    async def _load(self, /, ctx: FunctionInvocationContext, tool: str | Sequence[str], **undeclared: Any) -> str:
        _require_run(ctx, LOAD)
        lines: list[str] = []
        chosen: dict[str, FunctionTool] = {}
        for name in _requested(tool):
            function = self._found(name, lines)
            if function is None:
                continue
            if function.name in chosen or function.name in _live_names(ctx):
                lines.append(f"'{function.name}' is loaded already.")
            else:
                chosen[function.name] = function
                lines.append(f"'{function.name}' is loaded; call it in the next step.")
        if chosen:
            _change(ctx, "add_tools", list(chosen.values()))
            self._loaded.update(chosen)
        return "\n".join(lines) or "Nothing was asked for."

    async def _unload(self, /, ctx: FunctionInvocationContext, tool: str | Sequence[str], **undeclared: Any) -> str:
        _require_run(ctx, UNLOAD)
        lines: list[str] = []
        chosen: list[str] = []
        for name in _requested(tool):
            function = self._found(name, lines)
            if function is None:
                continue
            if self._is_fixed(function):
                lines.append(f"'{function.name}' is always loaded and stays.")
            elif function.name in chosen or not (function.name in self._loaded or function.name in _live_names(ctx)):
                lines.append(f"'{function.name}' is not loaded.")
            else:
                chosen.append(function.name)
                lines.append(f"'{function.name}' is unloaded.")
        if chosen:
            _change(ctx, "remove_tools", chosen)
            self._loaded.difference_update(chosen)
        return "\n".join(lines) or "Nothing was asked for."

    def _found(self, name: str, lines: list[str]) -> FunctionTool | None:
        """The one function with that name; otherwise a line that says why there is none."""
        fitting = [item for item in self._offered() if name in self._names(item)]
        loadable = [item for item in fitting if item.name not in self._reserved()]
        if len(loadable) == 1:
            return loadable[0]
        if loadable:
            lines.append(f"'{name}' fits several tools; use one of {', '.join(item.name for item in loadable)}.")
        elif fitting or name in self._reserved():
            lines.append(f"'{name}' is the name of a loader here; a tool_name_prefix would tell them apart.")
        else:
            there = ", ".join(item.name for item in self._loadable()) or "nothing"
            lines.append(f"'{name}' is not there; there is {there}.")
        return None


def _requested(tool: Any) -> list[str]:
    names = [tool] if isinstance(tool, str) else tool
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ToolExecutionException("'tool' must be the name of a tool or a list of names.")
    return list(names)


def _live_names(ctx: Any) -> set[str]:
    return {getattr(item, "name", "") for item in ctx.tools or ()}


def _require_run(ctx: Any, what: str) -> None:
    if ctx.tools is None:
        raise ToolExecutionException(f"{what} works only inside an agent's run.")


def _change(ctx: Any, method: str, tools: list[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the host calls this experimental was the user's choice to make
        getattr(ctx, method)(tools)
