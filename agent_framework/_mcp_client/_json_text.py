# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The JSON text of a message, looked at without reading it: how much it holds, and whose answer it is if it is one.

Reading JSON makes objects, each many times as large as its text: a message of the permitted length may be one text, as
files and pictures are, or twenty million empty lists, which hold the event loop for half a minute and take gigabytes.
"""

from __future__ import annotations

import re

MAX_VALUES = 500_000
"""How many JSON values a message may hold. Reading and checking one takes about a microsecond; ten thousand tools, or a
table of a hundred thousand numbers, are half as many."""

_JSONRPC = r'"jsonrpc"\s*:\s*"2\.0"'
_ID = r'"id"\s*:\s*(-?\d{1,18}(?![\d.eE])|"[^"\\]{0,256}")'
_OUTCOME = r'"(?:result|error)"\s*:'
# An id is looked for before the outcome and behind it, where servers write it; never within, where it is the tool's.
_ID_BEFORE = re.compile(rf"\s*\{{\s*(?:{_JSONRPC}\s*,\s*)?{_ID}\s*,\s*(?:{_JSONRPC}\s*,\s*)?{_OUTCOME}")
_ID_BEHIND = re.compile(rf",\s*(?:{_JSONRPC}\s*,\s*)?{_ID}\s*(?:,\s*{_JSONRPC}\s*)?\}}\s*\Z")
_OUTCOME_FIRST = re.compile(rf"\s*\{{\s*(?:{_JSONRPC}\s*,\s*)?{_OUTCOME}")
_EDGE = 1024  # how much of either end of a message is searched, in characters


def holds_too_much(text: str | bytes) -> bool:
    """Whether a message holds more than ``MAX_VALUES`` values. Takes a small part of the time that reading it takes."""
    # Almost every message is told by its length: a value takes two characters at least, one of which is a separator.
    if len(text) <= 2 * MAX_VALUES:
        return False
    text = _text(text)
    return _separators(text) > MAX_VALUES and _holds_too_much_outside_strings(text)


def _text(given: str | bytes) -> str:
    return given if isinstance(given, str) else given.decode("utf-8", "replace")


def _separators(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _holds_too_much_outside_strings(text: str) -> bool:
    plain = text.replace("\\\\", "").replace('\\"', "")  # what is left of quotes begins and ends strings
    if plain.count('"') > 4 * MAX_VALUES:  # two for each value, and two for its name
        return True
    return sum(_separators(part) for part in plain.split('"')[::2]) > MAX_VALUES


def id_of_answer(text: str | bytes) -> int | str | None:
    """The id of an answer that cannot be read as JSON; None for what does not look like one."""
    head, tail = _text(text[:_EDGE]), _text(text[-_EDGE:])
    found = _ID_BEFORE.match(head)
    if found is None and _OUTCOME_FIRST.match(head):
        found = _ID_BEHIND.search(tail)
    if found is None:
        return None
    return found[1].strip('"') if found[1].startswith('"') else int(found[1])
