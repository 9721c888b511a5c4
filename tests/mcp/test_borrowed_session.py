# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Sessions that the caller made and owns: used, initialised if need be, never closed, never replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fault_servers import BOUND, HttpServer, McpScript, RpcError
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from sdk_names import IS_1, http_streams, message_of

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPServerError, MCPTimeoutError, MCPTool
from agent_framework._mcp_client._borrowed import BorrowedSession
from agent_framework._mcp_client._server import Server
from agent_framework.exceptions import ToolException, ToolExecutionException

PEER = str(Path(__file__).with_name("stdio_peer.py"))
ENDED = "your own, has ended and was not replaced"


@contextlib.asynccontextmanager
async def http_session(server: HttpServer, **options: Any) -> AsyncIterator[ClientSession]:
    """A session as its user opens it, over the SDK's own transport."""
    async with http_streams(server.url) as (read_stream, write_stream):
        async with ClientSession(read_stream, write_stream, **options) as session:
            yield session


@contextlib.asynccontextmanager
async def stdio_session(*arguments: str) -> AsyncIterator[ClientSession]:
    parameters = StdioServerParameters(command=sys.executable, args=[PEER, *arguments])
    async with stdio_client(parameters) as (read_stream, write_stream):
        async with ClientSession(read_stream, write_stream) as session:
            yield session


class Peer:
    """The far end of a session without any transport: a test reads what was sent and writes what arrives."""

    def __init__(self) -> None:
        self.to_session, self.read_stream = anyio.create_memory_object_stream[Any](8)
        self.write_stream, self.from_session = anyio.create_memory_object_stream[Any](8)

    async def receive(self) -> dict[str, Any]:
        item = await asyncio.wait_for(self.from_session.receive(), BOUND)
        return json.loads(item.message.model_dump_json(by_alias=True, exclude_none=True))

    async def answer(self, request: dict[str, Any], **payload: Any) -> None:
        message = {"jsonrpc": "2.0", "id": request["id"], **payload}
        await self.to_session.send(message_of(message))

    async def shake_hands(self) -> None:
        request = await self.receive()
        version = request["params"]["protocolVersion"]
        server_info = {"name": "peer", "version": "1"}
        await self.answer(
            request,
            result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server_info},
        )
        assert (await self.receive())["method"] == "notifications/initialized"

    def close(self) -> None:
        for stream in (self.to_session, self.read_stream, self.write_stream, self.from_session):
            stream.close()


@contextlib.asynccontextmanager
async def peer_session() -> AsyncIterator[tuple[Peer, ClientSession]]:
    """A session that has had its handshake, and its peer."""
    peer = Peer()
    async with ClientSession(peer.read_stream, peer.write_stream) as session:
        await asyncio.gather(session.initialize(), peer.shake_hands())
        yield peer, session
    peer.close()


async def stall(params: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


def stalling() -> McpScript:
    """A server that answers no call."""
    return McpScript(handlers={"tools/call": stall})


# Using one ...


@pytest.mark.parametrize("initialized", [False, True], ids=["new", "initialized"])
async def test_a_session_is_used_initialised_if_it_was_not_and_left_open(initialized: bool) -> None:
    with HttpServer(McpScript()) as server:
        async with http_session(server) as session:
            if initialized:
                await session.initialize()
            async with MCPStreamableHTTPTool("mine", server.url, session=session) as tool:
                assert tool.is_connected
                assert tool.session is session
                assert [function.name for function in tool.functions] == ["echo"]
                assert (await tool.call_tool("echo", n=1))[0].text == '{"n": 1}'
            assert not tool.is_connected
            assert tool.session is None
            assert [tool.name for tool in (await session.list_tools()).tools] == ["echo"]
        handshake = ["initialize", "notifications/initialized"]
        requests = [name for name in server.names if name not in ("GET", "DELETE")]
        assert requests == [*handshake, "tools/list", "tools/call", "tools/list"]


async def test_a_session_over_stdio_serves_calls_at_the_same_time() -> None:
    async with stdio_session("good") as session:
        async with MCPTool("mine", session=session) as tool:
            answers = await asyncio.gather(*(tool.call_tool("echo", n=n) for n in range(8)))
            assert [answer[0].text for answer in answers] == [f'{{"n": {n}}}' for n in range(8)]
        await session.send_ping()


async def test_callers_who_connect_at_the_same_time_share_one_handshake_on_it() -> None:
    with HttpServer(McpScript()) as server:
        async with http_session(server) as session:
            tool = MCPStreamableHTTPTool("mine", server.url, session=session)
            await asyncio.wait_for(asyncio.gather(*(tool.connect() for _ in range(20))), BOUND)
            await tool.connect(reset=True)
            assert server.names.count("initialize") == 1
            assert tool.session is session
            await tool.close()


async def test_several_tools_share_one_session_and_one_closing_leaves_it_to_the_others() -> None:
    with HttpServer(McpScript()) as server:
        async with http_session(server) as session:
            first, second = (MCPTool(name, session=session) for name in ("first", "second"))
            await first.connect()
            await second.connect()
            await first.close()
            assert (await second.call_tool("echo"))[0].text == "{}"
            await second.close()
        assert server.names.count("initialize") == 1


async def test_a_session_of_another_tool_can_be_borrowed() -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("owner", server.url) as owner:
            borrower = MCPTool("borrower", session=owner.session)
            await borrower.connect()
            assert (await borrower.call_tool("echo"))[0].text == "{}"
            await owner.close()
            with pytest.raises(MCPConnectionError, match=ENDED):
                await asyncio.wait_for(borrower.call_tool("echo"), BOUND)
            await borrower.close()


async def test_a_session_that_was_not_entered_is_refused() -> None:
    peer = Peer()
    tool = MCPTool("mine", session=ClientSession(peer.read_stream, peer.write_stream), connect_timeout=0.2)
    if IS_1:  # it waits for an answer that nobody receives
        with pytest.raises(MCPTimeoutError, match=r"no answer within 0\.2 s \(connect_timeout\)"):
            await asyncio.wait_for(tool.connect(), BOUND)
    else:
        with pytest.raises(RuntimeError, match=r"async with session"):
            await asyncio.wait_for(tool.connect(), BOUND)
    await tool.close()
    peer.close()


async def test_a_changed_catalogue_is_listed_anew_when_the_session_has_our_message_handler() -> None:
    async def grow(params: dict[str, Any]) -> dict[str, Any]:
        script.tools.append({"name": "new", "inputSchema": {"type": "object"}})
        await script.push({"method": "notifications/tools/list_changed"})
        return {"content": []}

    script = McpScript(handlers={"tools/call": grow}, standing_stream=True)
    with HttpServer(script) as server:
        tool = MCPTool("mine")
        async with http_session(server, message_handler=tool.message_handler) as session:
            tool.session = session
            await tool.connect()
            await server.arrived("GET")
            await tool.call_tool("echo")
            await server.arrived("tools/list", 2)
            deadline = time.monotonic() + BOUND
            while len(tool.functions) < 2:
                assert time.monotonic() < deadline
                await asyncio.sleep(0)
            await tool.close()


# The handshake ...


async def test_a_handshake_that_its_caller_leaves_is_finished_for_the_others() -> None:
    peer = Peer()
    async with ClientSession(peer.read_stream, peer.write_stream) as session:
        tool = MCPTool("mine", session=session, load_tools=False, load_prompts=False)
        first, second = (asyncio.create_task(tool.connect()) for _ in range(2))
        request = await peer.receive()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        version, server_info = request["params"]["protocolVersion"], {"name": "peer", "version": "1"}
        result = {"protocolVersion": version, "capabilities": {}, "serverInfo": server_info}
        await peer.answer(request, result=result)
        await asyncio.wait_for(second, BOUND)
        assert (await peer.receive())["method"] == "notifications/initialized"
        assert peer.from_session.statistics().current_buffer_used == 0
        await tool.close()
    peer.close()


async def test_a_refused_handshake_is_named_and_tried_again_by_the_next_connect() -> None:
    async def refuse_once(params: dict[str, Any]) -> dict[str, Any]:
        if not refusals:
            refusals.append(1)
            raise RpcError(-32603, "not yet")
        return await script.initialize(params)

    refusals: list[int] = []
    script = McpScript(handlers={"initialize": refuse_once}, sessions=False)
    with HttpServer(script) as server:
        async with http_session(server) as session:
            tool = MCPTool("mine", session=session)
            with pytest.raises(MCPServerError, match="not yet") as caught:
                await asyncio.wait_for(tool.connect(), BOUND)
            assert caught.value.phase == "connect"
            assert not tool.is_connected
            await asyncio.wait_for(tool.connect(), BOUND)
            assert tool.is_connected
            await tool.close()


async def test_a_handshake_that_is_never_answered_ends_in_time() -> None:
    peer = Peer()
    async with ClientSession(peer.read_stream, peer.write_stream) as session:
        link = BorrowedSession(Server("mine"), session, connect_timeout=0.2)
        with pytest.raises(MCPTimeoutError, match=r"no answer within 0\.2 s \(connect_timeout\)"):
            await asyncio.wait_for(link.open(), BOUND)
        await link.close()
    peer.close()


async def test_closing_the_tool_ends_a_handshake_under_way() -> None:
    peer = Peer()
    async with ClientSession(peer.read_stream, peer.write_stream) as session:
        tool = MCPTool("mine", session=session)
        connecting = asyncio.create_task(tool.connect())
        await peer.receive()
        await asyncio.wait_for(tool.close(), BOUND)
        with pytest.raises(MCPConnectionError, match="the connection was closed"):
            await asyncio.wait_for(connecting, BOUND)
        assert not tool.is_connected
    peer.close()


# Losing it ...


async def assert_ended(tool: MCPTool, call: asyncio.Task[Any], session: ClientSession) -> None:
    """The call in flight has a named end, and whatever is tried next says the same and connects nowhere."""
    with pytest.raises(MCPConnectionError, match=ENDED) as caught:
        await asyncio.wait_for(call, BOUND)
    assert (caught.value.sent, caught.value.phase) == (True, "call")
    assert not tool.is_connected
    for attempt in (tool.call_tool("echo"), tool.load_tools(), tool.connect(), tool.connect(reset=True)):
        with pytest.raises(MCPConnectionError, match=ENDED) as caught:
            await asyncio.wait_for(attempt, BOUND)
        assert caught.value.sent in (False, None)
    assert tool.session is session
    await tool.close()
    with pytest.raises(MCPConnectionError, match="not connected"):
        await tool.call_tool("echo")


async def test_a_session_that_is_left_with_calls_in_flight_ends_them_and_is_not_replaced() -> None:
    with HttpServer(stalling()) as server:
        async with http_session(server) as session:
            tool = MCPStreamableHTTPTool("mine", server.url, session=session)
            await tool.connect()
            calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(5)]
            await server.arrived("tools/call", 5)
        for other in calls[1:]:
            with pytest.raises(MCPConnectionError, match=ENDED):
                await asyncio.wait_for(other, BOUND)
        await assert_ended(tool, calls[0], session)
        assert server.names.count("initialize") == 1


async def test_a_stdio_session_that_is_left_with_a_call_in_flight_ends_it() -> None:
    async with stdio_session("good") as session:
        tool = MCPStdioTool("mine", sys.executable, args=[PEER, "good"], session=session)
        await tool.connect()
        call = asyncio.create_task(tool.call_tool("hang"))
        await tool.call_tool("echo")
    await assert_ended(tool, call, session)


async def test_a_stdio_server_that_dies_ends_every_call_on_its_session() -> None:
    async with stdio_session("good") as session:
        tool = MCPStdioTool("mine", sys.executable, args=[PEER, "good"], session=session)
        await tool.connect()
        hanging = asyncio.create_task(tool.call_tool("hang"))
        await tool.call_tool("echo")
        with pytest.raises(MCPConnectionError, match=ENDED) as caught:
            await asyncio.wait_for(tool.call_tool("die"), BOUND)
        assert caught.value.sent is True
        await assert_ended(tool, hanging, session)


@contextlib.asynccontextmanager
async def held_session(server: HttpServer) -> AsyncIterator[tuple[asyncio.Task[None], ClientSession]]:
    """A session that another task holds open, and that task. Its failure is its own."""

    async def hold() -> None:
        async with http_session(server) as session:
            await session.initialize()
            opened.set_result(session)
            await asyncio.Event().wait()

    opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
    holder = asyncio.create_task(hold())
    yield holder, await opened
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)


async def test_a_session_whose_holder_is_cancelled_ends_the_calls() -> None:
    with HttpServer(stalling()) as server:
        async with held_session(server) as (holder, session):
            tool = MCPStreamableHTTPTool("mine", server.url, session=session)
            await tool.connect()
            call = asyncio.create_task(tool.call_tool("echo"))
            await server.arrived("tools/call")
            holder.cancel()
            await assert_ended(tool, call, session)


@pytest.mark.parametrize("when", ["in a call", "between calls"])
async def test_a_transport_that_breaks_takes_its_holder_down_and_ends_the_calls(when: str) -> None:
    with HttpServer(stalling()) as server:
        async with held_session(server) as (_, session):
            tool = MCPStreamableHTTPTool("mine", server.url, session=session)
            await tool.connect()
            if when == "between calls":
                server.stop()
            call = asyncio.create_task(tool.call_tool("echo"))
            if when == "in a call":
                await server.arrived("tools/call")
                server.stop()
            await assert_ended(tool, call, session)


async def test_an_answer_that_the_sdk_loses_is_waited_for_until_request_timeout() -> None:
    # The SDK's transport says nothing to a session when the event stream of one request breaks.
    with HttpServer(McpScript(handlers={"tools/call": stall}, events=True)) as server:
        async with held_session(server) as (_, session):
            tool = MCPStreamableHTTPTool("mine", server.url, session=session, request_timeout=1)
            await tool.connect()
            call = asyncio.create_task(tool.call_tool("echo"))
            await server.arrived("tools/call")
            server.stop()
            with pytest.raises((MCPTimeoutError, MCPConnectionError)) as caught:
                await asyncio.wait_for(call, BOUND)
            assert caught.value.sent is True
            await tool.close()


async def test_the_end_of_the_read_stream_ends_the_calls() -> None:
    async with peer_session() as (peer, session):
        tool = MCPTool("mine", session=session)
        tool.is_connected = True
        calls = [asyncio.create_task(tool.call_tool("echo")) for _ in range(3)]
        for _ in calls:
            await peer.receive()
        peer.to_session.close()
        for call in calls[1:]:
            with pytest.raises(MCPConnectionError, match=ENDED):
                await asyncio.wait_for(call, BOUND)
        await assert_ended(tool, calls[0], session)


async def test_a_call_that_the_transport_no_longer_takes_was_not_sent() -> None:
    async with peer_session() as (peer, session):
        tool = MCPTool("mine", session=session)
        tool.is_connected = True
        peer.from_session.close()
        with pytest.raises(MCPConnectionError, match=ENDED) as caught:
            await asyncio.wait_for(tool.call_tool("echo"), BOUND)
        assert caught.value.sent is False
        assert not tool.is_connected
        await tool.close()


async def test_a_servers_own_error_with_the_code_of_a_closed_connection_is_no_loss() -> None:
    async with peer_session() as (peer, session):
        tool = MCPTool("mine", session=session)
        tool.is_connected = True
        call = asyncio.create_task(tool.call_tool("echo"))
        await peer.answer(await peer.receive(), error={"code": -32000, "message": "out of paper"})
        probe = await peer.receive()
        assert probe["method"] == "ping"
        await peer.answer(probe, result={})
        with pytest.raises(ToolExecutionException, match="out of paper"):
            await asyncio.wait_for(call, BOUND)
        assert tool.is_connected
        await tool.close()


async def test_a_new_session_can_take_the_place_of_one_that_has_ended() -> None:
    with HttpServer(McpScript()) as server:
        async with http_session(server) as session:
            tool = MCPTool("mine", session=session)
            await tool.connect()
        with pytest.raises(MCPConnectionError, match=ENDED):
            await tool.call_tool("echo")
        async with http_session(server) as session:
            tool.session = session
            assert (await tool.call_tool("echo"))[0].text == "{}"
            assert tool.is_connected
            await tool.close()


# Giving up on a call ...


async def test_a_cancelled_call_is_told_to_the_server() -> None:
    with HttpServer(stalling()) as server:
        async with http_session(server) as session:
            tool = MCPTool("mine", session=session)
            await tool.connect()
            call = asyncio.create_task(tool.call_tool("echo"))
            request = (await server.arrived("tools/call")).message
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            notice = (await server.arrived("notifications/cancelled")).message
            assert request is not None
            assert notice is not None
            assert notice["params"]["requestId"] == request["id"]
            await session.send_ping()
            await tool.close()


async def test_a_call_that_is_cancelled_just_as_its_answer_arrives_costs_no_other_call_of_the_session() -> None:
    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.from_session.receive()
            message = json.loads(request.message.model_dump_json(by_alias=True, exclude_none=True))
            if message["method"] == "tools/list":
                await peer.answer(message, result={"tools": []})
            elif message["method"] == "tools/call" and message["params"]["name"] == "echo":
                await peer.answer(message, result={"content": []})

    async with peer_session() as (peer, session):
        server = asyncio.create_task(serve(peer))
        tool = MCPTool("mine", session=session)
        await tool.connect()
        waiting = asyncio.create_task(tool.call_tool("wait"))
        for turns in range(60):
            answered = asyncio.create_task(tool.call_tool("echo"))
            for _ in range(turns):
                await asyncio.sleep(0)
            answered.cancel()
            await asyncio.wait({answered})
            assert not waiting.done(), f"it failed when a call was cancelled after {turns} turns: {waiting}"
        await asyncio.wait_for(tool.call_tool("echo"), BOUND)
        waiting.cancel()
        await asyncio.wait({waiting})
        await tool.close()
        server.cancel()
        await asyncio.wait({server})


async def test_a_call_that_is_too_slow_is_a_timeout_error_and_told_to_the_server() -> None:
    with HttpServer(stalling()) as server:
        async with http_session(server) as session:
            tool = MCPTool("mine", session=session, request_timeout=1)
            await tool.connect()
            with pytest.raises(MCPTimeoutError, match="no answer within 1 s") as caught:
                await tool.call_tool("echo")
            assert caught.value.sent is True
            await server.arrived("notifications/cancelled")
            assert tool.is_connected
            await tool.close()


@pytest.mark.parametrize("how", ["close", "session = None", "is_connected = False", "session = another"])
async def test_letting_go_of_a_session_ends_the_calls_and_tells_the_server(how: str) -> None:
    async with peer_session() as (peer, session), peer_session() as (_, another):
        tool = MCPTool("mine", session=session)
        tool.is_connected = True
        call = asyncio.create_task(tool.call_tool("echo"))
        request = await peer.receive()
        if how == "close":
            await tool.close()
        elif how == "session = None":
            tool.session = None
        elif how == "is_connected = False":
            tool.is_connected = False
        else:
            tool.session = another
        with pytest.raises(MCPConnectionError, match="the connection was closed") as caught:
            await asyncio.wait_for(call, BOUND)
        assert caught.value.sent is True
        notice = await peer.receive()
        assert (notice["method"], notice["params"]["requestId"]) == ("notifications/cancelled", request["id"])
        pinging = asyncio.create_task(session.send_ping())
        await peer.answer(await peer.receive(), result={})
        await asyncio.wait_for(pinging, BOUND)
        assert tool.session is (another if how == "session = another" else None)
        await tool.close()


# Assigning ...


async def test_assigning_true_vouches_for_a_session() -> None:
    async with peer_session() as (peer, session):
        tool = MCPTool("mine")
        tool.session = session
        assert not tool.is_connected
        tool.is_connected = True
        assert tool.is_connected
        call = asyncio.create_task(tool.call_tool("echo"))
        await peer.answer(await peer.receive(), result={"content": [{"type": "text", "text": "hello"}]})
        assert (await asyncio.wait_for(call, BOUND))[0].text == "hello"  # without a listing that nobody asked for
        await tool.close()


async def test_true_without_a_session_cannot_make_calls_work() -> None:
    tool = MCPTool("mine")
    tool.is_connected = True
    with pytest.raises(MCPConnectionError, match="not connected"):
        await tool.call_tool("echo")


@pytest.mark.parametrize("how", ["session = None", "is_connected = False"])
async def test_a_dropped_session_is_forgotten_and_connect_opens_a_connection_of_the_tools_own(how: str) -> None:
    with HttpServer(McpScript()) as server:
        async with http_session(server) as session:
            tool = MCPStreamableHTTPTool("mine", server.url, session=session)
            await tool.connect()
            if how == "session = None":
                tool.session = None
            else:
                tool.is_connected = False
            assert not tool.is_connected
            assert tool.session is None
            with pytest.raises(MCPConnectionError, match="not connected"):
                await tool.call_tool("echo")
            await tool.connect()
            assert tool.session not in (None, session)
            assert server.names.count("initialize") == 2
            await session.send_ping()
            await tool.close()


async def test_assigning_a_session_closes_the_tools_own_connection() -> None:
    with HttpServer(McpScript()) as server:
        async with http_session(server) as session:
            tool = MCPStreamableHTTPTool("mine", server.url)
            await tool.connect()
            tool.session = session
            assert tool.is_connected
            await server.arrived("DELETE")
            assert (await tool.call_tool("echo"))[0].text == "{}"
            assert tool.session is session
            await tool.close()
            await session.send_ping()


async def test_dropping_the_tools_own_connection_closes_it() -> None:
    with HttpServer(stalling()) as server:
        tool = MCPStreamableHTTPTool("mine", server.url)
        await tool.connect()
        call = asyncio.create_task(tool.call_tool("echo"))
        await server.arrived("tools/call")
        tool.is_connected = False
        with pytest.raises(ToolException):
            await asyncio.wait_for(call, BOUND)
        await server.arrived("DELETE")
        await tool.close()
