# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A server that means harm, in a process of its own over each transport: what it writes, and what it floods us with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fault_servers import CLOSE, Exchange, HttpServer
from hostile_server import HOSTILE, LONG
from mcp import types
from typing_extensions import Self

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import (
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
    MCPTool,
    MCPToolError,
)
from agent_framework._mcp_client import _incoming, _stdio, _transports
from agent_framework._mcp_client._incoming import LOG_WINDOW
from agent_framework._mcp_client._json_text import MAX_VALUES
from agent_framework._mcp_client._listing import RELOAD_PAUSE
from agent_framework._mcp_client._printable import ERROR_LIMIT, NAME_LIMIT, TEXT_LIMIT, printable, printable_names
from agent_framework._mcp_client.transports.streamable_http import MAX_NOTICES

HERE = Path(__file__).parent
SERVER = str(HERE / "hostile_server.py")
BOUND = 10.0
MEGABYTE = 1024 * 1024
TRANSPORTS = ("stdio", "http", "websocket")
MakeTool = Callable[..., MCPTool]
T = TypeVar("T")


async def within(awaitable: Awaitable[T], seconds: float = BOUND) -> T:
    return await asyncio.wait_for(awaitable, seconds)


def text(contents: Any) -> str:
    return contents[0].text


@contextlib.contextmanager
def server(transport: str, *habits: str) -> Iterator[MakeTool]:
    """What makes tools for the hostile server over a transport."""
    if transport == "stdio":
        yield lambda **options: MCPStdioTool("hostile", sys.executable, args=[SERVER, "stdio", *habits], **options)
        return
    command = [sys.executable, SERVER, transport, *habits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE) as process:
        try:
            assert process.stdout is not None
            at = f"://127.0.0.1:{process.stdout.readline().strip()}/mcp"
            if transport == "http":
                yield lambda **options: MCPStreamableHTTPTool("hostile", f"http{at}", **options)
            else:
                yield lambda **options: MCPWebsocketTool("hostile", f"ws{at}", **options)
        finally:
            process.kill()


@pytest.fixture(params=TRANSPORTS)
def make_tool(request: pytest.FixtureRequest) -> Iterator[MakeTool]:
    with server(request.param) as make:
        yield make


@pytest.fixture(params=["stdio", "websocket"])
def make_our_tool(request: pytest.FixtureRequest) -> Iterator[MakeTool]:
    """For the transports over which a message that is too long ends the connection; over HTTP it ends its exchange."""
    with server(request.param) as make:
        yield make


def assert_presentable(*texts: str) -> None:
    for one in texts:
        assert one.isprintable(), one
        assert len(one) <= ERROR_LIMIT + 1, len(one)


Logged = Callable[[int], list[str]]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """The messages of our loggers at one level; and all that is logged, by whom it may be, is presentable."""
    caplog.set_level(logging.DEBUG, "agent_framework")
    caplog.set_level(logging.DEBUG, "agent_framework._mcp")

    def at(level: int) -> list[str]:
        assert_presentable(*(record.getMessage() for record in caplog.records))
        ours = [record for record in caplog.records if record.name.startswith("agent_framework")]
        return [record.getMessage() for record in ours if record.levelno == level]

    return at


# What it writes ...


async def test_an_error_of_a_server_is_printable_on_one_line_and_bounded(make_tool: MakeTool, logged: Logged) -> None:
    async with make_tool() as tool:
        with pytest.raises(MCPServerError) as caught:
            await within(tool.call_tool("error"))
    error = caught.value
    assert_presentable(str(error), str(error.__cause__))
    assert "nothing ERROR root: forged" in str(error)
    assert str(error).endswith("(code -32000).")  # what we say behind the server's words is not cut off with them
    assert error.data == HOSTILE
    assert len(logged(logging.DEBUG)) > 0


async def test_the_text_of_a_failing_tool_is_on_one_line_in_the_error_and_whole_in_its_field(
    make_tool: MakeTool, logged: Logged
) -> None:
    async with make_tool() as tool:
        with pytest.raises(MCPToolError) as caught:
            await within(tool.call_tool("fail"))
    assert_presentable(str(caught.value), *logged(logging.DEBUG))
    assert caught.value.text == LONG


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_error_instead_of_a_handshake_is_printable(transport: str, logged: Logged) -> None:
    with server(transport, "evil-handshake") as make:
        with pytest.raises(MCPError, match="hostile") as caught:
            await within(make().connect())
    assert_presentable(str(caught.value), str(caught.value.__cause__), *logged(logging.DEBUG))


async def test_names_that_cannot_be_used_are_told_in_one_record_that_is_printable(
    make_tool: MakeTool, logged: Logged
) -> None:
    async with make_tool() as tool:
        names = [function.name for function in tool.functions]
        assert all(len(name) <= NAME_LIMIT for name in names)
        assert "echo" in names
        [warning] = logged(logging.WARNING)
        assert str(tool._server) in warning
        assert "lists tools that cannot be used: 'badnothing ERROR root: forged" in warning
        assert_presentable(repr(tool), str(tool))


@pytest.mark.parametrize(
    ("level", "data", "shown"),
    [
        ("info", "100% sure: %s %d", "100% sure: %s %d"),
        ("warning", {"a": ["b\n", None, 1.5], "\x1b[2J": "%s"}, '{"a": ["b\\n", null, 1.5], "\\u001b[2J": "%s"}'),
        ("emergency", None, "null"),
    ],
)
async def test_a_log_message_of_a_server_is_one_record_that_names_it(
    make_tool: MakeTool, logged: Logged, level: str, data: Any, shown: str
) -> None:
    async with make_tool() as tool:
        await within(tool.call_tool("log", level=level, data=data, logger="db\n1"))
        expected = {"info": logging.INFO, "warning": logging.WARNING, "emergency": logging.CRITICAL}[level]
        assert f"MCP server {tool._server} (db 1): {shown}" in logged(expected)


async def test_a_log_message_is_bounded_and_printable(make_tool: MakeTool, logged: Logged) -> None:
    async with make_tool() as tool:
        for data in (LONG, {"deep": [[LONG, {"x": LONG}]]}, [0] * 100_000):
            await within(tool.call_tool("log", level="error", data=data, logger=LONG))
        said = logged(logging.ERROR)
        assert len(said) == 3
        assert all(len(one) < TEXT_LIMIT + NAME_LIMIT + 200 for one in said)


async def test_a_log_message_of_a_level_that_nobody_knows_is_logged_all_the_same(
    logged: Logged,
) -> None:
    params = types.LoggingMessageNotificationParams.model_construct(level="loud", data="here", logger=None)
    await MCPStdioTool("hostile", "command").logging_callback(params)
    assert logged(logging.INFO) == ["MCP server 'hostile' (command): here"]


async def test_what_stands_in_the_head_of_an_answer_is_printable(logged: Logged) -> None:
    async def refuse(exchange: Exchange) -> object:
        await exchange.send(b"HTTP/1.1 500 oh\x9b2J \x85no\r\ncontent-length: 0\r\n\r\n")
        return CLOSE

    async def other(exchange: Exchange) -> None:
        await exchange.answer(200, "", kind="text/\x9b2Jplain" + "x" * 5000)

    for behaviour in (refuse, other):
        with HttpServer(behaviour) as at:
            with pytest.raises(MCPError) as caught:
                await within(MCPStreamableHTTPTool("hostile", at.url).connect())
        assert_presentable(str(caught.value), str(caught.value.__cause__), *logged(logging.DEBUG))


async def test_the_last_words_of_a_child_are_printable(logged: Logged) -> None:
    with server("stdio") as make:
        async with make() as tool:
            with pytest.raises(MCPConnectionError, match="exited with code 3; its last words: nothing") as caught:
                await within(tool.call_tool("complain"))
    assert_presentable(str(caught.value), str(caught.value.__cause__), *logged(logging.DEBUG))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("as it is", "as it is"),
        ("one\r\ntwo\x0b\x0cthree\u2028four\u2029five\x85six", "one two three four five six"),
        ("\x1b[1;31mred\x1b[0m \x9b31mred\x9bm", "red red"),
        ("\x1b]0;title\x07 bell", "]0;title bell"),
        ("a\u202eb\u2066c\u200bd", "a b c d"),
        ("half \ud800 of a pair", "half of a pair"),
        ("x" * (TEXT_LIMIT + 1), "x" * TEXT_LIMIT + "…"),
        (ValueError("wrong\n"), "wrong"),
    ],
)
def test_text_becomes_printable(given: object, shown: str) -> None:
    assert printable(given) == shown


def test_of_many_names_the_first_are_shown() -> None:
    assert printable_names(["a", "b\n"]) == "'a', 'b'"
    assert printable_names(map(str, range(12)), 2) == "'0', '1' and 10 more"


# What it answers ...

DEEP_ANSWERS = [
    '{"jsonrpc": "2.0", "id": ID, "result": {"content": [], "structuredContent": {"deep": [DEEP]}}}',
    '{"result": {"content": [], "_meta": {"deep": [DEEP]}}, "jsonrpc": "2.0", "id": ID}',
    '{"jsonrpc": "2.0", "id": ID, "error": {"code": -1, "message": "no", "data": [DEEP]}}',
]


@pytest.mark.parametrize("answer", DEEP_ANSWERS, ids=["id first", "id last", "error"])
async def test_an_answer_that_is_nested_too_deeply_is_one_error_of_its_call(
    make_tool: MakeTool, logged: Logged, answer: str
) -> None:
    async with make_tool() as tool:
        sibling = asyncio.create_task(tool.call_tool("hang"))
        with pytest.raises(MCPProtocolError) as caught:
            await within(tool.call_tool("raw", lines=[answer]))
        assert_presentable(str(caught.value), *logged(logging.DEBUG))
        assert caught.value.sent is True
        assert text(await within(tool.call_tool("echo", n=1))) == '{"n": 1}'
        assert not sibling.done()
        assert "generation=1" in repr(tool)
        sibling.cancel()
        await asyncio.wait({sibling})


@pytest.mark.parametrize(
    "line",
    [
        "[DEEP]",
        '{"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": [DEEP]}}',
        '{"jsonrpc": "2.0", "id": "s-1", "method": "sampling/createMessage", "params": [DEEP]}',
    ],
    ids=["no message", "notification", "request"],
)
async def test_what_is_nested_too_deeply_and_is_no_answer_costs_nothing(
    make_tool: MakeTool, logged: Logged, line: str
) -> None:
    good = '{"jsonrpc": "2.0", "id": ID, "result": {"content": [{"type": "text", "text": "good"}]}}'
    async with make_tool() as tool:
        assert text(await within(tool.call_tool("raw", lines=[line, good]))) == "good"
        assert_presentable(*logged(logging.DEBUG))


def too_many_values(**before: Any) -> str:
    return (
        json.dumps({"jsonrpc": "2.0", **before}).replace('"MANY"', "0, " * (MAX_VALUES + 1) + "0").replace('"ID"', "ID")
    )


async def test_an_answer_of_too_many_values_is_one_error_of_its_call(make_tool: MakeTool) -> None:
    answer = too_many_values(id="ID", result={"content": [], "structuredContent": {"many": ["MANY"]}})
    async with make_tool() as tool:
        with pytest.raises(MCPProtocolError, match=r"more than 500,000 values|holds no JSON-RPC response"):
            await within(tool.call_tool("raw", lines=[answer]))
        assert text(await within(tool.call_tool("echo", n=1))) == '{"n": 1}'
        assert "generation=1" in repr(tool)


async def test_a_notification_of_too_many_values_costs_nothing(make_tool: MakeTool, logged: Logged) -> None:
    line = too_many_values(method="notifications/message", params={"level": "error", "data": ["MANY"]})
    good = '{"jsonrpc": "2.0", "id": ID, "result": {"content": [{"type": "text", "text": "good"}]}}'
    async with make_tool() as tool:
        assert text(await within(tool.call_tool("raw", lines=[line, good]))) == "good"
        assert logged(logging.ERROR) == []


async def test_a_message_that_is_too_long_ends_the_connection_and_the_next_call_has_another_one(
    make_our_tool: MakeTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_stdio, _transports):
        monkeypatch.setattr(module, "MESSAGE_LIMIT", 2 * MEGABYTE)
    async with make_our_tool() as tool:
        with pytest.raises(MCPError, match="message") as caught:
            await within(tool.call_tool("raw", lines=["x" * 3 * MEGABYTE]))
        assert isinstance(caught.value, (MCPProtocolError, MCPConnectionError))
        assert text(await within(tool.call_tool("echo", n=1))) == '{"n": 1}'
        assert "generation=2" in repr(tool)


# What it floods us with ...

FLOODS = {
    "requests": ["sampling", "elicitation", "roots", "ping", "unknown"],
    "notifications": ["log", "bad log", "progress", "list_changed", "unknown notice"],
    "nonsense": ["answers", "garbage"],
}
LONGEST_GAP = 2.0  # seconds for which the event loop may not turn, on a machine that is busy with other things too


class Pulse:
    """Measures how long the event loop does not turn."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.longest = max(self.longest, time.monotonic() - before)


def memory() -> int:
    """How much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def wait_for_ever(*_: Any) -> None:
    await asyncio.Event().wait()


class Model:
    """A chat client that is never asked: no request is approved."""

    async def get_response(self, messages: Any, **options: Any) -> Any:
        raise AssertionError("not approved")


def asked_for_all(**options: Any) -> dict[str, Any]:
    """Options with which a tool answers everything, and asks a person who never answers."""
    return {
        "client": Model(),
        "sampling_approval_callback": wait_for_ever,
        "elicitation_callback": wait_for_ever,
        "roots": ["/work"],
        "progress_callback": wait_for_ever,
        **options,
    }


@pytest.fixture
async def other() -> AsyncIterator[MCPTool]:
    """A tool of a server that does no harm."""
    async with MCPStdioTool("good", sys.executable, args=["-SE", str(HERE / "stdio_peer.py"), "good"]) as tool:
        yield tool


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_takes_nothing_from_others_and_little_from_us(
    make_tool: MakeTool, other: MCPTool, flood: str, caplog: pytest.LogCaptureFixture
) -> None:
    tool = make_tool(**asked_for_all())
    await within(tool.connect())
    waiting = asyncio.create_task(tool.call_tool("hang"))
    await within(tool.call_tool("flood", kinds=FLOODS[flood]))
    before, tasks = memory(), len(asyncio.all_tasks())
    # Its own answers stand behind all that it has sent before.
    behind = asyncio.create_task(tool.call_tool("echo", _timeout=1))
    async with Pulse() as pulse:
        for n in range(100):
            assert text(await within(other.call_tool("echo", n=n), LONGEST_GAP)) == f'{{"n": {n}}}'
        with contextlib.suppress(MCPTimeoutError):
            await within(behind)
        assert len(asyncio.all_tasks()) < tasks + MAX_NOTICES + 100  # over HTTP each answer of ours has a task
        assert not waiting.done()
        started = time.monotonic()
        await within(tool.close())
        assert time.monotonic() - started < 3
        with pytest.raises(MCPConnectionError):
            await waiting
    assert memory() - before < 32 * MEGABYTE
    assert pulse.longest < LONGEST_GAP
    assert_presentable(*(record.getMessage() for record in caplog.records))
    assert {record.name for record in caplog.records} <= {"agent_framework._mcp"}, "no library speaks for the server"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_asks_from_the_beginning_is_connected_with(transport: str) -> None:
    with server(transport, "chatty") as make:
        async with make() as tool:
            assert text(await within(tool.call_tool("echo", n=1))) == '{"n": 1}'


async def test_an_answer_gets_through_to_its_call_although_the_server_reads_none_of_ours() -> None:
    with server("stdio") as make:
        async with make(**asked_for_all()) as tool:
            late = asyncio.create_task(tool.call_tool("late"))
            await within(tool.call_tool("flood", kinds=["ping"]))
            await within(tool.call_tool("deafen"))
            assert text(await within(late)) == "late"


@pytest.mark.parametrize("transport", ["stdio", "websocket"])  # with HTTP each message is an exchange of its own
async def test_a_server_that_floods_and_reads_nothing_costs_its_own_calls_only(transport: str, other: MCPTool) -> None:
    with server(transport) as make:
        tool = make(**asked_for_all(request_timeout=1))
        await within(tool.connect())
        await within(tool.call_tool("flood", kinds=FLOODS["requests"]))
        with contextlib.suppress(MCPTimeoutError):
            await within(tool.call_tool("deafen"))
        before, tasks = memory(), len(asyncio.all_tasks())
        async with Pulse() as pulse:
            with pytest.raises(MCPTimeoutError):
                await within(tool.call_tool("echo"))
            assert text(await within(other.call_tool("echo", n=1))) == '{"n": 1}'
            assert len(asyncio.all_tasks()) < tasks + 100
            await within(tool.close())
        assert memory() - before < 32 * MEGABYTE
        assert pulse.longest < LONGEST_GAP


async def test_log_messages_beyond_what_a_log_bears_are_dropped_and_that_is_said_once(
    make_tool: MakeTool, other: MCPTool, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_incoming, "MAX_LOG_MESSAGES", 20)
    async with make_tool() as tool:
        await within(tool.call_tool("flood", kinds=["log"]))
        started = time.monotonic()
        while time.monotonic() - started < 2 * LOG_WINDOW:
            await within(other.call_tool("echo"))
        lasted = time.monotonic() - started
        warnings = logged(logging.WARNING)
    shown = [one for one in warnings if "ERROR root" in one]
    assert 20 <= len(shown) <= 20 * (lasted // LOG_WINDOW + 2)
    told = [one for one in warnings if one not in shown]
    assert len([one for one in told if "more than 20 log messages" in one]) == 1


async def test_a_storm_of_changes_costs_few_listings(
    make_tool: MakeTool, other: MCPTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = 0
    load = MCPTool._load_on

    async def count(tool: MCPTool, link: Any, kind: str) -> None:
        nonlocal listings
        listings += 1
        await load(tool, link, kind)

    async with make_tool() as tool:
        monkeypatch.setattr(MCPTool, "_load_on", count)
        await within(tool.call_tool("flood", kinds=["list_changed"]))
        started = time.monotonic()
        while (lasted := time.monotonic() - started) < 2 * RELOAD_PAUSE:
            await within(other.call_tool("echo"))
        assert 1 <= listings <= lasted / RELOAD_PAUSE + 2


async def test_of_many_reports_on_progress_the_newest_reach_a_callback_that_takes_its_time(
    make_tool: MakeTool, other: MCPTool
) -> None:
    taken: list[float] = []
    busy, released = asyncio.Event(), asyncio.Event()

    async def slow(name: str, progress: float, total: float | None, message: str | None) -> None:
        assert message is None or message.isprintable()
        taken.append(progress)
        if len(taken) == 1:
            busy.set()
            await released.wait()

    async with make_tool(progress_callback=slow) as tool:
        waiting = asyncio.create_task(tool.call_tool("hang"))
        await asyncio.sleep(0)
        await within(tool.call_tool("flood", kinds=["progress"]))
        await within(busy.wait())
        for _ in range(500):  # as many turns of the loop at least bring as many reports
            await within(other.call_tool("echo"))
        assert len(taken) == 1
        released.set()
        while len(taken) < 2:
            await within(other.call_tool("echo"))
        waiting.cancel()
        await asyncio.wait({waiting})
    assert taken == sorted(taken)
    assert taken[1] > taken[0] + 1, "the oldest of those that waited are dropped"
