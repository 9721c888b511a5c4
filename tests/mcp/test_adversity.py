# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Servers in bad weather: frozen, half dead, forgetful, slow. One failure costs one call, and nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from fault_servers import BOUND, CLOSE, EVENTS, JSON, Exchange, HttpServer, McpScript, freeze, never, unused_port
from mcp import StdioServerParameters

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import (
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
    MCPTool,
)
from agent_framework._mcp_client import _process, _stdio
from agent_framework._mcp_client.transports import streamable_http
from agent_framework.exceptions import ToolException

HERE = Path(__file__).parent
PEER = str(HERE / "bad_peer.py")
SLEEPER = "import time; time.sleep(60)"
MEGABYTE = 1024 * 1024
AT_ONCE = 1.0  # seconds: the bar for waking whoever waits on a server that is gone
T = TypeVar("T")

HTTP_PEER = """
import sys
from fault_servers import HttpServer, McpScript
with HttpServer(McpScript()) as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


async def within(awaitable: Awaitable[T], seconds: float = BOUND) -> T:
    return await asyncio.wait_for(awaitable, seconds)


async def outcomes(*awaitables: Awaitable[Any], seconds: float = BOUND) -> list[Any]:
    return await within(asyncio.gather(*awaitables, return_exceptions=True), seconds)


def text(contents: Any) -> str:
    return contents[0].text


def stdio_tool(*arguments: str, **options: Any) -> MCPStdioTool:
    return MCPStdioTool("bad", sys.executable, args=["-SE", PEER, *arguments], **options)


def http_tool(server: HttpServer, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("script", server.url, **options)


async def assert_works(tool: MCPTool) -> None:
    assert text(await within(tool.call_tool("echo", word="hi"))) == '{"word": "hi"}'


async def stall(params: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


class Altered(McpScript):
    """Does with a request of one name what `on` says, `times` times, and what it should with everything else."""

    def __init__(self, name: str, on: Any, times: int = 1_000_000, **options: Any) -> None:
        super().__init__(**options)
        self.name, self.on, self.times = name, on, times

    async def __call__(self, exchange: Exchange) -> object:
        if exchange.name == self.name and self.times > 0:
            self.times -= 1
            return await self.on(exchange)
        return await super().__call__(exchange)


def result_for(exchange: Exchange, said: str = "{}") -> dict[str, Any]:
    assert exchange.message is not None
    return {"jsonrpc": "2.0", "id": exchange.message["id"], "result": {"content": [{"type": "text", "text": said}]}}


# Children that are half dead ...


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("exit", "exited with code 4; its last words: out of tokens"),
        ("segfault", "ended by signal 11 (SIGSEGV)"),
        ("close_stdout", "closed its output"),
        ("huge_stderr_line", "exited with code 6; its last words: yyyy"),
    ],
)
async def test_calls_on_a_child_that_fails_are_told_why_within_a_second(
    fault: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_process, "STDIN_CLOSE_GRACE", 0.3)
    note = tmp_path / "note"
    async with stdio_tool(str(note)) as tool:
        waiting = asyncio.create_task(tool.call_tool("hang"))
        started = time.monotonic()
        for error in await outcomes(tool.call_tool(fault), waiting):
            assert type(error) is MCPConnectionError
            assert says in str(error)
            assert len(str(error)) < 2000
            assert error.sent is True
        assert time.monotonic() - started < AT_ONCE
        assert not tool.is_connected
        await assert_works(tool)
        assert sorted(note.read_text().split()) == sorted(["hang", fault, "echo"])


async def test_an_answer_whose_line_the_child_did_not_end_is_not_lost_with_the_child() -> None:
    async with stdio_tool() as tool:
        assert text(await within(tool.call_tool("last_words"))) == "the end"
        await assert_works(tool)


async def test_each_call_on_a_child_that_leaves_after_every_answer_is_answered_and_runs_once(tmp_path: Path) -> None:
    note = tmp_path / "note"
    async with stdio_tool(str(note)) as tool:
        for _ in range(10):
            assert text(await within(tool.call_tool("last_words"))) == "the end"
    assert note.read_text().split() == ["last_words"] * 10


async def test_a_child_that_sends_much_at_a_time_leaves_the_event_loop_to_others() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    flood = """import sys; print(300 * ('{"jsonrpc": "2.0", "method": "x"}' + chr(10)), flush=True); sys.stdin.read()"""
    parameters = StdioServerParameters(command=sys.executable, args=["-SEc", flood])
    counting = asyncio.create_task(count_turns())
    async with _stdio.stdio(parameters) as (reader, _):
        await within(reader.receive())
        before = turns
        for _ in range(200):
            await reader.receive()
        assert turns - before >= 200
    counting.cancel()


@pytest.mark.parametrize("heir", ["grandchild", "daemon"])
async def test_a_dead_child_is_noticed_although_another_process_holds_its_pipes(heir: str) -> None:
    async with stdio_tool() as tool:
        started = time.monotonic()
        waiting = asyncio.create_task(tool.call_tool("hang"))
        for error in await outcomes(tool.call_tool(heir, leave=True), waiting):
            assert type(error) is MCPConnectionError
            assert "exited with code 5" in str(error)
        assert time.monotonic() - started < AT_ONCE + 0.2
        await assert_works(tool)
    end_daemons()


@pytest.mark.parametrize("heir", ["grandchild", "daemon"])
async def test_close_does_not_wait_for_a_process_that_the_child_left_with_its_pipes(heir: str) -> None:
    tool = stdio_tool()
    await tool.connect()
    left = int(text(await within(tool.call_tool(heir))))
    started = time.monotonic()
    await within(tool.close())
    assert time.monotonic() - started < AT_ONCE + 0.2
    if heir == "grandchild":
        await gone(left)
    end_daemons()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


async def gone(pid: int) -> None:
    """Waits for the kernel to deliver a SIGKILL."""
    deadline = time.monotonic() + BOUND
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        await asyncio.sleep(0.01)


def end_daemons() -> None:
    """What has left its process group on purpose is nobody's to end but ours."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            if path.read_bytes().split(b"\0")[2:3] == [SLEEPER.encode()] and parent == os.getpid():
                os.kill(int(path.parent.name), signal.SIGKILL)


async def test_a_child_that_closes_its_input_is_named_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "STDIN_CLOSE_GRACE", 0.3)
    changes: list[Any] = []
    async with stdio_tool(on_state_change=changes.append) as tool:
        assert text(await within(tool.call_tool("close_stdin"))) == "deaf from now on"
        await assert_works(tool)  # on its successor: nothing could be written, so the call was repeated
        assert "generation=2" in repr(tool)
        assert "closed its input" in str(changes[2].error)


async def test_a_child_that_dies_while_idle_is_lost_at_once_and_replaced_by_the_next_call() -> None:
    async with stdio_tool() as tool:
        os.kill(int(text(await tool.call_tool("pid"))), signal.SIGKILL)
        owner = tool._lifecycle_owner_task
        assert owner is not None
        await within(asyncio.wait({owner}), AT_ONCE)
        assert not tool.is_connected
        answers = await outcomes(*(tool.call_tool("pid") for _ in range(8)))
        assert len({text(answer) for answer in answers}) == 1
        assert "generation=2" in repr(tool)


async def test_megabytes_on_standard_error_do_not_block_a_child() -> None:
    async with stdio_tool() as tool:
        assert text(await within(tool.call_tool("flood_stderr", megabytes=4))) == '{"megabytes": 4}'


async def test_a_very_long_line_is_read_in_linear_time() -> None:
    size = 20 * MEGABYTE
    async with stdio_tool() as tool:
        assert len(text(await within(tool.call_tool("large", size=size)))) == size
        await assert_works(tool)


@pytest.mark.parametrize("oddity", ["twice", "foreign", "cancels", "latin1"])
async def test_what_nobody_asked_a_child_for_costs_nothing(oddity: str) -> None:
    async with stdio_tool() as tool:
        waiting = asyncio.create_task(tool.call_tool("hang"))
        assert text(await within(tool.call_tool(oddity))) in ("{}", "once")
        for _ in range(3):
            await assert_works(tool)
        assert not waiting.done()
        assert "generation=1" in repr(tool)
        waiting.cancel()
        await asyncio.wait({waiting})


# Frozen ...


async def test_a_frozen_child_is_bounded_by_request_timeout_and_usable_when_it_thaws() -> None:
    async with stdio_tool(request_timeout=1) as tool:
        child = int(text(await tool.call_tool("pid")))
        freeze(child)
        try:
            started = time.monotonic()
            errors = await outcomes(*(tool.call_tool("echo") for _ in range(4)), tool.load_tools())
            assert {type(error) for error in errors} == {MCPTimeoutError}
            assert time.monotonic() - started < 2.0
        finally:
            os.kill(child, signal.SIGCONT)
        await assert_works(tool)
        assert text(await tool.call_tool("pid")) == str(child)


async def test_a_frozen_child_that_cannot_take_more_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "STDIN_CLOSE_GRACE", 0.3)
    monkeypatch.setattr(_process, "TERMINATE_GRACE", 0.3)
    tool = stdio_tool(request_timeout=1)
    await tool.connect()
    child = int(text(await tool.call_tool("pid")))
    freeze(child)
    errors = await outcomes(*(tool.call_tool("echo", blob="x" * MEGABYTE) for _ in range(3)))
    assert {type(error) for error in errors} == {MCPTimeoutError}
    assert [error.sent for error in errors] == [True, False, False], "the first fills the pipe, the others wait"
    await within(tool.close(), 3)
    assert not is_alive(child)


async def test_connecting_to_a_frozen_child_is_bounded_by_connect_timeout() -> None:
    tool = stdio_tool("frozen", connect_timeout=0.5)
    started = time.monotonic()
    with pytest.raises(MCPTimeoutError, match=r"0\.5 s \(connect_timeout\)"):
        await within(tool.connect())
    assert time.monotonic() - started < 2.0


@contextlib.contextmanager
def http_process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A good HTTP server as a process of its own, which can be frozen."""
    process = subprocess.Popen(
        [sys.executable, "-c", HTTP_PEER], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        finally:
            process.kill()


async def test_a_frozen_http_server_is_bounded_in_connect_call_and_close_and_usable_when_it_thaws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streamable_http, "DELETE_TIMEOUT", 0.5)
    with http_process() as (process, url):
        tool = MCPStreamableHTTPTool("frozen", url, request_timeout=1, connect_timeout=1)
        await within(tool.connect())
        other = MCPStreamableHTTPTool("other", url, connect_timeout=1)
        freeze(process.pid)
        started = time.monotonic()
        errors = await outcomes(*(tool.call_tool("echo") for _ in range(4)), tool.load_tools(), other.connect())
        assert {type(error) for error in errors} == {MCPTimeoutError}
        assert time.monotonic() - started < 2.5
        process.send_signal(signal.SIGCONT)
        await assert_works(tool)
        await within(other.connect())
        freeze(process.pid)
        started = time.monotonic()
        await outcomes(tool.close(), other.close(), seconds=3)
        assert not tool.is_connected
        process.send_signal(signal.SIGCONT)
        await within(tool.connect())
        await assert_works(tool)
        await tool.close()


# Loss and return over HTTP ...


NOT_FOUND = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "Session not found"}}'


@pytest.mark.parametrize(
    ("callers", "body", "kind"),
    [
        (1, "no such session", "text/plain"),
        (8, "no such session", "text/plain"),
        (64, "no such session", "text/plain"),
        (64, NOT_FOUND, JSON),
        (8, "", ""),
        (8, 'event: message\ndata: {"jsonrpc": "2.0"', EVENTS),
    ],
    ids=["text-1", "text-8", "text-64", "json-64", "bare-8", "events-8"],
)
async def test_a_restarted_server_costs_one_handshake_however_many_call(callers: int, body: str, kind: str) -> None:
    class Forgetful(McpScript):
        async def __call__(self, exchange: Exchange) -> object:
            session = exchange.headers.get("mcp-session-id")
            if session and session not in self.live_sessions:
                headers = {"content-type": kind} if kind else {}
                await exchange.start(404, {**headers, "content-length": str(len(body))})
                await exchange.send(body.encode())
                return None
            return await super().__call__(exchange)

    script = Forgetful()
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            script.live_sessions.clear()
            answers = await outcomes(*(tool.call_tool("echo", n=n) for n in range(callers)))
            assert [text(answer) for answer in answers] == [f'{{"n": {n}}}' for n in range(callers)]
            assert script.opened_sessions == 2


@pytest.mark.parametrize("use", ["connect", "load_tools", "call"])
async def test_a_server_restarted_while_idle_is_found_by_whatever_comes_next(use: str) -> None:
    first = HttpServer(McpScript())
    with first:
        tool = http_tool(first)
        await tool.connect()
    with HttpServer(McpScript(), port=first.port) as server:
        await within(
            {"connect": tool.connect, "load_tools": tool.load_tools, "call": partial(assert_works, tool)}[use]()
        )
        await assert_works(tool)
        assert server.names.count("initialize") == 1
        await tool.close()


@pytest.mark.parametrize("stage", ["initialize", "notifications/initialized", "tools/list"])
async def test_a_server_killed_while_connecting_is_a_named_error_and_found_when_it_is_back(stage: str) -> None:
    first = HttpServer(Altered(stage, never))
    with first:
        tool = http_tool(first)
        dial = asyncio.create_task(tool.connect())
        await first.arrived(stage)
        first.stop()
        started = time.monotonic()
        (error,) = await outcomes(dial)
        assert isinstance(error, MCPConnectionError)
        assert first.url in str(error)
        assert time.monotonic() - started < AT_ONCE
        assert not tool.is_connected
    with HttpServer(McpScript(), port=first.port):
        await within(tool.connect())
        await assert_works(tool)
        await tool.close()


async def test_while_a_server_is_away_each_call_is_told_at_once_and_dials_are_bounded() -> None:
    first = HttpServer(McpScript())
    with first:
        tool = http_tool(first)
        await tool.connect()
    for _ in range(20):
        started = time.monotonic()
        with pytest.raises(MCPConnectionError, match="refused") as caught:
            await within(tool.call_tool("echo"))
        assert caught.value.sent is False or "may have run" in str(caught.value)
        assert time.monotonic() - started < AT_ONCE
    with HttpServer(Altered("initialize", partial(refuse, 503)), port=first.port) as ill:
        for _ in range(5):
            errors = await outcomes(*(tool.call_tool("echo") for _ in range(32)))
            assert {error.status_code for error in errors} == {503}
            assert {error.sent for error in errors} == {False}
        assert ill.names.count("initialize") <= 5
    with HttpServer(McpScript(), port=first.port) as back:
        await assert_works(tool)
        assert back.names.count("initialize") == 1
        await tool.close()


async def refuse(status: int, exchange: Exchange) -> None:
    await exchange.answer(status, "no")


# Connections that are not what they were ...


async def test_idle_connections_that_the_server_has_closed_are_not_used_again() -> None:
    with HttpServer(McpScript()) as server:
        async with http_tool(server) as tool:
            for _ in range(5):
                server.drop_connections()
                await assert_works(tool)
        assert server.names.count("initialize") == 1


async def test_connections_of_which_the_server_has_closed_its_half_are_not_used_again() -> None:
    async def answer_and_shut(exchange: Exchange) -> None:
        body = json.dumps(result_for(exchange, "half"))
        await exchange.answer(200, body, JSON)
        exchange.writer.write_eof()
        await asyncio.Event().wait()  # and goes on listening

    with HttpServer(Altered("tools/call", answer_and_shut)) as server:
        async with http_tool(server) as tool:
            answers = [(await outcomes(tool.call_tool("echo")))[0] for _ in range(10)]
            errors = [answer for answer in answers if isinstance(answer, Exception)]
            # The end may have been on its way when a request was sent; then nobody knows whether it ran.
            assert {(type(error), error.sent) for error in errors} <= {(MCPConnectionError, True)}
            assert len(errors) < 10
            assert server.names.count("initialize") == 1


async def test_an_answer_that_drips_is_bounded_by_request_timeout() -> None:
    kinds = [JSON, EVENTS]

    async def drip(exchange: Exchange) -> object:
        kind = kinds.pop()
        await exchange.start(200, {"content-type": kind, "connection": "close"})
        while True:
            await exchange.send(b":" if kind == EVENTS else b" ")
            await asyncio.sleep(0.05)

    with HttpServer(Altered("tools/call", drip, times=2)) as server:
        async with http_tool(server, request_timeout=1) as tool:
            started = time.monotonic()
            errors = await outcomes(*(tool.call_tool("echo") for _ in range(2)))
            assert {type(error) for error in errors} == {MCPTimeoutError}
            assert time.monotonic() - started < 2.0
            await assert_works(tool)


@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_a_very_large_answer_arrives(kind: str) -> None:
    size = 5 * MEGABYTE

    async def large(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": "z" * size}]}

    with HttpServer(McpScript(events=kind == EVENTS, handlers={"tools/call": large})) as server:
        async with http_tool(server) as tool:
            answers = await outcomes(*(tool.call_tool("echo") for _ in range(3)))
            assert [len(text(answer)) for answer in answers] == [size] * 3


@pytest.mark.parametrize("order", ["foreign first", "twice", "other event type first", "foreign only"])
async def test_an_event_stream_may_hold_responses_that_nobody_asked_for(order: str) -> None:
    async def answer(exchange: Exchange) -> object:
        right = result_for(exchange, "right")
        await exchange.start_events()
        if order.startswith("foreign"):
            await exchange.send_event({"jsonrpc": "2.0", "id": 999, "result": {}})
        if order.startswith("other"):
            await exchange.send(f"event: draft\ndata: {json.dumps(result_for(exchange, 'wrong'))}\n\n".encode())
        if order != "foreign only":
            await exchange.send_event(right)
        if order == "twice":
            await exchange.send_event(right)
        return CLOSE

    with HttpServer(Altered("tools/call", answer, times=1)) as server:
        async with http_tool(server) as tool:
            if order == "foreign only":
                with pytest.raises(MCPProtocolError):
                    await within(tool.call_tool("echo"))
            else:
                assert text(await within(tool.call_tool("echo"))) == "right"
            await assert_works(tool)
            assert server.names.count("initialize") == 1


async def test_a_cancellation_of_unknown_requests_by_the_server_costs_nothing() -> None:
    async def answer(exchange: Exchange) -> object:
        await exchange.start_events()
        for unknown in (999, "x", (exchange.message or {})["id"]):
            params = {"requestId": unknown, "reason": "because"}
            await exchange.send_event({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        await exchange.send_event(result_for(exchange, "right"))
        return CLOSE

    with HttpServer(Altered("tools/call", answer, times=1)) as server:
        async with http_tool(server) as tool:
            assert text(await within(tool.call_tool("echo"))) == "right"
            await assert_works(tool)


async def test_more_abandoned_calls_than_the_client_has_connections_leave_room_for_the_next() -> None:
    limits = httpx.Limits(max_connections=4)
    timeout = httpx.Timeout(30, pool=2)
    with HttpServer(Altered("tools/call", never, times=12)) as server:
        async with httpx.AsyncClient(limits=limits, timeout=timeout) as client:
            async with http_tool(server, http_client=client) as tool:
                for number in range(0, 12, 2):
                    calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(2)]
                    await server.arrived("tools/call", number + 2)
                    for call in calls:
                        call.cancel()
                    await asyncio.wait(calls)
                await assert_works(tool)
                await server.arrived("notifications/cancelled", 12)


# The listening stream, notifications, the farewell ...


async def endless(exchange: Exchange) -> None:
    await exchange.start_events()
    while True:
        await exchange.send(b": still here\n\n")
        await asyncio.sleep(0.02)


async def drop(exchange: Exchange) -> object:
    await exchange.start_events()
    return CLOSE


async def cut(exchange: Exchange) -> object:
    return CLOSE


@pytest.mark.parametrize(
    "on_get",
    [partial(refuse, 405), partial(refuse, 500), partial(refuse, 404), partial(refuse, 401), endless, drop, cut, never],
    ids=["405", "500", "404", "401", "endless", "dropped", "cut", "silent"],
)
async def test_whatever_becomes_of_the_listening_stream_calls_go_on(on_get: Any) -> None:
    with HttpServer(Altered("GET", on_get)) as server:
        tool = http_tool(server)
        await within(tool.connect())
        await server.arrived("GET")
        for _ in range(3):
            await assert_works(tool)
        assert tool.is_connected
        await within(tool.close(), 2)
        assert server.names.count("initialize") == server.names.count("DELETE") == 1


@pytest.mark.parametrize("on", [partial(refuse, 500), partial(refuse, 401), cut], ids=["500", "401", "cut"])
@pytest.mark.parametrize("name", ["notifications/initialized", "notifications/cancelled"])
async def test_a_notification_that_fails_ends_nothing(name: str, on: Any) -> None:
    with HttpServer(Altered(name, on, handlers={"tools/call": stall_some})) as server:
        async with http_tool(server) as tool:
            call = asyncio.create_task(tool.call_tool("stall"))
            await server.arrived("tools/call")
            call.cancel()
            await asyncio.wait({call})
            await server.arrived("notifications/cancelled")
            assert text(await within(tool.call_tool("echo"))) == "fine"
        assert server.names.count("initialize") == 1


async def stall_some(params: dict[str, Any]) -> dict[str, Any]:
    if params["name"] == "stall":
        await asyncio.Event().wait()
    return {"content": [{"type": "text", "text": "fine"}]}


@pytest.mark.parametrize("name", ["notifications/initialized", "notifications/cancelled"])
async def test_a_notification_that_is_never_answered_holds_nobody_up(name: str) -> None:
    with HttpServer(Altered(name, never, handlers={"tools/call": stall_some})) as server:
        tool = http_tool(server)
        started = time.monotonic()
        await within(tool.connect())
        call = asyncio.create_task(tool.call_tool("stall"))
        await server.arrived("tools/call")
        call.cancel()
        await asyncio.wait({call})
        await server.arrived("notifications/cancelled")
        assert text(await within(tool.call_tool("echo"))) == "fine"
        assert time.monotonic() - started < 2 * AT_ONCE
        await within(tool.close())


async def test_a_farewell_that_is_never_answered_does_not_hold_close_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert streamable_http.DELETE_TIMEOUT <= 2.0
    monkeypatch.setattr(streamable_http, "DELETE_TIMEOUT", 0.3)
    with HttpServer(Altered("DELETE", never, handlers={"tools/call": stall})) as server:
        tool = http_tool(server)
        await tool.connect()
        call = asyncio.create_task(tool.call_tool("echo"))
        await server.arrived("tools/call")
        started = time.monotonic()
        await within(tool.close(), 2)
        assert time.monotonic() - started < AT_ONCE
        (error,) = await outcomes(call)
        assert isinstance(error, MCPConnectionError)
        await within(tool.connect())
        assert tool.is_connected
        await within(tool.close(), 2)


# A client of the user's ...


class Stamp(httpx.Auth):
    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["x-stamp"] = "auth"
        response = yield request
        if response.status_code == 401:
            request.headers["x-stamp"] = "fresh"
            yield request


async def test_a_client_of_the_users_is_used_with_all_that_is_in_it_and_stays_as_it_was() -> None:
    seen: list[str] = []

    async def note(event: httpx.Request | httpx.Response) -> None:
        seen.append(type(event).__name__)

    class Mounted(httpx.AsyncHTTPTransport):
        used = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.used += 1
            return await super().handle_async_request(request)

    async def demand_fresh(exchange: Exchange) -> object:
        if exchange.headers["x-stamp"] != "fresh":
            await exchange.answer(401)
            return None
        return await McpScript.__call__(script, exchange)

    script = Altered("tools/call", demand_fresh)
    with HttpServer(script) as server:
        mounted = Mounted()
        hooks: dict[str, Any] = {"request": [note], "response": [note]}
        client = httpx.AsyncClient(
            auth=Stamp(),
            headers={"x-base": "base"},
            event_hooks=hooks,
            mounts={"http://127.0.0.1": mounted},
            timeout=httpx.Timeout(7, read=0.5),
            cookies={"biscuit": "1"},
        )
        before = {key: repr(value) for key, value in vars(client).items() if key != "_state"}
        async with client:
            tool = http_tool(server, http_client=client)
            async with tool:
                await assert_works(tool)
                script.on = never
                with pytest.raises(MCPTimeoutError, match="HTTP client"):
                    await within(tool.call_tool("echo"))
                assert tool.is_connected
            assert not client.is_closed
            assert {key: repr(value) for key, value in vars(client).items() if key != "_state"} == before
            assert mounted.used >= len(server.exchanges)
            assert set(seen) == {"Request", "Response"}
            assert {exchange.headers["x-base"] for exchange in server.exchanges} == {"base"}
            assert {exchange.headers["cookie"] for exchange in server.exchanges} == {"biscuit=1"}
            assert (await client.post(server.url, json={})).status_code == 400
            async with tool:
                pass
        with pytest.raises(ToolException, match="closed"):
            await within(tool.connect())


async def test_what_one_call_carries_does_not_travel_with_the_handshake_that_it_causes() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        provide = lambda values: {"x-user": values.get("user", "nobody")}  # noqa: E731
        async with http_tool(server, header_provider=provide) as tool:
            script.live_sessions.clear()
            before = len(server.exchanges)
            await within(tool.call_tool("echo", user="alice"))
            await server.arrived("tools/list", 2)
            sent = {(exchange.name, exchange.headers["x-user"]) for exchange in server.exchanges[before:]}
        assert {user for name, user in sent if name == "tools/call"} == {"alice"}
        assert {user for name, user in sent if name != "tools/call"} == {"nobody"}


@pytest.mark.parametrize("limit", [0, 1, 20])
async def test_redirects_within_the_origin_are_followed_as_often_as_the_client_allows(limit: int) -> None:
    script = McpScript()

    async def redirect(exchange: Exchange) -> object:
        if exchange.path == "/mcp":
            await exchange.answer(307, location="/moved")
            return None
        return await script(exchange)

    with HttpServer(redirect) as server:
        async with httpx.AsyncClient(max_redirects=limit) as client:
            tool = http_tool(server, http_client=client)
            if limit == 0:
                with pytest.raises(MCPError, match="redirects"):
                    await within(tool.connect())
                direct = MCPStreamableHTTPTool("direct", server.url.replace("/mcp", "/moved"), http_client=client)
                async with direct:
                    await assert_works(direct)
            else:
                async with tool:
                    await assert_works(tool)


async def test_a_listing_with_a_server_error_names_it_and_the_next_listing_works() -> None:
    with HttpServer(McpScript()) as server:
        script = server.behaviour = Altered("tools/list", partial(refuse, 500), times=0)
        async with http_tool(server) as tool:
            script.times = 1
            with pytest.raises(MCPServerError) as caught:
                await within(tool.load_tools())
            assert (caught.value.status_code, caught.value.phase) == (500, "list")
            assert [function.name for function in tool.functions] == ["echo"]
            await within(tool.load_tools())


async def test_twenty_tools_on_a_server_that_is_not_there_fail_side_by_side() -> None:
    url = f"http://127.0.0.1:{unused_port()}/mcp"
    tools = [MCPStreamableHTTPTool(f"t{number}", url) for number in range(20)]
    errors = await outcomes(*(tool.connect() for tool in tools))
    assert {type(error) for error in errors} == {MCPConnectionError}
