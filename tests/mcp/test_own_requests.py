# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The requests of our own sessions, with either major of the SDK: what is sent, who is waited for, what ends a wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from fault_servers import BOUND
from mcp import types
from sdk_names import SdkError, message_of, seconds

from agent_framework._mcp import MCPProtocolError, MCPServerError, MCPTool
from agent_framework._mcp_client import _sdk
from agent_framework._mcp_client.sdk import fields

SOON = 1.0  # seconds; the SDK's own wait for a transport that takes nothing is five
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "other")]


class Wire:
    """Both ends of a transport: a test reads what the client sends, and writes what the client is to receive."""

    def __init__(self) -> None:
        self.to_client, self.read_stream = anyio.create_memory_object_stream[Any](8)
        self.write_stream, self.from_client = anyio.create_memory_object_stream[Any](0)

    async def receive(self) -> dict[str, Any]:
        item = await asyncio.wait_for(self.from_client.receive(), BOUND)
        message: dict[str, Any] = json.loads(item.message.model_dump_json(by_alias=True, exclude_none=True))
        return message

    async def expect(self, method: str) -> dict[str, Any]:
        message = await self.receive()
        assert message.get("method") == method, message
        return message

    async def answer(self, request: dict[str, Any], result: dict[str, Any] | None = None, **payload: Any) -> None:
        answer = payload or {"result": {} if result is None else result}
        await self.to_client.send(message_of({"jsonrpc": "2.0", "id": request["id"], **answer}))

    async def tell(self, method: str, **params: Any) -> None:
        await self.to_client.send(message_of({"jsonrpc": "2.0", "method": method, "params": params}))

    async def shake_hands(self, tools: list[dict[str, Any]] = TOOLS) -> None:
        request = await self.expect("initialize")
        result = {"capabilities": {"tools": {}}, "serverInfo": {"name": "wire", "version": "1"}}
        await self.answer(request, {"protocolVersion": request["params"]["protocolVersion"], **result})
        await self.expect("notifications/initialized")
        await self.answer(await self.expect("tools/list"), {"tools": tools})

    def close(self) -> None:
        for stream in (self.to_client, self.read_stream, self.write_stream, self.from_client):
            stream.close()


class WiredTool(MCPTool):
    def __init__(self, wire: Wire, **options: Any) -> None:
        super().__init__("wired", load_prompts=False, protocol_mode="legacy", **options)
        self.wire = wire

    @asynccontextmanager
    async def get_mcp_client(self) -> AsyncIterator[Any]:  # type: ignore[override]
        yield self.wire.read_stream, self.wire.write_stream


@asynccontextmanager
async def wired(tools: list[dict[str, Any]] = TOOLS, **options: Any) -> AsyncIterator[tuple[Wire, WiredTool]]:
    wire = Wire()
    tool = WiredTool(wire, **options)
    await asyncio.gather(tool.connect(), wire.shake_hands(tools))
    try:
        yield wire, tool
    finally:
        wire.close()
        await tool.close()


def content(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


# Giving up ...


async def test_a_cancelled_caller_leaves_at_once_although_the_transport_takes_nothing() -> None:
    async with wired() as (_, tool):
        call = asyncio.create_task(tool.call_tool("echo"))
        await anyio.wait_all_tasks_blocked()
        call.cancel()
        done, _ = await asyncio.wait({call}, timeout=SOON)
        assert done
        assert call.cancelled()


async def test_a_caller_who_was_heard_leaves_at_once_although_the_transport_takes_no_more() -> None:
    async with wired() as (wire, tool):
        call = asyncio.create_task(tool.call_tool("echo"))
        request = await wire.expect("tools/call")
        call.cancel()  # nobody reads the notice
        done, _ = await asyncio.wait({call}, timeout=SOON)
        assert done
        assert call.cancelled()
        notice = await wire.expect("notifications/cancelled")
        assert notice["params"]["requestId"] == request["id"]
        # One notice, and the connection is as it was.
        again = asyncio.create_task(tool.call_tool("echo"))
        await wire.answer(await wire.expect("tools/call"), content("hi"))
        assert (await asyncio.wait_for(again, BOUND))[0].text == "hi"  # type: ignore[union-attr]


async def test_a_deadline_is_told_to_the_server_once() -> None:
    async with wired(request_timeout=1) as (wire, tool):
        call = asyncio.create_task(tool.call_tool("echo", _timeout=0.05))
        request = await wire.expect("tools/call")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, BOUND)
        assert (await wire.expect("notifications/cancelled"))["params"]["requestId"] == request["id"]
        again = asyncio.create_task(tool.call_tool("echo"))
        await wire.answer(await wire.expect("tools/call"), content("hi"))
        await asyncio.wait_for(again, BOUND)


async def test_who_uses_the_session_directly_is_served_alike() -> None:
    async with wired() as (wire, tool):
        session = tool.session
        assert session is not None
        call = asyncio.create_task(session.call_tool("echo", {}))
        request = await wire.expect("tools/call")
        call.cancel()
        await asyncio.wait({call}, timeout=SOON)
        assert call.cancelled()
        assert (await wire.expect("notifications/cancelled"))["params"]["requestId"] == request["id"]
        late = asyncio.create_task(session.call_tool("echo", {}, read_timeout_seconds=seconds(0.05)))
        request = await wire.expect("tools/call")
        with pytest.raises(SdkError) as caught:
            await asyncio.wait_for(late, BOUND)
        assert caught.value.error.code == _sdk.REQUEST_TIMEOUT
        assert isinstance(caught.value.__context__, TimeoutError)
        assert (await wire.expect("notifications/cancelled"))["params"]["requestId"] == request["id"]


async def test_a_call_that_is_cancelled_just_as_its_answer_arrives_costs_no_other_call() -> None:
    async def serve(wire: Wire) -> None:
        while True:
            message = await wire.receive()
            if message.get("method") == "tools/call" and message["params"]["name"] == "echo":
                await wire.answer(message, content("hi"))

    async with wired() as (wire, tool):
        server = asyncio.create_task(serve(wire))
        waiting = asyncio.create_task(tool.call_tool("other"))
        for turns in range(40):
            answered = asyncio.create_task(tool.call_tool("echo"))
            for _ in range(turns):
                await asyncio.sleep(0)
            answered.cancel()
            await asyncio.wait({answered})
            assert not waiting.done(), f"it failed when a call was cancelled after {turns} turns: {waiting}"
        server.cancel()
        waiting.cancel()
        await asyncio.wait({server, waiting})


# Answers ...


async def test_answers_find_their_requests_in_any_order_and_with_ids_of_text() -> None:
    async with wired() as (wire, tool):
        calls = [asyncio.create_task(tool.call_tool("echo", n=n)) for n in range(3)]
        requests = [await wire.expect("tools/call") for _ in calls]
        for request in reversed(requests):
            await wire.answer({"id": str(request["id"])}, content(json.dumps(request["params"]["arguments"])))
        answers = await asyncio.wait_for(asyncio.gather(*calls), BOUND)
        assert [answer[0].text for answer in answers] == [f'{{"n": {n}}}' for n in range(3)]  # type: ignore[union-attr]


async def test_an_answer_that_nobody_waits_for_disturbs_nobody() -> None:
    async with wired() as (wire, tool):
        call = asyncio.create_task(tool.call_tool("echo"))
        request = await wire.expect("tools/call")
        await wire.answer({"id": 999}, content("whose?"))
        await wire.answer(request, content("first"))
        await wire.answer(request, content("second"))
        assert (await asyncio.wait_for(call, BOUND))[0].text == "first"  # type: ignore[union-attr]
        assert tool.is_connected


async def test_an_error_answer_keeps_code_and_data() -> None:
    async with wired() as (wire, tool):
        call = asyncio.create_task(tool.call_tool("echo"))
        error = {"code": -32000, "message": "out of paper", "data": {"tray": 2}}
        await wire.answer(await wire.expect("tools/call"), error=error)
        assert (await wire.expect("ping"))["id"]  # the code is also one for the end of a connection
        with pytest.raises(MCPServerError, match="out of paper") as caught:
            await asyncio.wait_for(call, BOUND)
        assert (caught.value.code, caught.value.data) == (-32000, {"tray": 2})


async def test_an_answer_that_cannot_be_read_ends_one_call() -> None:
    async with wired() as (wire, tool):
        calls = [asyncio.create_task(tool.call_tool(name)) for name in ("echo", "other")]
        first, second = [await wire.expect("tools/call") for _ in calls]
        garbage = _sdk.unreadable_answer(json.dumps({"jsonrpc": "2.0", "id": first["id"], "result": "text"}))
        await wire.to_client.send(garbage)
        await wire.answer(second, content("fine"))
        outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["MCPProtocolError", "list"]
        assert isinstance(next(o for o in outcomes if isinstance(o, Exception)), MCPProtocolError)


async def test_the_end_of_the_connection_ends_the_wait_of_who_uses_the_session_directly() -> None:
    async with wired() as (wire, tool):
        session = tool.session
        assert session is not None
        call = asyncio.create_task(session.call_tool("echo", {}))
        await wire.expect("tools/call")
        wire.to_client.close()
        with pytest.raises(SdkError) as caught:
            await asyncio.wait_for(call, BOUND)
        assert caught.value.error.code == types.CONNECTION_CLOSED
        with pytest.raises((SdkError, anyio.ClosedResourceError)):
            await asyncio.wait_for(session.send_ping(), BOUND)


# Progress ...


async def test_what_the_server_reports_reaches_the_call_it_is_about_and_a_failing_callback_nobody_else() -> None:
    heard: list[Any] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        raise ValueError("the callback's own")

    async with wired() as (wire, tool):
        session = tool.session
        assert session is not None
        call = asyncio.create_task(_sdk.call_tool(session, "echo", {}, meta=None, progress_callback=listen))
        request = await wire.expect("tools/call")
        token = request["params"]["_meta"]["progressToken"]
        assert token == request["id"]
        for progress in (1, "much", True):
            await wire.tell("notifications/progress", progressToken=token, progress=progress)
        await wire.tell("notifications/progress", progressToken=999, progress=1)
        await wire.tell("notifications/progress", progressToken=str(token), progress=2.5, total=5, message="half")
        await wire.answer(request, content("done"))
        await asyncio.wait_for(call, BOUND)
    assert heard == [(1.0, None, None), (2.5, 5.0, "half")]


# Listings ...


async def test_a_tool_that_is_none_costs_itself_alone_and_no_second_request() -> None:
    bad: list[Any] = [
        {"name": "no schema"},
        {"name": 7, "inputSchema": {"type": "object"}},
        "text",
        {"name": "a schema of text", "inputSchema": "text"},
    ]
    async with wired([TOOLS[0], *bad, TOOLS[1]]) as (wire, tool):
        assert [function.name for function in tool.functions] == ["echo", "other"]
        pinging = asyncio.create_task(tool.session.send_ping())  # type: ignore[union-attr]
        await wire.answer(await wire.expect("ping"))  # nothing has come before it
        await asyncio.wait_for(pinging, BOUND)


# Fields ...


def test_a_field_that_an_object_has_by_neither_name_raises() -> None:
    with pytest.raises(AttributeError, match="neither 'nextCursor' nor 'next_cursor'"):
        fields.next_cursor(types.TextContent(type="text", text="hi"))


def test_what_a_server_adds_under_the_other_spelling_is_not_the_field() -> None:
    result = types.CallToolResult.model_validate({"content": [], "is_error": True}, by_name=False)
    assert fields.is_error(result) is False


def test_a_copy_with_another_value_is_made_by_the_name_on_the_wire() -> None:
    result = types.CallToolResult(content=[], structuredContent={"n": 1})
    copy = fields.replaced(result, structuredContent=None)
    assert fields.structured_content(copy) is None
    assert fields.structured_content(result) == {"n": 1}
