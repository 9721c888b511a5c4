# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What we have told a server in confidence, and how it is kept out of what that server makes us say.

Some servers quote what they refuse: a token in the text of an error, a key in the last line of standard error. Errors
are shown and logged, so what we know to be secret is blanked out of them. What a tool returns that did not fail is left
as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHORTEST_WORD = 8
"""How many characters the part of a header needs to be taken for a secret: shorter ones stand in any text."""

SHORTEST_LINE = 4
"""How many characters a line of a variable needs."""

_PUBLIC_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type", "host", "upgrade"}
    | {"last-event-id", "mcp-protocol-version", "sec-websocket-protocol", "user-agent"}
)


def secret_words(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The parts of header values that may be secret, the longest first."""
    values = [value for name, value in headers.items() if name.lower() not in _PUBLIC_HEADERS]
    words = {word for value in values for word in (*value.split(), *re.split(r"[\s,;=\"]+", value))}
    return _longest_first(word for word in words if len(word) >= SHORTEST_WORD)


def secret_lines(values: Iterable[str]) -> tuple[str, ...]:
    """Each line of each value of an environment, as standard error is quoted by the line; the longest first."""
    lines = {line.strip() for value in values for line in value.splitlines()}
    return _longest_first(line for line in lines if len(line) >= SHORTEST_LINE)


def _longest_first(secrets: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(secrets, key=len, reverse=True))


def without(said: Any, secrets: Sequence[str]) -> Any:
    """A text or a JSON value with secrets blanked out wherever they stand in it."""
    if isinstance(said, dict):
        return {name: without(value, secrets) for name, value in said.items()}
    if isinstance(said, list):
        return [without(value, secrets) for value in said]
    if isinstance(said, str):
        for secret in secrets:
            said = said.replace(secret, "***")
    return said
