# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Lists of tools: which tools count as one, which names clash, and that long lists cost no more for each tool."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fault_servers import HttpServer, McpScript

from agent_framework import Agent, FunctionTool, MCPStreamableHTTPTool, Message, merge_chat_options, observability

SCHEMA = {"type": "object", "properties": {}}
NUMBER = 50
"""Of tools in the shortest list; the longest has four times as many."""


class Tool(FunctionTool):
    """One that can be seen being compared: its methods are Python's, not C's."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Declaration(dict[str, Any]):
    """The same for a declaration."""

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]


class Name(str):
    """The same for a name."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def functions(count: int) -> list[Any]:
    return [Tool(name=f"function_{index}", func=lambda: "done", input_model=SCHEMA) for index in range(count)]


def declared(name: str, **more: Any) -> Declaration:
    return Declaration(type="function", function={"name": name, "parameters": SCHEMA}, **more)


def declarations(count: int) -> list[Any]:
    return [declared(f"declared_{index}") for index in range(count)]


def both(count: int) -> list[Any]:
    return [*functions(count // 2), *declarations(count // 2)]


def offered(client: Any) -> list[Any]:
    return list(client.options[-1]["tools"])


def names(client: Any) -> list[str]:
    return [one.name for one in offered(client)]


# Which tools are one ...


async def test_equal_declarations_are_one_tool_and_different_ones_of_one_name_clash(scripted: Any) -> None:
    client = scripted(["Hi."])
    first, equal = declared("search"), declared("search")
    await Agent(client, tools=[first]).run("?", tools=[equal])
    (only,) = offered(client)
    assert only is first
    with pytest.raises(ValueError, match="Duplicate tool name 'search'"):
        await Agent(client, tools=[first]).run("?", tools=[declared("search", strict=True)])


async def test_a_function_given_twice_is_one_tool_and_so_is_a_method(scripted: Any) -> None:
    class Desk:
        def ask(self) -> str:
            return "asked"

    def look() -> str:
        return "seen"

    client, desk = scripted(["Hi.", "Hi."]), Desk()
    await Agent(client, tools=[look, desk.ask]).run("?", tools=[desk.ask, look, look])
    assert names(client) == ["look", "ask"]
    with pytest.raises(ValueError, match="Duplicate tool name 'ask'"):
        await Agent(client, tools=[desk.ask]).run("?", tools=[Desk().ask])


async def test_tools_keep_the_order_in_which_they_are_given(scripted: Any) -> None:
    client = scripted(["Hi."])
    one, two, three, four = functions(4)
    nameless = {"type": "web_search"}
    await Agent(client, tools=[three, one]).run("?", tools=[four, nameless, one], options={"tools": [two, three]})
    assert offered(client) == [three, one, four, nameless, two]


async def test_functions_of_a_server_stand_where_the_server_stood(scripted: Any) -> None:
    client = scripted(["Hi."])
    before, after = functions(2)
    listed = [{"name": name, "inputSchema": SCHEMA} for name in ("b", "a")]
    with HttpServer(McpScript(tools=listed)) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as remote:
            await Agent(client).run("?", tools=[before, remote, after, remote])
    assert names(client) == ["function_0", "b", "a", "function_1"]


async def test_a_function_that_is_called_like_a_declaration_or_a_server_s_clashes(scripted: Any) -> None:
    echo = FunctionTool(name="echo", func=lambda: None)
    with pytest.raises(ValueError, match="Duplicate tool name 'echo'"):
        await scripted([]).get_response([Message("user", ["?"])], options={"tools": [echo, declared("echo")]})
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as remote:
            with pytest.raises(ValueError, match=r"Duplicate tool name 'echo'.*`tool_name_prefix`"):
                await Agent(scripted([]), tools=[echo, remote]).run("?")


async def test_names_that_clash_are_found_before_the_model_is_asked(scripted: Any) -> None:
    client, other = scripted(["Hi."]), FunctionTool(name="function_0", func=lambda: None)
    with pytest.raises(ValueError, match="Duplicate tool name 'function_0'"):
        await client.get_response([Message("user", ["?"])], options={"tools": [*functions(1), other]})
    assert client.requests == []


def test_merging_options_keeps_of_equal_declarations_the_first_and_of_functions_every_object() -> None:
    search, web = declared("search"), {"type": "web_search"}
    one, namesake = (FunctionTool(name="one", func=lambda: None) for _ in range(2))
    base = {"tools": [search, web, one]}
    override = {"tools": [{"type": "web_search"}, one, declared("search"), declared("search", strict=True), namesake]}
    merged = merge_chat_options(base, override)["tools"]
    assert merged == [search, web, one, declared("search", strict=True), namesake]
    assert merged[0] is search
    assert merged[1] is web


# What a list costs ...


async def work(action: Callable[[], Awaitable[Any]]) -> int:
    """How many functions are called, and generators resumed, in this thread while something is awaited."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        await action()
    finally:
        sys.setprofile(None)
    return count


async def assert_linear(measure: Callable[[int], Awaitable[int]]) -> None:
    """Twice as many more tools are twice as much more work; where each is compared with each, four times as much."""
    await measure(2)  # fills what is kept for good
    few, some, many = [await measure(count) for count in (NUMBER, 2 * NUMBER, 4 * NUMBER)]
    assert many - some <= 2.2 * (some - few) + NUMBER, (few, some, many)


async def work_of_run(scripted: Any, call: Any, of_agent: list[Any], **of_run: Any) -> int:
    """The work of a run with a call, by an agent that has run before."""
    client = scripted([*([[call("function_0")], "Done."] * 2)])
    agent = Agent(client, tools=of_agent)
    await agent.run("?", **of_run)
    counted = await work(lambda: agent.run("?", **of_run))
    assert len(client.requests) == 4
    return counted


@pytest.mark.parametrize("make", [functions, declarations, both])
@pytest.mark.parametrize("place", ["agent", "run", "options", "everywhere"])
async def test_a_run_takes_a_time_proportional_to_its_tools(
    scripted: Any, function_call: Any, place: str, make: Callable[[int], list[Any]]
) -> None:
    async def measure(count: int) -> int:
        tools = [*make(count), FunctionTool(name="last", func=lambda: None)]
        of_agent = tools if place in {"agent", "everywhere"} else []
        of_run = {"tools": tools} if place in {"run", "everywhere"} else {}
        options = {"tools": tools} if place in {"options", "everywhere"} else {}
        return await work_of_run(scripted, function_call, of_agent, **of_run, options=options)

    await assert_linear(measure)


async def test_so_does_a_run_that_is_recorded(
    scripted: Any, function_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enabled = observability.ObservabilitySettings(enable_instrumentation=True)
    monkeypatch.setattr(observability, "OBSERVABILITY_SETTINGS", enabled)

    async def measure(count: int) -> int:
        tools = both(count)
        return await work_of_run(scripted, function_call, tools, tools=tools, options={"tools": tools})

    await assert_linear(measure)


async def test_so_does_a_model_call_with_tools(scripted: Any) -> None:
    async def measure(count: int) -> int:
        client, tools = scripted(["Hi.", "Hi."]), both(count)
        messages = [Message("user", ["?"])]
        await client.get_response(messages, options={"tools": tools})
        return await work(lambda: client.get_response(messages, options={"tools": tools}))

    await assert_linear(measure)


@pytest.mark.parametrize("filtered", [False, True], ids=["all", "allowed by name"])
async def test_so_does_a_run_with_the_functions_of_a_server_beside_others(
    scripted: Any, function_call: Any, filtered: bool
) -> None:
    async def measure(count: int) -> int:
        listed = [{"name": f"remote_{index}", "inputSchema": SCHEMA} for index in range(count)]
        allowed = [Name(tool["name"]) for tool in listed] if filtered else None
        with HttpServer(McpScript(tools=listed)) as server:
            async with MCPStreamableHTTPTool("docs", server.url, allowed_tools=allowed) as remote:
                assert len(remote.functions) == count
                return await work_of_run(scripted, function_call, [*functions(count), remote])

    await assert_linear(measure)


@pytest.mark.parametrize("make", [functions, declarations, both])
async def test_so_does_the_merging_of_options(make: Callable[[int], list[Any]]) -> None:
    async def measure(count: int) -> int:
        base, override = {"tools": make(count)}, {"tools": make(count)}

        async def merge() -> None:
            merge_chat_options(base, override)

        return await work(merge)

    await assert_linear(measure)


async def test_so_does_making_an_agent(scripted: Any) -> None:
    async def measure(count: int) -> int:
        client, tools = scripted([]), both(count)

        async def make() -> None:
            Agent(client, tools=tools, default_options={"tools": tools})

        return await work(make)

    await assert_linear(measure)
