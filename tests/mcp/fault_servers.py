# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Real peers on loopback sockets: an HTTP server that does to each request what a behaviour says.

`HttpServer(behaviour)` runs in a thread of its own, so that it adds no task to the loop under test and goes on serving
while that loop is busy. A behaviour is an async function of one `Exchange` (what arrived) that writes, or does not
write, an answer. `HTTP_FAULTS` has one for every way a server can fail to be an MCP server; `McpScript` is one that
behaves well. The peers over stdio are in stdio_peer.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from typing_extensions import Self

ANYIO_LOSES_SOCKETS = tuple(int(part) for part in version("anyio").split(".")[:2]) < (4, 16)
"""Before 4.16, anyio leaves the socket of a connect that is cancelled in the turn in which it succeeds to the garbage
collector. Tests that cancel at every turn hit that turn, and the checks of conftest.py find the socket."""

BOUND = 5.0  # seconds; nothing on loopback takes this long unless it is broken
JSON, EVENTS, HTML = "application/json", "text/event-stream", "text/html"


def unused_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def freeze(pid: int) -> None:
    """Stops a process (SIGSTOP) and waits until it stands still: a thread on another processor goes on for a moment."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + BOUND
    while not _is_stopped(pid):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _is_stopped(pid: int) -> bool:
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] in "TZX" for stat in stats)


@dataclass
class Exchange:
    """One HTTP request as it arrived, and the way to answer it.

    Attributes:
        method: For example "POST".
        path: For example "/mcp".
        headers: By lower-case name.
        body: The bytes of the body.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter = field(repr=False)
    reader: asyncio.StreamReader | None = field(default=None, repr=False)

    @property
    def is_left(self) -> bool:
        """Whether the client has closed the connection."""
        return self.reader is not None and self.reader.at_eof()

    @property
    def message(self) -> dict[str, Any] | None:
        """The JSON-RPC message in the body."""
        return json.loads(self.body) if self.body else None

    @property
    def name(self) -> str:
        """The JSON-RPC method, "response" for an answer to one of our requests, or the HTTP method without a body."""
        return self.method if self.message is None else str(self.message.get("method", "response"))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Writes the head of an answer."""
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def answer(self, status: int, body: bytes | str = b"", kind: str = "text/plain", **headers: str) -> None:
        """Writes a whole answer; underscores in header names stand for hyphens."""
        data = body.encode() if isinstance(body, str) else body
        extra = {key.replace("_", "-"): value for key, value in headers.items()}
        await self.start(status, {"content-type": kind, "content-length": str(len(data)), **extra})
        await self.send(data)

    async def start_events(self, **headers: str) -> None:
        """Begins an event stream; it lasts until the connection closes."""
        extra = {key.replace("_", "-"): value for key, value in headers.items()}
        await self.start(200, {"content-type": EVENTS, "connection": "close", **extra})

    async def send_event(self, message: Mapping[str, Any]) -> None:
        await self.send(f"event: message\ndata: {json.dumps(message)}\n\n".encode())


Behaviour = Callable[[Exchange], Awaitable[Any]]


class HttpServer:
    """A context manager: an HTTP server on loopback that hands every request to a behaviour.

    Args:
        behaviour: What to do with a request. When it returns without an answer that keeps the connection usable, the
            connection is closed.

    Keyword Args:
        port: 0 picks a free one; give the port of a server that was stopped to bring it back.
        path: The path part of `url`.
    """

    def __init__(self, behaviour: Behaviour, *, port: int = 0, path: str = "/mcp") -> None:
        self.behaviour = behaviour
        self.port = port
        self.path = path
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self._news = threading.Condition()
        self._handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def names(self) -> list[str]:
        """What has arrived so far, in order: see `Exchange.name`."""
        return [exchange.name for exchange in self.exchanges]

    def sent_headers(self, name: str) -> list[str | None]:
        """The value of a header in each request so far."""
        return [exchange.headers.get(name.lower()) for exchange in self.exchanges]

    async def arrived(self, name: str, count: int = 1) -> Exchange:
        """Waits until `count` requests of this name have arrived, and returns the last of them."""
        return await asyncio.to_thread(self.wait_for, name, count)

    def wait_for(self, name: str, count: int = 1) -> Exchange:
        """`arrived` for code without a loop."""

        def found() -> list[Exchange]:
            return [exchange for exchange in self.exchanges if exchange.name == name]

        with self._news:
            if not self._news.wait_for(lambda: len(found()) >= count, BOUND):
                raise TimeoutError(f"{name} x {count} did not arrive within {BOUND} s; there were {self.names}")
            return found()[count - 1]

    def drop_connections(self) -> None:
        """Cuts every open connection, as the end of a server's process does, and goes on listening."""
        self._run(self._drop())

    def stop(self) -> None:
        """Stops listening and cuts every connection. Safe to repeat."""
        if self._thread.is_alive():
            self._run(self._drop(listen=False))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(BOUND)
            self._loop.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(BOUND)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _drop(self, *, listen: bool = True) -> None:
        if not listen:
            # asyncio loses the socket of a connection that it is just accepting when its server closes.
            while accepting := asyncio.all_tasks() - {asyncio.current_task(), *self._handlers}:
                await asyncio.wait(accepting)
            self._server.close()
        while self._handlers:
            for handler, writer in self._handlers.items():
                writer.transport.abort()
                handler.cancel()
            await asyncio.wait(set(self._handlers))
            await asyncio.sleep(0)  # the turn in which aborted transports close their sockets

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the one that asyncio would make complains in some versions when it is cancelled.
        self.connections += 1
        handler = self._loop.create_task(self._serve(reader, writer))
        self._handlers[handler] = writer
        handler.add_done_callback(self._handlers.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while exchange := await read_exchange(reader, writer):
                with self._news:
                    self.exchanges.append(exchange)
                    self._news.notify_all()
                if await self.behaviour(exchange) is CLOSE:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left, as it may
        finally:
            writer.close()
            # A failure that nobody asks for may be reported by the garbage collector: it can meet the future that holds
            # it before the protocol that would have taken it.
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


CLOSE = object()  # what a behaviour returns when the connection has to end after it


async def read_exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    """The next request of a connection, or None at its end. What is not HTTP, a TLS greeting for one, gets a 400."""
    first = await reader.read(1)
    if not first:
        return None
    if not first.isalpha():
        await Exchange("", "", {}, b"", writer).answer(400, "This is a plain HTTP port.")
        return None
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {
        key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, path, headers, body, writer, reader)


# Ways to fail. Each stands in for a server that is there, and is of no use.


async def never(exchange: Exchange) -> None:
    """Reads the request, and that was that."""
    await asyncio.Event().wait()


async def cut_in_header(exchange: Exchange) -> object:
    await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
    return CLOSE


async def respond(exchange: Exchange, *, status: int, body: str = "", kind: str = "text/plain", **headers: str) -> None:
    await exchange.answer(status, body, kind, **headers)


async def respond_rpc(exchange: Exchange, *, events: bool = False, **payload: Any) -> object:
    """A JSON-RPC answer to whatever was asked."""
    reply = {"jsonrpc": "2.0", "id": (exchange.message or {}).get("id"), **payload}
    if not events:
        await exchange.answer(200, json.dumps(reply), JSON)
        return None
    await exchange.start_events()
    await exchange.send_event(reply)
    return CLOSE


async def end_stream_without_answer(exchange: Exchange) -> object:
    await exchange.start_events()
    await exchange.send(b": working on it\n\n")
    return CLOSE


WRONG_VERSION = {
    "result": {"protocolVersion": "1999-01-01", "capabilities": {}, "serverInfo": {"name": "old", "version": "1"}}
}
RPC_ERROR = {"error": {"code": -32603, "message": "the index is being rebuilt", "data": {"retry": False}}}
PAGE = "<!doctype html><title>Welcome</title><p>It works!"

HTTP_FAULTS: dict[str, Behaviour] = {
    "never answers": never,
    "closed in mid-header": cut_in_header,
    "401": partial(respond, status=401, body="who are you?", www_authenticate='Bearer realm="mcp"'),
    "403": partial(respond, status=403, body="not you"),
    "404": partial(respond, status=404, body="no such page"),
    "500": partial(respond, status=500, body="oh no"),
    "503": partial(respond, status=503, body="later", retry_after="1"),
    "HTML": partial(respond, status=200, body=PAGE, kind=HTML),
    "bad JSON": partial(respond, status=200, body='{"jsonrpc": "2.0", "id"', kind=JSON),
    "JSON-RPC error": partial(respond_rpc, **RPC_ERROR),
    "JSON-RPC error in an event stream": partial(respond_rpc, events=True, **RPC_ERROR),
    "wrong protocol version": partial(respond_rpc, **WRONG_VERSION),
    "wrong protocol version in an event stream": partial(respond_rpc, events=True, **WRONG_VERSION),
    "event stream without an answer": end_stream_without_answer,
}


class RpcError(Exception):
    """Raised by a handler of `McpScript` to answer with a JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class McpScript:
    """A behaviour: an MCP server over streamable HTTP that does it right, and whose answers a test can replace.

    Keyword Args:
        events: Answer with event streams instead of JSON.
        sessions: Hand out session ids, and answer 404 to any other.
        handlers: Async functions from params to result by JSON-RPC method, over the default ones. A handler may
            wait, or raise RpcError.
        tools: What tools/list answers.
        standing_stream: Serve GET with a stream that `push` writes to; otherwise GET is answered with 405.
    """

    def __init__(
        self,
        *,
        events: bool = False,
        sessions: bool = True,
        handlers: Mapping[str, Handler] | None = None,
        tools: list[dict[str, Any]] | None = None,
        standing_stream: bool = False,
    ) -> None:
        self.events = events
        self.sessions = sessions
        self.tools = tools if tools is not None else [{"name": "echo", "inputSchema": {"type": "object"}}]
        self.standing_stream = standing_stream
        self.live_sessions: set[str] = set()
        self.opened_sessions = 0
        self.handlers: dict[str, Handler] = {
            "initialize": self.initialize,
            "ping": self.ping,
            "tools/list": self.list_tools,
            "tools/call": self.call_tool,
            **(handlers or {}),
        }
        self._streams: list[Exchange] = []

    async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "script", "version": "1"},
        }

    async def ping(self, params: dict[str, Any]) -> dict[str, Any]:
        return {}

    async def list_tools(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"tools": self.tools}

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        """The arguments back, as JSON."""
        text = json.dumps(params.get("arguments") or {}, sort_keys=True)
        return {"content": [{"type": "text", "text": text}], "isError": False}

    async def push(self, message: Mapping[str, Any]) -> None:
        """Sends a message on every standing stream. Call it on the server's loop: from a handler."""
        for stream in self._streams:
            await stream.send_event({"jsonrpc": "2.0", **message})

    async def __call__(self, exchange: Exchange) -> object:
        session = exchange.headers.get("mcp-session-id")
        opens = exchange.name == "initialize"
        if self.sessions and not opens and session not in self.live_sessions:
            await exchange.answer(404 if session else 400, "no such session")
        elif exchange.method == "DELETE":
            self.live_sessions.discard(session or "")
            await exchange.answer(200)
        elif exchange.method == "GET":
            return await self._stand(exchange)
        elif exchange.message and "id" in exchange.message and "method" in exchange.message:
            return await self._reply(exchange, self._open_session() if opens and self.sessions else None)
        else:
            await exchange.answer(202)
        return None

    def _open_session(self) -> str:
        self.opened_sessions += 1
        self.live_sessions.add(f"session-{self.opened_sessions}")
        return f"session-{self.opened_sessions}"

    async def _reply(self, exchange: Exchange, new_session: str | None) -> object:
        headers = {"mcp_session_id": new_session} if new_session else {}
        if not self.events:
            await exchange.answer(200, json.dumps(await self._result(exchange)), JSON, **headers)
            return None
        await exchange.start_events(**headers)  # the head goes out before the work begins, as servers do it
        await exchange.send_event(await self._result(exchange))
        return CLOSE

    async def _result(self, exchange: Exchange) -> dict[str, Any]:
        message = exchange.message or {}
        try:
            handler = self.handlers.get(message["method"])
            if handler is None:
                raise RpcError(-32601, "Method not found")
            return {"jsonrpc": "2.0", "id": message["id"], "result": await handler(message.get("params") or {})}
        except RpcError as error:
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": error.code, "message": error.message}}

    async def _stand(self, exchange: Exchange) -> object:
        if not self.standing_stream:
            await exchange.answer(405, allow="POST, DELETE")
            return None
        await exchange.start_events()
        self._streams.append(exchange)
        try:
            await asyncio.Event().wait()
        finally:
            self._streams.remove(exchange)
        return CLOSE
