# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""How messages, logs and ``repr`` name a server, without anything secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_NO_URL = "<not a URL>"  # what looks like its scheme or its host may be the beginning of a password

COMMAND_LINE_LENGTH = 200
"""How many characters of a command line a message shows."""


@dataclass(frozen=True)
class Server:
    """Who is at the other end.

    Attributes:
        name: The name of the tool that talks to it.
        url: Its address, without userinfo, query and fragment, or None.
        command: The command that starts it, or None.
        args: That command's arguments.
    """

    name: str
    url: str | None = None
    command: str | None = None
    args: Sequence[str] = ()

    @property
    def command_line(self) -> str:
        """The command with its arguments, cut where it becomes unreadable."""
        # A message about a wrong value must not fail because of it: attributes can be assigned whatever they like.
        line = " ".join(map(str, [self.command or "", *self.args]))
        return line if len(line) <= COMMAND_LINE_LENGTH else line[: COMMAND_LINE_LENGTH - 1] + "…"

    def __str__(self) -> str:
        if self.url is not None:
            return f"'{self.name}' at {self.url}"
        return f"'{self.name}' ({self.command_line})" if self.command is not None else f"'{self.name}'"


def public_url(url: object) -> str:
    """A URL without the parts that can carry secrets: userinfo, query and fragment (RFC 3986, section 3)."""
    try:
        parts = urlsplit(str(url))
        parts.port  # noqa: B018  # raises, too
    except ValueError:
        return _NO_URL
    if not parts.netloc:
        return _NO_URL
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
