# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
from mcp import types
from mcp.shared.memory import create_client_server_memory_streams
from pydantic import BaseModel
from sdk_names import make_server

from agent_framework import (
    Agent,
    AgentResponse,
    AgentResponseUpdate,
    FunctionInvocationContext,
    FunctionTool,
    Message,
    ResponseStream,
    SupportsAgentRun,
    tool,
)
from agent_framework._mcp import MCPTool
from agent_framework.exceptions import AgentInvalidResponseException, ChatClientException, ToolException


@tool
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


class InProcessTool(MCPTool):
    """An MCP tool whose server, the SDK's own, runs in this process on memory streams."""

    def __init__(self, name: str, *, tool_name: str | None = None, log: list[str] | None = None) -> None:
        super().__init__(name)
        self.log = [] if log is None else log
        self.closed = asyncio.Event()
        self.refuses = False
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.opening = asyncio.Event()
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.closing = asyncio.Event()
        self._tool_name = tool_name or f"ask_{name}"

    @asynccontextmanager
    async def get_mcp_client(self) -> AsyncIterator[Any]:
        self.opening.set()
        await self.may_open.wait()
        if self.refuses:
            raise ConnectionRefusedError(f"{self.name} is not there")
        asked = types.Tool(name=self._tool_name, inputSchema={"type": "object", "properties": {}})
        server = make_server(self.name, asked, f"{self.name} answers")
        async with create_client_server_memory_streams() as (ours, theirs), anyio.create_task_group() as tasks:
            tasks.start_soon(partial(server.run, *theirs, server.create_initialization_options()))
            self.log.append(f"open {self.name}")
            try:
                yield ours
            finally:
                self.closing.set()
                await self.may_close.wait()
                tasks.cancel_scope.cancel()
                self.log.append(f"close {self.name}")
                self.closed.set()


@pytest.fixture(params=[False, True], ids=["plain", "streaming"])
def run(request: pytest.FixtureRequest) -> Any:
    """Runs an agent, with and without streaming; the response has to be the same."""

    async def run(agent: Agent, message: Any = "Question?", **kwargs: Any) -> AgentResponse[Any]:
        if not request.param:
            return await agent.run(message, **kwargs)
        stream = agent.run(message, stream=True, **kwargs)
        async for _ in stream:
            pass
        return await stream.get_final_response()

    return run


# Runs...


async def test_a_run_answers(scripted: Any, run: Any) -> None:
    client = scripted(["Hello there."])
    agent = Agent(client, "Be brief.", name="Greeter", default_options={"temperature": 0.5})
    response = await run(agent, "Hello?", options={"instructions": "Be kind.", "temperature": 0.7})
    assert response.text == "Hello there."
    assert response.agent_id == agent.id
    assert response.messages[0].author_name == "Greeter"
    assert client.options[0]["instructions"] == "Be brief.\nBe kind."
    assert (client.options[0]["temperature"], client.options[0]["tool_choice"]) == (0.7, "auto")
    assert response.usage_details["total_token_count"] == 15


async def test_a_streaming_run_returns_its_stream_at_once_and_does_nothing_before_it_is_read(scripted: Any) -> None:
    client = scripted(["Hello there."])
    stream = Agent(client).run("Hello?", stream=True)
    assert isinstance(stream, ResponseStream)
    assert client.requests == []
    updates = [update async for update in stream]
    assert all(isinstance(update, AgentResponseUpdate) for update in updates)
    assert "".join(update.text for update in updates) == "Hello there."


async def test_a_run_that_is_never_read_says_nothing(scripted: Any) -> None:
    Agent(scripted([]), context_providers=[]).run("Hello?", stream=True)
    gc.collect()


async def test_tools_of_the_agent_and_of_the_run_are_united(scripted: Any, function_call: Any, run: Any) -> None:
    def triple(x: int) -> int:
        return 3 * x

    calls = [function_call("double", "a", x=2), function_call("triple", "b", x=2)]
    client = scripted([calls, "Four and six."])
    response = await run(Agent(client, tools=[double]), tools=[triple, double])
    assert [content.result for content in response.messages[1].contents] == ["4", "6"]
    assert [one.name for one in client.options[0]["tools"]] == ["double", "triple"]


async def test_two_tools_of_one_name_are_refused(scripted: Any, run: Any) -> None:
    other = FunctionTool(name="double", func=lambda: None)
    with pytest.raises(ValueError, match=r"Duplicate tool name 'double'\. Tool names must be unique\."):
        await run(Agent(scripted([]), tools=[double]), tools=other)


def test_an_agent_shows_what_it_was_made_of(scripted: Any) -> None:
    client = scripted([])
    agent = Agent(
        client,
        "Be brief.",
        id="a-1",
        name="Greeter",
        description="Greets.",
        tools=double,
        default_options={"temperature": 0.5, "seed": None, "instructions": "Be kind."},
        additional_properties={"team": "x"},
    )
    assert isinstance(agent, SupportsAgentRun)
    assert (agent.client, agent.id, agent.name, agent.description) == (client, "a-1", "Greeter", "Greets.")
    assert agent.default_options == {
        "tool_choice": "auto",
        "model": "scripted-1",
        "temperature": 0.5,
        "instructions": "Be brief.\nBe kind.",
        "tools": [double],
    }
    assert (agent.mcp_tools, agent.context_providers, agent.agent_middleware) == ([], [], [])
    assert agent.additional_properties == {"team": "x"}
    assert Agent(client).id != Agent(client).id


def test_an_agent_makes_sessions(scripted: Any) -> None:
    agent = Agent(scripted([]))
    assert agent.create_session(session_id="s-1").session_id == "s-1"
    assert agent.create_session().session_id != agent.create_session().session_id
    kept = agent.get_session("service-1", session_id="s-2")
    assert (kept.service_session_id, kept.session_id) == ("service-1", "s-2")


async def test_an_agent_without_a_name_signs_as_such(scripted: Any, run: Any) -> None:
    response = await run(Agent(scripted(["Hi."])))
    assert [message.author_name for message in response.messages] == ["UnnamedAgent"]


async def test_values_for_the_client_reach_it(scripted: Any, run: Any) -> None:
    client = scripted(["Hi."])
    await run(Agent(client), client_kwargs={"trace": "t"})
    assert client.kwargs == [{"trace": "t"}]


async def test_a_model_of_the_run_wins_over_that_of_the_client(scripted: Any, run: Any) -> None:
    client = scripted(["Hi."])
    await run(Agent(client, default_options={"model": "default-1"}), options={"model": "run-1", "seed": None})
    assert client.options[0]["model"] == "run-1"
    assert "seed" not in client.options[0]


async def test_no_response_of_the_client_is_an_error(scripted: Any) -> None:
    class Silent(scripted):  # type: ignore[misc]
        async def _response(self, response_format: Any) -> Any:
            return None

    client = Silent([], function_invocation_configuration={"enabled": False})
    with pytest.raises(AgentInvalidResponseException):
        await Agent(client).run("Hello?")


class Answer(BaseModel):
    number: int


async def test_a_structured_answer_is_parsed(scripted: Any, run: Any) -> None:
    response = await run(Agent(scripted(['{"number": 4}'])), options={"response_format": Answer})
    assert response.value == Answer(number=4)


async def test_a_declared_call_is_a_request_to_the_caller(scripted: Any, function_call: Any, run: Any) -> None:
    declared = FunctionTool(name="declared", input_model={"type": "object", "properties": {}})
    response = await run(Agent(scripted([[function_call("declared", x=1)]]), tools=[declared]))
    assert [request.parse_arguments() for request in response.user_input_requests] == [{"x": 1}]
    assert [len(message.contents) for message in response.messages] == [1]


async def test_approval_works_over_a_session(scripted: Any, function_call: Any, run: Any) -> None:
    deleted: list[str] = []

    @tool(approval_mode="always_require")
    def delete(what: str) -> str:
        deleted.append(what)
        return "gone"

    client = scripted([[function_call("delete", what="a")], "Deleted.", "You are welcome."])
    agent = Agent(client, tools=[delete])
    session = agent.create_session()
    response = await run(agent, "Delete a!", session=session)
    reply = Message("user", [response.user_input_requests[0].to_function_approval_response(True)])
    assert (await run(agent, reply, session=session)).text == "Deleted."
    await run(agent, "Thanks.", session=session)
    assert deleted == ["a"]
    assert [message.role for message in client.requests[2]] == ["user", "assistant", "tool", "assistant", "user"]
    sent = [content.type for message in client.requests[2] for content in message.contents]
    assert sent == ["text", "function_call", "function_result", "text", "text"]


async def test_an_agent_is_a_tool_of_another(scripted: Any, function_call: Any, run: Any) -> None:
    seen: list[str] = []
    inner = Agent(scripted(["Paris."]), name="Geo Expert", description="Knows places.")
    made = inner.as_tool(stream_callback=lambda update: seen.append(update.text))
    assert (made.name, made.description) == ("Geo_Expert", "Knows places.")
    outer = Agent(scripted([[function_call("Geo_Expert", task="Capital of France?")], "It is Paris."]), tools=[made])
    response = await run(outer)
    assert response.messages[1].contents[0].result == "Paris."
    assert "".join(seen) == "Paris."


async def test_an_agent_as_a_tool_passes_on_what_it_was_called_with(scripted: Any, function_call: Any) -> None:
    seen: list[Any] = []

    @tool
    def show(ctx: FunctionInvocationContext) -> str:
        seen.append((ctx.kwargs.get("user"), ctx.session))
        return "shown"

    inner = Agent(scripted([[function_call("show")], "Seen."] * 2), name="Inner", tools=[show])
    made = [
        inner.as_tool(name="apart", arg_name="question", arg_description="What to ask."),
        inner.as_tool(name="together", propagate_session=True),
    ]
    assert made[0].parameters() == {
        "type": "object",
        "properties": {"question": {"type": "string", "description": "What to ask."}},
        "required": ["question"],
        "additionalProperties": False,
    }
    calls = [[function_call("apart", "a", question="?")], [function_call("together", "b", task="?")], "Done."]
    outer = Agent(scripted(calls), tools=made)
    session = outer.create_session()
    response = await outer.run("?", session=session, function_invocation_kwargs={"user": "u-1"})
    assert [message.contents[0].result for message in response.messages if message.role == "tool"] == ["Seen.", "Seen."]
    assert seen == [("u-1", None), ("u-1", session)]


async def test_what_an_inner_agent_asks_the_user_is_asked_by_the_outer_one(scripted: Any, function_call: Any) -> None:
    @tool(approval_mode="always_require")
    def delete(what: str) -> str:
        return what

    inner = Agent(scripted([[function_call("delete", what="a")]]), name="Inner", tools=[delete])
    outer = Agent(scripted([[function_call("Inner", "outer-1", task="Delete a!")]]), tools=[inner.as_tool()])
    (request,) = (await outer.run("?")).user_input_requests
    assert (request.type, request.call_id) == ("function_approval_request", "outer-1")
    assert request.function_call.name == "delete"


async def test_a_tool_made_of_an_agent_may_need_approval(scripted: Any, function_call: Any) -> None:
    made = Agent(scripted([]), name="Inner").as_tool(approval_mode="always_require")
    response = await Agent(scripted([[function_call("Inner", task="?")]]), tools=[made]).run("?")
    assert [request.type for request in response.user_input_requests] == ["function_approval_request"]


def test_an_agent_without_a_name_needs_one_as_a_tool(scripted: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        Agent(scripted([])).as_tool()


# MCP tools...


async def test_mcp_tools_are_kept_apart_and_nothing_is_connected(scripted: Any) -> None:
    server = InProcessTool("s")
    agent = Agent(scripted([]), tools=[double, server])
    assert (agent.mcp_tools, agent.default_options["tools"]) == ([server], [double])
    assert server.log == []


async def test_an_mcp_tool_is_called(scripted: Any, function_call: Any, run: Any) -> None:
    server = InProcessTool("s")
    client = scripted([[function_call("ask_s")], "Done."])
    async with Agent(client, tools=[server]) as agent:
        response = await run(agent, tools=[double])
    assert response.messages[1].contents[0].result == "s answers"
    assert [one.name for one in client.options[0]["tools"]] == ["double", "ask_s"]


async def test_an_agent_opens_its_mcp_tools_in_order_and_closes_them_in_reverse(scripted: Any) -> None:
    log: list[str] = []
    async with Agent(scripted([]), tools=[InProcessTool("a", log=log), InProcessTool("b", log=log)]):
        assert log == ["open a", "open b"]
    assert log == ["open a", "open b", "close b", "close a"]


async def test_an_agent_does_not_close_what_it_did_not_open(scripted: Any, run: Any) -> None:
    async with InProcessTool("s") as server:
        async with Agent(scripted(["Hi."]), tools=[server]) as agent:
            await run(agent)
        assert server.is_connected
        await run(Agent(scripted(["Hi."])), tools=server)
        assert server.is_connected
    assert server.log == ["open s", "close s"]


async def test_when_one_of_several_cannot_be_opened_none_stays_open(scripted: Any) -> None:
    good, bad = InProcessTool("good"), InProcessTool("bad")
    bad.refuses = True
    agent = Agent(scripted([]), tools=[good, bad])
    with pytest.raises(ToolException, match="bad"):
        async with agent:
            pytest.fail("the agent was entered")
    assert good.log == ["open good", "close good"]
    bad.refuses = False
    async with agent:
        assert good.is_connected
        assert bad.is_connected


async def test_a_tool_that_cannot_be_opened_fails_the_run_before_the_model_is_asked(scripted: Any, run: Any) -> None:
    client, server = scripted(["Hi."]), InProcessTool("s")
    server.refuses = True
    with pytest.raises(ToolException, match="'s'"):
        await run(Agent(client), tools=server)
    assert client.requests == []


async def test_a_run_closes_the_tools_it_opened(scripted: Any, function_call: Any, run: Any) -> None:
    server = InProcessTool("s")
    agent = Agent(scripted([[function_call("ask_s")], "Done.", ConnectionError("model gone")]))
    await run(agent, tools=server)
    assert server.log == ["open s", "close s"]
    with pytest.raises(ChatClientException):
        await run(agent, tools=server)
    assert server.log == ["open s", "close s"] * 2


async def test_what_a_run_opens_inside_async_with_stays_open_until_its_end(scripted: Any, run: Any) -> None:
    server = InProcessTool("s")
    async with Agent(scripted(["Hi.", "Ho."])) as agent:
        await run(agent, tools=server)
        await run(agent, tools=server)
        assert server.log == ["open s"]
    assert server.log == ["open s", "close s"]


async def test_a_tool_that_was_lost_is_opened_again_and_closed_once(scripted: Any, run: Any) -> None:
    server = InProcessTool("s")
    async with Agent(scripted(["Hi.", "Ho."]), tools=server) as agent:
        await server.close()
        await run(agent)
        assert server.is_connected
    assert server.log == ["open s", "close s"] * 2


async def test_a_stream_that_is_left_closes_the_tools_it_opened(scripted: Any) -> None:
    server = InProcessTool("s")
    stream = Agent(scripted(["Hello there, how are you?"])).run("Hi", stream=True, tools=server)
    async for _ in stream:
        break
    assert server.is_connected
    del stream
    gc.collect()
    await asyncio.wait_for(server.closed.wait(), 5)


async def test_two_first_runs_at_once_open_a_tool_once_and_do_not_close_it_under_each_other(
    scripted: Any, function_call: Any, run: Any
) -> None:
    first_may_end, second_done = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> str:
        await asyncio.wait_for(first_may_end.wait(), 5)
        return "waited"

    server = InProcessTool("s")
    server.may_open.clear()
    slow = Agent(scripted([[function_call("wait")], [function_call("ask_s", "c")], "Slow."]), tools=[wait])
    quick = Agent(scripted(["Quick."]))

    async def run_quickly() -> None:
        await run(quick, tools=server)
        second_done.set()

    tasks = [asyncio.create_task(run(slow, tools=server)), asyncio.create_task(run_quickly())]
    await asyncio.wait_for(server.opening.wait(), 5)
    server.may_open.set()
    await asyncio.wait_for(second_done.wait(), 5)
    assert server.is_connected
    first_may_end.set()
    response, _ = await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert response.messages[3].contents[0].result == "s answers"
    assert server.log == ["open s", "close s"]


async def test_a_run_that_comes_while_a_tool_is_being_closed_opens_it_anew(
    scripted: Any, function_call: Any, run: Any
) -> None:
    server = InProcessTool("s")
    server.may_close.clear()
    first = asyncio.create_task(run(Agent(scripted(["Hi."])), tools=server))
    await asyncio.wait_for(server.closing.wait(), 5)
    second = asyncio.create_task(run(Agent(scripted([[function_call("ask_s")], "Ho."])), tools=server))
    await asyncio.sleep(0)  # one turn, so that the second run meets the tool half closed
    server.may_close.set()
    _, response = await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert response.messages[1].contents[0].result == "s answers"
    assert server.log == ["open s", "close s"] * 2


async def test_a_cancelled_run_closes_the_tools_it_opened(scripted: Any, function_call: Any, run: Any) -> None:
    started = asyncio.Event()

    @tool
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    server = InProcessTool("s")
    task = asyncio.create_task(run(Agent(scripted([[function_call("wait")]]), tools=[wait]), tools=server))
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.log == ["open s", "close s"]


async def test_a_run_cancelled_while_it_opens_a_tool_leaves_nothing(scripted: Any, run: Any) -> None:
    server = InProcessTool("s")
    server.may_open.clear()
    task = asyncio.create_task(run(Agent(scripted(["Hi."])), tools=server))
    await asyncio.wait_for(server.opening.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server.is_connected
    server.may_open.set()
    await run(Agent(scripted(["Hi."])), tools=server)
    assert server.log == ["open s", "close s"]


async def test_names_of_two_servers_that_clash_are_refused_with_advice(scripted: Any, run: Any) -> None:
    servers = [InProcessTool("a", tool_name="ask"), InProcessTool("b", tool_name="ask")]
    with pytest.raises(ValueError, match=r"Duplicate tool name 'ask'.*`tool_name_prefix` on the MCPTool"):
        await run(Agent(scripted([])), tools=servers)
    assert [server.is_connected for server in servers] == [False, False]


async def test_the_client_is_entered_with_the_agent(scripted: Any) -> None:
    log: list[str] = []

    class Entered(scripted):  # type: ignore[misc]
        async def __aenter__(self) -> Any:
            log.append("enter")
            return self

        async def __aexit__(self, *exc_info: object) -> None:
            log.append("leave")

    async with Agent(Entered([]), tools=[InProcessTool("s", log=log)]):
        pass
    assert log == ["enter", "open s", "close s", "leave"]
