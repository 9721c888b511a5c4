# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""MCP over websockets, with the same promises as over the other transports, against real websocket servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from fault_servers import BOUND, HTTP_FAULTS, Exchange, Handler, HttpServer, McpScript, RpcError, never, unused_port
from typing_extensions import Self
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from agent_framework import MCPWebsocketTool
from agent_framework._mcp import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
)
from agent_framework.exceptions import ToolException

PATIENCE = 0.5  # seconds that a tool gives a server that never answers
AT_ONCE = 1.0  # seconds; what is measured takes some milliseconds, a busy machine adds to it

Serve = Callable[["WebsocketServer", ServerConnection], Awaitable[None]]


class WebsocketServer:
    """A context manager: an MCP server behind a websocket on loopback, in a thread with a loop of its own.

    Keyword Args:
        port: 0 picks a free one.
        handlers: As `McpScript` has them.
        binary: Send binary frames instead of text.
        serve_one: What to do with a connection instead of speaking MCP.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        handlers: dict[str, Handler] | None = None,
        binary: bool = False,
        serve_one: Serve | None = None,
    ) -> None:
        self.port = port
        self.handlers = McpScript(handlers=handlers).handlers
        self.binary = binary
        self.serve_one: Serve = serve_one or WebsocketServer.speak
        self.accepted: list[ServerConnection] = []
        self.messages: list[dict[str, Any]] = []
        self.close_codes: list[int | None] = []
        self._living: set[ServerConnection] = set()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="websocket-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/mcp"

    @property
    def names(self) -> list[str]:
        """The methods that have arrived so far, in order."""
        return [message.get("method", "response") for message in self.messages]

    async def arrived(self, name: str, count: int = 1) -> dict[str, Any]:
        """Waits until `count` messages of this method have arrived, and returns the last of them."""
        return await asyncio.to_thread(self._wait_for, name, count)

    async def closed(self) -> int | None:
        """Waits until a connection has ended, and returns the code it ended with."""
        await asyncio.to_thread(self._wait, lambda: self.close_codes)
        return self.close_codes[-1]

    def _wait_for(self, name: str, count: int) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [message for message in self.messages if message.get("method") == name]

        self._wait(lambda: len(found()) >= count)
        return found()[count - 1]

    def _wait(self, condition: Callable[[], Any]) -> None:
        with self._news:
            if not self._news.wait_for(condition, BOUND):
                raise TimeoutError(f"it did not come within {BOUND} s; there were {self.names}")

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(BOUND)

    def say_goodbye(self) -> None:
        """Closes every connection as websockets should be closed, and goes on listening."""

        async def close_all() -> None:
            await asyncio.gather(*(connection.close(1001, "gone fishing") for connection in self._living))

        self.run(close_all())

    def drop_connections(self) -> None:
        """Cuts every connection, as the end of a server's process does, and goes on listening."""
        self.run(self._drop())

    def stop(self) -> None:
        """Stops listening and cuts every connection. Safe to repeat."""
        if self._thread.is_alive():
            self.run(self._drop(listen=False))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(BOUND)
            self._loop.close()

    async def _start(self) -> None:
        # A connection that is cut while it is opened would be reported on standard error by the server's own loop.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._server = await serve(
            self._accept, "127.0.0.1", self.port, subprotocols=[Subprotocol("mcp")], ping_interval=None, max_size=None
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def _drop(self, *, listen: bool = True) -> None:
        if not listen:
            self._server.close(close_connections=False)
        for connection in list(self._living):
            connection.transport.abort()
        if not listen:
            await self._server.wait_closed()
        await asyncio.sleep(0)  # the turn in which aborted transports close their sockets

    async def _accept(self, connection: ServerConnection) -> None:
        self.accepted.append(connection)
        self._living.add(connection)
        try:
            await self.serve_one(self, connection)
        except ConnectionClosed:
            pass  # the client left, as it may
        finally:
            self._living.discard(connection)
            await connection.wait_closed()
            with self._news:
                self.close_codes.append(connection.close_code)
                self._news.notify_all()

    async def speak(self, connection: ServerConnection) -> None:
        """Answers every request of a connection, each in a task of its own."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for frame in connection:
                message = json.loads(frame)
                self.note(message)
                if "method" in message and "id" in message:
                    task = asyncio.create_task(self.answer(connection, message))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def note(self, message: dict[str, Any]) -> None:
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    async def answer(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        payload: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            if message["method"] not in self.handlers:
                raise RpcError(-32601, "Method not found")
            payload["result"] = await self.handlers[message["method"]](message.get("params") or {})
        except RpcError as error:
            payload["error"] = {"code": error.code, "message": error.message}
        text = json.dumps(payload)
        await connection.send(text.encode() if self.binary else text)


async def stall(params: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def answer_large(params: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": "x" * int((params.get("arguments") or {}).get("size", 1))}]}


async def be_silent(server: WebsocketServer, connection: ServerConnection) -> None:
    await connection.wait_closed()


# Using it ...


@pytest.mark.parametrize("binary", [False, True], ids=["text frames", "binary frames"])
async def test_tools_are_listed_and_called(binary: bool) -> None:
    with WebsocketServer(binary=binary) as server:
        async with MCPWebsocketTool("ws", server.url) as tool:
            assert [function.name for function in tool.functions] == ["echo"]
            assert (await tool.call_tool("echo", greeting="grüß Gott"))[
                0
            ].text == '{"greeting": "gr\\u00fc\\u00df Gott"}'
        assert await server.closed() == 1000
        assert server.names == ["initialize", "notifications/initialized", "tools/list", "tools/call"]
        assert server.accepted[0].subprotocol == "mcp"


async def test_twenty_callers_share_one_handshake() -> None:
    with WebsocketServer() as server:
        tool = MCPWebsocketTool("ws", server.url)
        await asyncio.wait_for(asyncio.gather(*(tool.connect() for _ in range(20))), BOUND)
        assert len(server.accepted) == 1
        assert server.names.count("initialize") == 1
        await tool.close()


async def test_calls_at_the_same_time_get_their_own_answers() -> None:
    async def later_first(params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep((20 - params["arguments"]["n"]) / 1000)
        return {"content": [{"type": "text", "text": str(params["arguments"]["n"])}]}

    with WebsocketServer(handlers={"tools/call": later_first}) as server:
        async with MCPWebsocketTool("ws", server.url) as tool:
            answers = await asyncio.wait_for(asyncio.gather(*(tool.call_tool("echo", n=n) for n in range(20))), BOUND)
            assert [answer[0].text for answer in answers] == [str(n) for n in range(20)]


async def test_frames_that_are_no_json_rpc_are_passed_over() -> None:
    async def babble(server: WebsocketServer, connection: ServerConnection) -> None:
        for frame in ("hello", b"\xff\xfe", "{}", "", '{"jsonrpc": "2.0", "id": 99, "result": {}}'):
            await connection.send(frame)
        await server.speak(connection)

    with WebsocketServer(serve_one=babble) as server:
        async with MCPWebsocketTool("ws", server.url) as tool:
            assert (await tool.call_tool("echo"))[0].text == "{}"


async def test_answers_that_came_before_the_farewell_are_not_lost_when_somebody_writes_meanwhile() -> None:
    together = 30

    async def answer_all_and_leave(server: WebsocketServer, connection: ServerConnection) -> None:
        held: list[dict[str, Any]] = []
        async for frame in connection:
            message = json.loads(frame)
            if message["method"] == "tools/call":
                held.append(message)
            elif "id" in message:
                await server.answer(connection, message)
            if len(held) == together:
                for call in held:
                    result = {"content": [{"type": "text", "text": "held"}]}
                    await connection.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}))
                await connection.close()

    with WebsocketServer(serve_one=answer_all_and_leave) as server:
        async with MCPWebsocketTool("ws", server.url) as tool:
            others: list[asyncio.Task[Any]] = []

            async def call_and_call_again() -> str:
                contents = await tool.call_tool("echo")
                others.append(asyncio.create_task(tool.call_tool("echo")))
                return str(contents[0].text)

            calls = (call_and_call_again() for _ in range(together))
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND)
            assert outcomes == ["held"] * together
        await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), BOUND)


async def test_options_reach_the_websocket() -> None:
    with WebsocketServer(handlers={"tools/call": answer_large}) as server:
        headers = {"Authorization": "Bearer secret"}
        async with MCPWebsocketTool("ws", server.url, additional_headers=headers, max_size=10_000_000) as tool:
            assert server.accepted[0].request is not None
            assert server.accepted[0].request.headers["Authorization"] == "Bearer secret"
            assert len((await tool.call_tool("echo", size=5_000_000))[0].text) == 5_000_000


async def test_an_option_that_does_not_exist_is_named() -> None:
    with WebsocketServer() as server:
        with pytest.warns(UserWarning, match="no_such_option"):
            tool = MCPWebsocketTool("ws", server.url, no_such_option=1)
        with pytest.raises(ToolException, match="no_such_option") as caught:
            await tool.connect()
        assert isinstance(caught.value.__cause__, TypeError)


# Not getting there ...


@contextlib.contextmanager
def http_server(behaviour: Callable[[Exchange], Awaitable[Any]]) -> Iterator[str]:
    with HttpServer(behaviour) as server:
        yield server.url.replace("http:", "ws:")


@contextlib.contextmanager
def silent_after_the_handshake() -> Iterator[str]:
    with WebsocketServer(serve_one=be_silent) as server:
        yield server.url


async def answer_no_http(exchange: Exchange) -> object:
    await exchange.send(b"220 mail.example ESMTP\r\n\r\n")
    return HTTP_FAULTS  # anything but CLOSE: the client has to leave by itself


FAILURES: dict[str, tuple[Callable[[], contextlib.AbstractContextManager[str]], type[MCPError], str, Any]] = {
    "refused": (
        lambda: contextlib.nullcontext(f"ws://127.0.0.1:{unused_port()}/mcp"),
        MCPConnectionError,
        "refused",
        None,
    ),
    "unresolvable name": (lambda: contextlib.nullcontext("ws://name.invalid/mcp"), MCPConnectionError, "resolve", None),
    "no websocket URL": (lambda: contextlib.nullcontext("ws://127.0.0.1/mcp#x"), MCPConnectionError, "scheme", None),
    "401": (lambda: http_server(HTTP_FAULTS["401"]), MCPAuthenticationError, "401", 401),
    "403": (lambda: http_server(HTTP_FAULTS["403"]), MCPAuthenticationError, "403", 403),
    "404": (lambda: http_server(HTTP_FAULTS["404"]), MCPServerError, "404", 404),
    "503": (lambda: http_server(HTTP_FAULTS["503"]), MCPServerError, "503", 503),
    "a web page": (lambda: http_server(HTTP_FAULTS["HTML"]), MCPError, "200", 200),
    "closed in mid-header": (lambda: http_server(HTTP_FAULTS["closed in mid-header"]), MCPError, "", None),
    "no HTTP": (lambda: http_server(answer_no_http), MCPProtocolError, "handshake", None),
    "handshake never answered": (lambda: http_server(never), MCPTimeoutError, "0.5 s (connect_timeout)", None),
    "initialize never answered": (silent_after_the_handshake, MCPTimeoutError, "0.5 s (connect_timeout)", None),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_an_unreachable_server_is_a_tool_exception_that_names_it_and_the_root_cause(case: str) -> None:
    make, kind, says, status = FAILURES[case]
    with make() as url:
        for attempt in ("connect", "enter"):
            tool = MCPWebsocketTool("ws", url, connect_timeout=PATIENCE)
            with pytest.raises(ToolException) as caught:
                await asyncio.wait_for(tool.connect() if attempt == "connect" else tool.__aenter__(), BOUND)
            error = caught.value
            assert isinstance(error, kind)
            assert url.partition("#")[0] in str(error)
            assert says in str(error)
            assert "\n" not in str(error)
            assert (error.phase, error.status_code) == ("connect", status)
            assert error.__cause__ is not None
            assert not hasattr(error.__cause__, "exceptions")
            assert not tool.is_connected
            assert len(asyncio.all_tasks()) == 1
            await tool.close()


async def test_tls_to_a_plain_port_is_named() -> None:
    with HttpServer(never) as server:
        with pytest.raises(MCPConnectionError, match="TLS"):
            await MCPWebsocketTool("ws", server.url.replace("http:", "wss:"), connect_timeout=PATIENCE).connect()


async def test_an_error_names_nothing_secret() -> None:
    url = f"ws://user:hunter2@127.0.0.1:{unused_port()}/mcp?token=hunter2"
    with pytest.raises(MCPConnectionError) as caught:
        await MCPWebsocketTool("ws", url, additional_headers={"Authorization": "hunter2"}).connect()
    assert "hunter2" not in str(caught.value)


async def test_without_the_websockets_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(ToolException, match=r"pip install '(mcp\[ws\]|websockets)'") as caught:
        await MCPWebsocketTool("ws", "ws://127.0.0.1/mcp").connect()
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


async def test_a_refused_handshake_keeps_code_and_message() -> None:
    async def refuse(params: dict[str, Any]) -> dict[str, Any]:
        raise RpcError(-32603, "not today")

    with WebsocketServer(handlers={"initialize": refuse}) as server:
        with pytest.raises(MCPServerError, match="not today") as caught:
            await MCPWebsocketTool("ws", server.url).connect()
        assert caught.value.code == -32603
        await server.closed()


# Losing it ...


@pytest.mark.parametrize("farewell", [True, False], ids=["close frame", "cut"])
async def test_a_server_that_leaves_in_a_call_is_named_and_later_calls_share_one_new_connection(farewell: bool) -> None:
    with WebsocketServer(handlers={"tools/call": stall}) as server:
        async with MCPWebsocketTool("ws", server.url) as tool:
            calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(4)]
            await server.arrived("tools/call", 4)
            await asyncio.to_thread(server.say_goodbye if farewell else server.drop_connections)
            for outcome in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND):
                assert isinstance(outcome, MCPConnectionError)
                assert (outcome.sent, outcome.phase) == (True, "call")
                assert "it may have run there" in str(outcome)
                assert not farewell or "gone fishing" in str(outcome)
            assert not tool.is_connected
            server.handlers["tools/call"] = McpScript().call_tool
            answers = await asyncio.wait_for(asyncio.gather(*(tool.call_tool("echo", n=n) for n in range(8))), BOUND)
            assert [answer[0].text for answer in answers] == [f'{{"n": {n}}}' for n in range(8)]
            assert len(server.accepted) == 2
            assert server.names.count("tools/call") == 4 + 8


async def test_a_server_that_is_gone_is_refused_and_its_successor_is_found() -> None:
    with WebsocketServer() as server:
        tool = MCPWebsocketTool("ws", server.url)
        await tool.connect()
    deadline = time.monotonic() + BOUND
    while tool.is_connected:  # until then a call would be sent, and lost
        assert time.monotonic() < deadline
        await asyncio.sleep(0)
    with pytest.raises(MCPConnectionError, match="refused") as caught:
        await asyncio.wait_for(tool.call_tool("echo"), BOUND)
    assert caught.value.sent is False
    with WebsocketServer(port=server.port):
        assert (await asyncio.wait_for(tool.call_tool("echo"), BOUND))[0].text == "{}"
        await tool.close()


async def test_a_message_that_is_too_large_is_named_and_costs_one_connection() -> None:
    with WebsocketServer(handlers={"tools/call": answer_large}) as server:
        async with MCPWebsocketTool("ws", server.url, max_size=10_000) as tool:
            with pytest.raises(MCPConnectionError, match="too big") as caught:
                await asyncio.wait_for(tool.call_tool("echo", size=20_000), BOUND)
            assert caught.value.sent is True
            assert (await asyncio.wait_for(tool.call_tool("echo", size=2), BOUND))[0].text == "xx"
            assert await server.closed() == 1009
            assert len(server.accepted) == 2


# Leaving ...


async def test_close_while_connecting_ends_both_at_once() -> None:
    with HttpServer(never) as server:
        tool = MCPWebsocketTool("ws", server.url.replace("http:", "ws:"))
        connecting = asyncio.create_task(tool.connect())
        await server.arrived("GET")
        started = time.monotonic()
        await tool.close()
        with pytest.raises(MCPConnectionError, match="the connection was closed"):
            await connecting
        assert time.monotonic() - started < AT_ONCE
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("stage", ["handshake", "initialize"])
async def test_a_cancelled_connect_is_cancelled_at_once_and_leaves_nothing(stage: str) -> None:
    async def note_and_be_silent(server: WebsocketServer, connection: ServerConnection) -> None:
        async for frame in connection:
            server.note(json.loads(frame))

    with HttpServer(never) as deaf, WebsocketServer(serve_one=note_and_be_silent) as mute:
        tool = MCPWebsocketTool("ws", mute.url if stage == "initialize" else deaf.url.replace("http:", "ws:"))
        connecting = asyncio.create_task(tool.connect())
        await (mute.arrived("initialize") if stage == "initialize" else deaf.arrived("GET"))
        started = time.monotonic()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert time.monotonic() - started < AT_ONCE
        assert len(asyncio.all_tasks()) == 1


async def test_close_ends_the_calls_in_flight() -> None:
    with WebsocketServer(handlers={"tools/call": stall}) as server:
        tool = MCPWebsocketTool("ws", server.url)
        await tool.connect()
        calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(3)]
        await server.arrived("tools/call", 3)
        await asyncio.wait_for(tool.close(), AT_ONCE)
        for outcome in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND):
            assert isinstance(outcome, MCPConnectionError)
            assert outcome.sent is True
        assert await server.closed() == 1000


async def test_a_cancelled_call_is_told_to_the_server_and_costs_nothing_else() -> None:
    async def stall_once(params: dict[str, Any]) -> dict[str, Any]:
        server.handlers["tools/call"] = McpScript().call_tool
        return await stall(params)

    with WebsocketServer(handlers={"tools/call": stall_once}) as server:
        async with MCPWebsocketTool("ws", server.url) as tool:
            call = asyncio.create_task(tool.call_tool("echo"))
            request = await server.arrived("tools/call")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            notice = await server.arrived("notifications/cancelled")
            assert notice["params"]["requestId"] == request["id"]
            assert (await tool.call_tool("echo"))[0].text == "{}"
            assert len(server.accepted) == 1


async def test_a_call_that_is_too_slow_is_a_timeout_error_and_told_to_the_server() -> None:
    with WebsocketServer(handlers={"tools/call": stall}) as server:
        async with MCPWebsocketTool("ws", server.url, request_timeout=1) as tool:
            with pytest.raises(MCPTimeoutError, match="no answer within 1 s"):
                await tool.call_tool("echo")
            await server.arrived("notifications/cancelled")
            assert tool.is_connected


async def test_a_peer_that_never_answers_the_close_frame_does_not_hold_close_for_long() -> None:
    with WebsocketServer() as server:
        tool = MCPWebsocketTool("ws", server.url)
        await tool.connect()
        server._loop.call_soon_threadsafe(server.accepted[0].transport.pause_reading)
        started = time.monotonic()
        await asyncio.wait_for(tool.close(), BOUND)
        assert time.monotonic() - started < 4  # the close frame's 2 s, and some
        assert len(asyncio.all_tasks()) == 1


async def test_a_peer_that_reads_nothing_more_does_not_hold_close_for_long() -> None:
    with WebsocketServer() as server:
        tool = MCPWebsocketTool("ws", server.url)
        await tool.connect()
        server._loop.call_soon_threadsafe(server.accepted[0].transport.pause_reading)
        # More than the sockets' buffers hold, so that the writer is in the middle of a message when we leave.
        calls = [asyncio.create_task(tool.call_tool("echo", text="x" * 4_000_000)) for _ in range(3)]
        _, waiting = await asyncio.wait(calls, timeout=0.2)
        assert len(waiting) == 3
        started = time.monotonic()
        await asyncio.wait_for(tool.close(), 10)
        assert time.monotonic() - started < 8  # CLOSE_TIMEOUT, and some
        for outcome in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND):
            assert isinstance(outcome, MCPConnectionError)
        assert len(asyncio.all_tasks()) == 1
