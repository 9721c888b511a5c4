# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Which of the values that a call brings along reach the server. Pure functions.

A call of a tool can carry more than the model's arguments: values of the run, such as a user's token, and values of the
framework. A server sees what it has declared, and what the user has named for it; values of the run never by chance.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import ToolExecutionException
from ._context import run_values
from ._json_object import read_arguments

EVERY_TOOL = "*"
"""The key under which extra argument names are for every tool."""

FRAMEWORK_ARGUMENTS = frozenset(
    ["chat_options", "conversation_id", "options", "response_format", "session", "thread", "tool_choice", "tools"]
)
"""Names with which the framework calls functions; from a run they are not sent unless the user has named them."""

OPTIONS = frozenset(["_meta", "_timeout"])
"""The keywords of ``call_tool`` that are no arguments."""

_LABEL = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_META_KEY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*/)?(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?")


@dataclass(frozen=True)
class Declared:
    """What a tool or prompt declares.

    Attributes:
        names: Its parameters.
        takes_any: Whether it takes others too.
    """

    names: Collection[str] = ()
    takes_any: bool = True

    def takes(self, name: str) -> bool:
        """Whether an argument of this name is sent."""
        return self.takes_any or name in self.names


def declared_by_schema(schema: Mapping[str, Any] | None) -> Declared:
    """What the input schema of a tool declares; None for a tool that was not listed.

    A schema that does not speak of properties declares nothing, and forbids nothing; an empty object of them does.
    """
    if schema is None or "properties" not in schema:
        return Declared()
    return Declared(schema["properties"] or (), schema.get("additionalProperties") not in (None, False))


@dataclass(frozen=True)
class Given:
    """What a caller gives to a call.

    Attributes:
        arguments: Values by name, those of the run included.
        declared: What the tool or prompt declares.
        options: Those of ``OPTIONS`` that count for this call.
        doubtful: Names of arguments that may be there by chance, because code of the framework passes them on.
    """

    arguments: dict[str, Any]
    declared: Declared
    options: dict[str, Any] = field(default_factory=dict)
    doubtful: frozenset[str] = frozenset()


def gather(
    what: str,
    positional: tuple[Any, ...],
    keywords: Mapping[str, Any],
    declared: Declared,
    options: Collection[str] = (),
) -> Given:
    """Gather what a caller gives: keywords, and one mapping, either positional or as ``arguments=``.

    Args:
        what: The tool or prompt, for messages.
        positional: The mapping, if it has no name.
        keywords: The keywords. ``arguments`` is the mapping, unless the tool declares a parameter of that name.
        declared: What the tool or prompt declares.
        options: The keywords that are no arguments. In the mapping such a name is an argument like any other.

    Raises:
        TypeError: There are two mappings, or what is given as one is none, or it repeats a keyword.
    """
    arguments = {name: value for name, value in keywords.items() if name not in options}
    doubtful = frozenset() if run_values.get() is not None else FRAMEWORK_ARGUMENTS & arguments.keys()
    mappings = [*positional]
    if "arguments" in arguments and "arguments" not in declared.names:
        mappings.append(arguments.pop("arguments"))
    if len(mappings) > 1:
        raise TypeError(f"{what} takes one mapping of arguments, not {len(mappings)}.")
    for mapping in mappings:
        arguments |= _checked_mapping(what, mapping, arguments)
    return Given(arguments, declared, {name: keywords[name] for name in options if name in keywords}, doubtful)


def _checked_mapping(what: str, mapping: Any, keywords: Collection[str]) -> dict[str, Any]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise TypeError(f"The arguments of {what} must be a mapping, not {type(mapping).__name__}.")
    if unnamed := [name for name in mapping if not isinstance(name, str)]:
        raise TypeError(f"The arguments of {what} must have strings as names, not {unnamed[0]!r}.")
    if twice := [name for name in mapping if name in keywords]:
        raise TypeError(f"{what} was given two values for {', '.join(map(repr, twice))}.")
    return dict(mapping)


def spread(
    arguments: Mapping[str, Any], run: Mapping[str, Any], taken: Collection[str], declared: Declared
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """How a model's arguments over the values of its run are passed to ``call_tool`` or ``get_prompt``.

    Subclasses override these methods, so each value is a keyword, as far as its name is not one that the method has
    for something else; what a model gives under such a name is in a mapping.

    Args:
        arguments: What the model gives.
        run: The values of the run. Options among them count.
        taken: Names that are no arguments where they are keywords.
        declared: What the tool or prompt declares.

    Returns:
        The positional values and the keywords.
    """
    if "arguments" not in declared.names:
        taken = {*taken, "arguments"}
    merged = {**run, **arguments}
    keywords = {name: value for name, value in merged.items() if name not in taken}
    keywords |= {name: run[name] for name in OPTIONS if name in run}
    mapping = {name: merged[name] for name in taken if name in arguments or (name in run and name not in OPTIONS)}
    if mapping and "arguments" not in declared.names:
        return (), {**keywords, "arguments": mapping}
    return (mapping,) if mapping else (), keywords


def select(given: Given, extra: Collection[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """What of a call's arguments is sent.

    Args:
        given: The arguments of the call.
        extra: Names that the user lets through.

    Returns:
        The arguments, and the names that were held back although somebody gave them on purpose.
    """
    from_run, declared = run_values.get() or frozenset(), given.declared
    arguments: dict[str, Any] = {}
    held_back: list[str] = []
    for name, value in given.arguments.items():
        on_purpose = name not in from_run and name not in given.doubtful
        is_declared = name in declared.names and not (name in from_run and name in FRAMEWORK_ARGUMENTS)
        if name in extra or is_declared or (declared.takes_any and on_purpose):
            arguments[name] = value
        elif on_purpose:
            held_back.append(name)
    return arguments, held_back


def require_an_object(what: str, arguments: Mapping[str, Any], declared: Declared, extra: Collection[str] = ()) -> None:
    """See that a model's arguments could be read.

    ``Content.parse_arguments`` gives ``{"raw": ...}`` for what is no JSON object, and upstream's hosts pass that on. A
    function that does not know the name would run with no arguments at all.

    Raises:
        ToolExecutionException: They could not, and nothing is to be run.
    """
    if arguments.keys() != {"raw"} or declared.takes("raw") or "raw" in extra or arguments["raw"] is None:
        return
    sentence = f"{what} has no parameter 'raw', which stands for arguments that are no JSON object; nothing was run"
    try:
        read_arguments(arguments["raw"])
    except ValueError as error:
        raise ToolExecutionException(f"{sentence}: {error}.") from error
    raise ToolExecutionException(f"{sentence}.")


def require_numbers_of_json(what: str, arguments: Mapping[str, Any]) -> None:
    """See that all numbers can be sent; infinite ones and NaN would become null on the way.

    Raises:
        ToolExecutionException: One cannot, and nothing is to be run.
    """
    try:
        bad = next((name for name, value in arguments.items() if not _is_finite(value)), None)
    except RecursionError:
        raise ToolExecutionException(f"The arguments of {what} are nested too deeply; nothing was run.") from None
    if bad is not None:
        raise ToolExecutionException(
            f"Argument {bad!r} of {what} holds a number that JSON does not have (NaN or infinite); nothing was run."
        )


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, (list, tuple)) or all(map(_is_finite, value))


def by_tool(extra: str | Iterable[str] | Mapping[str, str | Iterable[str]] | None) -> dict[str, frozenset[str]]:
    """Extra argument names by tool; a name or several names without a tool are for every tool."""
    if extra is None:
        return {}
    named = extra.items() if isinstance(extra, Mapping) else [(EVERY_TOOL, extra)]
    return {tool: frozenset([names] if isinstance(names, str) else names) for tool, names in named}


def bad_meta_keys(meta: Mapping[str, Any]) -> list[str]:
    """The keys of a ``_meta`` that break MCP's rule for them (MCP, "General fields", ``_meta``)."""
    return [key for key in meta if not _META_KEY.fullmatch(key) or not key]


def as_prompt_arguments(given: Mapping[str, Any]) -> dict[str, str]:
    """Values as the strings that prompts take; what is no string becomes JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value, default=str) for name, value in given.items()}
