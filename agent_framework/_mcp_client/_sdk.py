# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Every name, field and code of the MCP SDK that its releases spell differently, in one place.

Importing this module imports ``mcp``; it is imported when the first connection is opened, never with the package.
Classes that applications and tests replace (``ClientSession``, the transports) are looked up in their own modules at
the moment of use.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

import anyio
from mcp import types
from mcp.client import session as client_session
from mcp.shared.exceptions import McpError
from mcp.shared.message import SessionMessage
from pydantic import BaseModel, Field, ValidationError

from . import _mends, _messages
from ._causes import NotMCP
from ._json_text import MAX_VALUES, holds_too_much, id_of_answer
from ._printable import NAME_LIMIT, printable
from ._secrets import without

__all__ = [
    "CONNECTION_CLOSED",
    "REQUEST_TIMEOUT",
    "BadEntry",
    "McpError",
    "SessionMessage",
    "UnreadableAnswer",
    "UnsupportedProtocolVersion",
    "call_tool",
    "can_be_awaited",
    "cancel_request",
    "decode",
    "default_environment",
    "encode",
    "hide_secrets",
    "initialize",
    "is_answer",
    "is_session_expired",
    "is_unused",
    "is_valid_notification",
    "let_waiters_leave",
    "list_page",
    "make_error_printable",
    "make_session",
    "notification_method",
    "read",
    "request_id",
    "sampling_with_tools",
    "size_of",
    "unreadable_answer",
]

CONNECTION_CLOSED = types.CONNECTION_CLOSED
"""The code with which a session answers its own pending requests when its read stream ends."""

REQUEST_TIMEOUT = 408
"""The code that a session of SDK 1.x gives a request whose read timeout passed; an HTTP status, not a JSON-RPC code."""

SESSION_EXPIRED = 32600
"""The code that the HTTP transport of SDK 1.x gives a request which the server answered with 404. Positive, so that no
JSON-RPC server uses it."""


class UnsupportedProtocolVersion(Exception):
    """The server chose a protocol version that this SDK does not know (MCP lifecycle, version negotiation)."""


def make_session(
    read_stream: Any, write_stream: Any, *, read_timeout: float | None, **callbacks: Any
) -> client_session.ClientSession:
    """A session that is not yet entered.

    Args:
        read_stream: What the transport receives.
        write_stream: What the transport sends.
        read_timeout: How long any request may wait for its answer, in seconds; None or 0 for ever.
        **callbacks: What ``ClientSession`` takes besides, by its names.
    """
    timeout = timedelta(seconds=read_timeout) if read_timeout else None
    session = client_session.ClientSession(
        read_stream=read_stream, write_stream=write_stream, read_timeout_seconds=timeout, **callbacks
    )
    let_waiters_leave(session)
    return session


class _ResponseStreams(dict[Any, Any]):
    """Where a session of SDK 1.x finds who waits for an answer.

    It takes the stream out, lets the event loop turn, and sends. If the waiter is cancelled in that turn, its stream is
    closed, and the session takes the error for the end of its connection: every other request fails.
    """

    def pop(self, key: Any, *default: Any) -> Any:
        stream = super().pop(key, *default)
        return None if stream is None else _WaiterMayLeave(stream)

    def items(self) -> Any:
        """All of them now: when a session of SDK 1.24 ends, the waiters that it wakes go out while it iterates."""
        return list(super().items())


def let_waiters_leave(session: Any) -> None:
    """Have a session of SDK 1.x, ours or the user's, survive that one who waits leaves just as the answer arrives."""
    streams = getattr(session, "_response_streams", None)
    if type(streams) is dict:
        session._response_streams = _ResponseStreams(streams)


@dataclass(frozen=True)
class _WaiterMayLeave:
    stream: Any

    async def send(self, answer: Any) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await self.stream.send(answer)


def sampling_with_tools() -> types.SamplingCapability:
    """The capability to sample with the server's tools."""
    return types.SamplingCapability(tools=types.SamplingToolsCapability())


def is_unused(session: Any) -> bool:
    """Whether a session has not sent anything yet, so that its handshake is still to be done."""
    return bool(getattr(session, "_request_id", None) == 0)


def is_session_expired(error: BaseException | None) -> bool:
    """Whether the SDK's HTTP transport says that the server has forgotten the session, and so ran nothing."""
    return isinstance(error, McpError) and error.error.code == SESSION_EXPIRED


async def initialize(session: Any) -> Any:
    """Do the handshake and return the server's ``InitializeResult``.

    Raises:
        UnsupportedProtocolVersion: The server answered with a version that the SDK does not know. SDK 1.x says so by a
            bare RuntimeError, the only one its ``initialize`` raises.
    """
    try:
        return await session.initialize()
    except RuntimeError as error:
        raise UnsupportedProtocolVersion(printable(error)) from error


def request_id(item: Any) -> types.RequestId | None:
    """The id of the request in a message on its way to the server; None for notifications and answers."""
    root = _root(item)
    return root.id if isinstance(root, types.JSONRPCRequest) else None


def _root(item: Any) -> Any:
    """The JSON-RPC message in what a transport's stream brings; None for an exception."""
    return _messages.bare(item) if isinstance(item, SessionMessage) else None


_NOTIFICATIONS: dict[str, type[BaseModel]] = {
    kind.model_fields["method"].default: kind
    for kind in get_args(types.ServerNotification.model_fields["root"].annotation)
}
"""What a server may notify a client of, by method."""


def notification_method(item: Any) -> str | None:
    """The method of a notification; None for anything else."""
    root = _root(item)
    return root.method if isinstance(root, types.JSONRPCNotification) else None


def is_valid_notification(item: Any) -> bool:
    """Whether a notification is one that a server may send, with the params that belong to it."""
    root = _root(item)
    kind = _NOTIFICATIONS.get(root.method)
    try:
        return kind is not None and bool(kind.model_validate(root.model_dump(by_alias=True, exclude_none=True)))
    except ValidationError:
        return False


def is_answer(item: Any) -> bool:
    """Whether it is an answer, be it an error."""
    return isinstance(_root(item), (types.JSONRPCResponse, types.JSONRPCError))


def can_be_awaited(item: Any) -> bool:
    """Whether an answer may be one to a session's request. Their ids are numbers; some servers write them as text."""
    key = _root(item).id
    return isinstance(key, int) or (key.isascii() and key.isdigit() and len(key) < 20)


def make_error_printable(item: Any) -> None:
    """Make the message of an answer that is an error printable, in place."""
    root = _root(item)
    if isinstance(root, types.JSONRPCError):
        root.error.message = printable(root.error.message)


def decode(text: str | bytes) -> SessionMessage:
    """One JSON-RPC message as it stands on the wire.

    Raises:
        pydantic.ValidationError: It is not JSON, or not JSON-RPC.
    """
    if not _mends.is_on("answers"):
        return SessionMessage(types.JSONRPCMessage.model_validate_json(text))
    from ._mends import answers

    return SessionMessage(answers.parse(text))


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
    root = item.message.root
    if isinstance(root, types.JSONRPCError):
        root.error = root.error.model_copy(update={"message": without(root.error.message, secrets)})
        root.error.data = without(root.error.data, secrets)
    elif isinstance(root, types.JSONRPCResponse) and root.result.get("isError") is True:
        root.result = without(root.result, secrets)


class UnreadableAnswer(types.ErrorData):
    """Stands for an answer that is not JSON-RPC, so that whoever waits for it need not go on waiting."""


def unreadable_answer(text: str | bytes) -> SessionMessage | None:
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


def _answer_instead(key: Any, why: str) -> SessionMessage | None:
    """An error in the place of an answer; None where no id tells whose it is."""
    if not isinstance(key, (int, str)):
        return None
    sentence = "the answer is not a JSON-RPC response" + (f": {why}" if why else "")
    error = UnreadableAnswer(code=types.INTERNAL_ERROR, message=sentence)
    return SessionMessage(types.JSONRPCMessage(types.JSONRPCError(jsonrpc="2.0", id=key, error=error)))


def encode(item: SessionMessage) -> str:
    """A message as one line of JSON, without the line end."""
    return item.message.model_dump_json(by_alias=True, exclude_none=True)


@dataclass(frozen=True)
class BadEntry:
    """An entry of a listing that is not what it should be."""

    name: str
    why: str


class _RawPage(types.PaginatedResult):
    """A page of a listing whose entries nobody has looked at yet."""

    tools: list[Any] = Field(default_factory=list)
    prompts: list[Any] = Field(default_factory=list)


async def list_page(session: Any, kind: str, cursor: str | None) -> Any:
    """One page of tools or prompts: an object with ``nextCursor`` and a list named like the kind.

    The session validates a page as a whole, so that one bad entry costs the page. Then the page is asked for once more
    and looked at entry by entry.

    Raises:
        pydantic.ValidationError: The page itself is not what it should be.
    """
    params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
    method = session.list_tools if kind == "tools" else session.list_prompts
    try:
        return await method(params=params)
    except ValidationError:
        request = types.ListToolsRequest(params=params) if kind == "tools" else types.ListPromptsRequest(params=params)
        page = await session.send_request(types.ClientRequest(request), _RawPage)
    entry_type = types.Tool if kind == "tools" else types.Prompt
    setattr(page, kind, [_entry(entry_type, raw) for raw in getattr(page, kind)])
    return page


def size_of(page: Any) -> int:
    """How long a page of a listing is, in bytes of JSON."""
    return len(page.model_dump_json(by_alias=True, exclude_none=True, fallback=str))


def _entry(entry_type: Any, raw: Any) -> Any:
    if isinstance(raw, dict) and raw.get("inputSchema", "") is None:
        raw = {**raw, "inputSchema": {"type": "object"}}
    try:
        return entry_type.model_validate(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = raw.get("name", "?") if isinstance(raw, dict) else "?"
        return BadEntry(
            printable(name, NAME_LIMIT), printable(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
        )


async def call_tool(
    session: Any,
    name: str,
    arguments: dict[str, Any],
    *,
    meta: dict[str, Any] | None,
    read_timeout: float | None = None,
    progress_callback: Callable[..., Awaitable[None]] | None = None,
) -> types.CallToolResult:
    """Call a tool, and take its result as it is.

    ``ClientSession.call_tool`` would check the result against the tool's output schema, in pure Python and at any cost,
    and would list all tools first if it has not seen this one. A session with a ``call_tool`` of its own, such as a
    test's double, is asked by that.

    Args:
        session: The session to call through.
        name: The server's own name of the tool.
        arguments: What it gets.
        meta: The request's ``_meta``, or None.
        read_timeout: How long this answer may take, in seconds, instead of the session's own limit; infinite for ever,
            None for that limit.
        progress_callback: Called with progress, total and message when the server reports on the call.
    """
    options: dict[str, Any] = {}
    if read_timeout is not None:
        options["read_timeout_seconds"] = timedelta.max if math.isinf(read_timeout) else timedelta(seconds=read_timeout)
    if progress_callback is not None:
        options["progress_callback"] = progress_callback
    if _has_own_call_tool(session):
        result: types.CallToolResult = await session.call_tool(name, arguments=arguments, meta=meta, **options)
        return result
    if "read_timeout_seconds" in options:
        options["request_read_timeout_seconds"] = options.pop("read_timeout_seconds")
    params = types.CallToolRequestParams(
        name=name, arguments=arguments, _meta=None if meta is None else types.RequestParams.Meta(**meta)
    )
    request = types.ClientRequest(types.CallToolRequest(params=params))
    answer: types.CallToolResult = await session.send_request(request, types.CallToolResult, **options)
    return answer


def _has_own_call_tool(session: Any) -> bool:
    """Whether calling a tool means something else to a session than to the SDK's."""
    method = getattr(session.call_tool, "__func__", None)
    return method is None or method is not getattr(client_session.ClientSession, "call_tool", None)


async def cancel_request(session: Any, id: types.RequestId, reason: str) -> None:
    """Tell the server that nobody waits for an answer any more (MCP, "Cancellation").

    Args:
        session: The session that sent the request.
        id: The request; never that of ``initialize``, which must not be cancelled this way.
        reason: For the server's log.
    """
    params = types.CancelledNotificationParams(requestId=id, reason=reason)
    notification = types.CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(types.ClientNotification(notification))


def default_environment() -> dict[str, str]:
    """The variables of our own environment that are safe to give to a third party's process."""
    from mcp.client import stdio

    return stdio.get_default_environment()
