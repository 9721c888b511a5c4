# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Keeps an HTTP failure inside the request that met it.

The SDK's streamable HTTP transport (1.x) runs every POST in one task group: one refused connection, one 500, one broken
body ends the transport, and with it every other request. An answer that is no JSON-RPC leaves its caller waiting for
ever. So we stand between that transport and the HTTP client. The transport sees only answers it can digest; a request
that failed is answered with a JSON-RPC error of our making, and the exception is kept under the request's id for the
caller to find.

The HTTP client is wrapped and never changed: it may belong to the user and serve other purposes at the same time. SDK
1.24 calls ``stream`` and ``delete``, SDK 1.30 ``build_request`` and ``send``; all of them pass through the latter two.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast
from weakref import WeakValueDictionary

import anyio
import httpx
from pydantic_core import from_json

from . import _mends
from ._causes import MESSAGE_LIMIT, AnswerMissing, HTTPRefusal, NotMCP, SessionExpired, too_long
from ._mends.answers import WORTHWHILE, Results
from ._mends.draining import DrainedResponse, drain
from ._secrets import secret_words, without

logger = logging.getLogger("agent_framework._mcp")

DELETE_TIMEOUT = 2.0
"""How long the farewell to a server may take, in seconds: it is a courtesy, and must not delay close."""

NOTICE_TIMEOUT = 5.0
"""How long delivering a notification may take, in seconds: nobody waits for it, but it holds a connection."""

INITIALIZED_TIMEOUT = 0.5
"""How long the first request waits until the server has taken ``notifications/initialized``, in seconds: some servers
refuse requests before it, and some never answer it."""

ERROR_BODY_LIMIT = 64 * 1024
"""How much of an error answer's body is read, in bytes, to find the JSON-RPC error that says why."""

ERROR_BODY_TIMEOUT = 0.5
"""How long the body of an answer that is no success may take, in seconds: the status is known, and a caller waits."""

LEAST_RETRY = 100
"""How soon a broken event stream is asked for again at the earliest, in milliseconds, whatever the server says: it may
end every stream at once."""

RESUME_ATTEMPTS = 2
"""How often in a row the SDK's transport asks for the rest of a broken event stream before it silently gives up."""

_INTERNAL_ERROR = -32603
_EXCHANGE = "agent_framework.mcp"
_INITIALIZED = b'"notifications/initialized"'
_EVENTS = "text/event-stream"
_SESSION_ID = "mcp-session-id"
_LAST_EVENT_ID = "last-event-id"


@dataclass
class Failure:
    """Why a request has no answer.

    Attributes:
        cause: The exception that says so.
        sent: False if the request certainly never ran.
        fatal: Whether the same session can serve no further request.
        doubtful: Whether it may be so; a sign of life from the server settles it.
    """

    cause: BaseException
    sent: bool
    fatal: bool = False
    doubtful: bool = False


@dataclass
class Exchanges:
    """What the callers of requests and the HTTP side of them tell each other, by the ids of the JSON-RPC requests.

    Attributes:
        failures: Why a request has no answer; whoever made the request takes it out. That an error came from here and
            not from the server is known by its id being in here, which no server can forge.
        headers: What a request is to carry beside the usual; the exchange takes it out.
        results: What long answers are without while the SDK's transport carries them; None where they go whole.
        open: The exchanges under way. The HTTP request keeps its exchange alive, so none has to be taken out.
    """

    failures: dict[int | str, Failure] = field(default_factory=dict)
    headers: dict[int | str, Mapping[str, str]] = field(default_factory=dict)
    results: Results | None = field(default_factory=lambda: Results() if _mends.is_on("answers") else None)
    open: WeakValueDictionary[int | str, _Exchange] = field(default_factory=WeakValueDictionary)

    def give_up(self, request_id: int | str) -> None:
        """Nobody waits for this answer any more: let go of the HTTP connection that it would come over."""
        exchange = self.open.get(request_id)
        if exchange is not None:
            exchange.given_up = True
            if exchange.scope is not None:
                exchange.scope.cancel()


class _GivenUp(Exception):
    """Whoever made a request does not wait for its answer any more."""


@dataclass
class _Exchange:
    """One JSON-RPC request and the HTTP requests made to get its answer."""

    id: int | str
    is_handshake: bool
    headers: Mapping[str, str] | None = None
    failed_attempts: int = 0
    given_up: bool = False
    scope: anyio.CancelScope | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for the server in here.

        Raises:
            _GivenUp: The request was given up, now or before.
        """
        with anyio.CancelScope() as self.scope:
            if self.given_up:
                self.scope.cancel()
            yield
        if self.scope.cancelled_caught:
            raise _GivenUp


class GuardedClient(httpx.AsyncClient):
    """An HTTP client for the SDK's transport that always comes back with something that transport can digest.

    Args:
        client: Does the work. It is neither modified nor closed.
        exchanges: Where the exceptions of failed requests are put, and where requests have headers of their own.
        ambient_headers: Gives the headers of every request that has none of its own: handshake, listings,
            notifications, the listening stream, the farewell.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        exchanges: Exchanges,
        ambient_headers: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        # The base class is there for its interface only; an explicit transport and environment keep it from building
        # a TLS context and a connection pool that nothing would use.
        super().__init__(transport=_NoTransport(), trust_env=False)
        self._client = client
        self._exchanges = exchanges
        self._ambient_headers = ambient_headers
        self._deliveries: set[asyncio.Task[None]] = set()
        self._resumable: dict[str, _Exchange] = {}
        self._is_forgotten = False
        self._endpoint: tuple[Any, httpx.URL | None] = (None, None)

    def build_request(self, method: str, url: Any, **kwargs: Any) -> httpx.Request:
        request = self._client.build_request(method, self._parsed(url), **kwargs)
        message = kwargs.get("json")
        if isinstance(message, dict) and "method" in message and "id" in message:
            key = message["id"]
            exchange = _Exchange(key, message["method"] == "initialize", self._exchanges.headers.pop(key, None))
            request.extensions[_EXCHANGE] = self._exchanges.open[key] = exchange
        return request

    def _parsed(self, url: Any) -> Any:
        """A URL taken apart once: the transport has one, and gives it as text each time."""
        if type(url) is not str:
            return url
        if self._endpoint[0] != url:
            self._endpoint = (url, httpx.URL(url))
        return self._endpoint[1]

    async def send(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        exchange = request.extensions.get(_EXCHANGE)
        if exchange is not None:
            return await self._exchange(request, exchange, **kwargs)
        if request.method == "POST":
            return await self._tell(request, **kwargs)
        if request.method == "DELETE" and self._is_forgotten:
            # Whom the server does not know needs no farewell; and some give out the same session ids again.
            return httpx.Response(204, request=request)
        if request.method == "DELETE":
            return await self._say_goodbye(request, **kwargs)
        resumed = self._resumable.get(request.headers.get(_LAST_EVENT_ID, ""))
        if resumed is not None:
            return await self._resume(request, resumed, **kwargs)
        response = await self._send(request, None, **kwargs)
        if _content_type(response) != _EVENTS:
            return response
        return _with_body(response, _EVENTS, stream=_Standing(response))

    async def _send(self, request: httpx.Request, exchange: _Exchange | None, **kwargs: Any) -> httpx.Response:
        """Send, and follow redirects within the server's own origin only.

        What is on a request (headers, credentials, arguments) was meant for that origin.
        """
        headers = None if exchange is None else exchange.headers
        if headers is None and self._ambient_headers is not None:
            headers = self._ambient_headers()
        if headers:
            request.headers.update(headers)
        kwargs["follow_redirects"] = False
        for _ in range(self._client.max_redirects + 1):
            response = await self._client.send(request, **kwargs)
            following = _next_within_origin(response)
            if following is None:
                return response
            with anyio.move_on_after(ERROR_BODY_TIMEOUT):
                await response.aread()
            await response.aclose()
            request = following
        raise httpx.TooManyRedirects("too many redirects", request=request)

    async def _exchange(self, request: httpx.Request, exchange: _Exchange, **kwargs: Any) -> httpx.Response:
        try:
            with exchange.waiting():
                response = await self._send(request, exchange, **kwargs)
                return await self._checked(response, exchange)
        except Exception as error:  # noqa: BLE001  # whatever client, hooks and auth raise concerns this request
            self._is_forgotten = self._is_forgotten or isinstance(error, SessionExpired)
            return self._answer_with_failure(request, exchange, _failure(error))

    async def _tell(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        """Have a notification or an answer of ours delivered: the transport sends nothing else until we return."""
        # Not in a task group of anyio: there a task that the end of the loop cancels before its first step complains
        # that it was never awaited, and a program that is interrupted gets here.
        delivery = asyncio.create_task(self._deliver(request, **kwargs))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)
        if _INITIALIZED in request.content:
            await asyncio.wait({delivery}, timeout=INITIALIZED_TIMEOUT)
        return httpx.Response(202, request=request)

    async def drop_deliveries(self) -> None:
        """End what is still being delivered."""
        for delivery in self._deliveries:
            delivery.cancel()
        if self._deliveries:
            with anyio.CancelScope(shield=True):  # some turns of the loop
                await asyncio.wait(self._deliveries)

    async def _deliver(self, request: httpx.Request, **kwargs: Any) -> None:
        """Deliver a notification or an answer of ours. Nobody waits for it, so nobody can be told that it failed."""
        try:
            with anyio.move_on_after(NOTICE_TIMEOUT):
                response = await self._send(request, None, **kwargs)
                if response.status_code in (202, 204):
                    await response.aread()  # an unread body, even an empty one, costs the pool its connection
                await response.aclose()
                if response.is_error:
                    logger.debug("A notification was answered with HTTP %d.", response.status_code)
        except Exception as error:  # noqa: BLE001  # as above; the next request finds out what it means
            logger.debug("A notification could not be delivered: %s", type(error).__name__)

    async def _say_goodbye(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        try:
            with anyio.move_on_after(DELETE_TIMEOUT):
                response = await self._send(request, None, **kwargs)
                await response.aclose()
        except Exception as error:  # noqa: BLE001  # it ends anyway, and servers forget sessions by themselves
            logger.debug("The session could not be ended on the server: %s", type(error).__name__)
        return httpx.Response(204, request=request)

    async def _resume(self, request: httpx.Request, exchange: _Exchange, **kwargs: Any) -> httpx.Response:
        """Fetch the rest of a broken event stream. The transport tries a few times; the last failure is its answer."""
        try:
            with exchange.waiting():
                response = await self._send(request, exchange, **kwargs)
                checked = await self._checked(response, exchange, resumed=True)
        except Exception as error:  # as in _exchange
            exchange.failed_attempts += 1
            if exchange.failed_attempts < RESUME_ATTEMPTS and not exchange.given_up:
                raise
            # Whatever is wrong with asking for the rest: the request itself was taken, and may have run.
            return self._answer_with_failure(request, exchange, replace(_failure(error), sent=True), as_events=True)
        exchange.failed_attempts = 0
        return checked

    async def _checked(self, response: httpx.Response, exchange: _Exchange, *, resumed: bool = False) -> httpx.Response:
        """An answer that the transport can digest, or the exception that says why this is none."""
        try:
            if not response.is_success:
                raise await _refusal(response)
            content_type = _content_type(response)
            if content_type == _EVENTS:
                answer = _Answer(response, exchange, self)
                return answer.as_events() if resumed else await answer.as_response()
            if resumed or content_type != "application/json":
                raise _not_an_answer(response, content_type)
            response = await _read(response)
            body = response.content
            message = _require_answer(body, exchange.id)
        except BaseException:
            await response.aclose()
            raise
        shown = _without_secrets(message, response.request.headers)
        passed = self.shorten(body, message, exchange) if shown is message else json.dumps(shown).encode()
        return response if passed is body else _with_body(response, "application/json", content=passed)

    def shorten(self, body: bytes, message: dict[str, Any], exchange: _Exchange) -> bytes:
        """The text of an answer as the transport is to see it."""
        results = self._exchanges.results
        if results is None or len(body) < WORTHWHILE or exchange.is_handshake:
            return body
        return results.take_out(message) or body

    def _answer_with_failure(
        self, request: httpx.Request, exchange: _Exchange, failure: Failure, *, as_events: bool = False
    ) -> httpx.Response:
        message = self.record(exchange, failure)
        if as_events:
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, content=_as_event(message), request=request
            )
        return httpx.Response(200, headers={"content-type": "application/json"}, content=message, request=request)

    def record(self, exchange: _Exchange, failure: Failure) -> bytes:
        """Keep a failure for its caller and return the JSON-RPC error that wakes that caller."""
        if not exchange.given_up:
            self._exchanges.failures[exchange.id] = failure
        error = {"code": _INTERNAL_ERROR, "message": "the HTTP exchange failed"}
        return json.dumps({"jsonrpc": "2.0", "id": exchange.id, "error": error}).encode()

    def remember(self, event_id: str, exchange: _Exchange) -> None:
        """An event id from which the answer to a request can be resumed."""
        self._resumable[event_id] = exchange

    def forget(self, event_id: str) -> None:
        """An event id that is not the newest of its stream any more, or whose stream is complete."""
        self._resumable.pop(event_id, None)


class _NoTransport(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.UnsupportedProtocol("a guarded client sends through the client it guards", request=request)


class _Answer(httpx.AsyncByteStream):
    """The event stream that should hold the answer to one request.

    Passes on whole events only, so that what we add after a break never lands inside one. When the stream ends without
    the answer it ends the exchange with an error, unless the events have ids: then the transport asks for the rest.
    """

    def __init__(self, response: httpx.Response, exchange: _Exchange, client: GuardedClient) -> None:
        self._response = response
        self._exchange = exchange
        self._client = client
        self._answered = False
        self._malformed = False
        self._last_event_id: str | None = None
        self._events = self._read_events()
        self._first: bytes | None = None
        self._answer: dict[str, Any] = {}
        self._shown = self._answer

    async def as_response(self) -> httpx.Response:
        """The response for the transport: of JSON, if the first event is the answer, and of events otherwise.

        Most event streams hold the answer and nothing else. As JSON it costs the transport less, and its chain of
        generators, which it leaves to the garbage collector in mid-stream, never starts.
        """
        self._first = await anext(self._events, None)
        if self._first is None or not self._answered:
            return self.as_events()
        body = _parse_event(self._first)[1]
        if self._shown is self._answer:
            body = self._client.shorten(body, self._answer, self._exchange)
        if _mends.is_on("draining"):
            return _with_body(self._response, "application/json", DrainedResponse, content=body, end=self.aclose)
        await self.aclose()
        return _with_body(self._response, "application/json", content=body)

    def as_events(self) -> httpx.Response:
        """The response for the transport, of events."""
        return _with_body(self._response, "text/event-stream", stream=self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._first is None:
            with self._exchange.waiting():
                return await self._events.__anext__()
        event, self._first = self._first, None
        return event

    async def aclose(self) -> None:
        try:
            if self._answered and _mends.is_on("draining"):
                await drain(self._events)
        finally:
            await self._events.aclose()
            await self._response.aclose()

    async def _read_events(self) -> AsyncGenerator[bytes, None]:
        failure: Exception | None = None
        splitter = EventSplitter()
        try:
            async with aclosing(cast("AsyncGenerator[bytes, None]", self._response.aiter_bytes())) as chunks:
                async for chunk in chunks:
                    for event in map(tamed, splitter.feed(chunk)):
                        if self._inspect(event):
                            yield event if self._shown is self._answer else _as_event(json.dumps(self._shown).encode())
        except (httpx.HTTPError, httpx.StreamError, NotMCP) as error:
            failure = error
        if not self._answered and (self._last_event_id is None or isinstance(failure, NotMCP)):
            self._answered = True
            yield _as_event(self._client.record(self._exchange, _failure(failure or self._why_unanswered())))

    def _why_unanswered(self) -> Exception:
        if self._malformed:
            return NotMCP("the event stream holds no JSON-RPC response to the request")
        return AnswerMissing("the event stream ended without the answer")

    def _inspect(self, event: bytes) -> bool:
        """Note an event's id and whether it is the answer. False for one that the transport could not digest."""
        event_id, data = _parse_event(event)
        message = _parse_json(data) if data else None
        if data and (message is None or not _is_message(message)):
            self._malformed = True
            return False
        if message is not None and "method" not in message:
            # The transport takes any response for the end of the stream, and on a resumed one for the answer.
            if not _is_answer(message, self._exchange.id):
                self._malformed = True
                return False
            self._answered = True
            self._answer = message
            self._shown = _without_secrets(message, self._response.request.headers)
        self._note(event_id)
        return True

    def _note(self, event_id: str) -> None:
        """Keep the newest event id of a stream that may have to be resumed, and only that."""
        if self._last_event_id is not None and (event_id or self._answered):
            self._client.forget(self._last_event_id)
        if event_id:
            self._last_event_id = event_id
            if not self._answered:
                self._client.remember(event_id, self._exchange)


class EventSplitter:
    """Cuts a body into whole server-sent events.

    Line ends may be LF, CRLF or CR (WHATWG HTML, "Server-sent events", parsing); they come out as LF.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0  # up to here there is no blank line in it: a large event comes in many chunks
        self._begun = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with the blank line that ends it.

        Raises:
            NotMCP: What has come is longer than any message may be.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the other half of a CRLF
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        self._rest += chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events = []
        while (end := self._rest.find(b"\n\n", self._searched)) >= 0:
            event = bytes(self._rest[: end + 2])
            events.append(event if self._begun else event.removeprefix(codecs.BOM_UTF8))
            self._begun = True
            del self._rest[: end + 2]
            self._searched = 0
        self._searched = max(0, len(self._rest) - 1)
        if len(self._rest) > MESSAGE_LIMIT:
            raise too_long()
        return events


class _Standing(httpx.AsyncByteStream):
    """The stream on which a server speaks up by itself, in whole events that the transport survives."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._events = self._read_events()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._events

    async def aclose(self) -> None:
        await self._events.aclose()
        await self._response.aclose()

    async def _read_events(self) -> AsyncGenerator[bytes, None]:
        splitter = EventSplitter()
        async with aclosing(cast("AsyncGenerator[bytes, None]", self._response.aiter_bytes())) as chunks:
            async for chunk in chunks:
                for event in splitter.feed(chunk):
                    yield tamed(event)


def tamed(event: bytes) -> bytes:
    """An event with such ids and waiting times only as the transport can send back and wait.

    The transport takes ids to an HTTP header as they are, and raises in the middle of everything where ``retry`` is
    negative or beyond all numbers; digits only is what it may be (WHATWG HTML, "Server-sent events", interpreting).
    """
    if not (event.startswith((b"id", b"retry")) or b"\nid" in event or b"\nretry" in event):
        return event
    return b"\n".join(_tamed_line(line) for line in event.split(b"\n"))


def _tamed_line(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    value = value.removeprefix(b" ")
    if name == b"retry":
        usable = value.isdigit() and len(value) <= 9
        return b"retry: %d" % max(LEAST_RETRY, int(value)) if usable else b":"
    return line if name != b"id" or re.fullmatch(rb"[!-~]([ -~]*[!-~])?", value) else b":"


def _content_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


async def _read(response: httpx.Response) -> httpx.Response:
    """A response with its whole body read.

    Raises:
        NotMCP: It is longer than any message may be.
    """
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= MESSAGE_LIMIT and "content-encoding" not in response.headers:
        await response.aread()
        return response
    body = bytearray()
    async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes())) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MESSAGE_LIMIT:
                raise too_long()
    return _with_body(response, "application/json", content=bytes(body))


def _with_body(
    response: httpx.Response, content_type: str, kind: type[httpx.Response] = httpx.Response, **body: Any
) -> httpx.Response:
    """A response with another body; what described the old one goes."""
    gone = ("content-type", "content-encoding", "content-length", "transfer-encoding")
    headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in gone]
    headers.append(("content-type", content_type))
    return kind(response.status_code, headers=headers, request=response.request, **body)


def _parse_event(event: bytes) -> tuple[str, bytes]:
    """The id and the data of one event, empty where it has none; so is the data of what is not an MCP message."""
    event_id, event_type, data = "", b"", []
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if name == b"id":
            event_id = value.decode("utf-8", "replace")
        elif name == b"event":
            event_type = value
        elif name == b"data":
            data.append(value)
    return event_id, b"\n".join(data) if event_type in (b"", b"message") else b""


def _as_event(message: bytes) -> bytes:
    return b"event: message\ndata: " + message + b"\n\n"


def _parse_json(data: bytes) -> dict[str, Any] | None:
    """A JSON-RPC message, or None for anything else."""
    try:
        message = from_json(data)
    except ValueError:
        return None
    return message if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None


def _is_answer(message: dict[str, Any], request_id: int | str) -> bool:
    return "method" not in message and str(message.get("id")) == str(request_id) and _is_message(message)


def _is_message(message: dict[str, Any]) -> bool:
    """Whether a message is a well-formed request, notification or response (JSON-RPC 2.0, sections 4 and 5)."""
    if "method" in message:
        return isinstance(message["method"], str)
    error = message.get("error")
    if isinstance(error, dict):
        return isinstance(error.get("code"), int) and isinstance(error.get("message"), str)
    return isinstance(message.get("result"), dict)


def _require_answer(body: bytes, request_id: int | str) -> dict[str, Any]:
    message = _parse_json(body)
    if message is None:
        raise NotMCP("the answer is not JSON-RPC, although it says that it is JSON")
    if not _is_answer(message, request_id):
        raise NotMCP("the answer is not a JSON-RPC response to the request")
    return message


def _not_an_answer(response: httpx.Response, content_type: str) -> Exception:
    if response.status_code in (202, 204):
        return AnswerMissing(f"the server took the request with HTTP {response.status_code} and gave no answer")
    return NotMCP(f"the answer is {content_type or 'of no type'}, not MCP; check the path of the URL")


async def _refusal(response: httpx.Response) -> Exception:
    """Why an HTTP status means that there is no answer."""
    if response.status_code == 404 and _SESSION_ID in response.request.headers:
        return SessionExpired("the server answered HTTP 404 to the session id")
    said = await _error_in_body(response)
    return HTTPRefusal(response, said and without(said, secret_words(response.request.headers)))


def _without_secrets(message: dict[str, Any], headers: httpx.Headers) -> dict[str, Any]:
    """An answer; an error in it without what we have sent in headers, as some servers quote the token they refuse."""
    if "error" not in message and message["result"].get("isError") is not True:
        return message
    shown = without(message, secret_words(headers))
    return message if shown == message else cast("dict[str, Any]", shown)


async def _error_in_body(response: httpx.Response) -> str | None:
    """The message of the JSON-RPC error in an error answer's body, where there is one."""
    if not response.headers.get("content-type", "").startswith("application/json"):
        return None
    body = b""
    try:
        with anyio.move_on_after(ERROR_BODY_TIMEOUT):
            async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes())) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > ERROR_BODY_LIMIT:
                        return None
    except httpx.HTTPError:
        return None  # the status is known, and it is what counts
    error = (_parse_json(body) or {}).get("error")
    return str(error["message"]) if isinstance(error, dict) and "message" in error else None


def _failure(error: Exception) -> Failure:
    """What an exception tells about the request and about the session."""
    if isinstance(error, SessionExpired):
        return Failure(error, sent=False, fatal=True)
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return Failure(error, sent=False, fatal=True)
    if isinstance(error, httpx.LocalProtocolError):
        # The text of the original quotes the header's value.
        return Failure(httpx.LocalProtocolError("a header has a name or a value that HTTP does not allow"), sent=False)
    if isinstance(error, (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return Failure(error, sent=False)
    if isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError, AnswerMissing)) or _may_mean_no_session(error):
        return Failure(error, sent=True, doubtful=True)
    return Failure(error, sent=True)


def _may_mean_no_session(error: Exception) -> bool:
    """Whether it is a 400 to a request with a session id: what some servers answer to an id that they do not know."""
    return (
        isinstance(error, HTTPRefusal)
        and error.response.status_code == 400
        and _SESSION_ID in error.response.request.headers
    )


def _next_within_origin(response: httpx.Response) -> httpx.Request | None:
    """The request that follows a redirect, if it keeps method and origin (RFC 6454) and brings no credentials."""
    following = response.next_request
    if following is None or following.method != response.request.method:
        return None
    here, there = response.request.url, following.url
    if there.userinfo and there.userinfo != here.userinfo:
        return None
    origins = [(url.scheme, url.host, url.port) for url in (here, there)]
    upgraded = origins == [("http", here.host, None), ("https", here.host, None)]
    return following if origins[0] == origins[1] or upgraded else None
