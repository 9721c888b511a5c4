# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a server may ask of us, over real connections: a model's answer, a person's answer, the roots."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import types
from sdk_names import field

from agent_framework import ChatResponse, Content, MCPStdioTool, MCPStreamableHTTPTool, Message
from agent_framework._mcp import MCPConnectionError

BOUND = 5.0
SERVER = str(Path(__file__).with_name("asking_server.py"))
MakeTool = Callable[..., Any]
# A server cannot ask by itself in any later era, and the SDK's server of 2.x speaks both.
OPTIONS: dict[str, Any] = {"load_prompts": False, "protocol_mode": "legacy"}


def stdio_tool(**options: Any) -> MCPStdioTool:
    return MCPStdioTool("asking", sys.executable, args=[SERVER, "stdio"], **OPTIONS, **options)


@pytest.fixture(scope="module", autouse=True)  # at once, so that no single test is taken for the one that left it
def url() -> Iterator[str]:
    """One server for the whole file; each connection is a session of its own."""
    with subprocess.Popen([sys.executable, SERVER, "http"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
        finally:
            process.kill()


@pytest.fixture
def http_tool(url: str) -> MakeTool:
    return lambda **options: MCPStreamableHTTPTool("asking", url, **OPTIONS, **options)


@pytest.fixture(params=["stdio", "http"])
def make_tool(request: pytest.FixtureRequest) -> MakeTool:
    """For what must hold on both transports, which carry the server's requests in different ways."""
    if request.param == "stdio":
        return stdio_tool
    make: MakeTool = request.getfixturevalue("http_tool")
    return make


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


async def call(tool: Any, name: str, **arguments: Any) -> Any:
    """What one of the server's tools tells about what it was answered."""
    contents = await within(tool.call_tool(name, **arguments))
    return json.loads(contents[0].text)


class Model:
    """A chat client that answers every request with the same messages."""

    additional_properties: dict[str, Any]

    def __init__(self, *messages: Message | str, error: Exception | None = None, **response: Any) -> None:
        self.additional_properties = {}
        self.messages = [Message("assistant", [item]) if isinstance(item, str) else item for item in messages]
        self.error = error
        self.response = response
        self.requests: list[tuple[list[Message], dict[str, Any]]] = []

    async def get_response(self, messages: Any, *, options: Any = None, **kwargs: Any) -> ChatResponse:
        self.requests.append((list(messages), options))
        if self.error is not None:
            raise self.error
        return ChatResponse(messages=self.messages, **self.response)


class Person:
    """A callback that thinks until it is released."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: asyncio.Queue[Any] = asyncio.Queue()
        self.released = asyncio.Event()
        self.interrupted = asyncio.Event()

    async def __call__(self, params: Any) -> Any:
        self.asked.put_nowait(params)
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.interrupted.set()
            raise
        return self.answer


def yes(params: types.CreateMessageRequestParams) -> bool:
    return True


# Sampling ...


async def test_an_approved_request_reaches_the_model_and_its_answer_the_server(make_tool: MakeTool) -> None:
    model = Model("because", model="m-1", finish_reason="stop")
    seen: list[Any] = []

    def approve(params: types.CreateMessageRequestParams) -> bool:
        seen.append(params)
        return True

    async with make_tool(client=model, sampling_approval_callback=approve) as tool:
        answer = await call(tool, "sample", question="why?")
    assert answer == {
        "role": "assistant",
        "content": {"type": "text", "text": "because"},
        "model": "m-1",
        "stopReason": "endTurn",
    }
    (((message,), options),) = model.requests
    assert (message.role, message.text) == ("user", "why?")
    assert options == {"instructions": "Be brief.", "temperature": 0.5, "max_tokens": 50, "stop": ["END"]}
    assert [(type(params), field(params, "maxTokens")) for params in seen] == [(types.CreateMessageRequestParams, 50)]


async def test_without_an_approval_callback_sampling_is_refused(http_tool: MakeTool) -> None:
    model = Model("because")
    async with http_tool(client=model) as tool:
        assert (await call(tool, "sample"))["code"] == types.INVALID_REQUEST
    assert model.requests == []


async def deny_later(params: Any) -> bool:
    await asyncio.sleep(0)
    return False


def fail(params: Any) -> bool:
    raise LookupError("the form is gone")


@pytest.mark.parametrize("approve", [lambda _: False, lambda _: None, deny_later, fail])
async def test_a_falsy_or_failing_approval_refuses(http_tool: MakeTool, approve: Any) -> None:
    model = Model("because")
    async with http_tool(client=model, sampling_approval_callback=approve) as tool:
        assert (await call(tool, "sample"))["code"] == types.INVALID_REQUEST
        assert (await within(tool.call_tool("echo", value="still here")))[0].text == "still here"
    assert model.requests == []


async def test_an_approval_may_be_async(http_tool: MakeTool) -> None:
    person = Person(answer=True)
    person.released.set()
    async with http_tool(client=Model("because"), sampling_approval_callback=person) as tool:
        assert (await call(tool, "sample"))["content"]["text"] == "because"


async def test_a_request_for_more_tokens_than_allowed_is_cut_down(http_tool: MakeTool) -> None:
    model = Model("because")
    async with http_tool(client=model, sampling_approval_callback=yes, sampling_max_tokens=100) as tool:
        await call(tool, "sample", max_tokens=1_000_000)
        await call(tool, "sample", max_tokens=99)
    assert [options["max_tokens"] for _, options in model.requests] == [100, 99]


async def test_tokens_and_requests_are_limited_unless_the_user_says_otherwise(http_tool: MakeTool) -> None:
    model = Model("because")
    async with http_tool(client=model, sampling_approval_callback=yes) as tool:
        answers = [await call(tool, "sample", max_tokens=1_000_000) for _ in range(11)]
        assert answers[-1]["code"] == types.INVALID_REQUEST
    assert {options["max_tokens"] for _, options in model.requests} == {4096}
    limits = {"sampling_max_tokens": None, "sampling_max_requests": None}
    async with http_tool(client=model, sampling_approval_callback=yes, **limits) as tool:
        answers = [await call(tool, "sample", max_tokens=1_000_000) for _ in range(11)]
        assert "content" in answers[-1]
    assert model.requests[-1][1]["max_tokens"] == 1_000_000


async def test_more_requests_than_allowed_are_refused_and_a_new_session_counts_anew(http_tool: MakeTool) -> None:
    asked: list[Any] = []

    def approve(params: Any) -> bool:
        asked.append(params)
        return True

    async with http_tool(client=Model("because"), sampling_approval_callback=approve, sampling_max_requests=1) as tool:
        assert "content" in await call(tool, "sample")
        assert (await call(tool, "sample"))["code"] == types.INVALID_REQUEST
        assert len(asked) == 1
        await within(tool.connect(reset=True))
        assert "content" in await call(tool, "sample")


async def test_a_model_that_wants_the_servers_tools_answers_with_tool_uses(http_tool: MakeTool) -> None:
    first = Message("assistant", ["adding", Content.from_function_call("1", "add", arguments='{"a": 1}')])
    second = Message("assistant", [Content.from_function_call("2", "add", arguments={"a": 2})])
    model = Model(first, second, model="m-1")
    async with http_tool(client=model, sampling_approval_callback=yes) as tool:
        answer = await call(tool, "sample_with_tools")
    assert (answer["stopReason"], answer["model"]) == ("toolUse", "m-1")
    assert answer["content"] == [
        {"type": "text", "text": "adding"},
        {"type": "tool_use", "name": "add", "id": "1", "input": {"a": 1}},
        {"type": "tool_use", "name": "add", "id": "2", "input": {"a": 2}},
    ]
    ((messages, options),) = model.requests
    assert [message.contents[0].type for message in messages] == ["text", "function_call", "function_result"]
    assert options["tool_choice"] == "required"
    assert [(item.name, item.description, item.declaration_only) for item in options["tools"]] == [
        ("add", "Adds.", True)
    ]


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", "None", '{"a": 1}{"a": 2}'])
async def test_a_models_broken_arguments_run_no_tool_of_the_servers(http_tool: MakeTool, arguments: str) -> None:
    model = Model(Message("assistant", [Content.from_function_call("1", "add", arguments=arguments)]))
    async with http_tool(client=model, sampling_approval_callback=yes) as tool:
        answer = await call(tool, "sample_with_tools")
    assert answer["code"] == types.INTERNAL_ERROR
    assert "no JSON object" in answer["message"]


async def test_an_image_of_the_model_arrives_as_base64(http_tool: MakeTool) -> None:
    model = Model(Message("assistant", [Content.from_data(b"pixels", "image/png")]))
    async with http_tool(client=model, sampling_approval_callback=yes) as tool:
        answer = await call(tool, "sample")
    assert answer["content"] == {"type": "image", "data": "cGl4ZWxz", "mimeType": "image/png"}
    assert answer["model"] == "unknown"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "No chat client available. Please set a chat client."),
        (Model(error=RuntimeError("out of money")), "Failed to get chat message content."),
        (Model(), "Failed to get chat message content."),
        (
            Model(Message("assistant", [Content.from_data(b"a", "application/pdf")])),
            "Failed to get right content types from the response.",
        ),
    ],
    ids=["no client", "client raises", "no message", "nothing that fits"],
)
async def test_a_model_that_does_not_answer_is_an_error_of_that_request(
    http_tool: MakeTool, model: Model | None, message: str
) -> None:
    async with http_tool(client=model, sampling_approval_callback=yes) as tool:
        answer = await call(tool, "sample")
    assert answer == {"code": types.INTERNAL_ERROR, "message": message}


async def test_a_client_that_is_set_later_is_used(http_tool: MakeTool) -> None:
    async with http_tool(sampling_approval_callback=yes) as tool:
        tool.client = Model("because")
        assert (await call(tool, "sample"))["content"]["text"] == "because"


async def test_a_subclass_may_answer_in_its_own_way(url: str) -> None:
    class Own(MCPStreamableHTTPTool):
        async def sampling_callback(self, context: Any, params: Any) -> Any:
            assert context.session is self.session
            content = types.TextContent(type="text", text=f"own answer to {context.request_id!r}")
            return types.CreateMessageResult(role="assistant", content=content, model="own")

    async with Own("asking", url, load_prompts=False) as tool:
        assert (await call(tool, "sample"))["content"]["text"].startswith("own answer to ")


# Nothing waits for it ...


async def test_pings_and_calls_are_answered_while_a_request_waits_for_approval(make_tool: MakeTool) -> None:
    person = Person(answer=True)
    async with make_tool(client=Model("because"), sampling_approval_callback=person) as tool:
        sampling = asyncio.create_task(call(tool, "sample"))
        await within(person.asked.get())
        await within(tool.session.send_ping())
        assert (await within(tool.call_tool("echo", value="meanwhile")))[0].text == "meanwhile"
        await within(tool.load_tools())
        assert not sampling.done()
        person.released.set()
        assert (await within(sampling))["content"]["text"] == "because"


async def test_closing_while_a_request_waits_for_approval_ends_both(make_tool: MakeTool) -> None:
    person = Person(answer=True)
    tool = make_tool(client=Model("because"), sampling_approval_callback=person)
    await within(tool.connect())
    sampling = asyncio.create_task(call(tool, "sample"))
    await within(person.asked.get())
    await within(tool.close())
    assert person.interrupted.is_set()
    with pytest.raises(MCPConnectionError):
        await within(sampling)


async def test_a_request_that_the_server_gives_up_ends_the_callback(make_tool: MakeTool) -> None:
    person = Person(answer=True)
    async with make_tool(client=Model("because"), sampling_approval_callback=person) as tool:
        giving_up = asyncio.create_task(within(tool.call_tool("give_up", method="sample")))
        assert (await giving_up)[0].text == "gave up"
        if not person.asked.empty():  # the server may have given up before we began
            await within(person.interrupted.wait())
        person.released.set()
        assert "content" in await call(tool, "sample")


async def test_requests_side_by_side_are_served_side_by_side_up_to_a_limit() -> None:
    person = Person(answer=True)
    options = {"client": Model("because"), "sampling_approval_callback": person, "sampling_max_requests": None}
    async with stdio_tool(**options) as tool:
        sampling = asyncio.create_task(call(tool, "sample_many", count=20))
        for _ in range(16):
            await within(person.asked.get())
        # The answer to this call comes behind all twenty requests.
        assert (await within(tool.call_tool("echo", value="meanwhile")))[0].text == "meanwhile"
        person.released.set()
        answers = await within(sampling)
    assert len(answers) == 20
    assert [answer["code"] for answer in answers if "code" in answer] == [types.INVALID_REQUEST] * 4


# Elicitation ...


async def test_a_mapping_is_an_accepted_form_and_defaults_fill_what_it_leaves_out(make_tool: MakeTool) -> None:
    seen: list[Any] = []

    def fill_in(params: types.ElicitRequestFormParams) -> dict[str, Any]:
        seen.append(params)
        return {"people": 2, "meal": True}

    async with make_tool(elicitation_callback=fill_in) as tool:
        answer = await call(tool, "ask")
    assert answer == {"action": "accept", "content": {"people": 2, "seat": "window", "meal": True}}
    ((asked),) = seen
    assert (asked.mode, asked.message, field(asked, "requestedSchema")["required"]) == ("form", "How many?", ["people"])


@pytest.mark.parametrize(
    ("given", "received"),
    [
        (None, {"action": "decline"}),
        (types.ElicitResult(action="decline"), {"action": "decline"}),
        (types.ElicitResult(action="cancel", content={"people": 2}), {"action": "cancel"}),
        (
            types.ElicitResult(action="accept", content={"people": 3, "seat": "aisle"}),
            {"action": "accept", "content": {"people": 3, "seat": "aisle", "meal": False}},
        ),
    ],
    ids=["None", "declined", "cancelled", "accepted"],
)
async def test_the_persons_answer_reaches_the_server(http_tool: MakeTool, given: Any, received: Any) -> None:
    person = Person(answer=given)
    person.released.set()
    async with http_tool(elicitation_callback=person) as tool:
        assert await call(tool, "ask") == received


async def test_a_url_is_shown_and_only_the_consent_goes_back(http_tool: MakeTool) -> None:
    seen: list[Any] = []

    def visit(params: types.ElicitRequestURLParams) -> dict[str, Any]:
        seen.append((params.mode, params.url, field(params, "elicitationId")))
        return {"password": "hunter2"}

    async with http_tool(elicitation_callback=visit) as tool:
        assert await call(tool, "ask_by_url") == {"action": "accept"}
    assert seen == [("url", "https://example.com/in", "e-1")]


async def test_without_a_callback_elicitation_is_refused_and_not_offered(http_tool: MakeTool) -> None:
    async with http_tool() as tool:
        assert "elicitation" not in await call(tool, "client_capabilities")
        assert (await call(tool, "ask"))["code"] == types.METHOD_NOT_FOUND


@pytest.mark.parametrize(
    ("callback", "logged"), [(fail, "the form is gone"), (lambda _: "two", "elicitation_callback must return")]
)
async def test_a_callback_that_fails_is_an_error_of_that_request_and_its_reason_stays_in_our_log(
    http_tool: MakeTool, callback: Any, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_tool(elicitation_callback=callback) as tool:
        assert await call(tool, "ask") == {
            "code": types.INTERNAL_ERROR,
            "message": "The client failed to answer the request.",
        }
        [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert str(tool._server) in record.getMessage()
        assert logged in caplog.text
        assert (await within(tool.call_tool("echo", value="still here")))[0].text == "still here"


async def test_pings_and_calls_are_answered_while_a_person_thinks(make_tool: MakeTool) -> None:
    person = Person(answer={"people": 1})
    async with make_tool(elicitation_callback=person) as tool:
        asking = asyncio.create_task(call(tool, "ask"))
        await within(person.asked.get())
        await within(tool.session.send_ping())
        assert (await within(tool.call_tool("echo", value="meanwhile")))[0].text == "meanwhile"
        person.released.set()
        assert (await within(asking))["action"] == "accept"


# Roots ...


async def test_paths_and_uris_are_listed_as_file_uris(tmp_path: Path) -> None:
    spaced = tmp_path / "my work"
    async with stdio_tool(roots=[spaced, str(tmp_path), "file:///srv/data"]) as tool:
        assert "roots" in await call(tool, "client_capabilities")
        answer = await call(tool, "roots")
    assert answer == {
        "roots": [
            {"uri": spaced.as_uri(), "name": "my work"},
            {"uri": tmp_path.as_uri(), "name": tmp_path.name},
            {"uri": "file:///srv/data", "name": "data"},
        ]
    }


async def test_a_function_is_asked_for_the_roots_each_time() -> None:
    listed: list[str] = []

    async def current() -> list[str]:
        return list(listed)

    async with stdio_tool(roots=current) as tool:
        assert await call(tool, "roots") == {"roots": []}
        listed.append("/srv")
        assert [root["uri"] for root in (await call(tool, "roots"))["roots"]] == ["file:///srv"]


async def test_without_roots_none_are_offered() -> None:
    async with stdio_tool() as tool:
        assert "roots" not in await call(tool, "client_capabilities")
        assert (await call(tool, "roots"))["code"] == types.METHOD_NOT_FOUND


# Wrong use ...


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"roots": "/srv"}, TypeError),
        ({"roots": [1]}, TypeError),
        ({"roots": ["https://example.com"]}, ValueError),
        ({"sampling_max_tokens": 0}, ValueError),
        ({"sampling_max_requests": -1}, ValueError),
    ],
)
def test_wrong_options_are_an_error_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        stdio_tool(**options)
