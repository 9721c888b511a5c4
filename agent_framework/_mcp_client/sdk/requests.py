# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The requests of a session of ours: their ids, their answers, their progress, and what becomes of them when it ends.

The sessions of both majors can do this themselves, each with faults of its own. A session of 1.x that receives an
answer just as its caller is cancelled ends, and every other call with it; it tells no server that a request is given
up. One of 2.x holds a cancelled caller for up to five seconds if the transport takes nothing, makes one error of
everything that ends a connection, records a span for each request and puts it in the place of the caller's in
``_meta``. So requests of our own sessions go by here, through the method that each major has for that (see
``sessions``), and the sessions never see the answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
from mcp import types
from typing_extensions import Self

from . import errors, messages

logger = logging.getLogger("agent_framework._mcp")

OnProgress = Callable[[float, "float | None", "str | None"], Awaitable[None]]

_NOT_CANCELLED = frozenset(["initialize", "server/discover"])
"""The requests that must not be cancelled (MCP, "Cancellation")."""


class AnswerFailed(Exception):
    """Stands on a read stream for the answer to one request. ``__cause__`` is why there is none.

    Args:
        request_id: The request's JSON-RPC id.
        cause: What its caller is to get.
    """

    def __init__(self, request_id: types.RequestId, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.request_id = request_id
        self.__cause__ = cause


@dataclass(frozen=True)
class _Waiter:
    """Who waits for an answer.

    Attributes:
        outcome: The answer's message, or an exception in its place. A value in any case: a future that fails complains
            when its waiter has left.
        on_progress: Gets what the server reports meanwhile.
    """

    outcome: asyncio.Future[Any]
    on_progress: OnProgress | None


class Requests:
    """What a session asks of its server.

    Args:
        write_stream: Where requests go. If it has a method ``abandon``, that is called with the id of each request
            whose caller no longer waits.
    """

    def __init__(self, write_stream: Any) -> None:
        self._write_stream = write_stream
        self._abandon: Callable[[types.RequestId], None] = getattr(write_stream, "abandon", _nothing)
        self._ids = count(1)  # 0 is no id to servers that mistake it for none
        self._waiters: dict[types.RequestId, _Waiter] = {}
        self._has_ended = False

    async def send(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        metadata: Any = None,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        id: types.RequestId | None = None,
    ) -> dict[str, Any]:
        """Send a request and wait for its result, as it stands on the wire.

        Args:
            method: The JSON-RPC method.
            params: Its params.
            metadata: What the session tells the transport beside the message.
            timeout: How long the answer may take once the request is sent, in seconds; None for ever.
            on_progress: Called for each report of the server on this request; must not wait for the session.
            id: The id to send it under; None for the next number.

        Raises:
            McpError: The server answered with an error, there was no answer in time, or the connection ended.
            anyio.ClosedResourceError: The connection had ended before; nothing was sent.
        """
        if self._has_ended:
            raise anyio.ClosedResourceError
        id = next(self._ids) if id is None else id  # noqa: A001  # its name in JSON-RPC
        given = dict(params or {})
        if on_progress is not None:
            given["_meta"] = {**(given.get("_meta") or {}), "progressToken": id}
        waiter = _Waiter(asyncio.get_running_loop().create_future(), on_progress)
        self._waiters[_key(id)] = waiter
        may_have_it = not getattr(self._write_stream, "writes_in_task_of_sender", False)
        try:
            await self._write_stream.send(messages.request(id, method, given, metadata))
            may_have_it = True
            outcome = await _within(timeout, waiter.outcome)
        except (asyncio.CancelledError, errors.RequestTimeout):
            if may_have_it and method not in _NOT_CANCELLED:
                self._abandon(id)
            raise
        finally:
            del self._waiters[_key(id)]
        return _result(outcome)

    def reading(self, read_stream: Any) -> AnswerReader:
        """What the session is to read in the place of its transport's stream: everything but the answers."""
        return AnswerReader(read_stream, self)

    async def take(self, item: Any) -> bool:
        """Look at what has arrived. True for an answer: the session waits for none."""
        if isinstance(item, AnswerFailed):
            self._settle(item.request_id, item.__cause__)
            return True
        message = messages.bare(item)
        if isinstance(message, (types.JSONRPCResponse, types.JSONRPCError)):
            self._settle(message.id, message)
            return True
        if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/progress":
            await self._report(message.params or {})
        return False

    def _settle(self, id: Any, outcome: Any) -> None:
        waiter = self._waiters.get(_key(id))
        if waiter is not None and not waiter.outcome.done():
            waiter.outcome.set_result(outcome)

    async def _report(self, params: Mapping[str, Any]) -> None:
        token, progress = params.get("progressToken"), params.get("progress")
        waiter = self._waiters.get(_key(token)) if isinstance(token, (int, str)) else None
        if waiter is None or waiter.on_progress is None or not _is_number(progress):
            return
        total, message = params.get("total"), params.get("message")
        try:
            await waiter.on_progress(
                float(progress or 0),
                float(total) if total is not None and _is_number(total) else None,
                message if isinstance(message, str) else None,
            )
        except Exception:  # the caller's own code, which must not end the session
            logger.exception("The progress callback of a request failed.")

    def end(self) -> None:
        """There will be no more answers."""
        self._has_ended = True
        for waiting in list(self._waiters):
            self._settle(waiting, errors.ConnectionEnded())


class OwnSession:
    """What a session of ours has beside the SDK's own.

    Attributes:
        requests: What its requests go by.
        answer_input: Answers what a server asks for in a result; see ``_input_required``.
    """

    requests: Requests
    answer_input: Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

    def note_tools(self, schemas: Mapping[str, Any]) -> None:
        """Take note of the input schemas of all tools, by their names."""

    async def ask(
        self, method: str, params: dict[str, Any] | None, timeout: float | None, on_progress: OnProgress | None
    ) -> dict[str, Any]:
        """Send a request and return the result as it stands on the wire; see ``sessions.ask``."""
        raise NotImplementedError


class AnswerReader:
    """A transport's read stream without the answers that ``Requests`` takes.

    Args:
        stream: The transport's own.
        requests: Takes the answers, and is told the end.
    """

    def __init__(self, stream: Any, requests: Requests) -> None:
        self._stream = stream
        self._requests = requests

    async def receive(self) -> Any:
        """The next thing for the session.

        Raises:
            anyio.EndOfStream: There is nothing more.
        """
        try:
            while await self._requests.take(item := await self._stream.receive()):
                pass
        except BaseException:  # a cancellation too: whatever ends the reading ends the waiting
            self._requests.end()
            raise
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the transport's stream."""
        self._requests.end()
        await self._stream.aclose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


async def _within(timeout: float | None, outcome: asyncio.Future[Any]) -> Any:
    if timeout is None:
        return await outcome
    try:
        with anyio.fail_after(timeout):
            return await outcome
    except TimeoutError as error:
        raise errors.RequestTimeout(timeout) from error


def _result(outcome: Any) -> dict[str, Any]:
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, types.JSONRPCError):
        raise errors.error_of(outcome.error)
    result: dict[str, Any] = outcome.result
    return result


def _key(id: Any) -> Any:
    """What an id is known by: servers send numbers back as text."""
    if isinstance(id, str):
        try:
            return int(id)
        except ValueError:
            return id
    return id


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _nothing(id: types.RequestId) -> None:
    pass
