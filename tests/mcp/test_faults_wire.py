# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Servers that bend the protocols: what they send is understood where it can be, and costs one call where it cannot."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from fault_servers import BOUND, CLOSE, JSON, Exchange, HttpServer, McpScript
from test_websocket import WebsocketServer

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPConnectionError, MCPError, MCPProtocolError, MCPServerError, MCPTool, MCPToolError
from agent_framework._mcp_client import _stdio
from agent_framework._mcp_client.transports import events, streamable_http
from agent_framework.exceptions import ToolException

AT_ONCE = 1.0  # seconds: the bar for waking whoever waits for what will not come
MEGABYTE = 1024 * 1024
TOKEN = "t0ken/of+ours=="
T = TypeVar("T")


async def within(awaitable: Awaitable[T], seconds: float = BOUND) -> T:
    return await asyncio.wait_for(awaitable, seconds)


async def fails_at_once(awaitable: Awaitable[Any]) -> MCPError:
    began = time.monotonic()
    with pytest.raises(ToolException) as caught:
        await within(awaitable)
    assert time.monotonic() - began < AT_ONCE
    assert isinstance(caught.value, MCPError)
    return caught.value


def text(contents: Any) -> str:
    return contents[0].text


def answer_to(exchange: Exchange, said: str = "right", **payload: Any) -> dict[str, Any]:
    assert exchange.message is not None
    result = {"content": [{"type": "text", "text": said}], "isError": False}
    return {"jsonrpc": "2.0", "id": exchange.message["id"], **(payload or {"result": result})}


class Odd(McpScript):
    """Does what it is told with calls of the tool `odd`; `wait` is answered when `odd` was called and is over."""

    def __init__(self, on: Callable[[Exchange], Awaitable[Any]], **options: Any) -> None:
        super().__init__(**options)
        self.on = on
        self.ran = 0
        self.resumed = 0
        self.on_resume: Callable[[Exchange], Awaitable[Any]] | None = None

    async def __call__(self, exchange: Exchange) -> object:
        message = exchange.message or {}
        if message.get("method") == "tools/call" and message["params"]["name"] == "odd":
            self.ran += 1
            return await self.on(exchange)
        if self.on_resume is not None and exchange.method == "GET" and "last-event-id" in exchange.headers:
            self.resumed += 1
            return await self.on_resume(exchange)
        return await super().__call__(exchange)


async def hold(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def assert_one_call_pays(tool: MCPTool, script: Odd, kind: type[MCPError]) -> MCPError:
    """A call of `odd` fails at once; two calls beside it, and one after it, are answered on the same session."""
    siblings = [asyncio.create_task(tool.call_tool("slow", n=n)) for n in range(2)]
    await asyncio.sleep(0)
    error = await fails_at_once(tool.call_tool("odd"))
    assert type(error) is kind, repr(error)
    assert [text(await within(sibling)) for sibling in siblings] == ['{"n": 0}', '{"n": 1}']
    assert text(await within(tool.call_tool("echo", n=2))) == '{"n": 2}'
    assert (script.ran, script.opened_sessions) == (1, 1)
    return error


def slow(**options: Any) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
    """A handler for calls: `slow` takes a little, so that it is still under way when `odd` fails."""
    script = McpScript(**options)

    async def handle(params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "slow":
            await asyncio.sleep(0.3)
        return await script.call_tool(params)

    return handle


# Event streams, however they are written ...

SPELLINGS: dict[str, Callable[[bytes], list[bytes]]] = {
    "a byte order mark": lambda data: [b"\xef\xbb\xbfdata: " + data + b"\n\n"],
    "half a byte order mark": lambda data: [b"\xef", b"\xbb\xbfdata: " + data + b"\n\n"],
    "CR": lambda data: [b"data: " + data + b"\r\r"],
    "CR, bit by bit": lambda data: [b"data: " + data, b"\r", b"\r"],
    "CRLF": lambda data: [b"data: " + data + b"\r\n\r\n"],
    "CRLF, cut in the middle": lambda data: [b"data: " + data + b"\r", b"\n\r", b"\n"],
    "comments and fields nobody knows": lambda data: [b": hello\n\nx: y\nretry\nid\ndata:" + data + b"\n\n"],
    "an id and a waiting time": lambda data: [b"id: 7\nretry: 10\nevent: message\ndata: " + data + b"\n\n"],
    "an id that no header can hold": lambda data: ["id: ü\ndata: ".encode() + data + b"\n\n"],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_an_answer_is_understood_as_soon_as_its_event_is_complete_however_it_is_written(spelling: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.start_events()
        for part in SPELLINGS[spelling](json.dumps(answer_to(exchange)).encode()):
            await exchange.send(part)
            await asyncio.sleep(0.01)  # so that the parts arrive as parts
        await hold(exchange)  # the answer is there, whether the stream ends or not

    with HttpServer(Odd(answer)) as server:
        async with MCPStreamableHTTPTool("odd", server.url) as tool:
            assert text(await within(tool.call_tool("odd"), AT_ONCE)) == "right"


# ... and whatever they tell the client to do

WAITS = ["-50", "1" + "0" * 400, "1" + "0" * 5000, "²", "soon"]


@pytest.mark.parametrize("wait", WAITS, ids=["negative", "no float", "no int", "no digit", "a word"])
async def test_a_waiting_time_that_is_none_costs_nobody_anything(wait: str) -> None:
    async def begin(exchange: Exchange) -> object:
        await exchange.start_events()
        await exchange.send(f"id: 1\nretry: {wait}\ndata: \n\n".encode())
        script.answer = answer_to(exchange)
        return CLOSE

    async def finish(exchange: Exchange) -> object:
        await exchange.start_events()
        await exchange.send_event(script.answer)
        return CLOSE

    class Resumable(Odd):
        answer: dict[str, Any]

    script = Resumable(begin, handlers={"tools/call": slow()})
    script.on_resume = finish
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("odd", server.url) as tool:
            sibling = asyncio.create_task(tool.call_tool("slow", n=1))
            assert text(await within(tool.call_tool("odd"))) == "right"
            assert text(await within(sibling)) == '{"n": 1}'
            assert (script.resumed, script.opened_sessions) == (1, 1)


@pytest.mark.parametrize("wait", [*WAITS, "0"], ids=["negative", "no float", "no int", "no digit", "a word", "zero"])
async def test_a_listening_stream_may_ask_for_any_waiting_time_without_harm(wait: str) -> None:
    class Restless(McpScript):
        async def _stand(self, exchange: Exchange) -> object:
            await exchange.start_events()
            await exchange.send(f"retry: {wait}\ndata: \n\n".encode())
            return CLOSE

    script = Restless()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("restless", server.url) as tool:
            await server.arrived("GET", 2)
            began = time.monotonic()
            await server.arrived("GET", 4)
            assert time.monotonic() - began > 0.15, "it is asked for again without a pause"
            assert text(await within(tool.call_tool("echo"))) == "{}"
            assert script.opened_sessions == 1


@pytest.mark.parametrize("event_id", ["a\0b", "ü", "\t"], ids=["NUL", "not ASCII", "a tab"])
async def test_an_event_id_that_cannot_be_sent_back_does_not_keep_a_call_waiting(event_id: str) -> None:
    async def begin(exchange: Exchange) -> object:
        await exchange.start_events()
        await exchange.send(f"id: {event_id}\ndata: \n\n".encode())
        return CLOSE

    script = Odd(begin, handlers={"tools/call": slow()})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("odd", server.url) as tool:
            error = await assert_one_call_pays(tool, script, MCPConnectionError)
            assert "ended without the answer" in str(error)
            assert error.sent is True


# Bodies ...


async def test_the_body_of_an_error_is_not_waited_for() -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.start(500, {"content-type": JSON, "content-length": "100"})
        await exchange.send(b'{"jsonrpc"')
        await hold(exchange)

    script = Odd(refuse, handlers={"tools/call": slow()})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("odd", server.url) as tool:
            error = await assert_one_call_pays(tool, script, MCPServerError)
            assert error.status_code == 500


async def endless_json(exchange: Exchange) -> None:
    await exchange.start(200, {"content-type": JSON, "connection": "close"})
    while True:
        await exchange.send(b" " * 65536)


async def endless_event(exchange: Exchange) -> None:
    await exchange.start_events()
    while True:
        await exchange.send(b"data: " + b"x" * 65536 + b"\n")


async def endless_event_with_an_id(exchange: Exchange) -> None:
    await exchange.start_events()
    await exchange.send(b"id: 1\nretry: 100\ndata: \n\n")
    while True:
        await exchange.send(b"data: " + b"x" * 65536 + b"\n")


@pytest.mark.parametrize("on", [endless_json, endless_event, endless_event_with_an_id])
async def test_an_endless_answer_over_http_ends_its_call(on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (events, streamable_http):
        monkeypatch.setattr(module, "MESSAGE_LIMIT", 4 * MEGABYTE)
    script = Odd(on, handlers={"tools/call": slow()})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("odd", server.url) as tool:
            error = await assert_one_call_pays(tool, script, MCPProtocolError)
            assert "sent a message of more than" in str(error)


CHILD = """
import json, os, sys

def reply(id, **payload):
    print(json.dumps({"jsonrpc": "2.0", "id": id, **payload}), flush=True)

def run(id, name):
    if name == "endless":
        while True:
            os.write(1, b"z" * 65536)
    if name == "bell":
        os.write(2, b"\\x1b[2J\\x07no licence\\n")
        os._exit(3)
    key = os.environ.get("KEY", "")
    if name == "refuse":
        reply(id, error={"code": -32001, "message": "bad key " + key, "data": {"key": [key]}})
    elif name in ("fail", "echo"):
        reply(id, result={"content": [{"type": "text", "text": "the key is " + key}], "isError": name == "fail"})
    elif name == "old":
        print(json.dumps({"jsonrpc": "1.0", "id": id, "result": {"content": []}}), flush=True)
    elif name == "latin":
        os.write(1, ('{"jsonrpc": "2.0", "id": %d, "result": {"text": "caf\\xe9"}}\\n' % id).encode("latin-1"))
    elif name == "neither":
        print(json.dumps({"jsonrpc": "2.0", "id": id}), flush=True)

waiting = []
for line in sys.stdin:
    message = json.loads(line)
    id, method = message.get("id"), message.get("method")
    if id is None or method is None:
        continue
    if method == "initialize":
        info = {"name": "child", "version": "1"}
        version = message["params"]["protocolVersion"]
        reply(id, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/list":
        reply(id, result={"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})
    elif method == "tools/call" and message["params"]["name"] == "wait":
        waiting.append(id)
    elif method == "tools/call":
        run(id, message["params"]["name"])
        for waiter in waiting if message["params"]["name"] == "echo" else []:
            reply(waiter, result={"content": []})
    else:
        reply(id, result={})
"""


def child(**options: Any) -> MCPStdioTool:
    return MCPStdioTool("child", sys.executable, args=["-SE", "-c", CHILD], **options)


async def test_a_line_of_a_child_that_never_ends_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stdio, "MESSAGE_LIMIT", 4 * MEGABYTE)
    async with child() as tool:
        error = await fails_at_once(tool.call_tool("endless"))
        assert type(error) is MCPProtocolError
        assert "sent a message of more than" in str(error)
        assert not tool.is_connected
        assert text(await within(tool.call_tool("echo"))) == "the key is "


@pytest.mark.parametrize("name", ["old", "latin", "neither"])
async def test_an_answer_of_a_child_that_is_no_json_rpc_ends_its_call_and_no_other(name: str) -> None:
    async with child() as tool:
        sibling = asyncio.create_task(tool.call_tool("wait"))
        await asyncio.sleep(0)
        error = await fails_at_once(tool.call_tool(name))
        assert type(error) is MCPProtocolError
        assert error.sent is True
        assert "the answer is not a JSON-RPC response" in str(error)
        assert text(await within(tool.call_tool("echo"))) == "the key is "
        await within(sibling)


async def test_an_answer_over_a_websocket_that_is_no_json_rpc_ends_its_call() -> None:
    class Old(WebsocketServer):
        async def answer(self, connection: Any, message: dict[str, Any]) -> None:
            if message["method"] != "tools/call" or message["params"]["name"] != "old":
                await super().answer(connection, message)
                return
            await connection.send(json.dumps({"jsonrpc": "1.0", "id": message["id"], "result": {}}))

    with Old() as server:
        async with MCPWebsocketTool("old", server.url) as tool:
            error = await fails_at_once(tool.call_tool("old"))
            assert type(error) is MCPProtocolError
            assert text(await within(tool.call_tool("echo"))) == "{}"
            assert server.names.count("initialize") == 1


async def test_what_a_terminal_obeys_does_not_get_from_a_child_into_an_error() -> None:
    async with child() as tool:
        error = await fails_at_once(tool.call_tool("bell"))
        assert "no licence" in str(error)
        assert str(error).isprintable() or "\n" in str(error)
        assert not {"\x1b", "\x07"} & set(str(error))


# Codes ...


async def test_a_server_may_use_the_code_of_the_sdks_own_deadline() -> None:
    async def answer(exchange: Exchange) -> None:
        error = {"code": 408, "message": "the backend was too slow"}
        await exchange.answer(200, json.dumps(answer_to(exchange, error=error)), JSON)

    script = Odd(answer, handlers={"tools/call": slow()})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("odd", server.url, request_timeout=5) as tool:
            error = await assert_one_call_pays(tool, script, MCPServerError)
            assert error.code == 408
            assert "the backend was too slow" in str(error)
            assert "notifications/cancelled" not in server.names


# Secrets that a server quotes ...


def bearer(values: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def assert_unsaid(error: BaseException, secret: str) -> None:
    link: BaseException | None = error
    while link is not None:
        said = [str(link), repr(link), repr(vars(link)), str(link.args)]
        assert not any(secret in part for part in said), said
        link = link.__cause__ or link.__context__
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    assert not any(secret in line for line in lines if not line.startswith("  File"))


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
@pytest.mark.parametrize("kind", [MCPServerError, MCPToolError])
async def test_a_token_that_a_server_quotes_in_an_error_is_blanked_out(kind: Any, events: bool) -> None:
    async def quote(exchange: Exchange) -> object:
        said = f"the token {exchange.headers['authorization'].partition(' ')[2]} has expired"
        if kind is MCPServerError:
            message = answer_to(exchange, error={"code": -32001, "message": said, "data": {"said": [said]}})
        else:
            message = answer_to(exchange, result={"content": [{"type": "text", "text": said}], "isError": True})
        if not events:
            return await exchange.answer(200, json.dumps(message), JSON)
        await exchange.start_events()
        await exchange.send_event(message)
        return CLOSE

    with HttpServer(Odd(quote)) as server:
        async with MCPStreamableHTTPTool("odd", server.url, header_provider=bearer) as tool:
            error = await fails_at_once(tool.call_tool("odd"))
            assert type(error) is kind
            assert "the token *** has expired" in str(error)
            assert_unsaid(error, TOKEN)


async def test_a_token_that_a_server_quotes_in_a_result_is_the_tools_to_say() -> None:
    async def quote(exchange: Exchange) -> None:
        message = answer_to(exchange, exchange.headers["authorization"])
        await exchange.answer(200, json.dumps(message), JSON)

    with HttpServer(Odd(quote)) as server:
        async with MCPStreamableHTTPTool("odd", server.url, header_provider=bearer) as tool:
            assert text(await within(tool.call_tool("odd"))) == f"Bearer {TOKEN}"


@pytest.mark.parametrize(("name", "kind"), [("refuse", MCPServerError), ("fail", MCPToolError)])
async def test_a_value_of_its_environment_that_a_child_quotes_in_an_error_is_blanked_out(name: str, kind: Any) -> None:
    async with child(env={"KEY": TOKEN}) as tool:
        error = await fails_at_once(tool.call_tool(name))
        assert type(error) is kind
        assert "***" in str(error)
        assert_unsaid(error, TOKEN)
        assert text(await within(tool.call_tool("echo"))) == f"the key is {TOKEN}"


async def test_a_header_that_a_websocket_server_quotes_in_an_error_is_blanked_out() -> None:
    class Quoting(WebsocketServer):
        async def answer(self, connection: Any, message: dict[str, Any]) -> None:
            if message["method"] != "tools/call":
                await super().answer(connection, message)
                return
            error = {"code": -32001, "message": f"bad token {connection.request.headers['X-Api-Key']}"}
            await connection.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}))

    with Quoting() as server:
        async with MCPWebsocketTool("quoting", server.url, additional_headers={"X-Api-Key": TOKEN}) as tool:
            error = await fails_at_once(tool.call_tool("echo"))
            assert "bad token ***" in str(error)
            assert_unsaid(error, TOKEN)
