# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Arguments of a model that are no JSON object: nothing runs, nobody is asked, and the model reads where they break."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript

from agent_framework import Agent, Content, FunctionTool, MCPStreamableHTTPTool, Message, tool
from agent_framework.exceptions import ToolException

AGENT_PEER = Path(__file__).with_name("agent_peer.py")
LIMITED_DIGITS = ['{"where": ' + "1" * 5000 + "}"] if hasattr(sys, "set_int_max_str_digits") else []
BROKEN = [
    '{"where": "id = 7", "lim',
    '{"where": "id = ',
    '[{"where": "id = 7"}]',
    "{'where': 'id = 7'}",
    '{"where": "id = 7"}{"where": "id = 8"}',
    "None",
    "NaN",
    '{"limit": NaN}',
    '{"limit": Infinity}',
    '"{}"',
    "7",
    "[" * 100_000,
    *LIMITED_DIGITS,
]
ran: list[Any] = []


@tool
def delete_rows(where: str | None = None, limit: float | None = None) -> str:
    """Delete rows; all of them unless told otherwise."""
    ran.append((where, limit))
    return "Deleted."


asked_first = FunctionTool(name="delete_rows", func=delete_rows.func, approval_mode="always_require")
by_schema = FunctionTool(
    name="delete_rows",
    func=lambda **given: ran.append(given),
    input_model={"type": "object", "properties": {"where": {}, "limit": {}}},
)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@pytest.fixture(params=[False, True], ids=["plain", "streaming"])
def ask(request: pytest.FixtureRequest) -> Any:
    async def ask(client: Any, *messages: Message, tools: Any) -> Any:
        given = [Message("user", ["Go!"]), *messages]
        if not request.param:
            return await client.get_response(given, options={"tools": tools})
        stream = client.get_response(given, stream=True, options={"tools": tools})
        async for _ in stream:
            pass
        return await stream.get_final_response()

    return ask


def call(arguments: Any, call_id: str = "call-1") -> Content:
    return Content.from_function_call(call_id, "delete_rows", arguments=arguments)


def results(response: Any) -> list[Content]:
    return [one for message in response.messages for one in message.contents if one.type == "function_result"]


def requests(response: Any) -> list[Content]:
    return [one for message in response.messages for one in message.contents if one.user_input_request]


@pytest.mark.parametrize("function", [delete_rows, by_schema], ids=["signature", "schema"])
@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:24])
async def test_nothing_runs_and_the_model_reads_why(scripted: Any, ask: Any, function: Any, text: str) -> None:
    response = await ask(scripted([[call(text)], "Sorry."]), tools=[function])
    (result,) = results(response)
    assert ran == []
    assert result.result.startswith("Error: Argument parsing failed. The arguments of 'delete_rows' are no JSON object")
    assert result.exception in result.result


async def test_the_place_is_told_by_line_and_character(scripted: Any, ask: Any) -> None:
    response = await ask(scripted([[call('{"where": "a",\n "limit" 7}')], "Sorry."]), tools=[delete_rows])
    assert "Expecting ':' delimiter: line 2 column 10 (char 24)" in results(response)[0].result


@pytest.mark.parametrize("given", [[["where", "a"]], 7, b'{"where": "a"}'], ids=repr)
async def test_arguments_that_a_client_left_as_something_else_run_nothing(scripted: Any, given: Any) -> None:
    client = scripted([[call(given)], "Sorry."])
    response = await client.get_response([Message("user", ["Go!"])], options={"tools": [delete_rows]})
    assert ran == []
    assert "no JSON object" in results(response)[0].result


@pytest.mark.parametrize("given", ["", " ", "null", "{}", None, {}], ids=repr)
async def test_no_arguments_are_none(scripted: Any, ask: Any, given: Any) -> None:
    response = await ask(scripted([[call(given)], "Done."]), tools=[delete_rows])
    assert ran == [(None, None)]
    assert results(response)[0].result == "Deleted."


async def test_one_broken_call_costs_no_other(scripted: Any, ask: Any) -> None:
    batch = [call('{"where": "a', "a"), call('{"where": "b"}', "b")]
    response = await ask(scripted([batch, "Done."]), tools=[delete_rows])
    assert ran == [("b", None)]
    assert [one.call_id for one in results(response)] == ["a", "b"]


# With approval ...


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:24])
async def test_nobody_is_asked_about_a_call_that_cannot_run(scripted: Any, ask: Any, text: str) -> None:
    response = await ask(scripted([[call(text)], "Sorry."]), tools=[asked_first])
    assert (ran, requests(response), response.messages[-1].text) == ([], [], "Sorry.")
    assert "no JSON object" in results(response)[0].result


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:24])
async def test_an_approval_that_was_asked_for_elsewhere_runs_nothing_either(scripted: Any, ask: Any, text: str) -> None:
    client = scripted(["Sorry."])
    request = Content.from_function_approval_request("call-1", call(text))
    answer = Message("user", [request.to_function_approval_response(True)])
    await ask(client, Message("assistant", [request]), answer, tools=[asked_first])
    assert ran == []
    assert "no JSON object" in client.requests[0][-1].contents[0].result


@pytest.mark.parametrize("approved", BROKEN, ids=lambda text: text[:24])
async def test_an_approval_of_something_unreadable_does_not_run_the_call_that_was_asked_about(
    scripted: Any, ask: Any, approved: str
) -> None:
    client = scripted([[call('{"where": "a"}')], "Well."])
    first = await ask(client, tools=[asked_first])
    forged = Content.from_function_approval_response(True, "call-1", call(approved))
    await ask(client, *first.messages, Message("user", [forged]), tools=[asked_first])
    assert ran == []
    assert "does not match" in client.requests[1][-1].contents[0].result


@pytest.mark.parametrize(
    "approved", ['{"limit": 1, "where": "a"}', {"where": "a", "limit": 1}], ids=["text", "mapping"]
)
async def test_an_approval_may_write_the_same_arguments_in_another_way(scripted: Any, ask: Any, approved: Any) -> None:
    client = scripted([[call('{"where": "a", "limit": 1}')], "Well."])
    first = await ask(client, tools=[asked_first])
    answer = Content.from_function_approval_response(True, "call-1", call(approved))
    await ask(client, *first.messages, Message("user", [answer]), tools=[asked_first])
    assert ran == [("a", 1)]


# Beside the loop ...


@pytest.mark.parametrize("text", [*BROKEN[:4], '{"where": "id = 7"}'], ids=lambda text: text[:24])
async def test_a_program_that_parses_leniently_runs_nothing(text: str) -> None:
    parsed = {"raw": text} if text.startswith('{"where": "id = 7"}') else call(text).parse_arguments()
    with pytest.raises(ToolException, match="no JSON object; nothing was run"):
        await delete_rows.invoke(arguments=parsed)
    assert ran == []


@pytest.mark.parametrize("given", ["", "{}", '{"where": "a"}', [], [["where", "a"]]], ids=repr)
async def test_a_tool_is_invoked_with_a_mapping_and_nothing_else(given: Any) -> None:
    with pytest.raises(TypeError, match="must be a mapping"):
        await delete_rows.invoke(arguments=given)
    assert ran == []


async def test_a_parameter_called_raw_is_one_like_any_other() -> None:
    @tool
    def keep(raw: str) -> str:
        """Keep a text."""
        return raw

    assert (await keep.invoke(arguments={"raw": "{"}))[0].text == "{"


async def test_an_agent_that_is_a_tool_is_not_run(scripted: Any) -> None:
    inner = scripted(["I ran."])
    broken = Content.from_function_call("call-1", "Inner", arguments='{"task": "delete')
    outer = Agent(scripted([[broken], "Sorry."]), tools=[Agent(inner, name="Inner").as_tool()])
    response = await outer.run("Go!")
    assert inner.requests == []
    assert "no JSON object" in results(response)[0].result


@pytest.mark.parametrize("arguments", [["delete"], "delete", '{"task": "delete"}', 7], ids=repr)
async def test_an_agent_that_is_an_mcp_server_is_not_run(arguments: Any) -> None:
    peer = await asyncio.create_subprocess_exec(
        sys.executable, str(AGENT_PEER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    info = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    messages = [
        {"id": 1, "method": "initialize", "params": info},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "Echo_Agent", "arguments": arguments}},
    ]
    assert peer.stdin is not None
    assert peer.stdout is not None
    peer.stdin.writelines(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in messages)
    answer: dict[str, Any] = {}
    while answer.get("id") != 2:
        answer = json.loads(await asyncio.wait_for(peer.stdout.readline(), 4 * BOUND))
    peer.stdin.close()
    await asyncio.wait_for(peer.wait(), BOUND)
    assert "You said" not in json.dumps(answer)
    assert "error" in answer


async def test_an_argument_called_self_is_sent(scripted: Any) -> None:
    declared = {"type": "object", "properties": {"self": {}, "tool_name": {}, "arguments": {}}}
    given = {"self": 1, "tool_name": 2, "arguments": 3}
    model = scripted([[Content.from_function_call("call-1", "echo", arguments=json.dumps(given))], "Done."])
    with HttpServer(McpScript(tools=[{"name": "echo", "inputSchema": declared}])) as server:
        async with Agent(model, tools=[MCPStreamableHTTPTool("script", server.url)]) as agent:
            response = await agent.run("Go!")
    assert json.loads(results(response)[0].result) == given
