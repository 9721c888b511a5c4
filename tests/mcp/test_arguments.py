# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a model or a program gives to a call, and what of it a server receives, over every wire."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from arguments_server import OF_THE_FRAMEWORK, OURS, ArgumentsServer
from fault_servers import HttpServer
from test_conversation import Model, within
from test_websocket import WebsocketServer

from agent_framework import (
    Agent,
    FunctionInvocationContext,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    MCPWebsocketTool,
    Message,
)
from agent_framework._mcp import MCPTimeoutError, MCPTool
from agent_framework._mcp_client import _json_object
from agent_framework.exceptions import ToolExecutionException

HERE = Path(__file__).parent
WIRES = ["json", "events", "stdio", "websocket"]
BROKEN = {
    "cut off": '{"where": "id = 7", "lim',
    "cut off in a string": '{"where": "id = ',
    "cut off at the end": '{"where": "id = 7"',
    "a list": '[{"where": "id = 7"}]',
    "single quotes": "{'where': 'id = 7'}",
    "two objects": '{"where": "id = 7"}{"where": "id = 8"}',
    "Python's None": "None",
    "NaN": "NaN",
    "a number": "7",
    "an object in a string": '"{\\"where\\": \\"id = 7\\"}"',
    "prose": "where id = 7",
}


@dataclass
class Wire:
    """One way to the server.

    Attributes:
        tool: Makes a tool for it.
        said: All messages that the server has received, in order.
    """

    tool: Callable[..., MCPTool]
    said: Callable[[], list[dict[str, Any]]]

    def params(self, method: str) -> list[dict[str, Any]]:
        return [message["params"] for message in self.said() if message.get("method") == method]

    @property
    def arguments(self) -> list[dict[str, Any]]:
        """What each call of a tool brought."""
        return [params.get("arguments") or {} for params in self.params("tools/call")]

    @property
    def prompt_arguments(self) -> list[dict[str, Any]]:
        return [params.get("arguments") or {} for params in self.params("prompts/get")]


@contextlib.contextmanager
def opened(kind: str, folder: Path) -> Iterator[Wire]:
    if kind == "stdio":
        record = folder / "record"
        record.touch()
        args = [str(HERE / "arguments_server.py"), str(record)]
        yield Wire(
            lambda **options: MCPStdioTool("rows", sys.executable, args=args, **options),
            lambda: [json.loads(line) for line in record.read_text().splitlines()],
        )
    elif kind == "websocket":
        with WebsocketServer(handlers=ArgumentsServer().handlers) as socket:
            yield Wire(
                lambda **options: MCPWebsocketTool("rows", socket.url, **options),
                lambda: list(socket.messages),
            )
    else:
        with HttpServer(ArgumentsServer(events=kind == "events")) as server:
            yield Wire(
                lambda **options: MCPStreamableHTTPTool("rows", server.url, **options),
                lambda: [exchange.message for exchange in server.exchanges if exchange.message],
            )


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wire]:
    with opened(request.param, tmp_path) as one:
        yield one


@pytest.fixture
def one_wire(tmp_path: Path) -> Iterator[Wire]:
    """For what has nothing to do with the wire."""
    with opened("json", tmp_path) as one:
        yield one


def exceptions(response: Any) -> list[str]:
    contents = [content for message in response.messages for content in message.contents]
    return [content.exception for content in contents if content.type == "function_result"]


async def run(tool: MCPTool, *calls: tuple[str, Any], **values: Any) -> Any:
    """A run of an agent whose model makes these calls at once; `values` are the run's."""
    agent = Agent(client=Model(list(calls)), tools=[tool])
    return await within(agent.run("go", function_invocation_kwargs=values))


async def invoke(tool: MCPTool, name: str, arguments: dict[str, Any], /, **values: Any) -> Any:
    """Call a function as an agent's run does."""
    function = next(item for item in tool.functions if item.name == name)
    context = FunctionInvocationContext(function=function, arguments=arguments, kwargs=values)
    return await within(function.invoke(arguments=arguments, context=context))


# Broken arguments ...


async def test_broken_arguments_of_a_model_reach_no_tool_and_it_reads_where_they_break(wire: Wire) -> None:
    async with wire.tool() as tool:
        response = await run(tool, *(("delete_rows", text) for text in BROKEN.values()))
    assert wire.arguments == []
    assert ["JSON object" in text for text in exceptions(response)] == [True] * len(BROKEN)
    assert all("char" in text for text in exceptions(response)[:3])


async def test_broken_arguments_of_a_model_reach_no_prompt(wire: Wire) -> None:
    async with wire.tool() as tool:
        response = await run(tool, *(("greet", text) for text in BROKEN.values()))
    assert wire.prompt_arguments == []
    assert ["JSON object" in text for text in exceptions(response)] == [True] * len(BROKEN)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_broken_arguments_run_nothing_with_approval_either(one_wire: Wire, text: str) -> None:
    async with Agent(
        client=Model([("delete_rows", text)]), tools=[one_wire.tool(approval_mode="always_require")]
    ) as agent:
        session = agent.create_session()
        response = await within(agent.run("go", session=session))
        # This host asks nobody about what cannot run; upstream's ask.
        for request in response.user_input_requests:
            answer = Message("user", [request.to_function_approval_response(approved=True)])
            await within(agent.run(answer, session=session))
    assert one_wire.arguments == []


async def test_no_text_and_null_are_no_arguments(wire: Wire) -> None:
    async with wire.tool() as tool:
        await run(tool, ("delete_rows", ""), ("delete_rows", "null"), ("delete_rows", "{}"), ("greet", "null"))
    assert (wire.arguments, wire.prompt_arguments) == ([{}] * 3, [{}])


@pytest.mark.parametrize("raw", ['{"where": "id', '{"where": "id = 7"}', [1], 7])
@pytest.mark.parametrize("name", ["delete_rows", "greet"])
async def test_what_a_host_makes_of_broken_arguments_runs_nothing(one_wire: Wire, name: str, raw: Any) -> None:
    async with one_wire.tool() as tool:
        function = next(item for item in tool.functions if item.name == name)
        with pytest.raises(ToolExecutionException, match="no JSON object; nothing was run"):
            await within(function.func(_run_context=FunctionInvocationContext(function, {"raw": raw}), raw=raw))
    assert (one_wire.arguments, one_wire.prompt_arguments) == ([], [])


async def test_a_tool_that_takes_an_argument_called_raw_gets_it(one_wire: Wire) -> None:
    async with one_wire.tool(additional_tool_argument_names={"take_options": "raw"}) as tool:
        await run(tool, ("anything", {"raw": "{"}))
        await run(tool, ("take_options", {"raw": "{", "x": 1}))
    assert one_wire.arguments == [{"raw": "{"}, {"raw": "{", "x": 1}]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
async def test_a_number_that_json_does_not_have_is_not_sent_as_null(one_wire: Wire, number: float) -> None:
    async with one_wire.tool() as tool:
        for value in (number, [number], {"most": (1, number)}):
            with pytest.raises(ToolExecutionException, match="'limit' of Tool 'delete_rows'"):
                await within(tool.call_tool("delete_rows", limit=value))
        with pytest.raises(ToolExecutionException, match="'limit'"):
            await invoke(tool, "delete_rows", {"limit": number})
        looped: list[Any] = []
        looped.append(looped)
        with pytest.raises(ToolExecutionException, match="nested too deeply"):
            await within(tool.call_tool("delete_rows", limit=looped))
        await within(tool.call_tool("delete_rows", limit=1.5, unknown=number))
    assert one_wire.arguments == [{"limit": 1.5}]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ('{"where": "x"', "Expecting ',' delimiter: line 1 column 14 (char 13)"),
        ('{"where":\n "x', "Unterminated string starting at: line 2 column 2 (char 11)"),
        ('{"a": 1} {"b": 2}', "Extra data: line 1 column 10 (char 9)"),
        ("\n [1]", "Expecting an object, not an array: line 2 column 2 (char 2)"),
        ('"text"', "Expecting an object, not a string: line 1 column 1 (char 0)"),
        ("true", "Expecting an object, not a boolean: line 1 column 1 (char 0)"),
        ("1.5", "Expecting an object, not a number: line 1 column 1 (char 0)"),
        ("None", "Expecting value: line 1 column 1 (char 0)"),
        ("NaN", "JSON has no NaN: line 1 column 1 (char 0)"),
        ('{"NaN": "\\"NaN", "a": [-Infinity]}', "JSON has no -Infinity: line 1 column 24 (char 23)"),
        ("[" * 100_000, "It is nested too deeply"),
        ([1], "Expecting an object, not an array"),
        (b"{}", "Expecting an object, not a Python bytes"),
    ],
)
def test_the_reason_tells_what_is_there_and_where(given: Any, why: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(why)}$"):
        _json_object.read_arguments(given)


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="this Python reads any number of digits")
def test_more_digits_than_python_reads_are_no_argument() -> None:
    with pytest.raises(ValueError, match=r"^A number has too many digits$"):
        _json_object.read_arguments('{"x": ' + "1" * 5000 + "}")


@pytest.mark.parametrize("given", [None, "", " \n", "null", " null ", "{}", {}])
def test_nothing_is_an_empty_object(given: Any) -> None:
    assert _json_object.read_arguments(given) == {}


# Names that mean something on the way ...


async def test_what_a_tool_declares_is_sent_whatever_its_name(wire: Wire) -> None:
    arguments = {name: f"the model's {name}" for name in ("x", *OURS, *OF_THE_FRAMEWORK)}
    async with wire.tool() as tool:
        await run(tool, ("take", arguments))
    assert wire.arguments == [arguments]
    assert "_meta" not in wire.params("tools/call")[0]


async def test_what_a_prompt_declares_is_sent_whatever_its_name(wire: Wire) -> None:
    arguments = {name: f"the model's {name}" for name in ("prompt_name", *OURS, *OF_THE_FRAMEWORK)}
    async with wire.tool() as tool:
        await run(tool, ("fill", arguments), ("fill_few", {"prompt_name": "a", "arguments": {"prompt_name": "b"}}))
    assert wire.prompt_arguments == [arguments, {"prompt_name": "a"}]


async def test_what_a_tool_does_not_declare_is_dropped_and_means_nothing(wire: Wire) -> None:
    arguments = {name: {"where": f"the model's {name}"} for name in (*OURS, *OF_THE_FRAMEWORK)}
    async with wire.tool() as tool:
        await run(tool, ("delete_rows", {"limit": 1, **arguments}), ("greet", {"who": "you", **arguments}))
    assert (wire.arguments, wire.prompt_arguments) == ([{"limit": 1}], [{"who": "you"}])
    assert "_meta" not in wire.params("tools/call")[0]


async def test_a_tool_that_takes_anything_gets_all_that_the_model_gives(wire: Wire) -> None:
    arguments = {name: f"the model's {name}" for name in ("x", *OURS, *OF_THE_FRAMEWORK)}
    async with wire.tool() as tool:
        await run(tool, ("anything", arguments))
    assert wire.arguments == [arguments]


@pytest.mark.parametrize("name", ["hang", "hang_with_timeout"])
@pytest.mark.parametrize("lifted", [60, 0, None])
async def test_a_model_does_not_change_a_deadline(wire: Wire, name: str, lifted: Any) -> None:
    async with wire.tool() as tool:
        tool.request_timeout = 0.3  # only now: a child takes longer to start
        with pytest.raises(MCPTimeoutError, match=r"0\.3 s \(request_timeout\)"):
            await invoke(tool, name, {"_timeout": lifted})
    assert wire.arguments == [{"_timeout": lifted} if name == "hang_with_timeout" else {}]


async def test_the_deadline_and_the_meta_of_a_run_stand_beside_a_models_arguments(wire: Wire) -> None:
    theirs = {"_timeout": "soon", "_meta": {"mine": 1}}
    async with wire.tool(request_timeout=30) as tool:
        with pytest.raises(MCPTimeoutError, match=r"0\.3 s \(_timeout\)"):
            await invoke(tool, "hang_with_timeout", {"_timeout": 60}, _timeout=0.3)
        await invoke(tool, "take_options", {"x": 1, **theirs}, _timeout=30, _meta={"of.the/run": 1})
    assert wire.params("tools/call")[1]["_meta"] == {"of.the/run": 1}
    assert wire.arguments == [{"_timeout": 60}, {"x": 1, **theirs}]


@pytest.mark.parametrize("name", ["take", "anything"])
async def test_values_of_a_run_with_names_of_the_framework_are_never_sent_by_chance(wire: Wire, name: str) -> None:
    values = dict.fromkeys(OF_THE_FRAMEWORK, "the run's")
    async with wire.tool() as tool:
        await invoke(tool, name, {"x": 1}, **values)
        await invoke(tool, name, {"x": 1, "session": "the model's"}, **values)
    assert wire.arguments == [{"x": 1}, {"x": 1, "session": "the model's"}]


@pytest.mark.parametrize("name", ["delete_rows", "anything"])
async def test_values_of_a_run_are_no_arguments_for_being_called_so(one_wire: Wire, name: str) -> None:
    secret = {"limit": 100}
    async with one_wire.tool() as tool:
        await invoke(tool, name, {"where": "a"}, arguments=secret, tool_name="secret", prompt_name="secret")
        await invoke(tool, "greet", {"who": "a"}, arguments={"who": "secret"}, prompt_name="secret")
    assert (one_wire.arguments, one_wire.prompt_arguments) == ([{"where": "a"}], [{"who": "a"}])


async def test_a_subclass_sees_the_arguments_as_keywords_whatever_else_the_model_gives(one_wire: Wire) -> None:
    seen: list[Mapping[str, Any]] = []

    class Watched(MCPStreamableHTTPTool):
        async def call_tool(self, tool_name: str, **kwargs: Any) -> Any:
            seen.append(kwargs)
            return await super().call_tool(tool_name, **kwargs)

    async with Watched("rows", one_wire.tool().url) as tool:  # type: ignore[attr-defined]
        await run(tool, ("delete_rows", {"where": "a"}), user="ada")
        await run(tool, ("delete_rows", {"where": "a", "_timeout": 60, "tool_name": "b", "arguments": {"where": "c"}}))
    taken = {"_timeout": 60, "tool_name": "b", "arguments": {"where": "c"}}
    assert seen == [{"where": "a", "user": "ada"}, {"where": "a", "arguments": taken}]
    assert one_wire.arguments == [{"where": "a"}] * 2


async def test_what_a_model_gives_in_vain_is_named_on_one_line_of_the_log(
    one_wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    async with one_wire.tool() as tool:
        await run(tool, ("delete_rows", {"limit": 1, "_timeout": 60, "a\nroot: logged in": 1}))
    (message,) = [record.getMessage() for record in caplog.records if "does not declare" in record.getMessage()]
    assert r"'_timeout', 'a\nroot: logged in'" in message


# A program's calls ...


@pytest.mark.parametrize("as_task", [False, True], ids=["call", "task"])
async def test_a_program_gives_keywords_or_one_mapping_or_both(wire: Wire, as_task: bool) -> None:
    async with wire.tool() as tool:
        call = tool.call_tool_as_task if as_task else tool.call_tool
        await within(call("delete_rows", where="a", limit=1))
        await within(call("delete_rows", {"where": "a", "limit": 1}))
        await within(call("delete_rows", arguments={"where": "a", "limit": 1}))
        await within(call("delete_rows", {"where": "a"}, limit=1))
        await within(call("delete_rows", arguments={"where": "a"}, limit=1))
        await within(call("delete_rows", arguments=None, where="a", limit=1))
    assert wire.arguments == [{"where": "a", "limit": 1}] * 6


async def test_a_prompt_too_takes_keywords_or_one_mapping(wire: Wire) -> None:
    async with wire.tool() as tool:
        texts = [
            await within(tool.get_prompt("greet", who="you")),
            await within(tool.get_prompt("greet", {"who": "you"})),
            await within(tool.get_prompt("greet", arguments={"who": "you"})),
        ]
        assert texts == ['{"who": "you"}'] * 3
        await within(tool.get_prompt("fill", arguments="mine", ctx="c"))
        with pytest.raises(TypeError, match="Prompt 'greet' was given two values for 'who'"):
            await within(tool.get_prompt("greet", {"who": "you"}, who="me"))
    assert wire.prompt_arguments[3:] == [{"arguments": "mine", "ctx": "c"}]


async def test_a_tool_that_declares_arguments_gets_them_as_a_parameter(wire: Wire) -> None:
    async with wire.tool() as tool:
        await within(tool.call_tool("take", arguments={"a": 1}))
        await within(tool.call_tool("take", arguments=["-l"], x=1))
        await within(tool.call_tool("take", {"arguments": {"a": 1}, "x": 1}))
        await within(tool.call_tool("take", {"x": 1}, arguments={"a": 1}))
    both = {"arguments": {"a": 1}, "x": 1}
    assert wire.arguments == [{"arguments": {"a": 1}}, {"arguments": ["-l"], "x": 1}, both, both]


@pytest.mark.parametrize(
    ("positional", "keywords", "why"),
    [
        ([[1]], {}, "The arguments of Tool 'delete_rows' must be a mapping, not list"),
        (['{"where": "a"}'], {}, "must be a mapping, not str"),
        ([], {"arguments": [1]}, "must be a mapping, not list"),
        ([{1: 2}], {}, "must have strings as names, not 1"),
        ([{}, {}], {}, "takes one mapping of arguments, not 2"),
        ([{}], {"arguments": {}}, "takes one mapping of arguments, not 2"),
        ([{"where": "a"}], {"where": "b"}, "was given two values for 'where'"),
    ],
)
async def test_what_cannot_be_meant_is_a_type_error_and_sends_nothing(
    one_wire: Wire, positional: list[Any], keywords: dict[str, Any], why: str
) -> None:
    async with one_wire.tool() as tool:
        with pytest.raises(TypeError, match=why):
            await within(tool.call_tool("delete_rows", *positional, **keywords))
    assert one_wire.arguments == []


async def test_options_are_keywords_and_never_in_the_mapping(wire: Wire) -> None:
    theirs = {"_timeout": "soon", "_meta": {"mine": 1}}
    async with wire.tool() as tool:
        await within(tool.call_tool("take_options", theirs, _timeout=30, _meta={"a": 1}))
        await within(tool.call_tool("delete_rows", {"limit": 1, "_timeout": 0.001, "_meta": {"b": 1}}))
        with pytest.raises(MCPTimeoutError, match=r"0\.3 s \(_timeout\)"):
            await within(tool.call_tool("hang_with_timeout", {"_timeout": 60}, _timeout=0.3))
    first, second, third = wire.params("tools/call")
    assert (first["arguments"], first["_meta"]) == (theirs, {"a": 1})
    assert (second["arguments"], "_meta" in second) == ({"limit": 1}, False)
    assert third["arguments"] == {"_timeout": 60}


async def test_a_program_sends_names_of_the_framework_that_are_declared_or_in_its_mapping(wire: Wire) -> None:
    given = {name: f"the caller's {name}" for name in OF_THE_FRAMEWORK}
    async with wire.tool() as tool:
        await within(tool.call_tool("take", **given))
        await within(tool.call_tool("anything", **given, x=1))
        await within(tool.call_tool("anything", given))
        await within(tool.call_tool("take", {"self": 1, "tool_name": "a"}))
    assert wire.arguments == [given, {"x": 1}, given, {"self": 1, "tool_name": "a"}]


async def test_a_header_provider_is_given_the_arguments_of_a_mapping() -> None:
    asked: list[dict[str, Any]] = []

    def provide(values: dict[str, Any]) -> dict[str, str]:
        asked.append(values)
        return {}

    with HttpServer(ArgumentsServer()) as server:
        async with MCPStreamableHTTPTool("rows", server.url, header_provider=provide) as tool:
            await within(tool.call_tool("delete_rows", {"where": "a"}, limit=1, _timeout=30))
            await within(tool.get_prompt("greet", {"who": "you"}))
    assert {"where": "a", "limit": 1} in asked
    assert {"who": "you"} in asked
