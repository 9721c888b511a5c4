# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Opening, sharing and closing one connection, from any task, in any order."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript, never, unused_port

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPProtocolError
from agent_framework._mcp_client import _listing, _sdk
from agent_framework.exceptions import ToolException, ToolExecutionException

PEER = str(Path(__file__).with_name("stdio_peer.py"))
AT_ONCE = 1.0
"""How long closing may take where there is nothing to close, in seconds: less than any of the limits of closing."""


def stdio_tool(*arguments: str, **options: Any) -> MCPStdioTool:
    return MCPStdioTool("peer", sys.executable, args=[PEER, *arguments], **options)


def http_tool(server: HttpServer, **options: Any) -> MCPStreamableHTTPTool:
    return MCPStreamableHTTPTool("script", server.url, **options)


def text(contents: Any) -> str:
    return contents[0].text


@pytest.fixture(params=["json", "events"])
def script(request: pytest.FixtureRequest) -> McpScript:
    return McpScript(events=request.param == "events")


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


async def test_connecting_takes_three_messages_and_no_ping(script: McpScript) -> None:
    with HttpServer(script) as server:
        async with http_tool(server):
            posts = [exchange.name for exchange in server.exchanges if exchange.method == "POST"]
            assert posts == ["initialize", "notifications/initialized", "tools/list"]


async def test_twenty_callers_share_one_handshake_and_one_listing(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await within(asyncio.gather(*(tool.connect() for _ in range(20))))
        assert server.names.count("initialize") == server.names.count("tools/list") == 1
        assert tool.is_connected
        await tool.close()
        assert not tool.is_connected


async def test_twenty_callers_start_one_child_process(tmp_path: Path) -> None:
    record = tmp_path / "record"
    tool = stdio_tool("good", str(record))
    await within(asyncio.gather(*(tool.connect() for _ in range(20))))
    assert record.read_text().count('"initialize"') == 1
    await tool.close()


async def test_connect_call_and_close_may_each_happen_in_a_task_of_their_own(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await within(asyncio.create_task(tool.connect()))
        assert text(await within(asyncio.create_task(tool.call_tool("echo", word="hi")))) == '{"word": "hi"}'
        await within(asyncio.create_task(tool.close()))
        assert server.names[-1] == "DELETE"


async def test_a_second_connect_lists_again_on_the_same_session(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await tool.connect()
        script.tools = [{"name": "other", "inputSchema": {"type": "object"}}]
        await tool.connect()
        assert [function.name for function in tool.functions] == ["other"]
        assert server.names.count("initialize") == 1
        await tool.close()


async def test_reset_opens_a_new_session_after_ending_the_old_one(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await tool.connect()
        await tool.connect(reset=True)
        assert script.opened_sessions == 2
        assert len(script.live_sessions) == 1
        assert "generation=2" in repr(tool)
        await tool.close()


async def test_resets_at_the_same_time_open_one_new_session(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await tool.connect()
        await within(asyncio.gather(*(tool.connect(reset=True) for _ in range(5))))
        assert script.opened_sessions == 2
        await tool.close()


async def test_all_pages_are_listed() -> None:
    async def pages(params: dict[str, Any]) -> dict[str, Any]:
        page = int(params.get("cursor", "0"))
        tools = [{"name": f"tool-{page}", "inputSchema": {"type": "object"}}]
        return {"tools": tools, **({"nextCursor": str(page + 1)} if page < 9 else {})}

    with HttpServer(McpScript(handlers={"tools/list": pages})) as server:
        async with http_tool(server) as tool:
            assert [function.name for function in tool.functions] == [f"tool-{page}" for page in range(10)]
            assert len([exchange for exchange in server.exchanges if exchange.method == "POST"]) == 12


async def test_a_cursor_that_comes_twice_ends_the_listing_with_an_error() -> None:
    async def circle(params: dict[str, Any]) -> dict[str, Any]:
        return {"tools": [], "nextCursor": "again"}

    with HttpServer(McpScript(handlers={"tools/list": circle})) as server:
        tool = http_tool(server)
        with pytest.raises(MCPProtocolError, match="a cursor came twice"):
            await within(tool.connect())
        assert not tool.is_connected
        assert server.names[-1] == "DELETE"


class Endless(McpScript):
    """Lists tools without an end once it is told to: each page has its own cursor, and some of them bad entries."""

    size = 0
    bad = 0

    async def list_tools(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.size:
            return await super().list_tools(params)
        page = int(params.get("cursor", "0"))
        fields = {"description": "x" * self.size, "inputSchema": {"type": "object"}}
        good = [{"name": f"tool-{page}-{number}", **fields} for number in range(3)]
        return {"tools": [*good, *[{"name": "bad"}] * self.bad], "nextCursor": str(page + 1)}


@pytest.mark.parametrize("bad", [0, 1])
@pytest.mark.parametrize(
    ("constant", "limit", "size", "says", "pages"),
    [
        ("MAX_ENTRIES", 12, 1, "the server lists more than 12 tools", 5),
        ("MAX_LISTING_SIZE", 1024**2, 100 * 1024, "the listing has more than 1 MiB", 4),
        ("MAX_PAGES", 7, 1, r"the listing does not end \(more than 7 pages\)", 8),
    ],
)
async def test_a_listing_without_an_end_is_ended_by_a_bound_that_the_error_names_and_the_old_one_is_kept(
    constant: str, limit: int, size: int, says: str, pages: int, bad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listing, constant, limit)
    script = Endless()
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            script.size, script.bad = size, bad
            before = server.names.count("tools/list")
            with pytest.raises(MCPProtocolError, match=f"Listing tools failed on MCP server .*: {says}"):
                await within(tool.load_tools())
            # A page with bad entries is asked for twice.
            assert server.names.count("tools/list") - before <= pages * (1 + bad)
            assert [function.name for function in tool.functions] == ["echo"]
            assert text(await within(tool.call_tool("echo"))) == "{}"
        with pytest.raises(MCPProtocolError, match=says):
            await within(http_tool(server).connect())


def test_the_bounds_of_a_listing_are_beyond_what_anybody_lists() -> None:
    assert (_listing.MAX_ENTRIES, _listing.MAX_LISTING_SIZE) == (10_000, 64 * 1024**2)


async def test_pages_that_come_without_a_wait_leave_the_event_loop_to_others() -> None:
    turns: list[int] = []
    turn = 0

    async def request(*_: Any, **__: Any) -> Any:
        turns.append(turn)
        return _sdk.Page([], str(len(turns)) if len(turns) < 10 else None, raw={"tools": []})

    link: Any = SimpleNamespace(server="s", request=request)
    listing = asyncio.ensure_future(_listing.list_all(link, "tools", timeout=1, setting="request_timeout"))
    while not listing.done():
        turn += 1
        await asyncio.sleep(0)
    assert await listing == []
    assert len(set(turns)) == 10


async def test_a_listing_that_fails_while_connecting_leaves_nothing_behind() -> None:
    async def broken(params: dict[str, Any]) -> dict[str, Any]:
        return {"tools": "none today"}

    with HttpServer(McpScript(handlers={"tools/list": broken})) as server:
        tool = http_tool(server)
        with pytest.raises(ToolException, match="Listing tools failed") as caught:
            await within(tool.connect())
        assert caught.value.phase == "list"
        assert not tool.is_connected


async def test_a_listing_that_fails_later_keeps_the_list_and_the_connection(script: McpScript) -> None:
    with HttpServer(script) as server:
        async with http_tool(server) as tool:
            script.tools = "none today"  # type: ignore[assignment]
            with pytest.raises(ToolException):
                await within(tool.connect())
            assert [function.name for function in tool.functions] == ["echo"]
            assert text(await tool.call_tool("echo")) == "{}"
            assert script.opened_sessions == 1


async def test_close_may_come_first_twice_and_from_many_tasks(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await tool.close()
        await tool.connect()
        await within(asyncio.gather(*(tool.close() for _ in range(5))))
        await tool.close()
        assert server.names.count("DELETE") == 1


async def test_close_interrupts_a_dial_that_gets_no_answer() -> None:
    with HttpServer(never) as server:
        tool = http_tool(server)
        dial = asyncio.create_task(tool.connect())
        await server.arrived("initialize")
        await asyncio.wait_for(tool.close(), 1)
        with pytest.raises(MCPConnectionError, match="was closed"):
            await dial


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def test_a_failure_that_cannot_be_put_into_words_holds_neither_connect_nor_close() -> None:
    class Failing(MCPStreamableHTTPTool):
        def get_mcp_client(self) -> Any:
            raise Speechless

    tool = Failing("speechless", "http://127.0.0.1:1/mcp")
    with pytest.raises(RuntimeError, match="no words"):
        await within(tool.connect())
    await asyncio.wait_for(tool.close(), AT_ONCE)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_close_wakes_the_calls_in_flight() -> None:
    with HttpServer(McpScript(handlers={"tools/call": _never_answer})) as server:
        tool = http_tool(server)
        await tool.connect()
        calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(3)]
        await server.arrived("tools/call", 3)
        await within(tool.close())
        for outcome in await within(asyncio.gather(*calls, return_exceptions=True)):
            assert isinstance(outcome, MCPConnectionError)
            assert outcome.sent is True


async def test_a_call_on_a_tool_that_is_not_connected_says_what_to_do() -> None:
    tool = MCPStreamableHTTPTool("docs", f"http://127.0.0.1:{unused_port()}/mcp")
    with pytest.raises(ToolExecutionException, match="call connect") as caught:
        await tool.call_tool("echo")
    assert caught.value.sent is False


async def test_listing_connects_by_itself(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        await within(tool.load_tools())
        assert [function.name for function in tool.functions] == ["echo"]
        await tool.close()


async def test_an_object_whose_connect_failed_connects_when_the_server_is_there() -> None:
    port = unused_port()
    tool = MCPStreamableHTTPTool("script", f"http://127.0.0.1:{port}/mcp")
    with pytest.raises(ToolException):
        await tool.connect()
    with HttpServer(McpScript(), port=port):
        async with tool:
            assert text(await tool.call_tool("echo")) == "{}"


@pytest.mark.parametrize("left_open", [True, False])
def test_a_tool_serves_one_event_loop_after_another(left_open: bool) -> None:
    async def use(tool: MCPStreamableHTTPTool) -> str:
        await tool.connect()
        answer = text(await tool.call_tool("echo"))
        if not left_open:
            await tool.close()
        return answer

    with HttpServer(McpScript()) as server:
        tool = http_tool(server)
        assert [asyncio.run(use(tool)) for _ in range(2)] == ["{}", "{}"]


def test_a_connection_on_a_loop_that_still_exists_is_not_used_from_another() -> None:
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    with HttpServer(McpScript()) as server:
        tool = http_tool(server)
        first.run_until_complete(tool.connect())
        for use in (tool.connect, tool.close, partial(tool.call_tool, "echo")):
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                second.run_until_complete(use())
        first.run_until_complete(tool.close())
    first.close()
    second.close()


async def test_what_repr_shows_follows_the_connection(script: McpScript) -> None:
    with HttpServer(script) as server:
        tool = http_tool(server)
        assert repr(tool) == f"<MCPStreamableHTTPTool 'script' at {server.url} new generation=0>"
        async with tool:
            assert "ready generation=1" in repr(tool)
        assert "closed generation=1" in repr(tool)
        assert str(tool) == "MCPTool(name=script, description=)"


async def test_a_server_without_capabilities_is_asked_for_nothing() -> None:
    async def bare(params: dict[str, Any]) -> dict[str, Any]:
        info = {"name": "bare", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": info}

    with HttpServer(McpScript(handlers={"initialize": bare})) as server:
        async with http_tool(server) as tool:
            assert tool.functions == []
            assert "tools/list" not in server.names


async def _never_answer(params: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError
