# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Which of the values that a call brings along reach the server. Pure functions.

A call of a tool can carry more than the model's arguments: values of the run, such as a user's token, and values of the
framework. A server sees what it has declared, and what the user has named for it; values of the run never by chance.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ._context import run_values

EVERY_TOOL = "*"
"""The key under which extra argument names are for every tool."""

FRAMEWORK_ARGUMENTS = frozenset(
    ["chat_options", "conversation_id", "options", "response_format", "session", "thread", "tool_choice", "tools"]
)
"""Names with which the framework calls functions; not sent unless the user has named them, even if declared."""

_LABEL = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_META_KEY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*/)?(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?")


def by_tool(extra: str | Iterable[str] | Mapping[str, str | Iterable[str]] | None) -> dict[str, frozenset[str]]:
    """Extra argument names by tool; a name or several names without a tool are for every tool."""
    if extra is None:
        return {}
    named = extra.items() if isinstance(extra, Mapping) else [(EVERY_TOOL, extra)]
    return {tool: frozenset([names] if isinstance(names, str) else names) for tool, names in named}


def select(
    given: Mapping[str, Any], schema: Mapping[str, Any] | None, extra: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """What of a call's values is sent.

    Args:
        given: All values of the call.
        schema: The input schema that the tool was listed with, or None for one that was not.
        extra: Names that the user lets through.

    Returns:
        The arguments, and the names that were held back although neither the run nor the framework brought them.
    """
    declared = (schema or {}).get("properties") or ()
    # A schema that does not speak of properties declares nothing, and forbids nothing; an empty object of them does.
    takes_any = schema is None or "properties" not in schema or schema.get("additionalProperties") not in (None, False)
    from_run = run_values.get()

    arguments: dict[str, Any] = {}
    held_back: list[str] = []
    for name, value in given.items():
        if name in extra:
            arguments[name] = value
        elif name in FRAMEWORK_ARGUMENTS:
            continue
        elif name in declared or (takes_any and name not in from_run):
            arguments[name] = value
        elif name not in from_run:
            held_back.append(name)
    return arguments, held_back


def bad_meta_keys(meta: Mapping[str, Any]) -> list[str]:
    """The keys of a ``_meta`` that break MCP's rule for them (MCP, "General fields", ``_meta``)."""
    return [key for key in meta if not _META_KEY.fullmatch(key) or not key]


def as_prompt_arguments(given: Mapping[str, Any]) -> dict[str, str]:
    """Values as the strings that prompts take; what is no string becomes JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value, default=str) for name, value in given.items()}
