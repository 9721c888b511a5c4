# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A server that means harm, in a process of its own over each transport: what it writes, and what it floods us with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fault_servers import CLOSE, Exchange, HttpServer
from hostile_server import HOSTILE, LONG
from mcp import types

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPConnectionError, MCPError, MCPServerError, MCPTool, MCPToolError
from agent_framework._mcp_client._printable import ERROR_LIMIT, NAME_LIMIT, TEXT_LIMIT, printable, printable_names

HERE = Path(__file__).parent
SERVER = str(HERE / "hostile_server.py")
BOUND = 10.0
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
