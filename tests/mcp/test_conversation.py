# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What an agent with an MCP tool says to the server, message by message, over each wire; and the traps of 1.0.1.

The second part has one test or more for each way in which upstream 1.0.1 hangs, leaks or misleads. They use only names
that 1.0.1 has too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from conversation_server import TOOLS, ConversationServer
from fault_servers import BOUND, HttpServer, never, unused_port

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    Message,
)
from agent_framework._mcp import MCPTool
from agent_framework._tools import FunctionInvocationLayer
from agent_framework.exceptions import ToolException

HERE = Path(__file__).parent
OPENING = ["initialize", "notifications/initialized", "tools/list"]
Calls = list[tuple[str, Any]]  # names, and arguments: text as it is, anything else as JSON


async def within(awaitable: Any, bound: float = BOUND) -> Any:
    # In this task and no other: upstream 1.6 to 1.9 cannot await an agent's run in another task than it was made in.
    with anyio.fail_after(bound):
        return await awaitable


class RawModel(BaseChatClient):
    """Makes the calls of a script, one list for each request, and then says "Done."."""

    def __init__(self, *, script: list[Calls], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.script = list(script)
        self.tools: list[list[str]] = []

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Mapping[str, Any], **kwargs: Any) -> Any:
        self.tools.append([one.name for one in options.get("tools") or []])
        calls = self.script.pop(0) if self.script else []
        contents = [
            Content.from_function_call(f"call-{number}", name, arguments=arguments)
            for number, (name, arguments) in enumerate(map(_as_text, calls))
        ] or [Content.from_text("Done.")]
        return self._build_response_stream(self._updates(contents)) if stream else self._response(contents)

    async def _response(self, contents: list[Content]) -> ChatResponse:
        return ChatResponse(messages=[Message("assistant", contents)])

    async def _updates(self, contents: list[Content]) -> Any:
        yield ChatResponseUpdate(contents=contents, role="assistant", message_id="m")


def _as_text(call: tuple[str, Any]) -> tuple[str, str]:
    name, arguments = call
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments)


class Model(FunctionInvocationLayer, RawModel):
    """With the loop that carries the calls out."""

    def __init__(self, *script: Calls) -> None:
        super().__init__(script=list(script))


def results(response: Any) -> list[str]:
    """What the model was told about its calls."""
    contents = [content for message in response.messages for content in message.contents]
    return [str(content.result) for content in contents if content.type == "function_result"]


@dataclass
class Wire:
    """One way to the server.

    Attributes:
        tool: Makes a tool for it.
        said: All messages that the server has received, in order.
        listening: Waits until the server can speak by itself.
    """

    tool: Callable[..., MCPTool]
    said: Callable[[], list[dict[str, Any]]]
    listening: Callable[[], Awaitable[Any]]

    @property
    def methods(self) -> list[str]:
        return [message.get("method", "response") for message in self.said()]

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [message["params"] for message in self.said() if message.get("method") == "tools/call"]


WIRES = ["json", "events", "stdio"]


@contextlib.contextmanager
def open_wire(kind: str, folder: Path, *offers: str) -> Iterator[Wire]:
    if kind == "stdio":
        yield stdio_wire(folder / "record", *offers)
        return
    with HttpServer(ConversationServer(*offers, events=kind == "events")) as server:
        yield Wire(
            lambda **options: MCPStreamableHTTPTool("docs", server.url, **options),
            lambda: [exchange.message for exchange in server.exchanges if exchange.message],
            lambda: server.arrived("GET"),
        )


def stdio_wire(record: Path, *offers: str) -> Wire:
    async def at_once() -> None:
        return None

    record.touch()
    args = [str(HERE / "conversation_server.py"), str(record), *offers]
    return Wire(
        lambda **options: MCPStdioTool("docs", sys.executable, args=args, **options),
        lambda: [json.loads(line) for line in record.read_text().splitlines()],
        at_once,
    )


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    with open_wire(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture(params=WIRES)
def easy_wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    """A server to which 1.0.1 can connect."""
    with open_wire(request.param, tmp_path, "ping", "prompts") as opened:
        yield opened


@pytest.fixture
def mortal(tmp_path: Path) -> Wire:
    """The same as a process, which can die."""
    return stdio_wire(tmp_path / "record", "ping", "prompts")


# The conversation ...


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "stream"])
async def test_a_run_sends_the_handshake_one_listing_and_the_calls_and_nothing_else(wire: Wire, streamed: bool) -> None:
    model = Model([("echo", {"x": 1})], [("echo", {"x": 2}), ("echo", {"x": 3})])
    async with Agent(client=model, tools=[wire.tool()]) as agent:
        if streamed:
            stream = agent.run("go", stream=True)
            async for _ in stream:
                pass
            response = await stream.get_final_response()
        else:
            response = await within(agent.run("go"))
        assert response.text.endswith("Done.")
        assert results(response) == ['{"x": 1}', '{"x": 2}', '{"x": 3}']
        assert wire.methods == [*OPENING, "tools/call", "tools/call", "tools/call"]
    assert wire.methods == [*OPENING, "tools/call", "tools/call", "tools/call"]
    assert model.tools == [[tool["name"] for tool in TOOLS]] * 3


async def test_the_messages_say_what_they_have_to_and_no_more(wire: Wire) -> None:
    async with Agent(client=Model([("echo", {"x": 1})]), tools=[wire.tool()]) as agent:
        await within(agent.run("go"))
    initialize, initialized, listing, call = wire.said()
    assert initialize["params"]["capabilities"] == {"sampling": {}}
    assert set(initialize["params"]) == {"protocolVersion", "capabilities", "clientInfo"}
    assert initialized == {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert listing.get("params") in (None, {})
    assert call["params"] == {"name": "echo", "arguments": {"x": 1}}
    ids = [message["id"] for message in (initialize, listing, call)]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
async def test_over_http_there_is_one_listening_stream_and_one_farewell_beside_the_messages(events: bool) -> None:
    with HttpServer(ConversationServer(events=events)) as server:
        async with Agent(client=Model([("echo", {})]), tools=[MCPStreamableHTTPTool("docs", server.url)]) as agent:
            await within(agent.run("go"))
            await server.arrived("GET")
        assert sorted(server.names) == sorted([*OPENING, "tools/call", "GET", "DELETE"])
        assert server.names[-1] == "DELETE"
        assert server.sent_headers("mcp-session-id") == [None, *["session-1"] * 5]


async def test_several_runs_use_one_session_and_list_once(wire: Wire) -> None:
    async with wire.tool() as tool:
        for number in range(3):
            agent = Agent(client=Model([("echo", {"x": number})]), tools=[tool])
            await within(agent.run("go"))
    assert wire.methods == [*OPENING, "tools/call", "tools/call", "tools/call"]


async def test_runs_at_the_same_time_share_one_handshake(wire: Wire) -> None:
    tool = wire.tool()
    async with Agent(client=Model(*[[("echo", {"x": 0})]] * 4), tools=[tool]) as agent:

        async def run() -> None:
            await agent.run("go")

        await within(asyncio.gather(*(run() for _ in range(4))))
    assert wire.methods[:3] == OPENING
    assert {method: wire.methods.count(method) for method in OPENING} == dict.fromkeys(OPENING, 1)


async def test_a_run_that_calls_nothing_sends_no_call(wire: Wire) -> None:
    async with Agent(client=Model(), tools=[wire.tool()]) as agent:
        await within(agent.run("go"))
    assert wire.methods == OPENING


@pytest.mark.parametrize("arguments", [{}, {"x": "one"}], ids=["missing", "wrong type"])
async def test_arguments_that_break_the_schema_never_reach_the_server(wire: Wire, arguments: dict[str, Any]) -> None:
    async with Agent(client=Model([("strict", arguments)]), tools=[wire.tool()]) as agent:
        response = await within(agent.run("go"))
    assert wire.calls == []
    assert "Error" in results(response)[0]


async def test_a_tool_that_is_not_allowed_is_neither_offered_nor_called(wire: Wire) -> None:
    model = Model([("hang", {})])
    async with Agent(client=model, tools=[wire.tool(allowed_tools=["echo"])]) as agent:
        response = await within(agent.run("go"))
    assert (model.tools[0], wire.calls) == (["echo"], [])
    assert "not found" in results(response)[0]


async def test_a_tool_that_needs_approval_is_called_once_it_is_there(wire: Wire) -> None:
    async with Agent(client=Model([("echo", {"x": 1})]), tools=[wire.tool(approval_mode="always_require")]) as agent:
        session = agent.create_session()
        asked = await within(agent.run("go", session=session))
        assert wire.calls == []
        (request,) = asked.user_input_requests
        answer = Message("user", [request.to_function_approval_response(approved=True)])
        await within(agent.run(answer, session=session))
    assert wire.calls == [{"name": "echo", "arguments": {"x": 1}}]


async def test_the_model_wins_over_the_run_where_a_tool_declares_the_name(wire: Wire) -> None:
    async with wire.tool() as tool:
        agent = Agent(client=Model([("echo", {"x": 1})]), tools=[tool])
        await within(agent.run("go", function_invocation_kwargs={"x": 2, "user": "ada", "token": "secret"}))
    assert [call["arguments"] for call in wire.calls] == [{"x": 1, "user": "ada"}]


async def test_every_kind_of_content_comes_back_from_a_server() -> None:
    data = "iVBORw0K"
    blocks = [
        {"type": "text", "text": "hello"},
        {"type": "image", "data": data, "mimeType": "image/png"},
        {"type": "audio", "data": data, "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "https://h.test/a", "name": "a"},
        {"type": "resource", "resource": {"uri": "file:///b", "text": "inside"}},
        {"type": "resource", "resource": {"uri": "file:///c", "blob": data}},
    ]

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": blocks, "_meta": {"not": "shown"}}

    with HttpServer(ConversationServer(handlers={"tools/call": answer})) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as tool:
            contents = await within(tool.functions[0].invoke(arguments={}))
    assert [(item.type, item.text or item.uri, item.media_type) for item in contents] == [
        ("text", "hello", None),
        ("data", f"data:image/png;base64,{data}", "image/png"),
        ("data", f"data:audio/wav;base64,{data}", "audio/wav"),
        ("uri", "https://h.test/a", None),
        ("text", "inside", None),
        ("data", f"data:application/octet-stream;base64,{data}", "application/octet-stream"),
    ]


async def test_changed_prompts_and_a_refused_log_level_are_heard_of(caplog: pytest.LogCaptureFixture) -> None:
    class Prompting(ConversationServer):
        name = "old"

        async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
            answer = await super().initialize(params)
            return {**answer, "capabilities": {"tools": {}, "prompts": {"listChanged": True}, "logging": {}}}

        async def list_prompts(self, params: dict[str, Any]) -> dict[str, Any]:
            return {"prompts": [{"name": self.name}]}

        async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
            self.name = "new"
            await self.push({"method": "notifications/prompts/list_changed"})
            return await super().call_tool(params)

    logger = logging.getLogger("agent_framework._mcp")
    logger.setLevel(logging.INFO)
    try:
        with HttpServer(Prompting("prompts")) as server:
            async with MCPStreamableHTTPTool("docs", server.url, allowed_tools=["old", "new"]) as tool:
                assert [function.name for function in tool.functions] == ["old"]
                await server.arrived("GET")
                await tool.call_tool("echo")
                await listed(tool, ["new"])
                assert server.names.count("tools/list") == 1
    finally:
        logger.setLevel(logging.NOTSET)
    levels = [exchange.message["params"] for exchange in server.exchanges if exchange.name == "logging/setLevel"]  # type: ignore[index]
    assert levels == [{"level": "info"}]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [sentence.partition(" info")[0] for sentence in warnings] == ["Failed to set log level to"]


async def listed(tool: MCPTool, expected: list[str]) -> None:
    async def wait() -> None:
        while [function.name for function in tool.functions] != expected:
            await asyncio.sleep(0.01)  # a list has no event; the bound is around it

    await within(wait())


@pytest.mark.parametrize("how", ["load_tools", "connect", "run"])
async def test_a_listing_finds_a_new_session_when_the_server_has_forgotten_the_old_one(how: str) -> None:
    script = ConversationServer()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as tool:
            script.live_sessions.clear()
            script.tools = TOOLS[:1]
            if how == "run":
                await within(Agent(client=Model([("echo", {})]), tools=[tool]).run("go"))
            else:
                await within(asyncio.gather(*(getattr(tool, how)() for _ in range(3))))
            await listed(tool, ["echo"])
            assert tool.is_connected
        assert script.opened_sessions == 2


async def test_a_failing_header_provider_for_ambient_requests_is_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[dict[str, Any]] = []

    def provide(values: dict[str, Any]) -> dict[str, str]:
        asked.append(values)
        return {"x-user": values["user"]}

    with caplog.at_level(logging.DEBUG, "agent_framework"), HttpServer(ConversationServer()) as server:
        async with MCPStreamableHTTPTool("docs", server.url, header_provider=provide) as tool:
            await within(tool.call_tool("echo", user="ada"))
            await within(tool.load_tools())
        by_name = list(zip(server.names, server.sent_headers("x-user"), strict=True))
    assert {value for name, value in by_name if name == "tools/call"} == {"ada"}
    assert {value for name, value in by_name if name != "tools/call"} == {None}
    assert [values for values in asked if values] == [{"user": "ada"}]
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


# Traps of 1.0.1 ...


async def test_trap_1_a_change_announced_during_a_call_blocks_neither_it_nor_what_follows(easy_wire: Wire) -> None:
    async with easy_wire.tool() as tool:
        await easy_wire.listening()
        await within(tool.call_tool("change", announcements=2))
        assert (await within(tool.call_tool("echo", x=1)))[0].text == '{"x": 1}'
        await listed(tool, ["echo", "strict", "added"])
        await within(tool.close())


@pytest.mark.parametrize("kind", WIRES)
async def test_trap_2_a_server_without_ping_gets_connected(kind: str, tmp_path: Path) -> None:
    with open_wire(kind, tmp_path, "prompts") as wire:
        tool = wire.tool()
        await within(tool.connect())
        await within(tool.load_tools())
        await within(tool.close())
        assert "ping" not in wire.methods


@pytest.mark.parametrize("kind", WIRES)
async def test_trap_3_a_server_without_prompts_is_not_asked_for_them(kind: str, tmp_path: Path) -> None:
    with open_wire(kind, tmp_path, "ping") as wire:
        async with wire.tool() as tool:
            assert [function.name for function in tool.functions] == [one["name"] for one in TOOLS]
        assert "prompts/list" not in wire.methods


@pytest.mark.parametrize("entered", [False, True], ids=["connect", "async with"])
async def test_trap_4_an_unreachable_server_is_an_exception_that_names_it(entered: bool) -> None:
    tool = MCPStreamableHTTPTool("docs", f"http://127.0.0.1:{unused_port()}/mcp")
    with pytest.raises(ToolException, match=r"docs.*127\.0\.0\.1.*connection refused"):
        await within(tool.__aenter__() if entered else tool.connect())


async def test_trap_5_a_failed_async_with_leaves_no_task(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(ToolException, match="Failed to start MCP server"):
        async with MCPStdioTool("docs", str(tmp_path / "nothing")):
            raise AssertionError
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("kind", ["http", "stdio"])
async def test_trap_6_an_abandoned_connect_has_stopped_and_close_returns_at_once(kind: str) -> None:
    with HttpServer(never) as server:
        tool: MCPTool = MCPStreamableHTTPTool("docs", server.url)
        if kind == "stdio":
            tool = MCPStdioTool("docs", sys.executable, args=[str(HERE / "stdio_peer.py"), "silent"])
        before = asyncio.all_tasks()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(tool.connect(), 0.3)
        assert asyncio.all_tasks() == before
        started = time.monotonic()
        await within(tool.close())
        assert time.monotonic() - started < 1


async def test_trap_7_close_ends_the_calls_in_flight(easy_wire: Wire) -> None:
    tool = easy_wire.tool()
    await within(tool.connect())
    calls = [asyncio.create_task(tool.call_tool("hang")) for _ in range(3)]
    await said(easy_wire, "tools/call", 3)
    await within(tool.close())
    for outcome in await within(asyncio.gather(*calls, return_exceptions=True)):
        assert isinstance(outcome, ToolException)


async def said(wire: Wire, method: str, count: int) -> None:
    async def wait() -> None:
        while wire.methods.count(method) < count:
            await asyncio.sleep(0.01)  # a file has no event; the bound is around it

    await within(wait())


async def test_trap_8_calls_that_meet_a_dead_server_share_one_new_one(mortal: Wire) -> None:
    async with mortal.tool() as tool:
        with pytest.raises(ToolException):
            await within(tool.call_tool("die"))
        answers = await within(asyncio.gather(*(tool.call_tool("echo", x=x) for x in range(5))))
        assert [answer[0].text for answer in answers] == [f'{{"x": {x}}}' for x in range(5)]
    assert mortal.methods.count("initialize") == 2


async def test_trap_9_the_death_of_a_server_is_seen_and_its_call_is_not_repeated(mortal: Wire) -> None:
    async with mortal.tool() as tool:
        with pytest.raises(ToolException) as caught:
            await within(tool.call_tool("die"))
        assert not tool.is_connected
        assert "exited with code 4" in str(caught.value)
        assert (await within(tool.call_tool("echo", x=1)))[0].text == '{"x": 1}'
        assert tool.is_connected
    assert [call["name"] for call in mortal.calls] == ["die", "echo"]


async def test_trap_10_values_of_a_run_never_reach_the_server(easy_wire: Wire) -> None:
    async with easy_wire.tool() as tool:
        agent = Agent(client=Model([("echo", {"x": 1})]), tools=[tool])
        await within(agent.run("go", function_invocation_kwargs={"token": "t-1"}))
    assert easy_wire.calls == [{"name": "echo", "arguments": {"x": 1}}]


async def test_trap_10_headers_for_a_call_are_on_its_request() -> None:
    def provide(values: dict[str, Any]) -> dict[str, str]:
        return {"authorization": f"Bearer {values.get('token', 'nobody')}"}

    script = ConversationServer("ping", "prompts")
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("docs", server.url, header_provider=provide) as tool:
            agent = Agent(client=Model([("echo", {"x": 1})]), tools=[tool])
            await within(agent.run("go", function_invocation_kwargs={"token": "t-1"}))
        call = server.wait_for("tools/call")
        others = {exchange.headers.get("authorization") for exchange in server.exchanges if exchange is not call}
        # Hosts from 1.19 on open a session for each run's credentials, so there its headers are on the handshake too.
        expected = {"Bearer nobody", "Bearer t-1"} if script.opened_sessions > 1 else {"Bearer nobody"}
        assert (call.headers.get("authorization"), others) == ("Bearer t-1", expected)


async def test_trap_11_a_call_without_a_connection_says_what_to_do(easy_wire: Wire) -> None:
    tool = easy_wire.tool()
    with pytest.raises(ToolException, match="not connected"):
        await within(tool.call_tool("echo"))
    await within(tool.load_tools())
    assert (await within(tool.call_tool("echo")))[0].text == "{}"
    await within(tool.close())
    with pytest.raises(ToolException, match="not connected"):
        await within(tool.call_tool("echo"))


async def test_trap_12_a_reload_changes_and_removes_what_was_listed(easy_wire: Wire) -> None:
    async with easy_wire.tool() as tool:
        await within(tool.call_tool("change", announcements=0))
        await within(tool.load_tools())
        assert [function.name for function in tool.functions] == ["echo", "strict", "added"]


async def test_trap_12_loads_at_the_same_time_register_each_tool_once(easy_wire: Wire) -> None:
    tool = easy_wire.tool(load_tools=False)
    await within(tool.connect())
    await within(asyncio.gather(*(tool.load_tools() for _ in range(4))))
    assert [function.name for function in tool.functions] == [one["name"] for one in TOOLS]
    await within(tool.close())


async def test_trap_13_no_server_decides_which_of_two_tools_a_name_means() -> None:
    script = ConversationServer("ping", "prompts")
    script.tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("read/file", "read file")]
    with HttpServer(script) as server:
        with pytest.raises(ToolException, match="'read/file' and 'read file'"):
            await within(MCPStreamableHTTPTool("docs", server.url).connect())
