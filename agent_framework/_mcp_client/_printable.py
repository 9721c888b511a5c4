# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Text of a third party as it may be shown: printable, on one line, and bounded.

A server writes names, descriptions, errors and log messages; its process writes to standard error. Shown as they are,
they could move a terminal's cursor, reverse the order of what stands beside them, or end a line of the log and forge
the next one. So each text passes through here where it enters an error, a log record or a span. What goes to the model
or to the program as data (results, descriptions, ``MCPToolError.text``) stays as the server sent it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

TEXT_LIMIT = 2000
"""How much of a server's text one error or one log record quotes, in characters: the end of a traceback, or several
sentences."""

ERROR_LIMIT = 2 * TEXT_LIMIT
"""How long the message of an ``MCPError`` may be, in characters: what it quotes, and the sentence around it."""

NAME_LIMIT = 256
"""How long a name that a server gives may be, in characters: by MCP 128 should do for a tool, and model providers take
fewer."""

# What colours the output of a terminal (ECMA-48, "control sequence"), in both spellings of its introducer.
_CONTROL_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]")


def printable(text: object, limit: int = TEXT_LIMIT) -> str:
    """A text on one line, without what a terminal or a log viewer would obey, and cut where it becomes too long.

    White space, line breaks of any kind and other characters that ``str.isprintable`` does not accept (controls, marks
    that change the direction of writing, halves of surrogate pairs) become spaces, several of them one.

    Args:
        text: What to show, by its ``str``.
        limit: How many characters of it are looked at.
    """
    whole = str(text)
    shown = whole[:limit]
    if not shown.isprintable():
        shown = " ".join(printable_line(shown).split())
    return shown if len(whole) <= limit else f"{shown}…"


def printable_line(line: str) -> str:
    """A line of output as it may be passed on: with its tabs and all its spaces, and without what a terminal obeys."""
    if line.isprintable():
        return line
    plain = _CONTROL_SEQUENCE.sub("", line)
    return "".join(character if character.isprintable() or character == "\t" else " " for character in plain)


def printable_json(value: Any, limit: int = TEXT_LIMIT) -> str:
    """A JSON value as :func:`printable` text: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return printable(value, limit)
    return printable(_first(limit, json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value)), limit)


def printable_names(names: Iterable[object], at_most: int = 10) -> str:
    """Names in a row, each printable and quoted; of many the first ones and how many more there are."""
    quoted = [f"'{printable(name, NAME_LIMIT)}'" for name in names]
    more = f" and {len(quoted) - at_most} more" if len(quoted) > at_most else ""
    return ", ".join(quoted[:at_most]) + more


def _first(limit: int, pieces: Iterable[str]) -> str:
    """The beginning of a text that comes in pieces: all of it, or more than ``limit`` characters."""
    taken: list[str] = []
    length = 0
    for piece in pieces:
        taken.append(piece)
        length += len(piece)
        if length > limit:
            break
    return "".join(taken)
