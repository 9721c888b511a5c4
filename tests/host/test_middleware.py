# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

from typing import Any

import pytest

from agent_framework import (
    Agent,
    AgentContext,
    AgentMiddleware,
    AgentResponse,
    ChatContext,
    ChatMiddleware,
    ChatResponse,
    FunctionInvocationContext,
    FunctionMiddleware,
    Message,
    MiddlewareException,
    MiddlewareTermination,
    agent_middleware,
    chat_middleware,
    function_middleware,
    tool,
)
from agent_framework._middleware import FunctionMiddlewarePipeline, categorize_middleware


@tool
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


class Logging:
    """Middleware of one kind that writes down when it was entered and left."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    async def process(self, context: Any, call_next: Any) -> None:
        self.log.append(f"{self.name} in")
        await call_next()
        self.log.append(f"{self.name} out")


class LogsAgent(Logging, AgentMiddleware):
    pass


class LogsChat(Logging, ChatMiddleware):
    pass


class LogsFunction(Logging, FunctionMiddleware):
    pass


@pytest.fixture(params=[False, True], ids=["plain", "streaming"])
def run(request: pytest.FixtureRequest) -> Any:
    async def run(agent: Agent, message: Any = "Question?", **kwargs: Any) -> Any:
        if not request.param:
            return await agent.run(message, **kwargs)
        return await agent.run(message, stream=True, **kwargs).get_final_response()

    return run


async def test_the_three_kinds_wrap_what_they_are_for_in_order(scripted: Any, function_call: Any) -> None:
    log: list[str] = []
    client = scripted([[function_call("double", x=2)], "Four."], middleware=[LogsChat(log, "client's chat")])
    agent = Agent(
        client,
        tools=[double],
        middleware=[
            LogsAgent(log, "agent's"),
            LogsChat(log, "chat"),
            LogsFunction(log, "function"),
            LogsChat(log, "inner chat"),
        ],
    )
    await agent.run("?", middleware=[LogsAgent(log, "run's")])
    chat = ["client's chat in", "chat in", "inner chat in", "inner chat out", "chat out", "client's chat out"]
    function = ["function in", "function out"]
    assert log == ["agent's in", "run's in", *chat, *function, *chat, "run's out", "agent's out"]


async def test_agent_middleware_may_change_what_goes_in(scripted: Any, run: Any) -> None:
    @agent_middleware
    async def polite(context: AgentContext, call_next: Any) -> None:
        context.messages[0] = Message("user", ["Please: question?"])
        await call_next()

    client = scripted(["Hi."])
    await run(Agent(client, middleware=[polite]))
    assert client.requests[0][0].text == "Please: question?"


async def test_middleware_that_does_not_go_on_decides_the_result(scripted: Any) -> None:
    @agent_middleware
    async def refuse(context: AgentContext, call_next: Any) -> None:
        context.result = AgentResponse(messages=[Message("assistant", ["No."])])

    client = scripted([])
    assert (await Agent(client, middleware=[refuse]).run("?")).text == "No."
    assert client.requests == []


async def test_a_stream_that_middleware_stops_is_empty(scripted: Any) -> None:
    @agent_middleware
    async def refuse(context: AgentContext, call_next: Any) -> None:
        raise MiddlewareTermination

    stream = Agent(scripted([]), middleware=[refuse]).run("?", stream=True)
    assert [update async for update in stream] == []
    assert (await stream.get_final_response()).text == ""


async def test_termination_brings_its_result(scripted: Any) -> None:
    @chat_middleware
    async def cached(context: ChatContext, call_next: Any) -> None:
        raise MiddlewareTermination(result=ChatResponse(messages=[Message("assistant", ["From the cache."])]))

    assert (await Agent(scripted([]), middleware=[cached]).run("?")).text == "From the cache."


async def test_a_result_may_be_replaced(scripted: Any) -> None:
    @chat_middleware
    async def shout(context: ChatContext, call_next: Any) -> None:
        await call_next()
        context.result = ChatResponse(messages=[Message("assistant", [context.result.text.upper()])])

    assert (await scripted(["hi"], middleware=[shout]).get_response([Message("user", ["?"])])).text == "HI"


async def test_hooks_of_a_context_see_the_stream(scripted: Any) -> None:
    seen: list[Any] = []

    @agent_middleware
    async def watch(context: AgentContext, call_next: Any) -> None:
        context.stream_transform_hooks.append(lambda update: seen.append(update.text))
        context.stream_result_hooks.append(lambda response: seen.append(response.text))
        context.stream_cleanup_hooks.append(lambda: seen.append("end"))
        await call_next()

    await Agent(scripted(["a b"]), middleware=[watch]).run("?", stream=True).get_final_response()
    assert [one for one in seen if one] == ["a", " b", "end", "a b"]


async def test_a_plain_result_for_a_stream_is_refused(scripted: Any) -> None:
    @chat_middleware
    async def wrong(context: ChatContext, call_next: Any) -> None:
        context.result = ChatResponse(messages=[])

    with pytest.raises(MiddlewareException, match="ResponseStream"):
        await Agent(scripted([]), middleware=[wrong]).run("?", stream=True).get_final_response()


async def test_an_error_of_middleware_comes_out(scripted: Any, run: Any) -> None:
    @agent_middleware
    async def fail(context: AgentContext, call_next: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await run(Agent(scripted([]), middleware=[fail]))


# Which is which...


def test_an_annotation_tells_what_a_function_wraps() -> None:
    async def one(context: AgentContext, call_next: Any) -> None: ...
    async def two(context: FunctionInvocationContext, call_next: Any) -> None: ...
    async def three(context: ChatContext, call_next: Any) -> None: ...

    assert categorize_middleware([three, two], one) == {"agent": [one], "function": [two], "chat": [three]}


def test_what_says_nothing_or_contradicts_itself_is_refused() -> None:
    async def silent(context, call_next) -> None: ...  # type: ignore[no-untyped-def]
    async def short(context: AgentContext) -> None: ...

    @function_middleware
    async def torn(context: ChatContext, call_next: Any) -> None: ...  # type: ignore[arg-type]

    with pytest.raises(MiddlewareException, match="Cannot tell what middleware function silent wraps"):
        categorize_middleware(silent)
    with pytest.raises(MiddlewareException, match="two parameters"):
        categorize_middleware(short)  # type: ignore[arg-type]
    with pytest.raises(MiddlewareException, match="decorated as function middleware"):
        categorize_middleware(torn)
    with pytest.raises(MiddlewareException, match="not 'text'"):
        categorize_middleware(["text"])  # type: ignore[list-item]


async def test_a_pipeline_knows_of_what_it_was_made() -> None:
    one, other = LogsFunction([], "one"), LogsFunction([], "other")
    pipeline = FunctionMiddlewarePipeline(one, other)
    assert pipeline.has_middlewares
    assert pipeline.matches([one, other])
    assert not pipeline.matches([other, one])
    assert not FunctionMiddlewarePipeline().has_middlewares
