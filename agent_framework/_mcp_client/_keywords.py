# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The keywords of a constructor beyond its parameters: which are passed on, and what the caller is told of the rest."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_OF_HTTPX = (
    *("auth", "cert", "cookies", "default_encoding", "event_hooks", "follow_redirects", "http1", "http2", "limits"),
    *("max_redirects", "mounts", "params", "proxy", "transport", "trust_env", "verify"),
)
_RENAMED = {"chat_client": "use client", "timeout": "use connect_timeout or request_timeout"}


@dataclass(frozen=True)
class Keywords:
    """The further keywords of one kind of tool.

    Attributes:
        known: Those that have an effect: options of the layer below, and the other name of a parameter.
        fate: The verb for any other.
        advice: What to use in the place of some others.
    """

    known: frozenset[str]
    fate: str
    advice: Mapping[str, str] = field(default_factory=dict)

    def warn_of_unknown(self, owner: type, given: Iterable[str]) -> None:
        """Warn the caller of a constructor of keywords without a meaning, in one warning for all of them.

        Args:
            owner: The class whose constructor was called. Its parameters are proposed for what resembles them.
            given: The keywords that are none of its parameters.
        """
        unknown = [keyword for keyword in given if keyword not in self.known]
        if unknown:
            parameters = [*inspect.signature(owner).parameters, *self.known]
            told = ", ".join(self._told(keyword, parameters) for keyword in unknown)
            # Level 3 is the line that calls the constructor.
            warnings.warn(f"{owner.__name__} has no such parameter and {self.fate}: {told}.", stacklevel=3)

    def _told(self, keyword: str, parameters: list[str]) -> str:
        advice = self.advice.get(keyword)
        if advice is None:
            import difflib  # for a warning only

            near = difflib.get_close_matches(keyword, parameters, n=1)
            advice = f"did you mean {near[0]}?" if near else None
        return repr(keyword) if advice is None else f"{keyword!r} ({advice})"


STDIO = Keywords(
    known=frozenset(["cwd", "encoding_error_handler"]),
    fate="ignores",
    advice={**_RENAMED, **dict.fromkeys(("headers", "static_headers"), "a child process gets env")},
)

STREAMABLE_HTTP = Keywords(
    known=frozenset(["headers"]),
    fate="ignores",
    advice={
        **{option: f"use http_client=httpx.AsyncClient({option}=...)" for option in _OF_HTTPX},
        **_RENAMED,
        "sse_read_timeout": "use http_client=httpx.AsyncClient(timeout=...)",
        "timeout": "use request_timeout, or http_client=httpx.AsyncClient(timeout=...)",
    },
)

WEBSOCKET = Keywords(
    known=frozenset(
        [
            # What websockets 15 and later take, ...
            *("additional_headers", "headers", "close_timeout", "compression", "create_connection", "extensions"),
            *("max_queue", "max_size", "open_timeout", "origin", "ping_timeout", "process_exception", "proxy"),
            *("reconnect_delays", "subprotocols", "user_agent_header", "write_limit"),
            # ... and what they pass on to ``loop.create_connection``.
            *("all_errors", "family", "flags", "happy_eyeballs_delay", "host", "interleave", "local_addr", "port"),
            *("proto", "server_hostname", "sock", "ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout"),
        ]
    ),
    fate="passes on to websockets, which may refuse it",
    advice={**_RENAMED, "static_headers": "use additional_headers", "auth": "use additional_headers"},
)
