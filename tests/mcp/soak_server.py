# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The server of the soak: a process of its own, over any transport, that keeps a ledger of what it was asked to do.

    soak_server.py stdio FOLDER NAME        over standard input and output; only one of a NAME should run at a time
    soak_server.py json FOLDER PORT         streamable HTTP, answers as JSON
    soak_server.py events FOLDER PORT       streamable HTTP, answers as event streams
    soak_server.py websocket FOLDER PORT

Whatever a tool is going to do, it first appends a line to FOLDER/ledger: "ran ID". So the ledger tells the truth also
about a server that dies in the middle. "overlap NAME" there means that two servers over stdio ran at once, and
"bare TOOL" that a call came without its id. Over stdio it begins with "started PID".

Files in FOLDER make it misbehave for as long as they are there: `slow` holds up handshakes and listings, `rude` answers
handshakes with an error, `doomed` ends the process in the handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fault_servers import CLOSE, Exchange, HttpServer, McpScript, RpcError

LONG = 20.0  # seconds; how long `hang` and a handshake that is held up last when nobody ends them
BLINK = 0.01  # seconds between two looks at a file
TOOLS = ("work", "fail", "hang", "die", "cut", "change", "babble", "refuse", "page", "forget")
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "seconds": {"type": "number"}},
    "additionalProperties": False,
}


class Cut(Exception):
    """Raised by a tool: drop the connection instead of an answer."""


class Desk:
    """What the server does, whichever way it is reached.

    Attributes:
        announce: Sends a notification to every client; the transport sets it.
        babble: Sends something that is no MCP; the transport sets it.
        running: The requests being worked on, by client and id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.announce: Callable[[dict[str, Any]], Awaitable[None]] = _nothing
        self.babble: Callable[[], Awaitable[None]] = _nothing
        self.running: dict[tuple[Any, Any], asyncio.Task[Any]] = {}
        self._changes = 0
        self._ledger = os.open(folder / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.handlers = {
            "initialize": self.initialize,
            "tools/list": self.list_tools,
            "tools/call": self.call_tool,
            "prompts/list": self.list_prompts,
            "prompts/get": self.get_prompt,
            "ping": self.ping,
        }

    def note(self, line: str) -> None:
        os.write(self._ledger, f"{line}\n".encode())  # one write at the end of the file: nobody's line cuts another's

    def note_call(self, params: dict[str, Any]) -> None:
        identity = (params.get("arguments") or {}).get("id")
        self.note(f"bare {params.get('name')}" if identity is None else f"ran {identity}")

    def is_told(self, word: str) -> bool:
        return (self.folder / word).exists()

    async def hold_up(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._until_gone("slow"), LONG)

    async def _until_gone(self, word: str) -> None:
        while self.is_told(word):
            await asyncio.sleep(BLINK)  # a file cannot be waited on with the standard library

    async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.is_told("doomed"):
            os._exit(3)
        if self.is_told("rude"):
            raise RpcError(-32603, "not today")
        await self.hold_up()
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}, "prompts": {"listChanged": True}},
            "serverInfo": {"name": "soak", "version": "1"},
        }

    async def ping(self, params: dict[str, Any]) -> dict[str, Any]:
        return {}

    async def list_tools(self, params: dict[str, Any]) -> dict[str, Any]:
        await self.hold_up()
        names = [*TOOLS, *(f"extra-{self._changes}" for _ in range(self._changes % 2))]
        return {"tools": [{"name": name, "inputSchema": SCHEMA} for name in names]}

    async def list_prompts(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": [{"name": "greeting"}]}

    async def get_prompt(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}]}

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        name, arguments = params["name"], params.get("arguments") or {}
        self.note_call(params)
        if name == "die":
            os._exit(4)
        if name == "cut":
            raise Cut
        if name == "change":
            self._changes += 1
            await self.announce({"method": "notifications/tools/list_changed"})
        if name == "babble":
            await self.babble()
        await asyncio.sleep(LONG if name == "hang" else arguments.get("seconds", 0))
        return {"content": [{"type": "text", "text": str(arguments.get("id"))}], "isError": name == "fail"}

    async def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """The response to one request."""
        head = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            if message["method"] not in self.handlers:
                raise RpcError(-32601, "Method not found")
            return {**head, "result": await self.handlers[message["method"]](message.get("params") or {})}
        except RpcError as error:
            return {**head, "error": {"code": error.code, "message": error.message}}

    def take(self, client: object, text: str | bytes, finish: Callable[[asyncio.Task[Any]], None]) -> None:
        """Begin to work on a message; `finish` is called with the task that made the response, unless cancelled."""
        message = json.loads(text)
        if message.get("method") == "notifications/cancelled":
            self.forget_request(client, message)
        elif "id" in message and "method" in message:
            key = (client, message["id"])
            task = asyncio.get_running_loop().create_task(self.reply(message))
            self.running[key] = task
            task.add_done_callback(lambda done: self.running.pop(key, None))
            task.add_done_callback(lambda done: None if done.cancelled() else finish(done))

    def forget_request(self, client: object, message: dict[str, Any]) -> None:
        task = self.running.get((client, message["params"]["requestId"]))
        if task is not None:
            task.cancel()


async def _nothing(*args: object) -> None:
    pass


class HttpDesk(McpScript):
    """The desk behind streamable HTTP."""

    def __init__(self, desk: Desk, *, events: bool) -> None:
        super().__init__(events=events, handlers=desk.handlers, standing_stream=True)
        self.desk = desk
        self.opened_sessions = os.getpid() * 10_000  # a successor must not know this one's session ids
        desk.announce = self.push

    async def __call__(self, exchange: Exchange) -> object:
        message = exchange.message or {}
        session = exchange.headers.get("mcp-session-id")
        if exchange.name == "notifications/cancelled":
            self.desk.forget_request(session, message)
        if exchange.name != "tools/call" or session not in self.live_sessions:
            return await super().__call__(exchange)
        name = message["params"]["name"]
        if name in ("refuse", "page"):
            self.desk.note_call(message["params"])
            await exchange.answer(*((503, "later") if name == "refuse" else (200, "<p>Welcome", "text/html")))
            return None
        if name == "forget":
            self.live_sessions.clear()
        return await self._reply(exchange, None)

    async def _reply(self, exchange: Exchange, new_session: str | None) -> object:
        message = exchange.message or {}
        key = (exchange.headers.get("mcp-session-id"), message.get("id"))
        work = asyncio.ensure_future(super()._reply(exchange, new_session))
        self.desk.running[key] = work
        try:
            await asyncio.wait({work})
            return CLOSE if work.cancelled() or isinstance(work.exception(), Cut) else work.result()
        finally:
            work.cancel()
            self.desk.running.pop(key, None)


def serve_http(desk: Desk, port: int, *, events: bool) -> None:
    with HttpServer(HttpDesk(desk, events=events), port=port):
        _stay()


def serve_websocket(desk: Desk, port: int) -> None:
    threading.Thread(target=_stay, daemon=True).start()
    asyncio.run(_serve_websocket(desk, port))


async def _serve_websocket(desk: Desk, port: int) -> None:
    from websockets.asyncio.server import broadcast, serve
    from websockets.exceptions import ConnectionClosed
    from websockets.typing import Subprotocol

    clients: set[Any] = set()

    async def announce(message: dict[str, Any]) -> None:
        broadcast(clients, json.dumps({"jsonrpc": "2.0", **message}))

    async def babble() -> None:
        broadcast(clients, "this is no JSON-RPC")

    async def accept(client: Any) -> None:
        def finish(task: asyncio.Task[Any]) -> None:
            if isinstance(task.exception(), Cut):
                client.transport.abort()
            else:
                broadcast({client}, json.dumps(task.result()))

        clients.add(client)
        with contextlib.suppress(ConnectionClosed):
            async for frame in client:
                desk.take(client, frame, finish)
        clients.discard(client)

    desk.announce, desk.babble = announce, babble
    async with serve(accept, "127.0.0.1", port, subprotocols=[Subprotocol("mcp")], ping_interval=None):
        await asyncio.Event().wait()


def serve_stdio(desk: Desk, name: str) -> None:
    if desk.is_told("doomed"):
        sys.exit(3)
    lock = os.open(desk.folder / f"lock-{name}", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        desk.note(f"overlap {name}")
    desk.note(f"started {os.getpid()}")
    asyncio.run(_serve_stdio(desk))


async def _serve_stdio(desk: Desk) -> None:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def announce(message: dict[str, Any]) -> None:
        _print(json.dumps({"jsonrpc": "2.0", **message}))

    async def babble() -> None:
        _print("this is no JSON-RPC")

    def finish(task: asyncio.Task[Any]) -> None:
        if isinstance(task.exception(), Cut):
            with contextlib.suppress(OSError):  # another call may have done so
                os.close(1)
        else:
            _print(json.dumps(task.result()))

    desk.announce, desk.babble = announce, babble
    while line := await reader.readline():
        desk.take(None, line, finish)
    os._exit(0)


def _print(line: str) -> None:
    try:
        data = f"{line}\n".encode()
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        os._exit(0)  # the client has gone, or a tool has cut the connection


def _stay() -> None:
    """Returns never: ends the process when whoever started it has ended."""
    while os.read(0, 1):
        pass
    os._exit(0)


def main(transport: str, folder: str, where: str) -> None:
    desk = Desk(Path(folder))
    if transport == "stdio":
        serve_stdio(desk, where)
    elif transport == "websocket":
        serve_websocket(desk, int(where))
    else:
        serve_http(desk, int(where), events=transport == "events")


if __name__ == "__main__":
    main(*sys.argv[1:])
