# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Draining, cheap parsing, kept validators and the switch: what must be the same with each of them and without."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import types
from mcp.client.session import ClientSession
from mcp.shared.message import SessionMessage
from referencing.exceptions import Unresolvable

from agent_framework import Content, MCPStreamableHTTPTool
from agent_framework._mcp_client import _mends, _sdk
from agent_framework._mcp_client._mends import answers, draining, validators
from agent_framework.exceptions import ToolExecutionException

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import BOUND, EVENTS, Exchange, HttpServer, McpScript, RpcError

LONG = "x" * (2 * answers.WORTHWHILE)


@pytest.fixture(params=["mended", "the SDK's"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(_mends, "_RULED_OUT", frozenset() if request.param == "mended" else _mends.NAMES)
    return str(request.param)


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mends, "_RULED_OUT", frozenset())


def text(contents: Any) -> str:
    assert isinstance(contents, list)
    return "".join(item.text for item in contents if isinstance(item, Content))


# The switch ...


@pytest.mark.parametrize(
    ("setting", "out"),
    [
        ("", set()),
        ("on", set()),
        ("off", set(_mends.NAMES)),
        ("0", set(_mends.NAMES)),
        (" TLS , draining", {"tls", "draining"}),
    ],
)
def test_the_switch_names_what_is_ruled_out(setting: str, out: set[str]) -> None:
    assert _mends.ruled_out(setting) == out


def test_the_switch_warns_of_what_is_no_mend(caplog: pytest.LogCaptureFixture) -> None:
    assert _mends.ruled_out("tls,tsl") == {"tls"}
    assert "tsl" in caplog.text


def test_each_mend_is_a_module() -> None:
    files = {path.stem for path in Path(_mends.__file__).parent.glob("*.py")}
    assert files - {"__init__"} == _mends.NAMES


def test_the_environment_rules_mends_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_mends.SWITCH, "tls")
    program = "from agent_framework._mcp_client import _mends as m; print(*sorted(n for n in m.NAMES if m.is_on(n)))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split() == sorted(_mends.NAMES - {"tls"})


# Draining ...


class Streams(McpScript):
    """Answers with event streams that leave the connection usable, once they have ended.

    Args:
        before: Events before the answer.
        behind: What happens between the answer and the end.
    """

    def __init__(self, before: int = 0, behind: Callable[[Exchange], Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.before = before
        self.behind = behind

    async def _reply(self, exchange: Exchange, new_session: str | None) -> object:
        headers = {"mcp-session-id": new_session} if new_session else {}
        await exchange.start(200, {"content-type": EVENTS, "transfer-encoding": "chunked", **headers})
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "debug", "data": "working"}}
        for _ in range(self.before):
            await self.send_chunk(exchange, note)
        await self.send_chunk(exchange, await self._result(exchange))
        if self.behind is not None and exchange.name == "tools/call":
            await self.behind(exchange)
        await exchange.send(b"0\r\n\r\n")
        return None

    async def send_chunk(self, exchange: Exchange, message: dict[str, Any]) -> None:
        event = f"event: message\ndata: {json.dumps(message)}\n\n".encode()
        await exchange.send(b"%x\r\n%b\r\n" % (len(event), event))


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("own_client", [False, True])
@pytest.mark.usefixtures("mended")
async def test_event_streams_leave_their_connection_to_the_next_call(before: int, own_client: bool) -> None:
    async with httpx.AsyncClient() as client:
        with HttpServer(Streams(before)) as server:
            async with MCPStreamableHTTPTool("x", server.url, http_client=client if own_client else None) as tool:
                await tool.call_tool("echo", a=1)
                opened = server.connections
                for number in range(20):
                    assert text(await tool.call_tool("echo", a=number)) == json.dumps({"a": number})
            # Now and then a call begins before the end of the stream before it has come.
            assert server.connections - opened <= 2


async def test_a_pause_before_the_end_of_a_stream_delays_no_answer(way: str) -> None:
    async def wait(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)

    with HttpServer(Streams(behind=wait)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            started = time.monotonic()
            assert text(await tool.call_tool("echo", a=1)) == '{"a": 1}'
            assert time.monotonic() - started < 0.25


@pytest.mark.parametrize("before", [0, 2])
async def test_a_stream_that_never_ends_delays_neither_calls_nor_close(way: str, before: int) -> None:
    async def wait(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    with HttpServer(Streams(before, behind=wait)) as server:
        started = time.monotonic()
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for _ in range(5):
                await tool.call_tool("echo", a=1)
        assert time.monotonic() - started < BOUND / 2


@pytest.mark.usefixtures("mended")
async def test_a_stream_that_never_ends_is_left_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_TIMEOUT", 0.05)
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def talk(exchange: Exchange) -> None:
        try:
            while True:
                await exchange.send(b"2\r\n\n\n\r\n")
                await asyncio.sleep(0.01)
        finally:
            loop.call_soon_threadsafe(left.set)

    with HttpServer(Streams(behind=talk)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await tool.call_tool("echo", a=1)
            await asyncio.wait_for(left.wait(), BOUND)
            assert text(await tool.call_tool("echo", a=2)) == '{"a": 2}'


@pytest.mark.usefixtures("mended")
async def test_a_stream_that_goes_on_and_on_is_left_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_TIMEOUT", 2 * BOUND)
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def flood(exchange: Exchange) -> None:
        try:
            while True:
                await exchange.send(b"1000\r\n: %b\n\n\r\n" % (b"x" * 4092))
        finally:
            loop.call_soon_threadsafe(left.set)

    with HttpServer(Streams(behind=flood)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await tool.call_tool("echo", a=1)
            await asyncio.wait_for(left.wait(), BOUND)


@pytest.mark.parametrize("before", [0, 2])
async def test_what_breaks_behind_an_answer_breaks_nothing_else(way: str, before: int) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.send(b"ffff\r\nno such")
        exchange.writer.close()

    with HttpServer(Streams(before, behind=cut)) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for number in range(5):
                assert text(await tool.call_tool("echo", a=number)) == json.dumps({"a": number})
            assert server.behaviour.opened_sessions == 1  # type: ignore[attr-defined]


# Long answers ...

RESULT = {"content": [{"type": "text", "text": LONG}], "n": 1.5, "none": None, "many": [1, True]}
MESSAGES: dict[str, str] = {
    "a long result": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT}),
    "an id of text": json.dumps({"jsonrpc": "2.0", "id": "3", "result": RESULT}),
    "an id of digits and text": json.dumps({"jsonrpc": "2.0", "id": "a3", "result": RESULT}),
    "a number that is whole": json.dumps({"jsonrpc": "2.0", "id": 3.0, "result": RESULT}),
    "an id that is true": json.dumps({"jsonrpc": "2.0", "id": True, "result": RESULT}),
    "no id": json.dumps({"jsonrpc": "2.0", "result": RESULT}),
    "no version": json.dumps({"id": 3, "result": RESULT}),
    "another version": json.dumps({"jsonrpc": "1.0", "id": 3, "result": RESULT}),
    "something more": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT, "more": 1}),
    "a result and an error": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT, "error": None}),
    "a result that is a list": json.dumps({"jsonrpc": "2.0", "id": 3, "result": [LONG]}),
    "an error": json.dumps({"jsonrpc": "2.0", "id": 3, "error": {"code": 1, "message": LONG, "data": [1]}}),
    "a request": json.dumps({"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"x": LONG}}),
    "a notification": json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"x": LONG}}),
    "a short result": json.dumps({"jsonrpc": "2.0", "id": 3, "result": {}}),
    "no object": json.dumps([LONG]),
    "a lone surrogate": json.dumps({"jsonrpc": "2.0", "id": 3, "result": {"x": "\ud800" + LONG}}),
    "no JSON": LONG,
    "half of it": json.dumps({"jsonrpc": "2.0", "id": 3, "result": RESULT})[:-10],
    "text that cannot be encoded": '{"x": "\ud800' + LONG,
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("encoded", [False, True])
def test_a_message_is_parsed_as_the_sdk_parses_it(name: str, encoded: bool) -> None:
    given: str | bytes = MESSAGES[name].encode(errors="surrogatepass") if encoded else MESSAGES[name]

    def outcome(parse: Callable[[Any], Any]) -> Any:
        try:
            message = parse(given).root
        except Exception as error:  # noqa: BLE001  # whatever it is
            return type(error), str(error)
        return type(message), message.model_dump()

    assert outcome(answers.parse) == outcome(types.JSONRPCMessage.model_validate_json)


@pytest.mark.parametrize("events", [False, True])
async def test_long_answers_arrive_whole_over_http(way: str, events: bool) -> None:
    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "fail":
            raise RpcError(-32000, LONG)
        return {"content": [{"type": "text", "text": params["name"] + LONG}], "isError": False}

    tools = [{"name": f"t{i}", "description": LONG, "inputSchema": {"type": "object"}} for i in range(20)]
    with HttpServer(McpScript(events=events, tools=tools, handlers={"tools/call": fail})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            assert [function.description for function in tool.functions] == [LONG] * 20
            found = await asyncio.gather(*(tool.call_tool(f"t{i}") for i in range(20)))
            assert [text(item) for item in found] == [f"t{i}{LONG}" for i in range(20)]
            with pytest.raises(ToolExecutionException, match=LONG):
                await tool.call_tool("fail")
            assert tool._link is not None
            results = getattr(tool._link, "_exchanges").results  # noqa: B009
            assert results is None or not results._results


def test_an_error_in_the_place_of_an_answer_leaves_no_result_behind() -> None:
    results = answers.Results()
    for answer in (
        types.JSONRPCError(jsonrpc="2.0", id=3, error=types.ErrorData(code=1, message="x")),
        types.JSONRPCResponse(jsonrpc="2.0", id=3, result={}),
    ):
        assert results.take_out({"jsonrpc": "2.0", "id": 3, "result": RESULT}) is not None
        results.put_back(SessionMessage(types.JSONRPCMessage(answer)))
        assert not results._results
    assert answer.model_dump()["result"] == RESULT


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.usefixtures("mended")
async def test_answers_to_calls_that_were_given_up_leave_no_result_behind(events: bool) -> None:
    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": LONG}]}

    with HttpServer(McpScript(events=events, handlers={"tools/call": answer})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for turns in range(0, 60, 2):
                call = asyncio.create_task(tool.call_tool("echo"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if turns % 4:
                    await asyncio.sleep(0.005)
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call
            assert text(await tool.call_tool("echo")) == LONG
            results = getattr(tool._link, "_exchanges").results  # noqa: B009
            assert not results._results


async def test_the_sdks_own_session_reads_the_transport(way: str) -> None:
    tools = [{"name": "t", "description": LONG, "inputSchema": {"type": "object"}}]
    with HttpServer(McpScript(tools=tools)) as server:
        tool = MCPStreamableHTTPTool("x", server.url, header_provider=lambda _: {})
        async with tool.get_mcp_client() as (read_stream, write_stream, *_):
            async with ClientSession(read_stream, write_stream) as session:
                await session.initialize()
                assert (await session.list_tools()).tools[0].description == LONG


@pytest.mark.parametrize("events", [False, True])
async def test_a_handshake_with_long_instructions_is_left_whole(way: str, events: bool) -> None:
    async def initialize(params: dict[str, Any]) -> dict[str, Any]:
        server = {"name": "x", "version": "1"}
        return {
            "protocolVersion": "2025-03-26",
            "capabilities": {"tools": {}},
            "serverInfo": server,
            "instructions": LONG,
        }

    with HttpServer(McpScript(events=events, handlers={"initialize": initialize})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            await tool.call_tool("echo")
        # The transport has read in the answer which version was agreed on.
        assert set(server.sent_headers("mcp-protocol-version")[2:]) == {"2025-03-26"}


# Validators ...

ITEM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
RESULTS: dict[str, tuple[Any, Any]] = {
    "what fits": (ITEM, {"n": 1}),
    "what does not fit": (ITEM, {"n": "one"}),
    "what lacks something": (ITEM, {}),
    "two things that do not fit": ({**ITEM, "properties": {"n": {"type": "integer"}, "m": {"const": 1}}}, {"m": 2}),
    "nothing": (ITEM, None),
    "something without a schema": (None, {"n": "one"}),
    "a schema of nothing": ({}, {"n": "one"}),
    "a type that there is none of": ({"type": "integr"}, {"n": 1}),
    "a pattern that is none": ({"properties": {"n": {"pattern": "("}}}, {"n": "x"}),
    "a format": ({"properties": {"n": {"format": "date"}}}, {"n": "yesterday"}),
    "a reference": ({"$defs": {"i": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/i"}}}, {"n": "x"}),
    "a reference that fits": ({"$defs": {"i": ITEM}, "properties": {"n": {"$ref": "#/$defs/i"}}}, {"n": {"n": 1}}),
    "a reference to nothing": ({"properties": {"n": {"$ref": "#/$defs/none"}}}, {"n": 1}),
    "a reference to elsewhere": ({"properties": {"n": {"$ref": "urn:elsewhere"}}}, {"n": 1}),
    "an old draft": (
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"n": {"exclusiveMinimum": True}}},
        {"n": 1},
    ),
    "an unknown draft": ({"$schema": "urn:none", **ITEM}, {"n": "one"}),
}


@asynccontextmanager
async def session_with(schema: Any) -> AsyncIterator[ClientSession]:
    session = _sdk.make_session(None, None, read_timeout=None)
    session._tool_output_schemas = schemas = {"t": schema}
    if isinstance(session._validate_tool_result, validators._Validation):
        session._validate_tool_result._schemas = schemas
    yield session


@pytest.mark.parametrize("name", RESULTS)
async def test_a_structured_result_is_judged_as_the_sdk_judges_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema, content = RESULTS[name]
    result = types.CallToolResult(content=[], structuredContent=content)

    async def outcomes() -> list[Any]:
        found: list[Any] = []
        async with session_with(schema) as session:
            for _ in range(2):
                try:
                    found.append(await session._validate_tool_result("t", result))
                except Unresolvable as error:  # older SDKs let it through
                    found.append((RuntimeError, f"Invalid schema for tool t: {error}"))
                except Exception as error:  # noqa: BLE001  # whatever it is
                    found.append((type(error), str(error)))
        return found

    monkeypatch.setattr(_mends, "_RULED_OUT", frozenset())
    mended = await outcomes()
    monkeypatch.setattr(_mends, "_RULED_OUT", _mends.NAMES)
    assert mended == await outcomes()


@pytest.mark.usefixtures("mended")
async def test_a_schema_that_refers_to_elsewhere_is_never_fetched() -> None:
    with HttpServer(McpScript()) as server:
        for keyword in ("$ref", "$dynamicRef"):
            schema = {"properties": {"m": {"const": 1}, "n": {keyword: f"{server.url}/schema"}}}
            async with session_with(schema) as session:
                for content in ({"n": 1}, {"m": 2, "n": 1}):  # one that cannot be judged, one that does not fit anyway
                    result = types.CallToolResult(content=[], structuredContent=content)
                    with pytest.raises(RuntimeError, match="Invalid schema for tool t"):
                        await session._validate_tool_result("t", result)
        assert server.connections == 0


@pytest.mark.usefixtures("mended")
async def test_a_tool_that_is_listed_anew_is_judged_by_its_new_schema() -> None:
    fits = types.CallToolResult(content=[], structuredContent={"n": 1})
    async with session_with(ITEM) as session:
        await session._validate_tool_result("t", fits)
        session._tool_output_schemas["t"] = {"properties": {"n": {"type": "string"}}}
        with pytest.raises(RuntimeError, match="Invalid structured content"):
            await session._validate_tool_result("t", fits)


@pytest.mark.usefixtures("mended")
def test_a_session_that_looks_different_inside_is_left_alone() -> None:
    class Other:
        _tool_output_schemas: dict[str, Any] = {}  # noqa: RUF012

        async def _validate_tool_result(self, name: str) -> None: ...

    session = Other()
    validators.keep_validators(session)
    assert "_validate_tool_result" not in vars(session)


async def test_a_wrong_structured_result_is_an_error_of_the_call(way: str) -> None:
    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [], "structuredContent": {"n": params["arguments"]["n"]}}

    tools = [{"name": "t", "inputSchema": {"type": "object"}, "outputSchema": ITEM}]
    with HttpServer(McpScript(tools=tools, handlers={"tools/call": answer})) as server:
        async with MCPStreamableHTTPTool("x", server.url) as tool:
            for _ in range(2):
                assert text(await tool.call_tool("t", n=1)) == '{"n": 1}'
                with pytest.raises(ToolExecutionException, match="structured content"):
                    await tool.call_tool("t", n="one")
