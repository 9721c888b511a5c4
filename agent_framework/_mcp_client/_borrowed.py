# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""A session that the user made and owns: used, initialised if need be, never closed and never replaced.

Its streams are not ours to watch, so what is known of it is what its methods tell. Each request runs in a task of its
own, beside its caller, and a caller who is cancelled leaves at once. A session of SDK 2.x takes the request back then,
and tells the server. One of 1.x tells nobody, and it ends if its request is cancelled just as the answer arrives. So
the server is told from here, and the request stays for a while, in which its answer is dropped.

A session of SDK 1.x that is left with requests in flight tells nobody. So as long as calls wait it is pinged now and
then: one that has been left refuses to send.

What the session itself does not learn, nobody can tell from outside: when the event stream of one request breaks, the
SDK's HTTP transport forgets the request, and only ``request_timeout`` ends the wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio

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
"""How long ``close()`` waits until nothing of ours runs on the session, in seconds; it takes some turns of the loop,
unless the transport takes nothing."""

LATE_ANSWER_TIMEOUT = 60.0
"""How long a request on a session of SDK 1.x stays behind its caller, in seconds: what was cancelled is answered soon
or not at all."""

FIRST_LOOK, LAST_LOOK = 1.0, 30.0
"""When a session of SDK 1.x is pinged while calls wait, in seconds after the first of them: the former, and then after
pauses that grow up to the latter."""

MAX_LOOKS_WAITING = 16
"""How many of these pings may wait for an answer. A server that works on one thing at a time answers them later."""


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
        self._requests: set[asyncio.Task[Any]] = set()  # each has a caller, or somebody who takes it back
        self._tasks: set[asyncio.Task[Any]] = set()
        if not _sdk.TELLS_ITS_END:
            self._calls.on_busy = self._on_busy

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
        return _sdk.capabilities(self.session)

    @property
    def protocol_version(self) -> str | None:
        return _sdk.negotiated_version(self.session)

    # Opening ...

    async def open(
        self, finish: Callable[[Link], Awaitable[None]] | None = None, *, patience: float | None = None
    ) -> None:
        """Do the handshake if the user has not, and then wait for ``finish``.

        Any number of callers share one handshake. It goes on when they leave: a session can do it only once, and
        taking the session down is not up to us.

        Raises:
            MCPError: The handshake failed, or the session has ended. It stays the user's.
            RuntimeError: The session has not been entered, so nobody would receive an answer; SDK 1.x cannot tell.
        """
        self._require_open()
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
            self.start_soon(self._shake_hands, outcome)
        error = await asyncio.shield(outcome)
        self._require_open()
        if isinstance(error, _sdk.NotEntered):
            sentence = f"Enter the session for MCP server {self.server} ('async with session') before its use."
            raise RuntimeError(sentence) from error  # noqa: TRY004  # the order of things is wrong, and no type
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

    # Tasks ...

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> bool:
        if self._state is State.CLOSED:
            return False
        task = self._start(function(*args), self._tasks)
        return not task.done()

    def _start(self, work: Coroutine[Any, Any, T], kind: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        kind.add(task)
        task.add_done_callback(kind.discard)
        task.add_done_callback(_look_at)
        return task

    def _on_busy(self) -> None:
        self.start_soon(self._look_now_and_then)

    async def _look_now_and_then(self) -> None:
        """Find out that a session of SDK 1.x was left, as long as calls wait for its answers."""
        pause, looks = FIRST_LOOK, deque[asyncio.Task[Any]]()
        await anyio.sleep(pause)
        while self._calls:
            looks.append(self._start(_ping(self.session), self._tasks))
            if len(looks) > MAX_LOOKS_WAITING:
                looks.popleft().cancel()
            await asyncio.wait(looks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if any(look.done() and not look.cancelled() and look.result() for look in looks):
                self.lose(None)
            looks = deque(look for look in looks if not look.done())
            pause = min(2 * pause, LAST_LOOK)

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
        with anyio.move_on_after(LEAVE_TIMEOUT):
            while left := self._requests | self._tasks:
                await asyncio.wait(left)

    def drop(self) -> None:
        self._state = State.CLOSED
        self._loss = None
        self._release()

    def _release(self) -> None:
        self._calls.release()
        for task in self._tasks:
            task.cancel()

    # Calls ...

    async def _answer(self, send: Callable[[Any], Awaitable[T]], call: Call, late: DeadlinePassed) -> T:
        return await super()._answer(partial(self._send, send, call), call, late)

    async def _send(self, send: Callable[[Any], Awaitable[T]], call: Call, session: Any) -> T:
        if self._loss is not None:
            raise SessionEnded  # its streams may still be open for some turns, and nobody would answer
        call.sent = True
        request = self._start(_made(send, session), self._requests)
        try:
            await asyncio.wait([request])
        except asyncio.CancelledError:
            if _sdk.TELLS_ITS_END:
                request.cancel()
            else:
                self._start(self._take_back(request, call), self._tasks).set_name("mcp-take-back")
            raise
        return request.result()

    async def _take_back(self, request: asyncio.Task[Any], call: Call) -> None:
        """Nobody waits for a request on a session of SDK 1.x any more: tell the server, and end the request later."""
        try:
            if call.request_id is not None:
                await self._send_cancelled(call.request_id)
            if self._state is not State.CLOSED:
                await asyncio.wait([request], timeout=LATE_ANSWER_TIMEOUT)
        finally:
            request.cancel()

    async def _send_cancelled(self, request_id: int | str) -> None:
        with anyio.move_on_after(CANCEL_NOTICE_TIMEOUT):
            try:
                await _sdk.cancel_request(self.session, request_id, "the caller gave up")
            except Exception:  # the streams are the user's, and raise what they like
                logger.debug("MCP server %s was not told that a request is given up.", self.server, exc_info=True)

    async def _why_unanswered(self, call: Call, error: Exception | None, late: DeadlinePassed) -> MCPError:
        if _sdk.was_not_taken(error):
            call.sent = False
            self.lose(error)
        elif _sdk.is_session_expired(error):
            # What transport is behind the session is not known, so this may be the server's word: the call stays sent.
            self.lose(SessionExpired("the server answered HTTP 404 to the session id"))
        elif _sdk.may_mean_no_session(error) and not self.is_over and not await self._shows_life():
            self.lose(error)
        if self._loss is not None:
            return self._error(call, self._loss)
        return await super()._why_unanswered(call, error, late)

    async def _shows_life(self) -> bool:
        """Whether the server still answers. A session tells its end by a code that a server may use as well."""
        ping = partial(self._send, _ping_of, new_call("ping", "ping"), self.session)
        outcome = await self._calls.run(ping, new_call("ping", "ping", PROBE_TIMEOUT))
        is_answer = isinstance(outcome.error, _sdk.McpError) and not _sdk.may_mean_no_session(outcome.error)
        return outcome.answered or is_answer


def _look_at(task: asyncio.Task[Any]) -> None:
    """Take note of an exception, which nobody else does where the caller has left."""
    if not task.cancelled():
        task.exception()


async def _made(send: Callable[[Any], Awaitable[T]], session: Any) -> T:
    return await send(session)


def _ping_of(session: Any) -> Awaitable[Any]:
    ping: Awaitable[Any] = session.send_ping()
    return ping


async def _ping(session: Any) -> bool:
    """Ping a session. True if it was left, so that it sends nothing; whatever else comes of it says nothing."""
    try:
        await session.send_ping()
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        return True
    except Exception:  # noqa: BLE001  # a foreign session raises what it likes
        return False
    return False
