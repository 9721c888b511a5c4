# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Every setting of the tools, and what it may be: a table for what they share, and one for each transport.

The constructors look a value up here before they keep it, so that a wrong one is an error where it was given. What was
assigned to an attribute later is looked at before the next connection is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Protocol, TypeAlias, TypeVar, get_args

from ._option_checks import (
    Check,
    additional_headers,
    approval,
    arguments,
    command,
    count,
    encoding,
    environment,
    flag,
    folder,
    function,
    headers,
    http_client,
    instance_of,
    interval,
    name,
    names,
    names_by_tool,
    one_of,
    optional,
    plain_function,
    protocol_mode,
    seconds,
    text,
    url,
    with_method,
)
from ._results import ToolResultContent
from ._sampling import check_roots
from ._tasks import MCPTaskOptions

T = TypeVar("T")

Table: TypeAlias = Mapping[str, Check]
"""The settings of one kind of tool, each with what looks at its values."""

Text: TypeAlias = "str | PathLike[str] | float"
"""What is taken as text where a program is to read it: text, a path or a number."""


class URLObject(Protocol):
    """A URL as ``httpx``, ``yarl`` and ``pydantic`` have it; ``str()`` of it is the URL."""

    @property
    def scheme(self) -> Any:
        """The part before ``://``."""

    @property
    def host(self) -> Any:
        """The host, without port."""


def _roots(_setting: str, value: Any) -> Any:
    check_roots(value)
    return value


SHARED: Table = {
    "name": name,
    "description": optional(text),
    "approval_mode": optional(approval),
    "allowed_tools": optional(names),
    "tool_name_prefix": optional(text),
    "load_tools": flag,
    "parse_tool_results": optional(plain_function),
    "load_prompts": flag,
    "parse_prompt_results": optional(plain_function),
    "session": optional(with_method("call_tool", "a ClientSession")),
    "request_timeout": optional(seconds),
    "client": optional(with_method("get_response", "a chat client")),
    "additional_properties": optional(instance_of(Mapping, "it is kept as it is")),
    "connect_timeout": optional(seconds),
    "additional_tool_argument_names": optional(names_by_tool),
    "progress_callback": optional(function),
    "sampling_approval_callback": optional(function),
    "sampling_max_tokens": optional(count(1)),
    "sampling_max_requests": optional(count(0)),
    "elicitation_callback": optional(function),
    "roots": _roots,
    "task_options": optional(instance_of(MCPTaskOptions, "import it from agent_framework._mcp")),
    "use_progressive_disclosure": flag,
    "always_load": optional(names),
    "max_host_payload_size_bytes": optional(count(1)),
    "tool_result_content": one_of(*get_args(ToolResultContent)),
    "ping_interval": optional(interval),
    "on_state_change": optional(plain_function),
    "optional": flag,
    "protocol_mode": protocol_mode,
}
"""What all tools have."""

STDIO: Table = {
    **SHARED,
    "command": command,
    "args": arguments,
    "env": optional(environment),
    "encoding": optional(encoding),
    "encoding_error_handler": one_of("strict", "ignore", "replace"),
    "cwd": optional(folder),
}

STREAMABLE_HTTP: Table = {
    **SHARED,
    "url": url("http", "https", others=dict.fromkeys(("ws", "wss"), "a websocket is for MCPWebsocketTool")),
    "terminate_on_close": optional(flag),
    "http_client": optional(http_client),
    "header_provider": optional(plain_function),
    "static_headers": optional(headers),
}

WEBSOCKET: Table = {
    **SHARED,
    "url": url("ws", "wss", others=dict.fromkeys(("http", "https"), "HTTP is for MCPStreamableHTTPTool")),
    "additional_headers": optional(additional_headers),
}

CHECKED_AGAIN = (
    *("name", "approval_mode", "allowed_tools", "request_timeout", "connect_timeout", "ping_interval"),
    *("command", "args", "env", "encoding", "url"),
)
"""The attributes that are looked at before a connection is opened: a wrong one would hang, or fail without a reason."""


class Checks:
    """The checks for one tool, whose errors begin with its name.

    Args:
        server: The tool's name; what is no name is left out of the errors.
        table: What its settings may be.
    """

    def __init__(self, server: object, table: Table) -> None:
        self._whose = f"MCP server {server!r}: " if isinstance(server, str) and server else ""
        self._table = table

    def __call__(self, setting: str, value: T) -> T:
        """The value as it is kept.

        Raises:
            TypeError: It is of a type that the setting does not take.
            ValueError: It is of the right type, and yet cannot be meant.
        """
        try:
            return self._table[setting](setting, value)  # type: ignore[no-any-return]
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self._whose}{error}") from error.__cause__

    def either(self, setting: str, value: Any, alias: str, keywords: dict[str, Any]) -> Any:
        """A setting that has two names, as it is kept; the second name is taken out of the keywords.

        Raises:
            TypeError: See above.
            ValueError: Likewise, or both are given, and differ.
        """
        other = keywords.pop(alias, None)
        if value is not None and other is not None and value != other:
            raise ValueError(f"{self._whose}{setting} and {alias} are the same setting; give it once.")
        return self(setting, value if other is None else other)

    def known(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Keywords of which the table need not have all."""
        return {key: self(key, value) if key in self._table else value for key, value in given.items()}


def check_again(tool: Any, table: Table) -> None:
    """Look at what may have been assigned to a tool since it was made, and keep it as the constructor would have.

    Raises:
        TypeError: See :class:`Checks`.
        ValueError: Likewise.
    """
    check = Checks(tool.name, table)
    for setting in CHECKED_AGAIN:
        if setting in table:
            value = getattr(tool, setting)
            kept = check(setting, value)
            if type(kept) is not type(value) or kept != value:
                setattr(tool, setting, kept)
