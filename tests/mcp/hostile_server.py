# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An MCP server that means harm, as a process of its own, over each transport; a child process of the tests.

    hostile_server.py stdio         speaks over its standard input and output
    hostile_server.py http          prints its port, then serves streamable HTTP at /mcp, all answers as event streams
    hostile_server.py websocket     prints its port, then serves a websocket

Each tool does one harm; `echo` does none. What it writes for people to read is `HOSTILE`. Started with `chatty` as a
further argument it floods its client from the beginning, with `evil-handshake` it answers `initialize` with an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from itertools import count
from typing import Any

HOSTILE = (
    "no\x1b[2Jthing\r\nERROR root: forged\u2028\u2029\x85\x0b\x0c\x9b31m\x07\u202egnp.\u2066exe %s %d \x1b]0;title\x07"
)
LONG = HOSTILE * 10_000
DEPTH = 100_000
Send = Callable[[str], Awaitable[None]]


def request(method: str, number: int, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": f"s-{number}", "method": method, "params": params}


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


QUESTION = {"messages": [{"role": "user", "content": {"type": "text", "text": "?"}}], "maxTokens": 5}
FORM = {"message": "who?", "requestedSchema": {"type": "object", "properties": {}}}
FLOODS: dict[str, Callable[[int], Any]] = {
    "sampling": lambda n: request("sampling/createMessage", n, **QUESTION),
    "elicitation": lambda n: request("elicitation/create", n, **FORM),
    "roots": lambda n: request("roots/list", n),
    "ping": lambda n: request("ping", n),
    "unknown": lambda n: request(f"no/such/{HOSTILE}", n),
    "log": lambda n: notice("notifications/message", level="warning", logger=HOSTILE, data={"said": [HOSTILE, n]}),
    "bad log": lambda n: notice("notifications/message", level=HOSTILE, data=HOSTILE),
    "progress": lambda n: notice("notifications/progress", progressToken=PROGRESS[-1], progress=n, message=HOSTILE),
    "list_changed": lambda n: notice("notifications/tools/list_changed"),
    "unknown notice": lambda n: notice(f"notifications/{HOSTILE}", text=HOSTILE),
    "answers": lambda n: {"jsonrpc": "2.0", "id": f"{HOSTILE}{n}", "result": {}},
    "garbage": lambda n: f"{HOSTILE.splitlines()[0]} {n}",
}
PROGRESS: list[Any] = [None]
"""The progress tokens of the calls of `hang` so far."""


def tool(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "description": HOSTILE, "inputSchema": {"type": "object"}, **fields}


TOOLS = [
    *(tool(name) for name in ("echo", "flood", "late", "deafen", "error", "fail", "complain", "log", "raw", "hang")),
    tool("bad" + HOSTILE, inputSchema={"type": "array"}),
    tool(HOSTILE),
    tool("l" * 100_000),
]


class Session:
    """One client's connection.

    Args:
        send: Writes one message, or what is none, as a line, a frame or an event.
        push: The same, for what belongs to no request.
        deafen: Stops reading what the client sends.
    """

    def __init__(self, send: Send, push: Send | None = None, deafen: Callable[[], None] | None = None) -> None:
        self._send = send
        self._push = push or send
        self._deafen = deafen or self._stop_taking
        self._hears = asyncio.Event()
        self._hears.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, message: dict[str, Any]) -> None:
        if "method" not in message or "id" not in message:
            return
        params = message.get("params") or {}
        for answer in self._answers(message["id"], message["method"], params):
            await self._send(answer if isinstance(answer, str) else json.dumps(answer))
        await self._hears.wait()

    def _stop_taking(self) -> None:
        self._hears.clear()

    def _answers(self, id: Any, method: str, params: dict[str, Any]) -> Iterator[Any]:
        if method == "initialize" and "evil-handshake" in sys.argv:
            yield {"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": LONG}}
        elif method == "initialize":
            if "chatty" in sys.argv:
                self._begin("ping")
            yield result(
                id,
                protocolVersion=params["protocolVersion"],
                capabilities={"tools": {"listChanged": True}, "logging": {}},
                serverInfo={"name": "hostile", "version": "1"},
            )
        elif method == "tools/list":
            yield result(id, tools=TOOLS)
        elif method == "tools/call":
            if params["name"] == "hang":
                PROGRESS.append(params.get("_meta", {}).get("progressToken"))
            yield from self._call(id, params["name"], params.get("arguments") or {})
        else:
            yield result(id)

    def _call(self, id: Any, name: str, arguments: dict[str, Any]) -> Iterator[Any]:  # noqa: C901  # a list of habits
        if name == "error":
            yield {"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": LONG, "data": HOSTILE}}
        elif name == "fail":
            yield said(id, LONG, isError=True)
        elif name == "complain":
            os.write(2, (HOSTILE + "\n").encode())
            os._exit(3)
        elif name == "log":
            yield notice("notifications/message", **arguments)
            yield said(id, "logged")
        elif name == "raw":
            for line in arguments["lines"]:
                yield line.replace(": ID", f": {json.dumps(id)}").replace("[DEEP]", "[" * DEPTH + "]" * DEPTH)
        elif name == "flood":
            for kind in arguments["kinds"]:
                self._begin(kind)
            yield said(id, "have fun")
        elif name == "late":
            self._start(self._answer_late(said(id, "late")))
        elif name == "deafen":
            self._deafen()
            yield said(id, "what?")
        elif name != "hang":
            yield said(id, json.dumps(arguments, sort_keys=True))

    def _begin(self, kind: str) -> None:
        self._start(self._flood(FLOODS[kind]))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_late(self, answer: dict[str, Any]) -> None:
        await asyncio.sleep(1)
        await self._send(json.dumps(answer))

    async def _flood(self, make: Callable[[int], Any]) -> None:
        with contextlib.suppress(ConnectionError):  # the client has gone
            for number in count():
                message = make(number)
                await self._push(message if isinstance(message, str) else json.dumps(message))
                if number % 100 == 0:
                    await asyncio.sleep(0)

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()


def result(id: Any, **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": fields}


def said(id: Any, text: str, **fields: Any) -> dict[str, Any]:
    return result(id, content=[{"type": "text", "text": text}], **fields)


# Over each transport ...


async def stdio() -> None:
    reader = asyncio.StreamReader(limit=2**26)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def send(text: str) -> None:
        data = text.encode() + b"\n"
        while data:
            data = data[os.write(1, data) :]

    session = Session(send, deafen=transport.pause_reading)
    async for line in reader:
        await session.take(json.loads(line))
    session.end()


async def websocket() -> None:
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosed
    from websockets.typing import Subprotocol

    async def speak(connection: Any) -> None:
        session = Session(connection.send)
        try:
            async for frame in connection:
                await session.take(json.loads(frame))
        except ConnectionClosed:
            pass
        finally:
            session.end()

    async with serve(
        speak, "127.0.0.1", 0, subprotocols=[Subprotocol("mcp")], ping_interval=None, max_size=None
    ) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


async def http() -> None:
    from fault_servers import CLOSE, Exchange, HttpServer

    standing: list[Exchange] = []
    listens = asyncio.Event()

    async def event(exchange: Exchange, text: str) -> None:
        await exchange.send(f"data: {text}\n\n".encode())

    async def push(text: str) -> None:
        await listens.wait()
        await event(standing[-1], text)

    async def behave(exchange: Exchange) -> object:
        if exchange.method == "GET":
            await exchange.start_events()
            standing.append(exchange)
            listens.set()
            await asyncio.Event().wait()
        if exchange.method == "DELETE" or "id" not in (exchange.message or {}) or exchange.name == "response":
            await exchange.answer(202)
            return None
        # Only a client with a session listens.
        await exchange.start_events(**({"mcp_session_id": "s"} if exchange.name == "initialize" else {}))
        message = exchange.message or {}
        await Session(partial(event, exchange), push).take(message)
        if message.get("params", {}).get("name") == "hang":
            await asyncio.Event().wait()
        return CLOSE

    with HttpServer(behave) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run({"stdio": stdio, "http": http, "websocket": websocket}[sys.argv[1]]())
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
