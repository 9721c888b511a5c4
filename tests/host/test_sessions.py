# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from agent_framework import (
    Agent,
    AgentSession,
    ContextProvider,
    HistoryProvider,
    InMemoryHistoryProvider,
    Message,
    MiddlewareException,
    SessionContext,
    agent_middleware,
    chat_middleware,
    register_state_type,
    tool,
)
from agent_framework.exceptions import (
    AgentInvalidRequestException,
    ChatClientException,
    ChatClientInvalidResponseException,
)


@pytest.fixture(params=[False, True], ids=["plain", "streaming"])
def run(request: pytest.FixtureRequest) -> Any:
    async def run(agent: Agent, message: Any, **kwargs: Any) -> Any:
        if not request.param:
            return await agent.run(message, **kwargs)
        return await agent.run(message, stream=True, **kwargs).get_final_response()

    return run


def said(client: Any, request: int) -> list[str]:
    return [message.text for message in client.requests[request]]


# Sessions...


class Mood(BaseModel):
    word: str


def test_a_session_survives_json() -> None:
    register_state_type(Mood)
    session = AgentSession(session_id="s-1", service_session_id="service-1")
    session.state["in_memory"] = {"messages": [Message("user", ["Hi"])]}
    session.state["mood"] = Mood(word="fine")
    again = AgentSession.from_dict(json.loads(json.dumps(session.to_dict())))
    assert (again.session_id, again.service_session_id) == ("s-1", "service-1")
    assert again.state["mood"] == Mood(word="fine")
    assert again.state["in_memory"]["messages"][0].text == "Hi"


async def test_without_a_session_nothing_is_remembered(scripted: Any, run: Any) -> None:
    client = scripted(["One.", "Two."])
    agent = Agent(client)
    await run(agent, "First?")
    await run(agent, "Second?")
    assert said(client, 1) == ["Second?"]
    assert agent.context_providers == []


async def test_a_session_remembers(scripted: Any, run: Any) -> None:
    client = scripted(["One.", "Two."])
    agent = Agent(client)
    session = agent.create_session()
    await run(agent, "First?", session=session)
    await run(agent, "Second?", session=AgentSession.from_dict(session.to_dict()))
    assert said(client, 1) == ["First?", "One.", "Second?"]
    assert isinstance(agent.context_providers[0], InMemoryHistoryProvider)


async def test_two_sessions_of_one_agent_know_nothing_of_each_other(scripted: Any, run: Any) -> None:
    client = scripted(["One.", "Two."])
    agent = Agent(client)
    await run(agent, "First?", session=agent.create_session())
    await run(agent, "Second?", session=agent.create_session())
    assert said(client, 1) == ["Second?"]


async def test_a_run_that_fails_is_not_remembered(scripted: Any, run: Any) -> None:
    client = scripted([ConnectionError("model gone"), "Two."])
    agent = Agent(client)
    session = agent.create_session()
    with pytest.raises(ChatClientException):
        await run(agent, "First?", session=session)
    await run(agent, "Second?", session=session)
    assert said(client, 1) == ["Second?"]


async def test_the_service_s_conversation_is_continued(scripted: Any, run: Any) -> None:
    client = scripted(["One.", "Two."], conversation_ids=["c-1", "c-2"])
    agent = Agent(client, default_options={"store": True})
    session = agent.create_session()
    await run(agent, "First?", session=session)
    assert session.service_session_id == "c-1"
    await run(agent, "Second?", session=session)
    assert client.options[1]["conversation_id"] == "c-1"
    assert said(client, 1) == ["Second?"]
    assert session.service_session_id == "c-2"


# Providers...


class Notes(ContextProvider):
    """Brings a message, an instruction, a tool and middleware, and writes down what happened."""

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__(name)
        self.log = log

    async def before_run(self, *, agent: Any, session: Any, context: SessionContext, state: dict[str, Any]) -> None:
        self.log.append(f"{self.source_id} before")
        state["runs"] = state.get("runs", 0) + 1
        context.extend_messages(self, [Message("user", [f"note of {self.source_id}"])])
        context.extend_instructions(self.source_id, f"Heed {self.source_id}.")
        context.extend_tools(self.source_id, [tool(lambda: "x", name=f"tool_{self.source_id}")])

    async def after_run(self, *, agent: Any, session: Any, context: SessionContext, state: dict[str, Any]) -> None:
        assert context.response is not None
        self.log.append(f"{self.source_id} after: {context.response.text}")


async def test_providers_bring_context_in_order_and_look_back_in_reverse(scripted: Any, run: Any) -> None:
    log: list[str] = []
    client = scripted(["Hi."])
    agent = Agent(client, "Be brief.", context_providers=[Notes("a", log), Notes("b", log)])
    session = agent.create_session()
    await run(agent, "Hello?", session=session)
    assert log == ["a before", "b before", "b after: Hi.", "a after: Hi."]
    assert said(client, 0) == ["note of a", "note of b", "Hello?"]
    assert client.options[0]["instructions"] == "Be brief.\nHeed a.\nHeed b."
    assert [one.name for one in client.options[0]["tools"]] == ["tool_a", "tool_b"]
    assert session.state["a"] == {"runs": 1}


def test_messages_of_a_provider_are_marked_copies() -> None:
    message = Message("user", ["Hi"])
    context = SessionContext(input_messages=[])
    context.extend_messages(Notes("a", []), [message])
    (copied,) = context.get_messages()
    assert copied.additional_properties["_attribution"] == {"source_id": "a", "source_type": "Notes"}
    assert message.additional_properties == {}


def test_messages_can_be_had_by_source() -> None:
    context = SessionContext(input_messages=[Message("user", ["input"])])
    for name in ("a", "b"):
        context.extend_messages(name, [Message("user", [name])])
    assert [one.text for one in context.get_messages(sources={"a"})] == ["a"]
    assert [one.text for one in context.get_messages(exclude_sources={"a"}, include_input=True)] == ["b", "input"]


def test_a_provider_cannot_add_agent_middleware() -> None:
    @agent_middleware
    async def late(context: Any, call_next: Any) -> None: ...

    with pytest.raises(MiddlewareException, match="already begun"):
        SessionContext(input_messages=[]).extend_middleware("a", late)


async def test_chat_middleware_of_a_provider_wraps_the_model_call(scripted: Any, run: Any) -> None:
    seen: list[str] = []

    @chat_middleware
    async def watch(context: Any, call_next: Any) -> None:
        seen.append(context.messages[-1].text)
        await call_next()

    class Watches(ContextProvider):
        async def before_run(self, *, agent: Any, session: Any, context: Any, state: Any) -> None:
            context.extend_middleware(self.source_id, watch)

    await run(Agent(scripted(["Hi."]), context_providers=[Watches("w")]), "Hello?")
    assert seen == ["Hello?"]


class Shelf(HistoryProvider):
    """Keeps conversations in a dictionary, by session id."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("shelf", **kwargs)
        self.kept: dict[str | None, list[Message]] = {}

    async def get_messages(self, session_id: str | None, **kwargs: Any) -> list[Message]:
        return list(self.kept.get(session_id, ()))

    async def save_messages(self, session_id: str | None, messages: Any, **kwargs: Any) -> None:
        self.kept.setdefault(session_id, []).extend(messages)


@pytest.mark.parametrize(
    ("switches", "kept"),
    [
        ({}, ["Hello?", "Hi."]),
        ({"store_inputs": False}, ["Hi."]),
        ({"store_outputs": False}, ["Hello?"]),
        ({"store_context_messages": True}, ["note of a", "Hello?", "Hi."]),
        ({"store_context_messages": True, "store_context_from": {"b"}}, ["Hello?", "Hi."]),
    ],
)
async def test_a_history_keeps_what_it_is_told_to(scripted: Any, run: Any, switches: Any, kept: list[str]) -> None:
    shelf = Shelf(**switches)
    agent = Agent(scripted(["Hi."]), context_providers=[Notes("a", []), shelf])
    await run(agent, "Hello?", session=agent.create_session(session_id="s"))
    assert [message.text for message in shelf.kept["s"]] == kept


def test_a_history_without_storage_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        HistoryProvider("h")  # type: ignore[abstract]


# Histories for each model call...


@tool
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


def each_call(client: Any, **kwargs: Any) -> Agent:
    return Agent(client, tools=[double], require_per_service_call_history_persistence=True, **kwargs)


async def test_what_was_done_is_remembered_also_when_a_later_model_call_fails(
    scripted: Any, function_call: Any, run: Any
) -> None:
    client = scripted([[function_call("double", x=2)], ConnectionError("model gone"), "Four, as I said."])
    agent = each_call(client)
    session = agent.create_session()
    with pytest.raises(ChatClientException):
        await run(agent, "Twice two?", session=session)
    kept = session.state["in_memory"]["messages"]
    assert [message.role for message in kept] == ["user", "assistant"]
    assert (await run(agent, "Well?", session=session)).text == "Four, as I said."
    assert said(client, 2)[0] == "Twice two?"


async def test_the_model_sees_the_same_conversation_and_nothing_twice(
    scripted: Any, function_call: Any, run: Any
) -> None:
    class Knowledge(ContextProvider):
        async def before_run(self, *, context: SessionContext, **kwargs: Any) -> None:
            context.extend_messages(self, [Message("user", ["Known: two and two."])])

    client = scripted([[function_call("double", x=2)], "Four.", "You are welcome."])
    agent = each_call(client, context_providers=[Knowledge("knowledge"), InMemoryHistoryProvider()])
    session = agent.create_session()
    response = await run(agent, "Twice two?", session=session)
    assert [message.role for message in response.messages] == ["assistant", "tool", "assistant"]
    assert session.service_session_id is None
    await run(agent, "Thanks.", session=session)
    roles = [[message.role for message in request] for request in client.requests]
    assert roles == [
        ["user", "user"],
        ["user", "user", "assistant", "tool"],
        ["user", "user", "assistant", "tool", "assistant", "user"],
    ]
    assert [said(client, number)[0] for number in range(3)] == ["Known: two and two."] * 3
    assert not any("conversation_id" in options for options in client.options)


async def test_an_approval_goes_on_with_the_history_of_its_calls(scripted: Any, function_call: Any, run: Any) -> None:
    gone: list[str] = []

    @tool(approval_mode="always_require")
    def delete(what: str) -> str:
        gone.append(what)
        return "gone"

    client = scripted([[function_call("delete", what="a")], "Deleted."])
    agent = Agent(client, tools=[delete], require_per_service_call_history_persistence=True)
    session = agent.create_session()
    first = await run(agent, "Delete a!", session=session)
    reply = Message("user", [first.user_input_requests[0].to_function_approval_response(True)])
    assert (await run(agent, reply, session=session)).text == "Deleted."
    assert gone == ["a"]
    assert [message.role for message in client.requests[1]] == ["user", "assistant", "tool"]


async def test_a_conversation_of_the_service_has_no_history_of_its_calls_beside_it(scripted: Any, run: Any) -> None:
    agent = each_call(scripted(["Hi."]), context_providers=[InMemoryHistoryProvider()])
    with pytest.raises(AgentInvalidRequestException, match="keeps this conversation"):
        await run(agent, "?", session=agent.get_session("c-1"))
    agent = each_call(scripted(["Hi."], conversation_ids=["c-1"]))
    with pytest.raises(ChatClientInvalidResponseException, match="keeps the conversation itself"):
        await run(agent, "?", session=agent.create_session())


async def test_a_service_that_stores_keeps_the_history_alone(scripted: Any, run: Any) -> None:
    client = scripted(["Hi.", "Ho."], conversation_ids=["c-1", "c-1"])
    agent = each_call(client, context_providers=[InMemoryHistoryProvider()])
    session = agent.create_session()
    await run(agent, "One?", session=session, options={"store": True})
    await run(agent, "Two?", session=session, options={"store": True})
    assert said(client, 1) == ["Two?"]
    assert client.options[1]["conversation_id"] == "c-1"
    assert session.state.get("in_memory", {}) == {}
