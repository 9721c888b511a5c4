# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""A session that the user made and owns: used, initialised if need be, never closed and never replaced.

A session of SDK 1.x that is left with requests in flight leaves their callers waiting for ever. So an attendant of ours
stays in the session's own task group: when the session is left, or its receive loop breaks, the attendant is cancelled
with everything else in there and tells the callers. What runs beside the calls runs below it, so that it ends with the
session at the latest.

What the session itself does not learn, nobody can tell from outside: when the event stream of one request breaks, the
SDK's HTTP transport forgets the request, and only ``request_timeout`` ends the wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup
from mcp.shared.session import BaseSession

from . import _sdk
from ._calls import new_call
from ._causes import DeadlinePassed, ServerClosed, SessionExpired
from ._connection import CANCEL_NOTICE_TIMEOUT, CONNECT_TIMEOUT, PROBE_TIMEOUT
from ._errors import connect_error
from ._exceptions import MCPError
from ._link import Link
from ._server import Server
from ._state import State
from ._streams import Call

T = TypeVar("T")

logger = logging.getLogger("agent_framework._mcp")

LEAVE_TIMEOUT = 1.0
"""How long ``close()`` waits for the attendant to leave the session, in seconds; it takes some turns of the loop."""


class SessionEnded(ServerClosed):
    """The user's session is of no more use. What has shown it is ``__cause__``, where anything has."""

    def __init__(self) -> None:
        super().__init__("the session in use, which is your own, has ended and was not replaced")


class BorrowedSession(Link):
    """A link over somebody else's session.

    A session that has ended stays where it is until its owner assigns another one or drops it, so every later request
    says why it fails.

    Args:
        server: Who is at the other end.
        session: The user's ``ClientSession``, or what plays its part; None vouches for a connection without one.
        state: READY when whoever lends it says that it is connected.
        connect_timeout: How long the handshake may take, where it falls to us, in seconds.
    """

    def __init__(
        self, server: Server, session: Any, state: State = State.NEW, *, connect_timeout: float = CONNECT_TIMEOUT
    ) -> None:
        super().__init__(server, generation=0)
        self.session = session
        self._state = state
        self._connect_timeout = connect_timeout
        self._loss: SessionEnded | None = None
        self._handshake: asyncio.Future[Exception | None] | None = None  # ours, shared by all who wait for it
        self._arrived: anyio.Event | None = None  # the attendant is in the session, or has been
        self._left = anyio.Event()
        self._background: TaskGroup | None = None

    @property
    def state(self) -> State:
        return self._state

    @property
    def cause(self) -> BaseException | None:
        return self._loss

    @property
    def is_over(self) -> bool:
        """Whether the tool has let go of it. One that has ended is not over: only its owner may replace it."""
        return self.session is None or (self._state is State.CLOSED and self._loss is None)

    @property
    def capabilities(self) -> Any:
        ask = getattr(self.session, "get_server_capabilities", None)  # what plays a session's part may not have it
        return None if ask is None else ask()

    # Opening ...

    async def open(
        self, finish: Callable[[Link], Awaitable[None]] | None = None, *, patience: float | None = None
    ) -> None:
        """Do the handshake if the user has not, and then wait for ``finish``.

        Any number of callers share one handshake. It goes on when they leave: a session can do it only once, and
        taking the session down is not up to us.

        Raises:
            MCPError: The handshake failed, or the session has ended. It stays the user's.
            RuntimeError: The session has not been entered, so nobody would receive an answer.
        """
        self._require_open()
        if self._background is None:
            await self._attend()
        await self._initialize()
        if finish is not None:
            await finish(self)
        self._require_open()
        self._state = State.READY

    def _require_open(self) -> None:
        if self._state is State.CLOSED:
            raise connect_error(self._loss, self.server, "initialize")

    async def _initialize(self) -> None:
        outcome = self._handshake
        if outcome is None and not _sdk.is_unused(self.session):
            return
        if outcome is None or (outcome.done() and outcome.result() is not None):
            outcome = self._handshake = asyncio.get_running_loop().create_future()
            if not self.start_soon(self._shake_hands, outcome):
                await self._shake_hands(outcome)
        error = await asyncio.shield(outcome)
        self._require_open()
        if error is not None:
            failure = connect_error(error, self.server, "initialize")
            raise failure from failure.__cause__

    async def _shake_hands(self, outcome: asyncio.Future[Exception | None]) -> None:
        failure: Exception | None = SessionEnded()
        try:
            with anyio.move_on_after(self._connect_timeout) as scope:
                await _sdk.initialize(self.session)
                failure = None
            if scope.cancelled_caught:
                failure = DeadlinePassed(self._connect_timeout, "connect_timeout")
        except Exception as error:  # noqa: BLE001  # a foreign session raises what it likes; _errors names it
            failure = error
        finally:
            if not outcome.done():
                outcome.set_result(failure)

    # The attendant ...

    async def _attend(self) -> None:
        """Have the attendant in the session. What only plays the part of a session has no place for one."""
        group = getattr(self.session, "_task_group", None)
        if isinstance(group, TaskGroup):
            await self._send_attendant(group)
        elif group is None and issubclass(type(self.session), BaseSession):
            raise RuntimeError(f"Enter the session for MCP server {self.server} ('async with session') before its use.")

    async def _send_attendant(self, group: TaskGroup) -> None:
        if group.cancel_scope.cancel_called:
            self.lose(None)
        elif self._arrived is None:
            self._arrived = anyio.Event()
            group.start_soon(self._stay, self._arrived)
        if self._arrived is not None:
            await self._arrived.wait()
        self._require_open()

    async def _stay(self, arrived: anyio.Event) -> None:
        try:
            async with anyio.create_task_group() as background:
                try:
                    if self._state is not State.CLOSED:
                        self._background = background
                        arrived.set()
                        await anyio.sleep_forever()
                finally:
                    self._background = None
                    self.lose(None)
        finally:
            arrived.set()
            self._left.set()

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> bool:
        if self._background is None:
            return False
        self._background.start_soon(function, *args)
        return True

    # Ending ...

    def lose(self, cause: BaseException | None) -> None:
        """Report that the session is of no more use. Calls in flight end now."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        self._loss = SessionEnded()
        self._loss.__cause__ = cause
        self._release()

    async def close(self) -> None:
        """Give the session back as it is. Calls in flight end here; the server is told that nobody waits for them."""
        self.drop()
        if self._arrived is not None:
            with anyio.move_on_after(LEAVE_TIMEOUT):
                await self._left.wait()

    def drop(self) -> None:
        self._state = State.CLOSED
        self._loss = None
        self._release()

    def _release(self) -> None:
        self._calls.release()
        if self._background is not None:
            self._background.cancel_scope.cancel()

    # Calls ...

    async def _answer(self, send: Callable[[Any], Awaitable[T]], call: Call, late: DeadlinePassed) -> T:
        return await super()._answer(partial(self._send, send, call), call, late)

    def _send(self, send: Callable[[Any], Awaitable[T]], call: Call, session: Any) -> Awaitable[T]:
        """Note on the call which request it becomes. It is made in this turn of the loop, so the next id is its own."""
        if self._loss is not None:
            raise SessionEnded  # its streams may still be open for some turns, and nobody would answer
        _sdk.let_waiters_leave(session)
        number = getattr(session, "_request_id", None)
        call.request_id = number if isinstance(number, int) else None
        call.sent = True
        return send(session)

    async def _why_unanswered(self, call: Call, error: Exception | None, late: DeadlinePassed) -> MCPError:
        if isinstance(error, (anyio.ClosedResourceError, anyio.BrokenResourceError)):
            call.sent = False
            self.lose(error)
        elif _sdk.is_session_expired(error):
            # What transport is behind the session is not known, so this may be the server's word: the call stays sent.
            self.lose(SessionExpired("the server answered HTTP 404 to the session id"))
        elif _says_closed(error) and not self.is_over and not await self._shows_life():
            self.lose(error)
        if self._loss is not None:
            return self._error(call, self._loss)
        if self.is_over and call.sent and call.request_id is not None:
            await self._send_cancelled(call.request_id)  # here, because the attendant has left
        return await super()._why_unanswered(call, error, late)

    async def _shows_life(self) -> bool:
        """Whether the server still answers. A session tells its end by a code that a server may use as well."""
        outcome = await self._calls.run(self.session.send_ping, new_call("ping", "ping", PROBE_TIMEOUT))
        return outcome.answered or (isinstance(outcome.error, _sdk.McpError) and not _says_closed(outcome.error))

    def _give_up(self, call: Call) -> None:
        """Tell the server, in the background, that nobody waits for this answer any more."""
        if call.sent and call.request_id is not None:
            self.start_soon(self._send_cancelled, call.request_id)

    async def _send_cancelled(self, request_id: int | str) -> None:
        with anyio.move_on_after(CANCEL_NOTICE_TIMEOUT):
            try:
                await _sdk.cancel_request(self.session, request_id, "the caller gave up")
            except Exception:  # the streams are the user's; what they raise must not end the session it runs in
                logger.debug("MCP server %s was not told that a request is given up.", self.server, exc_info=True)


def _says_closed(error: Exception | None) -> bool:
    return isinstance(error, _sdk.McpError) and error.error.code == _sdk.CONNECTION_CLOSED
