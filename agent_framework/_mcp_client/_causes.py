# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Root causes that our own transports and deadlines find, where no foreign exception says it.

Users meet them only as ``__cause__`` of an ``MCPError``; ``_errors`` turns them into one.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from ._printable import printable


class DeadlinePassed(TimeoutError):
    """A deadline of ours passed.

    Args:
        seconds: The deadline.
        setting: The parameter that sets it.
    """

    def __init__(self, seconds: float, setting: str) -> None:
        super().__init__(seconds, setting)
        self.seconds = seconds

    def __str__(self) -> str:
        # Made for each call that has a deadline, and read for few.
        seconds, setting = self.args
        return f"no answer within {seconds:g} s ({setting})"


class NotMCP(Exception):
    """A peer answered with something that MCP does not know.

    Args:
        text: What it was; it may quote the peer.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class OtherEra(NotMCP):
    """A server describes itself without a handshake, and speaks no version that has none.

    Args:
        versions: The versions that it speaks.
    """

    def __init__(self, versions: Sequence[str]) -> None:
        super().__init__(f"the server speaks only protocol {', '.join(versions)}")


MESSAGE_LIMIT = 64 * 1024 * 1024
"""How long one message of a server may be, in bytes or characters: no model reads as much, pictures included, and a
server that never ends a line must not take all memory."""


def too_long(limit: int = MESSAGE_LIMIT) -> NotMCP:
    """The cause where a message goes beyond a limit in bytes."""
    size = f"{limit // 1024**2} MiB" if limit >= 1024**2 else f"{limit // 1024} KiB"
    return NotMCP(f"the server sent a message of more than {size}")


class UnreadableFile(OSError):
    """A file that the environment names for TLS cannot be read.

    Args:
        variable: The environment variable.
        path: What it names.
        error: Why that cannot be read.
    """

    def __init__(self, variable: str, path: str, error: OSError) -> None:
        super().__init__(error.errno, error.strerror or str(error), path)
        self.variable = variable

    def __str__(self) -> str:
        return f"{self.variable} names {self.filename!r}, which cannot be read ({self.strerror})"


class HTTPRefusal(Exception):
    """The server answered with an HTTP status that is no success.

    Instances are also an ``HTTPStatusError`` of the HTTP library that met it. The text is ours: the library's own
    names the URL with its query, which may hold credentials.

    Args:
        response: The answer.
        error: The JSON-RPC error in its body; empty where there is none.
    """

    def __init__(self, response: Any, error: Mapping[str, Any]) -> None:
        said = error.get("message")
        text = f"HTTP {response.status_code} {response.reason_phrase}".rstrip() + (f": {said}" if said else "")
        super().__init__(printable(text), request=response.request, response=response)  # type: ignore[call-arg]  # see above
        self.response = response
        self.error = error


class ProxyRefusal(ConnectionError):
    """An HTTP proxy refused to pass a request on, or cannot be reached. Its reason is ``__cause__``.

    Args:
        proxy: The proxy and where its address came from, in words.
        reason: What it said, or why it cannot be reached.
    """

    def __init__(self, proxy: str, reason: Exception) -> None:
        super().__init__(proxy, reason)
        self.proxy = proxy
        self.reason = reason


class AnswerMissing(ConnectionError):
    """A stream ended, or was accepted and left empty, without the answer to the request that opened it."""


class SessionExpired(Exception):
    """The server answered 404 to our session id: it has forgotten it, and ran nothing (MCP, "Session Management")."""


class InputRefused(Exception):
    """A server made the result of a request depend on input that it does not get.

    Args:
        method: What it asked for, by its JSON-RPC method.
        reason: Why it does not get that.
    """

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"the server asked for {method}, which was refused: {reason}")


class ServerClosed(ConnectionError):
    """The server closed its side of the connection."""


class ServerExited(ServerClosed):
    """The process of a stdio server ended.

    Args:
        returncode: Its exit code, or minus the number of the signal that ended it, or None while it still runs.
        stderr: The last lines it wrote to standard error.
        closed: What it has closed if it still runs.
    """

    def __init__(self, returncode: int | None, stderr: str, closed: str = "output") -> None:
        super().__init__(_how_it_ended(returncode, closed) + (f"; its last words: {stderr}" if stderr else ""))
        self.returncode = returncode
        self.stderr = stderr


class ServerSilent(ServerClosed):
    """The server gave no sign of life although it was asked for one.

    Args:
        seconds: For how long.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the server gave no sign of life for {seconds:.3g} s (ping_interval)")
        self.seconds = seconds


class StillDialling(TimeoutError):
    """A dial goes on, but whoever waited for it does so no longer, because the one before got no answer either.

    Args:
        seconds: How long the wait was.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s, nor in the attempt before; this one goes on by itself")
        self.seconds = seconds


class OwnerCancelled(ConnectionError):
    """The task that owned the connection was cancelled, as happens when its event loop shuts down."""

    def __init__(self) -> None:
        super().__init__("the task that keeps the connection was cancelled")


class DialGivenUp(OwnerCancelled):
    """Everybody who waited for the connection was cancelled. Nobody closed it, so the next call may open another."""


def _how_it_ended(returncode: int | None, closed: str) -> str:
    if returncode is None:
        return f"the server process closed its {closed}"
    if returncode < 0:
        return f"the server process was ended by signal {_signal_name(-returncode)}"
    return f"the server process exited with code {returncode}"


def _signal_name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal has no name
        return str(number)
