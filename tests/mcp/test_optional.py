# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Optional servers: whoever enters such a tool goes on without it, is told so once, and has it when it is there.

What an agent makes of them is in ../host/test_optional_servers.py.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, HTTP_FAULTS, HttpServer, McpScript, never, unused_port

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPConnectionError, MCPTool
from agent_framework._mcp_client._outage import PATIENCE
from agent_framework.exceptions import ToolException

PEER = str(Path(__file__).with_name("stdio_peer.py"))
LOGGER = "agent_framework._mcp"


async def within(awaitable: Any, seconds: float = BOUND) -> Any:
    return await asyncio.wait_for(awaitable, seconds)


def http_tool(port: int, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("docs", f"http://127.0.0.1:{port}/mcp", **{"optional": True, **options})


def silent_child(**options: Any) -> MCPStdioTool:
    return MCPStdioTool("child", sys.executable, args=[PEER, "silent"], optional=True, **options)


def names(tool: MCPTool) -> list[str]:
    return [function.name for function in tool.functions]


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """What people were told about optional servers."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == level and "Optional" in record.getMessage()
    ]


async def until_it_hangs(tool: MCPTool) -> None:
    """Lets an optional tool find out that its server does not answer, and gives it all the time from now on."""
    tool.connect_timeout = 0.2
    async with tool:
        assert not tool.is_connected
    tool.connect_timeout = None


class Gate:
    """An MCP server that answers no handshake until it is told to, and tells when its tool gets connected."""

    def __init__(self) -> None:
        self.open = False
        self.script = McpScript(handlers={"initialize": self.initialize})
        self.waiting: list[Callable[[], None]] = []

    async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.open:
            opened = asyncio.Event()
            loop = asyncio.get_running_loop()
            self.waiting.append(lambda: loop.call_soon_threadsafe(opened.set) and None)
            await opened.wait()
        return await self.script.initialize(params)

    def let_in(self) -> None:
        self.open = True
        for wake in self.waiting:
            wake()


# Strict and optional ...


@pytest.mark.parametrize(
    ("owner", "address"),
    [
        (MCPTool, []),
        (MCPStdioTool, ["x"]),
        (MCPStreamableHTTPTool, ["http://127.0.0.1/mcp"]),
        (MCPWebsocketTool, ["ws://127.0.0.1/mcp"]),
    ],
)
def test_a_tool_is_strict_unless_told_otherwise(owner: type[MCPTool], address: list[str]) -> None:
    parameter = inspect.signature(owner).parameters["optional"]
    assert (parameter.kind, parameter.default) == (inspect.Parameter.KEYWORD_ONLY, False)
    assert owner("docs", *address, optional=True).optional  # type: ignore[arg-type]


async def test_a_strict_tool_raises_and_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tool = http_tool(unused_port(), optional=False)
    for _ in range(2):
        with pytest.raises(ToolException, match="connection refused"):
            await within(tool.__aenter__())
    assert not tool.is_connected
    assert said(caplog, logging.WARNING) == []


async def test_an_optional_tool_is_entered_without_its_server_and_has_no_functions() -> None:
    tool = http_tool(unused_port())
    async with tool as entered:
        assert entered is tool
        assert (tool.is_connected, tool.functions) == (False, [])


async def test_to_connect_an_optional_tool_is_strict() -> None:
    tool = http_tool(unused_port())
    with pytest.raises(MCPConnectionError, match="connection refused"):
        await within(tool.connect())
    async with tool:
        with pytest.raises(MCPConnectionError, match="connection refused"):
            await within(tool.connect())


async def test_an_optional_tool_with_its_server_there_is_like_any_other() -> None:
    with HttpServer(McpScript()) as server:
        async with http_tool(server.port) as tool:
            assert names(tool) == ["echo"]
            assert (await within(tool.call_tool("echo", a=1)))[0].text == '{"a": 1}'
        assert not tool.is_connected
    assert server.names.count("initialize") == 1


QUICK_FAULTS = [name for name in HTTP_FAULTS if name != "never answers"]


@pytest.mark.parametrize("fault", QUICK_FAULTS)
async def test_a_server_that_is_of_no_use_is_gone_without(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with HttpServer(HTTP_FAULTS[fault]) as server:
        async with http_tool(server.port) as tool:
            assert (tool.is_connected, tool.functions) == (False, [])
    [warning] = said(caplog, logging.WARNING)
    assert f"'docs' at {server.url}" in warning


async def test_a_child_that_exits_is_gone_without(caplog: pytest.LogCaptureFixture) -> None:
    async with MCPStdioTool("child", sys.executable, args=[PEER, "exits"], optional=True) as tool:
        assert tool.functions == []
    assert "code 3" in said(caplog, logging.WARNING)[0]


# What people are told ...


async def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    tool = http_tool(unused_port())
    port = int(tool.url.split(":")[2].split("/")[0])
    for outage in (1, 2):
        for _ in range(5):
            async with tool:
                assert tool.functions == []
        assert len(said(caplog, logging.WARNING)) == outage
        with HttpServer(McpScript(), port=port):
            for _ in range(2):
                async with tool:
                    assert names(tool) == ["echo"]
        assert said(caplog, logging.INFO) == [f"Optional MCP server 'docs' at {tool.url} is there again."] * outage
    assert all("connection refused" in text and tool.url in text for text in said(caplog, logging.WARNING))


async def test_a_server_that_was_there_from_the_start_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    with HttpServer(McpScript()) as server:
        async with http_tool(server.port):
            pass
    assert said(caplog, logging.INFO) == []


async def test_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"http://user:pa55word@127.0.0.1:{unused_port()}/mcp?key=s3cret"
    async with MCPStreamableHTTPTool("docs", url, optional=True):
        pass
    assert said(caplog, logging.WARNING)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("agent_framework")]
    assert not [text for text in ours if "pa55word" in text or "s3cret" in text]


# What is no absence ...


@pytest.mark.parametrize(
    "mistake", [TypeError, ValueError, RuntimeError, KeyError, AttributeError, ModuleNotFoundError]
)
async def test_a_mistake_on_our_side_is_no_absence(mistake: type[Exception]) -> None:
    class Mistaken(MCPStreamableHTTPTool):
        def get_mcp_client(self) -> Any:
            raise mistake("a mistake")

    with pytest.raises(ToolException, match="a mistake"):
        await within(Mistaken("docs", "http://127.0.0.1:1/mcp", optional=True).__aenter__())


async def test_what_a_subclass_raises_beside_tool_exceptions_is_no_absence() -> None:
    class Mistaken(MCPTool):
        async def connect(self, *, reset: bool = False) -> None:
            raise ValueError("a mistake")

    with pytest.raises(ToolException, match="Failed to enter") as raised:
        await within(Mistaken("docs", optional=True).__aenter__())
    assert isinstance(raised.value.__cause__, ValueError)


async def test_a_subclass_that_connects_in_its_own_way_may_be_away(caplog: pytest.LogCaptureFixture) -> None:
    class Own(MCPTool):
        async def connect(self, *, reset: bool = False) -> None:
            raise ToolException("nobody at home")

    async with Own("docs", optional=True) as tool:
        assert tool.functions == []
    assert "'docs'" in said(caplog, logging.WARNING)[0]


async def test_a_cancellation_is_no_absence(caplog: pytest.LogCaptureFixture) -> None:
    with HttpServer(never) as server:
        tool = http_tool(server.port)
        entering = asyncio.create_task(tool.__aenter__())
        await server.arrived("initialize")
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(entering)
    assert said(caplog, logging.WARNING) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


# A server that does not answer ...


async def test_a_server_that_hangs_gets_its_whole_time_once() -> None:
    loop = asyncio.get_running_loop()
    with HttpServer(never) as server:
        tool = http_tool(server.port)
        await until_it_hangs(tool)
        tool.connect_timeout = 30
        for count in (2, 3):
            begun = loop.time()
            async with tool:
                assert loop.time() - begun < PATIENCE + 2
                assert tool.functions == []
            assert server.names.count("initialize") == count


async def test_nobody_waits_longer_than_connect_timeout() -> None:
    loop = asyncio.get_running_loop()
    with HttpServer(never) as server:
        tool = http_tool(server.port)
        await until_it_hangs(tool)
        tool.connect_timeout = 0.1
        begun = loop.time()
        async with tool:
            assert loop.time() - begun < PATIENCE


async def test_a_slow_server_is_there_for_those_who_come_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    gate = Gate()
    with HttpServer(gate.script) as server:
        tool = http_tool(server.port)
        await until_it_hangs(tool)
        listed = asyncio.Event()
        load = tool._load_configured

        async def load_and_tell(link: Any) -> None:
            await load(link)
            listed.set()

        tool._load_configured = load_and_tell  # type: ignore[method-assign]
        async with AsyncExitStack() as stack:  # as upstream's agents do it: they enter what is not connected
            for _ in range(2):
                await within(stack.enter_async_context(tool))
                assert tool.functions == []
            gate.let_in()
            await within(listed.wait())
            assert names(tool) == ["echo"]
            await within(stack.enter_async_context(tool))
            assert names(tool) == ["echo"]
        assert server.names.count("initialize") == 2  # the one that failed, and the one that all waited for
    assert (len(said(caplog, logging.WARNING)), len(said(caplog, logging.INFO))) == (1, 1)


async def test_closing_ends_the_dial_that_goes_on() -> None:
    tool = silent_child()
    await until_it_hangs(tool)
    async with tool:
        assert len(asyncio.all_tasks()) > 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_is_cancelled_while_it_waits_leaves_nothing() -> None:
    with HttpServer(never) as server:
        tool = http_tool(server.port)
        await until_it_hangs(tool)
        entering = asyncio.create_task(tool.__aenter__())
        await server.arrived("initialize", 2)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(entering)
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_is_cancelled_leaves_the_dial_to_those_who_began_it() -> None:
    gate = Gate()
    with HttpServer(gate.script) as server:
        tool = http_tool(server.port)
        await until_it_hangs(tool)
        async with tool:
            late = asyncio.create_task(tool.__aenter__())
            await asyncio.sleep(0)  # one turn, in which it begins to wait
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await within(late)
            gate.let_in()
            await within(tool.connect())
            assert server.names.count("initialize") == 2


async def test_a_connect_of_a_subclass_that_will_not_end_does_not_hold_close(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    class Stubborn(MCPStreamableHTTPTool):
        async def connect(self, *, reset: bool = False) -> None:
            try:
                await super().connect(reset=reset)
            finally:
                while self.connect_timeout is None and not ended.is_set():
                    with suppress(asyncio.CancelledError):
                        await ended.wait()

    with HttpServer(never) as server:
        tool = Stubborn("docs", server.url, optional=True)
        await until_it_hangs(tool)
        await within(tool.__aenter__())  # leaves a dial behind
        asyncio.get_running_loop().call_later(2 * BOUND, ended.set)
        await within(tool.close())
        assert "did not end within" in caplog.text
        (dial,) = asyncio.all_tasks() - {asyncio.current_task()}
        ended.set()
        await within(asyncio.wait([dial]))


async def test_who_waits_while_the_tool_is_closed_is_not_cancelled() -> None:
    with HttpServer(never) as server:
        tool = http_tool(server.port)
        await until_it_hangs(tool)
        entering = asyncio.create_task(tool.__aenter__())
        await server.arrived("initialize", 2)
        await within(tool.close())
        assert await within(entering) is tool
        assert tool.functions == []
        assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_program_may_end_while_a_dial_goes_on() -> None:
    async def program() -> None:
        tool = silent_child()
        await until_it_hangs(tool)
        await tool.__aenter__()

    asyncio.run(program())


def test_a_dial_that_one_loop_left_does_not_disturb_the_next() -> None:
    with HttpServer(McpScript()) as server:
        server.behaviour, script = never, server.behaviour
        tool = http_tool(server.port)

        async def first() -> None:
            await until_it_hangs(tool)
            await tool.__aenter__()

        async def second() -> None:
            async with tool:
                assert names(tool) == ["echo"]

        asyncio.run(first())
        server.behaviour = script
        asyncio.run(second())


# A server that dies ...


async def test_a_server_that_died_is_offered_no_more_once_that_is_known(caplog: pytest.LogCaptureFixture) -> None:
    tool = http_tool(unused_port())
    port = int(tool.url.split(":")[2].split("/")[0])
    async with AsyncExitStack() as stack:
        with HttpServer(McpScript(), port=port):
            await stack.enter_async_context(tool)
            [echo] = tool.functions
        with pytest.raises(MCPConnectionError) as raised:
            await within(echo.invoke(arguments={}))
        assert raised.value.sent is False
        assert not tool.is_connected
        await within(stack.enter_async_context(tool))
        assert tool.functions == []
        with pytest.raises(MCPConnectionError, match="connection refused"):
            await within(echo.invoke(arguments={}))
        with HttpServer(McpScript(), port=port):
            await within(stack.enter_async_context(tool))
            assert names(tool) == ["echo"]
            assert await within(echo.invoke(arguments={}))
    assert len(said(caplog, logging.WARNING)) == 1


async def test_an_outage_that_a_call_ends_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    tool = http_tool(unused_port())
    port = int(tool.url.split(":")[2].split("/")[0])
    async with AsyncExitStack() as stack:
        with HttpServer(McpScript(), port=port):
            await stack.enter_async_context(tool)
            [echo] = tool.functions
        with pytest.raises(MCPConnectionError):
            await within(echo.invoke(arguments={}))
        await within(stack.enter_async_context(tool))
        with HttpServer(McpScript(), port=port):
            assert await within(echo.invoke(arguments={}))
            assert names(tool) == ["echo"]
            assert len(said(caplog, logging.INFO)) == 1
