# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Answering what the server asks, beside the session.

A session of SDK 1.x awaits the callbacks for a server's requests in its receive loop, and writes their answers there:
while a person thinks about an approval, a model writes, or the server reads nothing, no answer to any call, ping or
listing gets through. So all requests are taken out of the stream before the session sees them, each that has a handler
is handled in a task of its own, and the answers go straight to the transport.

A server is a third party, which can ask more than anyone answers, and whoever answers has secrets. So there is a bound
to what is handled, to what waits to be answered, and to the size of either; and what a callback raises is told to our
own log, never to the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import anyio.lowlevel
from mcp import types
from pydantic import ValidationError

from . import _sdk
from ._causes import InputRefused
from ._printable import NAME_LIMIT, printable
from ._server import Server

logger = logging.getLogger("agent_framework._mcp")

MAX_REQUESTS_AT_ONCE = 16
"""How many requests of one server are handled at once. Each may hold a model or a person; a server that runs that many
tool calls in parallel, each asking once, is still served."""

MAX_ANSWERS_WAITING = 64
"""How many answers that need no handler (to pings, and refusals) may wait for the transport. A server that asks this
much and reads nothing gets no more of our memory: its further requests are dropped."""

MAX_REQUEST_SIZE = 16 * 1024 * 1024
"""How long a request of a server may be, in bytes of JSON: a model takes no more, pictures included, and as many
requests as above may be held until a person or a model has answered."""

_REQUESTS: dict[str, type[types.CreateMessageRequest | types.ElicitRequest | types.ListRootsRequest]] = {
    "sampling/createMessage": types.CreateMessageRequest,
    "elicitation/create": types.ElicitRequest,
    "roots/list": types.ListRootsRequest,
}

Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class RequestContext:
    """Which request a handler answers; the first argument of each.

    Attributes:
        session: The ``ClientSession`` of the connection over which the request came.
        request_id: Its JSON-RPC id.
        meta: Its ``_meta``, or None.
    """

    session: Any
    request_id: types.RequestId
    meta: Any


class CallbackCancelled(Exception):
    """A callback ended itself by a ``CancelledError`` that nobody had asked for."""

    def __init__(self) -> None:
        super().__init__("the callback was cancelled")


class ServerRequests:
    """The server's requests on one connection, from their arrival to their answers.

    Args:
        server: Who asks, for the log.
        handlers: By JSON-RPC method: ``sampling/createMessage`` and ``elicitation/create`` are called with a
            :class:`RequestContext` and the SDK's params, ``roots/list`` with the context alone. They return an SDK
            result or ``ErrorData``. A method without a handler is refused, but for ``ping``.
        start_soon: Runs a coroutine function with its arguments beside everything else, until it is done or the
            connection ends. It returns False when it cannot, as the connection is ending; then nobody answers.
        send: Puts a ``SessionMessage`` on the transport's write stream.
        session: Gives the session for the context.

    Raises:
        ValueError: There is a handler for a method that is not one of the three.
    """

    def __init__(
        self,
        server: Server,
        handlers: Mapping[str, Handler],
        *,
        start_soon: Callable[..., object],
        send: Callable[[_sdk.SessionMessage], Awaitable[object]],
        session: Callable[[], Any],
    ) -> None:
        unknown = set(handlers) - set(_REQUESTS)
        if unknown:
            raise ValueError(f"No server asks a client for {', '.join(sorted(unknown))}.")
        self._server = server
        self._handlers = dict(handlers)
        self._start_soon = start_soon
        self._send = send
        self._session = session
        self._in_progress: dict[types.RequestId, anyio.CancelScope] = {}
        self._waiting: deque[_sdk.SessionMessage] = deque()  # answers; the first of them is being sent
        self._failed: set[str] = set()  # the methods whose failures are known to the log

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self._handlers) or 'none'}; in progress: {len(self._in_progress)}>"

    def take(self, item: Any) -> bool:
        """Look at something that has arrived, before the session does. Never waits and never raises.

        Returns:
            Whether it was a request, or the cancellation of one; the session is not to see it then.
        """
        message = _sdk.bare(item)
        if isinstance(message, types.JSONRPCRequest):
            self._take_request(message)
            return True
        if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            return self._take_cancellation(message)
        return False

    def _take_request(self, request: types.JSONRPCRequest) -> None:
        if isinstance(request.id, str) and len(request.id) > NAME_LIMIT:
            return  # an answer would have to carry it
        if request.method == "ping":
            self._answer_soon(_response(request, types.EmptyResult()))
        elif request.method not in self._handlers:
            self._refuse(request, types.METHOD_NOT_FOUND, "The client does not support this method.")
        elif request.id in self._in_progress:
            self._refuse(request, types.INVALID_REQUEST, "The id is that of a request in progress.")
        elif len(self._in_progress) >= MAX_REQUESTS_AT_ONCE:
            self._refuse(request, types.INVALID_REQUEST, f"More than {MAX_REQUESTS_AT_ONCE} requests at once.")
        elif len(request.model_dump_json()) > MAX_REQUEST_SIZE:
            limit = f"{MAX_REQUEST_SIZE // 1024**2} MiB"
            self._refuse(request, types.INVALID_REQUEST, f"The request has more than {limit}.")
        else:
            self._in_progress[request.id] = scope = anyio.CancelScope()
            if self._start_soon(self._handle, request, scope) is False:
                del self._in_progress[request.id]

    def _take_cancellation(self, notification: types.JSONRPCNotification) -> bool:
        cancelled = (notification.params or {}).get("requestId")
        scope = self._in_progress.get(cancelled) if isinstance(cancelled, (int, str)) else None
        if scope is not None:
            scope.cancel()
        return scope is not None

    def _refuse(self, request: types.JSONRPCRequest, code: int, why: str) -> None:
        method = printable(request.method, NAME_LIMIT)
        logger.debug("A request of MCP server %s (%s) was refused: %s", self._server, method, why)
        self._answer_soon(_error(request, code, why))

    def _answer_soon(self, answer: _sdk.SessionMessage) -> None:
        if len(self._waiting) >= MAX_ANSWERS_WAITING:
            return
        self._waiting.append(answer)
        if len(self._waiting) == 1 and self._start_soon(self._send_waiting) is False:
            self._waiting.clear()

    async def _send_waiting(self) -> None:
        while self._waiting:
            await self._reply(self._waiting[0])
            await anyio.lowlevel.checkpoint()  # a transport with room does not wait, and the server asks on
            self._waiting.popleft()  # only now, and without an await behind it: whoever finds none starts another task

    async def _handle(self, request: types.JSONRPCRequest, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                # Cancelled before it began: a callback that runs up to its first await would ask the user all the same.
                if not scope.cancel_called:
                    await self._reply(await self._answer(request))
        finally:
            self._in_progress.pop(request.id, None)

    async def _answer(self, request: types.JSONRPCRequest) -> _sdk.SessionMessage:
        try:
            asked = _REQUESTS[request.method].model_validate(request.model_dump(include={"method", "params"}))
        except ValidationError as error:
            problem = printable(_first_problem(error))
            return _error(request, types.INVALID_PARAMS, f"Invalid request parameters: {problem}")
        try:
            return _writable(_response(request, await self._call(request, asked)))
        except Exception:  # callbacks are the user's and raise what they like; it concerns this request
            # Aloud once: a server can ask for the same failure as often as it likes.
            level = logging.DEBUG if request.method in self._failed else logging.WARNING
            self._failed.add(request.method)
            logger.log(
                level, "The callback for %s of MCP server %s failed.", request.method, self._server, exc_info=True
            )
            return _error(request, types.INTERNAL_ERROR, "The client failed to answer the request.")

    async def answer_within(self, key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what a server asks for in a result (MCP 2026-07-28, "Multi round-trip requests").

        Args:
            key: What the server calls the question.
            asked: The request, with method and params.

        Returns:
            The result as it goes on the wire.

        Raises:
            InputRefused: There is none.
        """
        method = asked.get("method")
        if not isinstance(method, str) or method not in self._handlers:
            raise InputRefused(printable(str(method)[:80]), "the client does not support it")
        request = types.JSONRPCRequest(jsonrpc="2.0", id=key, method=method, params=asked.get("params"))
        answer = _sdk.bare(await self._answer(request))
        if isinstance(answer, types.JSONRPCError):
            raise InputRefused(method, answer.error.message)
        result: dict[str, Any] = answer.result
        return result

    async def _call(self, request: types.JSONRPCRequest, asked: Any) -> Any:
        context = RequestContext(self._session(), request.id, getattr(asked.params, "meta", None))
        arguments = (context,) if request.method == "roots/list" else (context, asked.params)
        return await _apart(_invoke(self._handlers[request.method], arguments))

    async def _reply(self, message: _sdk.SessionMessage) -> None:
        try:
            await self._send(message)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return  # the connection is ending; whoever watches it knows


async def _invoke(handler: Handler, arguments: tuple[Any, ...]) -> Any:
    return await handler(*arguments)


async def _apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a callback in a task of its own, and wait for it.

    A ``CancelledError`` that comes out of a callback by itself (it awaited something that was cancelled) would look to
    our own task group like the end of everything, and take the connection with it. A task keeps the two apart.

    Raises:
        CallbackCancelled: That happened.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_look_at)
    try:
        await asyncio.wait([task])
    finally:
        if not task.done():
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
    if task.cancelled():
        raise CallbackCancelled
    return task.result()


def _look_at(task: asyncio.Future[Any]) -> None:
    """Take note of an exception, which nobody else does when the request was cancelled meanwhile."""
    if not task.cancelled():
        task.exception()


def _response(request: types.JSONRPCRequest, result: Any) -> _sdk.SessionMessage:
    """The message for what a handler returned.

    Raises:
        TypeError: It is neither a result nor an error.
    """
    if isinstance(result, types.ErrorData):
        return _sdk.wrapped(types.JSONRPCError(jsonrpc="2.0", id=request.id, error=result))
    if not isinstance(result, types.Result):
        raise TypeError(f"The callback for {request.method} returned a {type(result).__name__}, not an MCP result.")
    body = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return _sdk.wrapped(types.JSONRPCResponse(jsonrpc="2.0", id=request.id, result=body))


def _writable(message: _sdk.SessionMessage) -> _sdk.SessionMessage:
    """A message that can be written. Where it is written, it would be found out at the cost of the connection.

    Raises:
        ValueError: It holds text that UTF-8 cannot hold.
    """
    _sdk.encode(message)
    return message


def _error(request: types.JSONRPCRequest, code: int, message: str) -> _sdk.SessionMessage:
    error = types.ErrorData(code=code, message=message)
    return _sdk.wrapped(types.JSONRPCError(jsonrpc="2.0", id=request.id, error=error))


def _first_problem(error: ValidationError) -> str:
    """Where the params are wrong and how; not what was in them."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
