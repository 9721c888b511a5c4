# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The streamable HTTP transport of MCP (specification, "Transports"), below a ``ClientSession`` of either SDK major.

The write side is an object whose ``send`` starts a task for each request and returns. The task makes the HTTP exchange
and puts what the server says on the read stream. A failure concerns its request alone: it is kept on the request's
``Call`` as an object, and an error message on the read stream ends the session's wait.

No exchange is waited for by another, with one exception: requests follow ``notifications/initialized``, as some servers
refuse what comes before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from typing_extensions import Self

from .. import _messages, _sdk
from .._causes import MESSAGE_LIMIT, AnswerMissing, NotMCP, SessionExpired
from .._streams import Call
from .endpoint import EVENTS, JSON, VERSION, Endpoint
from .events import Event, EventParser, events_in
from .failures import failure_of, why_no_answer, why_refused, without_secrets
from .http_client import body_of, discard, make_client, pieces_of
from .messages import is_answer, parse

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

logger = logging.getLogger("agent_framework._mcp")

TIMEOUT = 30.0
"""How long a client of our own takes to connect or to write at most, in seconds."""

READ_TIMEOUT = 300.0
"""How long an event stream may be silent for a client of our own, in seconds; upstream's and the SDK's limit."""

DELETE_TIMEOUT = 2.0
"""How long the farewell to a server may take, in seconds: it is a courtesy, and must not delay close."""

NOTICE_TIMEOUT = 5.0
"""How long delivering a notification or an answer of ours may take, in seconds; it holds a connection."""

INITIALIZED_TIMEOUT = 0.5
"""How long the first request waits until the server has taken ``notifications/initialized``, in seconds: some servers
refuse requests before it, and some never answer it."""

MAX_NOTICES_AT_ONCE = 4
"""How many notifications and answers of ours are on the way at once: a server that asks without end gets no more of
our connections than these."""

MAX_NOTICES = 256
"""How many of them may wait; what is beyond is dropped, as the server does not take what it asks for."""

DRAIN_TIMEOUT = 1.0
"""How long the end of an event stream may be behind the answer, in seconds: a connection whose response was read to its
end serves the next request, and some servers never end it."""

DRAIN_LIMIT = 64 * 1024
"""How much may come behind the answer, in bytes."""

FIRST_DELAY, LAST_DELAY = 1.0, 30.0
"""How long to wait before an event stream that ended is asked for again, in seconds: at first, and when that fails
again and again. The server's own ``retry`` wins over the former."""

LEAST_DELAY = 0.1
"""How soon it is asked for again at the earliest, in seconds, whatever the server says."""

RESUME_ATTEMPTS = 2
"""How often in a row asking for it may fail: then the request has no answer, and the server's own stream waits until
the server has answered something else."""

LEAVE_TIMEOUT = 2.0
"""How long exchanges may take to end when the transport is left, in seconds: only code of the user's, such as event
hooks, can hold them."""

_MODERN_MARK = "mcp-method"  # a header that only requests of protocol 2026-07-28 and later carry
_READ_BUFFER = 16  # messages


@dataclass(eq=False)
class _Exchange:
    """One JSON-RPC request and the HTTP requests that are made to get its answer.

    Attributes:
        id: The request's id.
        method: Its JSON-RPC method.
        body: Its text.
        headers: What the session wants on its HTTP requests.
        call: The call it belongs to, or None.
        sent: Whether the server has answered anything, so that it has the request.
        fault: What was wrong with the events so far, or None.
        task: The task that runs it.
    """

    id: int | str
    method: str
    body: bytes
    headers: Mapping[str, str]
    call: Call | None
    sent: bool = False
    fault: NotMCP | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_modern(self) -> bool:
        return _MODERN_MARK in self.headers


@asynccontextmanager
async def streamable_http(
    url: str,
    *,
    http_client: Any = None,
    terminate_on_close: bool = True,
    ambient_headers: Callable[[], Mapping[str, str]] | None = None,
) -> AsyncIterator[tuple[Any, StreamableHTTP]]:
    """A server behind a URL.

    Args:
        url: The server's endpoint.
        http_client: The ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` to use, which is neither changed nor closed;
            None for one of our own.
        terminate_on_close: Whether to end the session on the server (HTTP DELETE) when leaving.
        ambient_headers: Gives the headers of every request that has none of its own: handshake, listings,
            notifications, the listening stream, the farewell.

    Yields:
        The read stream and the write side.
    """
    own = make_client(timeout=TIMEOUT, read_timeout=READ_TIMEOUT) if http_client is None else None
    async with nullcontext() if own is None else own:
        to_session, read_stream = anyio.create_memory_object_stream[Any](_READ_BUFFER)
        with to_session, read_stream:
            endpoint = Endpoint(url, own or http_client, ambient_headers, is_own=own is not None)
            transport = StreamableHTTP(endpoint, to_session)
            try:
                yield read_stream, transport
            finally:
                await transport.leave()
                if terminate_on_close:
                    await transport.say_goodbye()


class StreamableHTTP:
    """The write side of the transport, and the exchanges under way."""

    writes_in_task_of_sender = True
    takes_calls = True

    def __init__(self, endpoint: Endpoint, to_session: MemoryObjectSendStream[Any]) -> None:
        self._endpoint = endpoint
        self._library = endpoint.library
        self._to_session = to_session
        self._is_refused = False  # the newest exchange has shown that the server serves nothing on this session
        self._exchanges: dict[int | str, _Exchange] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._notices = asyncio.Semaphore(MAX_NOTICES_AT_ONCE)
        self._notices_waiting = 0
        self._answered = anyio.Event()  # set when the server answers a request
        self._is_closed = False

    @property
    def has_session(self) -> bool:
        """Whether the server gave a session id, which it may forget."""
        return self._endpoint.session_id is not None

    # What the session does ...

    async def send(self, item: Any, call: Call | None = None) -> None:
        """Send a message; for a request, start the exchange and return.

        Args:
            item: The SDK's ``SessionMessage``.
            call: The call that a request belongs to: its headers go out, and a failure is kept on it.

        Raises:
            anyio.ClosedResourceError: The transport is closed; nothing was started.
            ValueError: The message holds text that UTF-8 cannot hold.
        """
        if self._is_closed:
            raise anyio.ClosedResourceError
        message = _messages.bare(item)
        body, headers = _sdk.encode(item).encode(), _messages.headers_of(item)
        self._endpoint.version = headers.get(VERSION, self._endpoint.version)
        method = getattr(message, "method", None)
        if method is not None and hasattr(message, "id"):
            self._begin(_Exchange(message.id, method, body, headers, call))
        elif method == "notifications/initialized":
            notice = asyncio.create_task(self._introduce(body, headers))
            self._keep(notice)
            await asyncio.wait({notice}, timeout=INITIALIZED_TIMEOUT)
        elif method == "notifications/cancelled":
            self._give_up(message, body, headers)
        else:
            self._tell(body, headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more messages."""
        self._is_closed = True

    async def leave(self) -> None:
        """End every exchange, and wait for their ends."""
        self.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            with anyio.CancelScope(shield=True):  # some turns of the loop, and a bound for what is not ours
                await asyncio.wait(self._tasks, timeout=LEAVE_TIMEOUT)

    async def say_goodbye(self) -> None:
        """End the session on the server, unless it has forgotten or refused us: some give out the same ids again."""
        if not self.has_session or self._is_refused:
            return
        try:
            with anyio.move_on_after(DELETE_TIMEOUT):
                await discard(await self._endpoint.request("DELETE", {}))
        except Exception as error:  # noqa: BLE001  # it ends anyway, and servers forget sessions by themselves
            logger.debug("The session could not be ended on the server: %s", type(error).__name__)

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task until it ends, or until the transport is left."""
        # No task group: its tasks complain when the loop ends before their first step, and a failure of one of them,
        # which there is none of, would end the others.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Requests ...

    def _begin(self, exchange: _Exchange) -> None:
        self._exchanges[exchange.id] = exchange
        exchange.task = asyncio.create_task(self._run(exchange))
        self._keep(exchange.task)

    async def _run(self, exchange: _Exchange) -> None:
        try:
            await self._exchange(exchange)
        except Exception as error:  # noqa: BLE001  # whatever client, hooks and auth raise concerns this request
            await self._fail(exchange, error)
        finally:
            self._exchanges.pop(exchange.id, None)

    async def _exchange(self, exchange: _Exchange) -> None:
        parser = EventParser()
        response = await self._request(exchange, "POST", exchange.headers, body=exchange.body)
        answered = await self._take_response(response, exchange, parser)
        delay, failed = 0.0, 0
        while not answered:
            if parser.last_id is None or exchange.is_modern:
                raise exchange.fault or AnswerMissing("the event stream ended without the answer")
            delay = _next_delay(delay, parser.retry, failed)
            await anyio.sleep(delay)  # a pause that the protocol asks for ("retry")
            try:
                response = await self._request(exchange, "GET", {"last-event-id": parser.last_id})
                answered = await self._take_response(response, exchange, parser)
                failed = 0
            except self._library.HTTPError:
                failed += 1
                if failed == RESUME_ATTEMPTS:
                    raise

    async def _request(self, exchange: _Exchange, method: str, extra: Mapping[str, str], **body: bytes) -> Any:
        own = None if exchange.call is None else exchange.call.headers
        listens = method == "GET" or exchange.method == "subscriptions/listen"
        return await self._endpoint.request(method, extra, own=own, listens=listens, **body)

    async def _take_response(self, response: Any, exchange: _Exchange, parser: EventParser) -> bool:
        """Take what a response says to the session; True if it held the answer."""
        try:
            if not response.is_success:
                raise await why_refused(self._library, response)
            exchange.sent = True
            kind = _content_type(response) if response.status_code not in (202, 204) else ""
            if kind == EVENTS:
                return await self._take_events(response, exchange, parser)
            if kind != JSON:
                raise why_no_answer(response, kind)
            for message in parse(await body_of(response, MESSAGE_LIMIT)):
                if await self._take(message, response, exchange):
                    return True
            raise NotMCP("the answer is not a JSON-RPC response to the request")
        finally:
            await response.aclose()

    async def _take_events(self, response: Any, exchange: _Exchange, parser: EventParser) -> bool:
        parser.restart()
        try:
            async with aclosing(pieces_of(response)) as pieces, aclosing(events_in(pieces, parser)) as events:
                async for event in events:
                    if await self._take_event(event, response, exchange):
                        await _drain(pieces)
                        return True
        except (self._library.TransportError, self._library.StreamError):
            if parser.last_id is None or exchange.is_modern:
                raise
        return False

    async def _take_event(self, event: Event, response: Any, exchange: _Exchange | None) -> bool:
        if not event.is_message:
            return False
        try:
            messages = parse(event.data)
        except NotMCP:
            messages = []
        for message in messages:
            if await self._take(message, response, exchange):
                return True
        if exchange is not None and not any("method" in message for message in messages):
            exchange.fault = NotMCP("the event stream holds no JSON-RPC response to the request")
        return False

    async def _take(self, message: dict[str, Any], response: Any, exchange: _Exchange | None) -> bool:
        """Pass a message on to the session; True if it answers the exchange's request."""
        if "method" in message:
            await self._to_session.send(_messages.incoming(message))
            return False
        if exchange is None or not is_answer(message, exchange.id):
            return False
        if exchange.method == "initialize":
            self._endpoint.note_session(message, response)
        self._is_refused = False
        self._answered.set()
        shown = without_secrets(message, response.request.headers)
        await self._to_session.send(_messages.answer({**shown, "id": exchange.id}))
        return True

    async def _fail(self, exchange: _Exchange, error: Exception) -> None:
        failure = failure_of(error, self._library, proxy=self._endpoint.proxy, sent=exchange.sent)
        self._is_refused = failure.fatal or failure.doubtful
        if exchange.call is not None:
            exchange.call.failure = failure
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the session may have left first
            await self._to_session.send(_messages.failure(exchange.id, failure.cause))

    # Notifications and answers of ours ...

    def _give_up(self, notice: Any, body: bytes, headers: Mapping[str, str]) -> None:
        """A request is given up: tell the server, and let go of the HTTP connection that its answer would come over.

        Since protocol 2026-07-28, closing that connection is what tells the server.
        """
        request_id = _messages.cancelled_id(notice)
        exchange = None if request_id is None else self._exchanges.get(request_id)
        if exchange is None or not exchange.is_modern:
            self._tell(body, headers)
        if exchange is not None and exchange.task is not None:
            exchange.task.cancel()

    def _tell(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Have a message delivered that has no answer. The sender, often the receive loop, never waits for it."""
        if self._notices_waiting < MAX_NOTICES:
            self._notices_waiting += 1
            self._keep(asyncio.create_task(self._deliver(body, headers)))
        else:
            logger.debug("A message to the server was dropped: it takes none, and %d wait.", MAX_NOTICES)

    async def _deliver(self, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            async with self._notices:
                await self._post_notice(body, headers)
        finally:
            self._notices_waiting -= 1

    async def _post_notice(self, body: bytes, headers: Mapping[str, str]) -> bool:
        try:
            with anyio.move_on_after(NOTICE_TIMEOUT):
                response = await self._endpoint.request("POST", headers, body=body)
                await discard(response)
                if response.is_success:
                    return True
                logger.debug("A notification was answered with HTTP %d.", response.status_code)
        except Exception as error:  # noqa: BLE001  # the next request finds out what it means
            logger.debug("A notification could not be delivered: %s", type(error).__name__)
        return False

    async def _introduce(self, body: bytes, headers: Mapping[str, str]) -> None:
        if await self._post_notice(body, headers) and self.has_session:
            self._keep(asyncio.create_task(self._listen()))

    # The stream on which the server speaks by itself ...

    async def _listen(self) -> None:
        """Keep the server's own stream open (GET). A server need not have one, and may end it at any time."""
        parser = EventParser()
        delay, failed = 0.0, 0
        while True:
            try:
                await self._listen_once(parser)
            except (SessionExpired, NotMCP, self._library.HTTPStatusError, anyio.BrokenResourceError) as error:
                logger.debug("The server keeps no stream of its own: %s", type(error).__name__)
                return
            except Exception as error:  # noqa: BLE001  # whatever client, hooks and auth raise: no call depends on it
                logger.debug("The server's own stream could not be opened: %s", type(error).__name__)
                failed += 1
            else:
                failed = 0
            if failed == RESUME_ATTEMPTS:
                failed, self._answered = 0, anyio.Event()
                await self._answered.wait()  # nothing is asked of a server that is away while no call needs it
            delay = _next_delay(delay, parser.retry, failed)
            await anyio.sleep(delay)

    async def _listen_once(self, parser: EventParser) -> None:
        """Listen until the stream ends."""
        headers = {} if parser.last_id is None else {"last-event-id": parser.last_id}
        response = await self._endpoint.request("GET", headers, listens=True)
        try:
            if not response.is_success:
                raise await why_refused(self._library, response)
            if _content_type(response) != EVENTS:
                raise NotMCP("the server's own stream is no event stream")
            parser.restart()
            async with aclosing(pieces_of(response)) as pieces, aclosing(events_in(pieces, parser)) as events:
                async for event in events:
                    await self._take_event(event, response, None)
        finally:
            await response.aclose()


async def _drain(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read what is left of an event stream behind the answer, unless it is too much."""
    size = 0
    try:
        with anyio.move_on_after(DRAIN_TIMEOUT):
            async for piece in pieces:
                size += len(piece)
                if size > DRAIN_LIMIT:
                    return
    except Exception:  # noqa: BLE001, S110  # the answer is there, and what breaks behind it concerns no request
        pass


def _next_delay(delay: float, retry: int | None, failed: int) -> float:
    """How long to wait before a stream is asked for again; longer each time, while that fails."""
    least = FIRST_DELAY if retry is None else max(LEAST_DELAY, retry / 1000)
    return max(least, min(2 * delay, LAST_DELAY)) if failed else least


def _content_type(response: Any) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
