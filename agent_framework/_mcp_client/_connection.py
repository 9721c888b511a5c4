# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""One connection to an MCP server: its owner task, its context managers, its deadlines, its calls in flight.

The owner is the only task that enters and leaves the context managers of transport and session. It publishes the
session, waits until the connection is to end, and leaves::

    with scope:                          connect deadline, later close deadline, and the way to interrupt a dial
        async with transport:
            async with session:
                publish, wait            a failing transport cancels the owner here ...
    read what came out                   ... and raises its real cause here, outside of everything

Four rules make this work:

* Let it unwind. When a transport's background task fails, its task group cancels the owner. Nobody catches that inside:
  it travels out through the transport's own context manager, which then raises the cause.
* Deadlines are set on the one scope around everything. A new scope around entering or leaving a context manager would
  break the nesting of the scopes inside it.
* Everybody else talks to the owner by events. So a cancellation that the owner sees is never a caller's, and a caller's
  is never the owner's.
* Plain ``async with`` blocks, and no ``AsyncExitStack``. A stack chains the exceptions that pass it by itself; where
  task groups raise one of them a second time it can chain it to itself, and then follow that chain for ever
  (python-trio/trio#2577).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeGuard

import anyio
import anyio.lowlevel

from . import _sdk
from ._calls import Outcome, new_call, wait_at_most
from ._causes import DeadlinePassed, DialGivenUp, OwnerCancelled, ServerClosed, SessionExpired, StillDialling
from ._context import call_headers
from ._eras import Negotiation
from ._errors import connect_error, is_request_timeout, loss_error
from ._exceptions import MCPError
from ._incoming import Incoming
from ._link import Link
from ._liveness import Liveness
from ._server import Server
from ._server_requests import Handler, ServerRequests
from ._state import Event, Lifecycle, MCPStateChange, State
from ._streams import Call, Failure, WatchedReceiveStream, WatchedSendStream, current_call
from ._subscriptions import stay_subscribed
from ._tracing import record_session, record_state_change, request_span
from .sdk import fields

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

logger = logging.getLogger("agent_framework._mcp")

CONNECT_TIMEOUT = 30.0
"""How long opening may take unless the user says otherwise, in seconds: a cold start by a package runner fits in."""

CLOSE_TIMEOUT = 6.0
"""How long session and transport may take to close, in seconds: a stdio server's two graces of 2 s and some more."""

ABANDON_TIMEOUT = 1.0
"""How long session and transport may take to close when opening failed, in seconds: nothing was established that would
need a farewell."""

CLOSE_WAIT = CLOSE_TIMEOUT + 2.0
"""How long ``close()`` waits for the owner, in seconds: past its deadline the owner is cancelled, and then only what
shields itself from cancellation can hold it."""

PROBE_TIMEOUT = 0.5
"""How long a server may take to show that it is alive after an exchange broke off, in seconds. Callers wait for it."""

CANCEL_NOTICE_TIMEOUT = 0.5
"""How long telling the server that a request is given up may take, in seconds: a full pipe must not hold us."""

CODES_OF_A_LIVE_SESSION = frozenset([-32700, -32601, -32602, -32002, -32042])
"""JSON-RPC error codes that speak of the request alone: parse error, no such method, wrong parameters, no such
resource, elicitation needed (JSON-RPC 2.0, section 5.1; MCP). Any other may mean that the session is forgotten."""

LAST_ANSWERS_TIMEOUT = 0.25
"""How long a connection that takes no more messages is read from, in seconds: long enough for the answers that have
arrived, which is what those who wait for them are owed."""


class Connection(Link):
    """One connection, from its opening to its end. It is never reopened.

    Args:
        server: Who is at the other end.
        generation: Which connection of its tool this is, counted from 1.
        open_transport: Makes the context manager of the transport's streams; called by the owner.
        make_session: Makes the session from the two streams; called by the owner.
        connect_timeout: How long opening may take, in seconds.
        request_timeout: How long the session waits for the handshake's answer, in seconds; None for ever.
        handlers: What answers the server's requests, by JSON-RPC method; see ``ServerRequests``.
        ping_interval: How long the server may be silent while calls wait before it is asked for a sign of life, in
            seconds; None for ever.
        on_change: Told of every change of state, synchronously. Must not raise.
        predecessor: The connection this one replaces. The owner waits for its end first: two stdio servers must not
            compete for what one has locked.
        negotiation: What is known of the server's protocol era.
        on_missed_changes: Called when notifications of changes may have been missed.
    """

    def __init__(
        self,
        server: Server,
        *,
        generation: int,
        open_transport: Callable[[], AbstractAsyncContextManager[Any]],
        make_session: Callable[[Any, Any], AbstractAsyncContextManager[Any]],
        connect_timeout: float = CONNECT_TIMEOUT,
        request_timeout: float | None = None,
        handlers: Mapping[str, Handler] | None = None,
        ping_interval: float | None = None,
        on_change: Callable[[MCPStateChange], None] | None = None,
        predecessor: Connection | None = None,
        negotiation: Negotiation | None = None,
        on_missed_changes: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(server, generation)
        self._calls.on_idle = self._on_idle
        self._liveness: Liveness | None = None
        if ping_interval is not None:
            self._liveness = Liveness(ping_interval, ping=self._ping, on_silence=self.lose)
            self._calls.on_busy = self._liveness.calls_wait
        self.loop = asyncio.get_running_loop()
        self._opened_with: Any = None  # the SDK's InitializeResult or DiscoverResult
        self._open_transport = open_transport
        self._make_session = make_session
        self._connect_timeout = connect_timeout
        self._request_timeout = request_timeout
        self._predecessor = predecessor
        self._negotiation = negotiation or Negotiation()
        self._on_missed_changes = on_missed_changes
        self._lifecycle = Lifecycle(self._on_change)
        self._observer = on_change
        self._ready_since: float | None = None
        self._stage = "transport"
        self._scope = anyio.CancelScope()
        self._settled = anyio.Event()  # opening has succeeded, or everything is over
        self._ending = anyio.Event()  # the owner is to leave
        self._unwinding = anyio.Event()  # the owner is leaving
        self._closed = anyio.Event()  # the owner has left
        self.owner: asyncio.Task[BaseException | None] | None = None
        self._background: TaskGroup | None = None
        self._program_exit: KeyboardInterrupt | SystemExit | None = None
        self._streams: tuple[Any, ...] = ()
        self._speaks_for_itself = False
        self._server_requests = ServerRequests(
            server,
            handlers or {},
            start_soon=self._start_beside,
            send=self._send_to_server,
            session=lambda: self.session,
        )
        self._incoming = Incoming(server, self._server_requests)
        self._garbage: Exception | None = None
        # How many callers are opening this connection; None once one of them has succeeded and so keeps it.
        self._openers: int | None = 0

    @property
    def state(self) -> State:
        # A loop that is closed with the owner in it never runs the step that would have said so.
        return State.CLOSED if self.loop.is_closed() else self._lifecycle.state

    @property
    def cause(self) -> BaseException | None:
        abandoned = self.state is not self._lifecycle.state
        return self._lifecycle.cause or (OwnerCancelled() if abandoned else None)

    @property
    def _fault(self) -> BaseException | None:
        """What ended it, if that is anybody's failure."""
        cause = self.cause
        return None if isinstance(cause, DialGivenUp) else cause

    @property
    def capabilities(self) -> Any:
        return getattr(self._opened_with, "capabilities", None)

    @property
    def protocol_version(self) -> str | None:
        version: str | None = fields.if_there(self._opened_with, "protocolVersion")
        return version or _sdk.negotiated_version(self.session)

    @property
    def server_info(self) -> Any:
        return _sdk.server_info(self.session, self._opened_with)

    @property
    def is_modern(self) -> bool:
        """Whether the session is in a protocol version without handshake."""
        return self.protocol_version in _sdk.MODERN_VERSIONS

    @property
    def is_open_here(self) -> bool:
        return self._lifecycle.state is State.READY and asyncio.get_running_loop() is self.loop

    @property
    def is_draining(self) -> bool:
        """Whether it takes no new requests and waits for the calls in flight, each of which meets a fate of its own."""
        return self.state is State.CLOSING and not self._ending.is_set()

    def _require_own_loop(self) -> None:
        """A connection lives on the event loop that opened it.

        Raises:
            RuntimeError: Another loop is running, and the connection's own is still there.
        """
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                f"The connection to MCP server {self.server} belongs to another event loop; close it there first, "
                "or use one tool object for each loop."
            )

    # Opening ...

    async def open(
        self, finish: Callable[[Link], Awaitable[None]] | None = None, *, patience: float | None = None
    ) -> None:
        """Wait until the connection is ready, starting it if need be, and then for ``finish``.

        Any number of callers share one handshake. One that is cancelled leaves; the last one to leave without success
        takes the connection down before its own exception goes on.

        Args:
            finish: What else must succeed before the connection is kept, such as listing the tools.
            patience: How long to wait for the handshake, in seconds; None until its own deadline. Who runs out of
                patience leaves the connection to open, or to fail, by itself.

        Raises:
            MCPError: It could not be opened, and everything is taken down; or it was not open in time.
        """
        self._require_own_loop()
        if self._openers is None:
            await self._ready(finish, patience)
            return
        self._openers += 1
        try:
            await self._ready(finish, patience)
        except BaseException as error:  # a cancellation too: the last one to leave takes the connection down
            if self._openers is not None:
                self._openers -= 1
                if self._openers == 0:
                    given_up = None if isinstance(error, Exception) else DialGivenUp()
                    with anyio.CancelScope(shield=True):
                        await self._take_down(given_up, at_once=given_up is not None)
            raise
        self._openers = None

    async def _ready(self, finish: Callable[[Link], Awaitable[None]] | None, patience: float | None) -> None:
        if self.state is State.NEW:
            self._start()
        await wait_at_most(patience, self._settled)
        if patience is not None and not self._settled.is_set():
            self._openers = None
            raise connect_error(StillDialling(patience), self.server, self._stage)
        if self.state is not State.READY:
            raise connect_error(self._lifecycle.cause, self.server, self._stage)
        if finish is not None:
            await finish(self)

    def _start(self) -> None:
        self._lifecycle.apply(Event.OPEN)
        self.owner = asyncio.create_task(self._run_lifecycle_owner(), name=f"mcp-lifecycle:{self.server.name}")
        # In a callback, not in the owner: it runs also when the owner is cancelled before its first step.
        self.owner.add_done_callback(self._on_owner_done)

    # The owner ...

    async def _run_lifecycle_owner(self) -> BaseException | None:
        with self._scope as scope:
            await self._hold(scope)
        return self._overdue() if scope.cancelled_caught else None

    def _overdue(self) -> DeadlinePassed:
        note = "" if self._garbage is None else "; what it sends is not JSON-RPC"
        return DeadlinePassed(self._connect_timeout, "connect_timeout" + note)

    def _on_owner_done(self, owner: asyncio.Task[BaseException | None]) -> None:
        error = None if owner.cancelled() else owner.exception()
        self._end(OwnerCancelled() if owner.cancelled() else error or owner.result())
        # asyncio lets these two out of its loop when a task or a callback raises them. In the group that a task group
        # has made of one it does not know it, and a program that was told to end would go on.
        if self._program_exit is not None and self._program_exit is not error:
            raise self._program_exit

    async def _await_predecessors(self) -> None:
        """Wait for the end of what was there before. One that is draining ends by itself, and so it is kept."""
        while self._predecessor is not None and not self._predecessor.is_draining:
            await self._predecessor._close_alone()
            self._predecessor = self._predecessor._predecessor

    async def _hold(self, scope: anyio.CancelScope) -> None:
        scope.deadline = anyio.current_time() + self._connect_timeout
        await self._await_predecessors()
        try:
            async with self._open_transport() as streams:
                with self._inside(scope):
                    await self._hold_session(scope, *streams)
        finally:
            self._close_streams()

    async def _hold_session(self, scope: anyio.CancelScope, read_stream: Any, write_stream: Any, *more: Any) -> None:
        self._streams = (read_stream, write_stream)
        # The SDK's own HTTP transport, behind an overridden get_mcp_client, yields a third item. Only from it can the
        # code for an expired session be the SDK's word. From any other it is the server's, and the call may have run.
        self._speaks_for_itself = bool(more) and not getattr(write_stream, "takes_calls", False)
        self._stage = "session"
        take = self._incoming.take
        heard = None if self._liveness is None else self._liveness.note_life
        watched = WatchedReceiveStream(read_stream, self._on_stream_end, self._on_garbage, take, heard)
        sending = WatchedSendStream(write_stream, self._on_request, self._give_up)
        async with self._make_session(watched, sending) as self.session:
            async with anyio.create_task_group() as background:
                try:
                    with self._inside(scope):
                        self._background = background  # the server may ask before the handshake is done
                        self._stage = "initialize"
                        await self._connect_on_owner()
                        scope.deadline = math.inf
                        await self._hold_ready(background)
                finally:
                    self._background = None
                    background.cancel_scope.cancel()

    async def _connect_on_owner(self) -> None:
        if isinstance(self.session, _sdk.OwnSession):
            self.session.answer_input = self._server_requests.answer_within
        self._opened_with = await self._negotiation.open(self.session, self._ask_while_opening)

    async def _hold_ready(self, background: TaskGroup) -> None:
        if self._liveness is not None:
            background.start_soon(self._liveness.watch)
        if self.is_modern:
            background.start_soon(stay_subscribed, self.session, self.capabilities, self._on_resubscribed)
        self._publish()
        await self._ending.wait()

    @contextmanager
    def _inside(self, scope: anyio.CancelScope) -> Iterator[None]:
        """Around what runs inside a context manager: it is judged before anything unwinds.

        A step of ours that fails is the reason, whatever else goes wrong while things are taken down. (When the
        transport fails, what passes here is a cancellation, and the reason comes out of the transport's own context
        manager.)
        """
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as error:
            self._program_exit = error
            raise
        except Exception as error:  # whatever it is, it is the reason, and goes on
            if self.state is State.CONNECTING:
                self._lifecycle.apply(Event.FAILED, error)
            raise
        finally:
            # Once, and also when the transport cancels us: whatever unwinds now has this long, all of it together.
            if not self._unwinding.is_set():
                self._unwinding.set()
                grace = CLOSE_TIMEOUT if self._settled.is_set() else ABANDON_TIMEOUT
                scope.deadline = anyio.current_time() + grace

    async def _send_to_server(self, item: Any) -> None:
        _, write_stream = self._streams
        await write_stream.send(item)

    def _close_streams(self) -> None:
        for stream in self._streams:
            if hasattr(stream, "close"):
                stream.close()

    async def _ask_while_opening(self, method: str, send: Callable[[], Awaitable[Any]], patience: float | None) -> Any:
        """Make one request of the opening. What it raises is the root cause of its failure."""
        call = new_call("connect", method, patience)
        token = current_call.set(call)
        try:
            with request_span(method, self.server, call=call) as span:
                try:
                    result = await self._answer_while_opening(call, send, patience)
                except asyncio.CancelledError:
                    span.failed(self._why_interrupted())
                    raise
                span.answered(result)
                return result
        finally:
            current_call.reset(token)

    def _why_interrupted(self) -> BaseException | None:
        """Why opening is being cancelled; None where that is no failure, or only the transport knows."""
        overdue = self.state is State.CONNECTING and self._scope.cancel_called
        return self._overdue() if overdue else self._fault

    async def _answer_while_opening(
        self, call: Call, send: Callable[[], Awaitable[Any]], patience: float | None
    ) -> Any:
        with nullcontext() if patience is None else call.scope:
            try:
                return await send()
            except _sdk.McpError as error:
                reason = self._why_not_opened(call, error)
            raise reason  # out here: it keeps its own chain of causes
        raise DeadlinePassed(patience or 0.0, call.what)

    def _why_not_opened(self, call: Call, error: Exception) -> BaseException:
        if call.failure is not None:
            return call.failure.cause
        if is_request_timeout(error) and self._request_timeout is not None:
            return DeadlinePassed(self._request_timeout, "request_timeout")
        return error

    def _on_resubscribed(self) -> None:
        """The server may have told of changes meanwhile."""
        if self._on_missed_changes is not None:
            self._on_missed_changes()

    def _publish(self) -> None:
        if self.state is State.CONNECTING:
            self._lifecycle.apply(Event.READY)
            self._ready_since = anyio.current_time()
            self._settled.set()

    def _end(self, cause: BaseException | None) -> None:
        """The owner is gone: settle everybody who still waits."""
        if self.state is State.CONNECTING:
            self._lifecycle.apply(Event.FAILED, cause)
        else:
            self._lifecycle.apply(Event.LOST, cause or ServerClosed("the connection ended"))
        self._lifecycle.apply(Event.ENDED)
        self._calls.release()
        self._settled.set()
        self._closed.set()
        # A dial that was given up has not waited for its predecessor: whoever succeeds us must find the one that is
        # still going away, however many such dials lie between.
        while self._predecessor is not None and self._predecessor.state is State.CLOSED:
            self._predecessor = self._predecessor._predecessor
        if self._ready_since is not None:  # last: a measurement that fails must hold nobody
            lasted = self.loop.time() - self._ready_since
            record_session(self.server, lasted, protocol_version=self.protocol_version, cause=self._fault)

    def _on_change(self, before: State, after: State) -> None:
        try:
            self._tell(before, after)
        except Exception:  # foreign spans and exceptions take part; what follows on the change has to follow
            logger.exception("A change of the connection to MCP server %s could not be told.", self.server)

    def _tell(self, before: State, after: State) -> None:
        fault = self._fault
        record_state_change(self.server, before, after, fault)
        if self._observer is None:
            return
        error = None
        if fault is not None and before is State.CONNECTING:
            error = connect_error(fault, self.server, self._stage)
        elif fault is not None and before is State.READY:
            error = loss_error(fault, self.server)
        self._observer(MCPStateChange(str(self.server), self.generation, before.value, after.value, error))

    # Ending ...

    def _on_stream_end(self, reason: BaseException | None) -> None:
        self.lose(reason or ServerClosed("the server closed the connection"))

    def _on_garbage(self, error: Exception) -> None:
        self._garbage = error

    def lose(self, cause: BaseException) -> None:
        """Report that the server is gone. Calls in flight end now, with this cause; the owner cleans up."""
        if self.state is State.CLOSED:
            return
        self._lifecycle.apply(Event.LOST, cause)
        self._leave()

    def retire(self, cause: BaseException) -> None:
        """Report that the server serves nothing more on this session, as one HTTP exchange has shown.

        The exchanges in flight are on their way and end by themselves: an answer may still come, and one that is
        refused is known not to have run. The owner leaves after the last of them.
        """
        if self.state is State.READY:
            self._lifecycle.apply(Event.LOST, cause)
            self._on_idle()

    def _on_idle(self) -> None:
        if self._liveness is not None:
            self._liveness.calls_ended()
        if self.state is State.CLOSING and not self._calls:
            self._ending.set()

    def _leave(self) -> None:
        """Send the owner home. A dial is interrupted; what is established is left in order."""
        self._calls.release()
        self._ending.set()
        if not self._settled.is_set():
            self._scope.cancel()

    async def close(self) -> None:
        """Close the connection and wait until nothing is left of it. Any task may do so, at any time, repeatedly."""
        await self._close_alone()
        if self._predecessor is not None:
            await self._predecessor.close()

    async def _close_alone(self) -> None:
        if not self.loop.is_closed():
            self._require_own_loop()
            await self._take_down()

    async def _take_down(self, cause: BaseException | None = None, *, at_once: bool = False) -> None:
        """End this connection, and wait for it.

        Args:
            cause: What later callers are told; None for a close on purpose.
            at_once: Skip the farewells (HTTP DELETE, a stdio server's chance to exit by itself).
        """
        self._lifecycle.apply(Event.CLOSE, cause)
        if self.state is State.CLOSED:
            self._settled.set()
            self._closed.set()
            return
        self._leave()
        if at_once:
            self._scope.cancel()
        with anyio.move_on_after(CLOSE_WAIT):
            await self._closed.wait()
            return
        logger.warning("The connection to MCP server %s did not close within %g s.", self.server, CLOSE_WAIT)

    def drop(self) -> None:
        """Begin to close without waiting; the owner does the rest."""
        self._lifecycle.apply(Event.CLOSE)
        if self.state is State.CLOSING:
            self._leave()

    # Calls ...

    async def _why_unanswered(self, call: Call, error: Exception | None, late: DeadlinePassed) -> MCPError:
        failure = call.failure
        if isinstance(error, _sdk.ConnectionEnded) and not self.is_over:
            await wait_at_most(CLOSE_WAIT, self._closed)  # the owner knows why, once it has left
        if failure is None:
            if isinstance(error, (anyio.ClosedResourceError, anyio.BrokenResourceError)):
                # The end of the read stream comes behind the last answer.
                await wait_at_most(LAST_ANSWERS_TIMEOUT, self._ending)
            if self._speaks_for_itself and _sdk.is_session_expired(error):
                call.sent = False
                self.retire(SessionExpired("the server answered HTTP 404 to the session id"))
            elif self._may_mean_no_session(error) and await self._ping_fails_as(error):
                self.retire(error)
            return await super()._why_unanswered(call, error, late)
        await self._judge(failure)
        call.sent = failure.sent
        return self._error(call, failure.cause)

    def _on_request(self, call: Call) -> None:
        # A handshake or a listing that a call has caused runs in a copy of its context, and is not its own.
        headers = None if call.phase in ("connect", "list") else call_headers.get(None)
        call.headers = headers

    async def _judge(self, failure: Failure) -> None:
        """What the failure of one HTTP exchange means for the connection."""
        if self.is_over:
            return
        if failure.fatal or (failure.doubtful and not await self._shows_life()):
            self.retire(failure.cause)

    async def _shows_life(self) -> bool:
        """Whether the server still answers on this session. Any answer will do, also an error."""
        probe, outcome = await self._probe()
        if probe.failure is not None:
            return False
        return outcome.answered or isinstance(outcome.error, _sdk.McpError)

    async def _probe(self) -> tuple[Call, Outcome[Any]]:
        probe = new_call("ping", "ping", PROBE_TIMEOUT)
        return probe, await self._calls.run(lambda: _sdk.ask_for_life(self.session), probe)

    def _may_mean_no_session(self, error: Exception | None) -> TypeGuard[_sdk.McpError]:
        """Whether a server may have said with an error answer that it has forgotten the session.

        The specification has HTTP 404 for it; some servers and gateways answer 200 with an error of their own.
        """
        stream = self._streams[1] if self._streams else None
        if not hasattr(stream, "writes_in_task_of_sender") and _sdk.may_mean_no_session(error):
            return True  # a transport of other hands may say so too
        return (
            getattr(stream, "has_session", False)
            and isinstance(error, _sdk.McpError)
            and error.error.code not in CODES_OF_A_LIVE_SESSION
        )

    async def _ping_fails_as(self, error: _sdk.McpError) -> bool:
        probe, outcome = await self._probe()
        same = isinstance(outcome.error, _sdk.McpError) and outcome.error.error.code == error.error.code
        return same and probe.failure is None

    async def _ping(self, seconds: float) -> None:
        """Ask for a sign of life. It is no call in flight: nobody waits for it, and none may be delayed by it."""
        call = new_call("ping", "ping", seconds)
        token = current_call.set(call)
        try:
            with call.scope:
                await _sdk.ask_for_life(self.session)
        except (_sdk.McpError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            await anyio.lowlevel.checkpoint()  # an error is an answer too, and an ended stream reports itself
        finally:
            current_call.reset(token)
        failure = call.failure
        if failure is not None:
            await self._judge(failure)

    def _give_up(self, request_id: int | str) -> None:
        """Tell the server, in the background, that nobody waits for an answer any more."""
        self.start_soon(self._send_cancelled, request_id)

    async def _send_cancelled(self, request_id: int | str) -> None:
        with anyio.move_on_after(CANCEL_NOTICE_TIMEOUT):
            try:
                await _sdk.cancel_request(self.session, request_id, "the caller gave up")
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                return  # then the server has learned it from the closed connection

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> bool:
        return self.state is State.READY and self._start_beside(function, *args)

    def _start_beside(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> bool:
        """Run something beside the session, as long as the owner is in there. It must not raise."""
        if self._background is None:
            return False
        self._background.start_soon(function, *args)
        return True
