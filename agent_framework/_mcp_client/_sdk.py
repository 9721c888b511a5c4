# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Every name, field and code of the MCP SDK that its releases spell differently, in one place.

Importing this module imports ``mcp``; it is imported when the first connection is opened, never with the package.
Classes that applications and tests replace (``ClientSession``, the transports) are looked up in their own modules at
the moment of use.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, get_args

import anyio
from mcp import types
from mcp.client import session as client_session
from mcp.shared.message import SessionMessage
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from ._causes import NotMCP
from ._json_text import MAX_VALUES, holds_too_much, id_of_answer
from ._printable import NAME_LIMIT, printable
from ._secrets import without
from .sdk import fields
from .sdk.errors import CONNECTION_CLOSED, REQUEST_TIMEOUT, ConnectionEnded, McpError, error_of
from .sdk.messages import bare, decode, encode, wrapped
from .sdk.requests import AnswerFailed, OnProgress, OwnSession
from .sdk.sessions import (
    TELLS_ITS_END,
    NotEntered,
    UnsupportedProtocolVersion,
    ask,
    initialize,
    is_of_the_sdk,
    major,
    make_session,
)

__all__ = [
    "CONNECTION_CLOSED",
    "HANDSHAKE_VERSIONS",
    "MODERN_VERSIONS",
    "REQUEST_TIMEOUT",
    "TELLS_ITS_END",
    "AnswerFailed",
    "BadEntry",
    "ConnectionEnded",
    "McpError",
    "NotEntered",
    "OwnSession",
    "Page",
    "SessionMessage",
    "UnsupportedProtocolVersion",
    "ask",
    "bare",
    "call_tool",
    "cancel_request",
    "capabilities",
    "decode",
    "default_environment",
    "encode",
    "error_of",
    "get_prompt",
    "hide_secrets",
    "incoming_method",
    "initialize",
    "is_answer",
    "is_of_the_sdk",
    "is_session_expired",
    "is_unused",
    "is_valid_notification",
    "list_page",
    "make_error_printable",
    "make_session",
    "may_mean_no_session",
    "meta",
    "negotiated_version",
    "notification_method",
    "read",
    "read_timeout",
    "request_id",
    "sampling_with_tools",
    "set_log_level",
    "size_of",
    "unreadable_answer",
    "was_not_taken",
    "websocket_client",
    "wrapped",
]

SESSION_EXPIRED = 32600
"""The code that the HTTP transport of SDK 1.x gives a request which the server answered with 404. Positive, so that no
JSON-RPC server uses it."""

HANDSHAKE_VERSIONS = major.HANDSHAKE_VERSIONS
MODERN_VERSIONS = major.MODERN_VERSIONS
send_discover = major.send_discover
adopt_discovery = major.adopt_discovery
meta = major.meta
read_timeout = major.read_timeout
incoming_method = major.incoming_method


# Sessions ...


def sampling_with_tools() -> types.SamplingCapability:
    """The capability to sample with the server's tools."""
    return types.SamplingCapability(tools=types.SamplingToolsCapability())


def capabilities(session: Any) -> Any:
    """The ``ServerCapabilities`` that a session's handshake brought; None before it, and where nobody knows."""
    return major.capabilities(session) if is_of_the_sdk(session) else _capabilities_of_a_part(session)


def _capabilities_of_a_part(session: Any) -> Any:
    names = ("server_capabilities", "get_server_capabilities")
    found = next((getattr(session, name) for name in names if hasattr(session, name)), None)
    return found() if callable(found) else found


def negotiated_version(session: Any) -> str | None:
    """The protocol version that a session's handshake agreed on, where that is known."""
    version: str | None = major.negotiated_version(session) if is_of_the_sdk(session) else None
    return version


def is_unused(session: Any) -> bool:
    """Whether the handshake of a session is still to be done."""
    return is_of_the_sdk(session) and major.capabilities(session) is None


def is_session_expired(error: BaseException | None) -> bool:
    """Whether the SDK's HTTP transport says that the server has forgotten the session, and so ran nothing."""
    return isinstance(error, McpError) and error.error.code == SESSION_EXPIRED


def was_not_taken(error: BaseException | None) -> bool:
    """Whether a session says that its transport took no message, so that nothing was sent.

    SDK 2.x raises the same for whatever ends a connection, and leaves the difference in the context.
    """
    inner = error.__context__ if isinstance(error, McpError) and error.error.code == CONNECTION_CLOSED else error
    return isinstance(inner, (anyio.ClosedResourceError, anyio.BrokenResourceError))


def may_mean_no_session(error: BaseException | None) -> bool:
    """Whether a session or a transport of other hands tells its end by this code, which a server may use as well."""
    codes = (CONNECTION_CLOSED, types.INVALID_REQUEST) if TELLS_ITS_END else (CONNECTION_CLOSED,)
    return isinstance(error, McpError) and error.error.code in codes


# Messages ...


def request_id(item: Any) -> types.RequestId | None:
    """The id of the request in a message on its way to the server; None for notifications and answers."""
    message = bare(item)
    return message.id if isinstance(message, types.JSONRPCRequest) else None


_Notifications: Any = types.ServerNotification
_NOTIFICATIONS: dict[str, type[BaseModel]] = {
    kind.model_fields["method"].default: kind
    for kind in get_args(
        _Notifications.model_fields["root"].annotation if hasattr(_Notifications, "model_fields") else _Notifications
    )
}
"""What a server may notify a client of, by method."""


def notification_method(item: Any) -> str | None:
    """The method of a notification; None for anything else."""
    message = bare(item)
    return message.method if isinstance(message, types.JSONRPCNotification) else None


def is_valid_notification(item: Any) -> bool:
    """Whether a notification is one that a server may send, with the params that belong to it."""
    message = bare(item)
    kind = _NOTIFICATIONS.get(message.method)
    try:
        return kind is not None and bool(kind.model_validate(message.model_dump(by_alias=True, exclude_none=True)))
    except ValidationError:
        return False


def is_answer(item: Any) -> bool:
    """Whether it is an answer, be it an error."""
    return isinstance(bare(item), (types.JSONRPCResponse, types.JSONRPCError))


def make_error_printable(item: Any) -> None:
    """Make the message of an answer that is an error printable, in place."""
    message = bare(item)
    if isinstance(message, types.JSONRPCError):
        message.error.message = printable(message.error.message)


def read(text: str | bytes, secrets: Sequence[str]) -> SessionMessage | Exception:
    """What a peer has written, as a session is to see it; an exception for what is no message.

    Args:
        text: One message as JSON.
        secrets: What an error among them must not quote.
    """
    if holds_too_much(text):
        why = f"it holds more than {MAX_VALUES:,} values"
        return _answer_instead(id_of_answer(text), why) or NotMCP(f"a message of the server cannot be read: {why}")
    try:
        item = decode(text)
    except ValueError as error:  # pydantic's ValidationError is one; servers print banners, so this is not the end
        return unreadable_answer(text) or error
    if secrets:
        hide_secrets(item, secrets)
    return item


def hide_secrets(item: SessionMessage, secrets: Sequence[str]) -> None:
    """Blank secrets out of an answer that is an error, in place."""
    message = bare(item)
    if isinstance(message, types.JSONRPCError):
        message.error = message.error.model_copy(update={"message": without(message.error.message, secrets)})
        message.error.data = without(message.error.data, secrets)
    elif isinstance(message, types.JSONRPCResponse) and message.result.get("isError") is True:
        message.result = without(message.result, secrets)


def unreadable_answer(text: str | bytes) -> AnswerFailed | None:
    """What ends the wait for an answer that ``decode`` refuses; None if it is no answer, or nobody's."""
    try:
        message = json.loads(text)
    except ValueError:
        return _answer_instead(id_of_answer(text), "it is not valid JSON")
    except RecursionError:
        return _answer_instead(id_of_answer(text), "it is nested too deeply")
    if not isinstance(message, dict) or "method" in message:
        return None
    return _answer_instead(message.get("id"), "")


def _answer_instead(key: Any, why: str) -> AnswerFailed | None:
    """What stands for an answer that cannot be read; None where no id tells whose it is."""
    if not isinstance(key, (int, str)):
        return None
    sentence = "the answer is not a JSON-RPC response" + (f": {why}" if why else "")
    return AnswerFailed(key, NotMCP(sentence))


# Requests ...


@dataclass(frozen=True)
class BadEntry:
    """An entry of a listing that is not what it should be."""

    name: str
    why: str


@dataclass(frozen=True)
class Page:
    """A page of a listing.

    Attributes:
        entries: The SDK's ``Tool`` or ``Prompt`` objects, and a ``BadEntry`` in the place of each that is none.
        next_cursor: What to ask for the next page with, or None.
        raw: The page as the session gave it.
    """

    entries: list[Any]
    next_cursor: str | None
    raw: Any


class _RawPage(types.PaginatedResult):
    """A page of a listing whose entries nobody has looked at yet."""

    tools: list[Any] = Field(default_factory=list)
    prompts: list[Any] = Field(default_factory=list)


async def list_page(session: Any, kind: str, cursor: str | None) -> Page:
    """One page of tools or prompts. One bad entry costs one entry.

    But on a session of the user's own, SDK 2.x looks at the page before we do, and one bad entry costs the page.

    Raises:
        pydantic.ValidationError: The page itself is not what it should be.
    """
    if not _asks_as_the_sdk(session, f"list_{kind}"):
        params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
        listed = await (session.list_tools if kind == "tools" else session.list_prompts)(params=params)
        return Page(getattr(listed, kind), fields.next_cursor(listed), listed)
    page = _RawPage.model_validate(await ask(session, f"{kind}/list", {"cursor": cursor} if cursor else None))
    entry_type = types.Tool if kind == "tools" else types.Prompt
    return Page([_entry(entry_type, raw) for raw in getattr(page, kind)], fields.next_cursor(page), page)


def size_of(page: Page) -> int:
    """How long a page of a listing is, in bytes of JSON."""
    return len(to_json(page.raw, by_alias=True, exclude_none=True, fallback=str))


def _entry(entry_type: Any, raw: Any) -> Any:
    if isinstance(raw, dict) and raw.get("inputSchema", "") is None:
        raw = {**raw, "inputSchema": {"type": "object"}}
    try:
        entry = entry_type.model_validate(raw)
        why_not = major.why_not_mirrored(raw.get("inputSchema")) if entry_type is types.Tool else None
        return entry if why_not is None else BadEntry(entry.name, why_not)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = raw.get("name", "?") if isinstance(raw, dict) else "?"
        return BadEntry(
            printable(name, NAME_LIMIT), printable(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
        )


def note_tools(session: Any, tools: Sequence[Any]) -> None:
    """Tell a session of ours which tools there are: some want arguments in HTTP headers."""
    if isinstance(session, OwnSession):
        session.note_tools({tool.name: fields.input_schema(tool) for tool in tools})


async def ask_for_life(session: Any) -> None:
    """Ask the server for a sign of life: a ping, or what stands for it where the protocol has none."""
    version = negotiated_version(session)
    if version in MODERN_VERSIONS:
        await send_discover(session, version)
    else:
        await session.send_ping()


def listed_changes(capabilities: Any) -> dict[str, bool]:
    """Which changes of lists a server announces, by the names of a subscription's parameters."""
    kinds = {kind: getattr(capabilities, kind, None) for kind in ("tools", "prompts")}
    return {f"{kind}_list_changed": True for kind, one in kinds.items() if one and fields.if_there(one, "listChanged")}


def subscribed(session: Any, changes: Mapping[str, bool]) -> Any:
    """A context manager of a subscription to changes, which iterates over them (SDK 2.x)."""
    return importlib.import_module("mcp.client.subscriptions").listen(session, **changes)


def is_no_such_method(error: Exception) -> bool:
    """Whether the server says that it does not know a method."""
    return isinstance(error, McpError) and error.error.code == types.METHOD_NOT_FOUND


def server_info(session: Any, opened: Any) -> Any:
    """The server's ``Implementation``, where it has said: in the handshake, or in the ``_meta`` of its description."""
    if opened is None or negotiated_version(session) not in MODERN_VERSIONS:
        return fields.if_there(opened, "serverInfo")
    return session.server_info


async def call_tool(
    session: Any,
    name: str,
    arguments: dict[str, Any],
    *,
    meta: dict[str, Any] | None,
    read_timeout: float | None = None,
    progress_callback: OnProgress | None = None,
) -> types.CallToolResult:
    """Call a tool, and take its result as it is.

    ``ClientSession.call_tool`` would check the result against the tool's output schema, in pure Python and at any cost,
    and would list all tools first if it has not seen this one.

    Args:
        session: The session to call through. One with a ``call_tool`` of its own, such as a test's double, is asked by
            that.
        name: The server's own name of the tool.
        arguments: What it gets.
        meta: The request's ``_meta``, or None.
        read_timeout: How long this answer may take, in seconds, instead of the session's own limit; infinite for ever,
            None for that limit.
        progress_callback: Called with progress, total and message when the server reports on the call.
    """
    if not _asks_as_the_sdk(session, "call_tool"):
        options: dict[str, Any] = {} if progress_callback is None else {"progress_callback": progress_callback}
        if read_timeout is not None:
            options["read_timeout_seconds"] = major.read_timeout(read_timeout)
        result: types.CallToolResult = await session.call_tool(name, arguments=arguments, meta=meta, **options)
        return result
    params = {"name": name, "arguments": arguments, **({"_meta": meta} if meta else {})}
    answer = await ask(session, "tools/call", params, timeout=read_timeout, on_progress=progress_callback)
    return types.CallToolResult.model_validate(answer, by_name=False)


async def get_prompt(session: Any, name: str, arguments: dict[str, str]) -> types.GetPromptResult:
    """Get a prompt, filled in."""
    if not _asks_as_the_sdk(session, "get_prompt"):
        result: types.GetPromptResult = await session.get_prompt(name, arguments=arguments)
        return result
    answer = await ask(session, "prompts/get", {"name": name, "arguments": arguments})
    return types.GetPromptResult.model_validate(answer, by_name=False)


def _asks_as_the_sdk(session: Any, name: str) -> bool:
    """Whether a method of a session is the SDK's own, so that the request can go its shorter way."""
    if not is_of_the_sdk(session):
        return False
    method = getattr(getattr(session, name), "__func__", None)
    return method is not None and method is getattr(client_session.ClientSession, name, None)


async def cancel_request(session: Any, id: types.RequestId, reason: str) -> None:
    """Tell the server that nobody waits for an answer any more (MCP, "Cancellation").

    Args:
        session: The session that sent the request.
        id: The request; never that of ``initialize``, which must not be cancelled this way.
        reason: For the server's log.
    """
    params = types.CancelledNotificationParams(requestId=id, reason=reason)
    notification = types.CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(major.notification(notification))


async def set_log_level(session: Any, level: Any) -> None:
    """Ask the server for log messages of a level and above."""
    if is_of_the_sdk(session):
        await ask(session, "logging/setLevel", {"level": level})  # the session's own method warns in SDK 2.x
    else:
        await session.set_logging_level(level)


# What the transports take from the SDK ...


def websocket_client() -> Any:
    """The SDK's own websocket transport; None in releases 2.x, which have none.

    Raises:
        ModuleNotFoundError: The package websockets is not installed.
    """
    if find_spec("mcp.client.websocket") is None:
        return None
    return importlib.import_module("mcp.client.websocket").websocket_client


def default_environment() -> dict[str, str]:
    """The variables of our own environment that are safe to give to a third party's process."""
    from mcp.client import stdio

    return stdio.get_default_environment()
