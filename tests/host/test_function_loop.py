# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fault_servers import HttpServer, McpScript, unused_port

from agent_framework import (
    AgentSession,
    ChatResponse,
    Content,
    FunctionInvocationContext,
    FunctionTool,
    MCPStreamableHTTPTool,
    Message,
    MiddlewareTermination,
    UserInputRequiredException,
    function_middleware,
    tool,
)
from agent_framework.exceptions import ChatClientException, ToolException, ToolExecutionException


@tool
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


@tool(approval_mode="always_require")
def delete(name: str) -> str:
    """Delete something."""
    deleted.append(name)
    return f"Deleted {name}."


deleted: list[str] = []


@pytest.fixture(autouse=True)
def nothing_deleted() -> None:
    deleted.clear()


@pytest.fixture(params=[False, True], ids=["plain", "streaming"])
def ask(request: pytest.FixtureRequest) -> Any:
    """Asks a client, with and without streaming; the response has to be the same."""

    async def ask(client: Any, messages: Any = "Question?", **kwargs: Any) -> ChatResponse:
        given = [Message("user", [messages])] if isinstance(messages, str) else messages
        if not request.param:
            return await client.get_response(given, **kwargs)
        stream = client.get_response(given, stream=True, **kwargs)
        async for _ in stream:
            pass
        return await stream.get_final_response()

    return ask


def roles(response: ChatResponse) -> list[str]:
    return [message.role for message in response.messages]


def results(response: ChatResponse) -> list[Content]:
    return [one for message in response.messages for one in message.contents if one.type == "function_result"]


def requests(response: ChatResponse) -> list[Content]:
    return [one for message in response.messages for one in message.contents if one.user_input_request]


# Going round...


async def test_results_go_back_to_the_model_until_it_answers(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted([[function_call("double", x=2)], [function_call("double", "call-2", x=4)], "Eight."])
    response = await ask(client, options={"tools": [double]})
    assert roles(response) == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert [one.result for one in results(response)] == ["4", "8"]
    assert [message.role for message in client.requests[2]] == ["user", "assistant", "tool", "assistant", "tool"]
    assert response.messages[-1].text == "Eight."
    assert response.usage_details == {"input_token_count": 30, "output_token_count": 15, "total_token_count": 45}


async def test_the_client_s_own_response_is_not_changed(scripted: Any, function_call: Any) -> None:
    seen: list[ChatResponse] = []

    class Remembering(scripted):  # type: ignore[misc]
        async def _response(self, response_format: Any) -> ChatResponse:
            seen.append(await super()._response(response_format))
            return seen[-1]

    await Remembering([[function_call("delete", name="a")]]).get_response(
        [Message("user", ["?"])], options={"tools": [delete]}
    )
    assert [content.type for content in seen[0].messages[0].contents] == ["function_call"]


async def test_without_tools_nothing_is_carried_out(scripted: Any, function_call: Any, ask: Any) -> None:
    response = await ask(scripted([[function_call("double", x=2)]]))
    assert roles(response) == ["assistant"]


async def test_a_disabled_loop_is_one_model_call(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted([[function_call("double", x=2)]], function_invocation_configuration={"enabled": False})
    assert results(await ask(client, options={"tools": [double]})) == []


async def test_one_call_id_is_carried_out_once(scripted: Any, function_call: Any) -> None:
    same = function_call("double", x=2)
    client = scripted([[same, same], "Done."])
    response = await client.get_response([Message("user", ["?"])], options={"tools": [double]})
    assert [one.result for one in results(response)] == ["4"]


async def test_a_required_tool_is_required_once(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted([[function_call("double", x=2)], "Four."])
    await ask(client, options={"tools": [double], "tool_choice": "required"})
    assert [options["tool_choice"] for options in client.options] == ["required", None]


async def test_a_service_that_keeps_the_history_gets_the_results_only(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    client = scripted([[function_call("double", x=2)], "Four."], conversation_ids=["c-1", "c-2"])
    response = await ask(client, options={"tools": [double]})
    assert [message.role for message in client.requests[1]] == ["tool"]
    assert client.options[1]["conversation_id"] == "c-1"
    assert response.conversation_id == "c-2"


async def test_duplicate_names_are_refused(scripted: Any, function_call: Any, ask: Any) -> None:
    other = FunctionTool(name="double", func=lambda: None)
    with pytest.raises(ValueError, match="Duplicate tool name 'double'"):
        await ask(scripted([[function_call("double", x=2)]]), options={"tools": [double, other]})


# Several calls at once...


async def test_calls_of_one_response_run_at_once_and_answer_in_order(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    second_ran = asyncio.Event()

    @tool
    async def first() -> str:
        await asyncio.wait_for(second_ran.wait(), 5)
        return "first"

    @tool
    async def second() -> str:
        second_ran.set()
        return "second"

    client = scripted([[function_call("first", "a"), function_call("second", "b")], "Done."])
    response = await ask(client, options={"tools": [first, second]})
    assert [(one.call_id, one.result) for one in results(response)] == [("a", "first"), ("b", "second")]


class Fatal(BaseException):
    """Neither an Exception nor known to asyncio."""


@pytest.mark.parametrize("error", [asyncio.CancelledError, Fatal])
async def test_what_is_no_exception_comes_through_and_leaves_no_sibling_running(
    scripted: Any, function_call: Any, error: Any
) -> None:
    sibling_started, sibling_ended = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> None:
        sibling_started.set()
        try:
            await asyncio.Event().wait()
        finally:
            sibling_ended.set()

    @tool
    async def fail() -> None:
        await sibling_started.wait()
        raise error

    client = scripted([[function_call("wait", "a"), function_call("fail", "b")]])
    with pytest.raises(error):
        await asyncio.wait_for(client.get_response([Message("user", ["?"])], options={"tools": [wait, fail]}), 5)
    assert sibling_ended.is_set()


@pytest.mark.parametrize("number", [1, 3])
async def test_a_cancelled_caller_leaves_no_call_running(scripted: Any, function_call: Any, number: int) -> None:
    started: list[int] = []
    ended: list[int] = []
    all_started = asyncio.Event()

    @tool
    async def wait(x: int) -> None:
        started.append(x)
        if len(started) == number:
            all_started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # a clean-up that needs the loop
            ended.append(x)

    client = scripted([[function_call("wait", f"call-{x}", x=x) for x in range(number)]])
    caller = asyncio.create_task(client.get_response([Message("user", ["?"])], options={"tools": [wait]}))
    await asyncio.wait_for(all_started.wait(), 5)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert sorted(ended) == list(range(number))


# Errors...


async def test_a_tool_exception_tells_the_model_what_failed(scripted: Any, function_call: Any, ask: Any) -> None:
    @tool
    def remote() -> None:
        raise ToolExecutionException("Server 'docs' closed the connection.")

    response = await ask(scripted([[function_call("remote")], "Sorry."]), options={"tools": [remote]})
    assert results(response)[0].result == "Error: Server 'docs' closed the connection."
    assert results(response)[0].exception == "Server 'docs' closed the connection."


@pytest.mark.parametrize(
    ("detailed", "text"),
    [(False, "Error: Function failed."), (True, "Error: Function failed. Exception: password 123")],
)
async def test_other_exceptions_keep_their_text_from_the_model(
    scripted: Any, function_call: Any, ask: Any, detailed: bool, text: str
) -> None:
    @tool
    def fail() -> None:
        raise OSError("password 123")

    client = scripted(
        [[function_call("fail")], "Sorry."], function_invocation_configuration={"include_detailed_errors": detailed}
    )
    response = await ask(client, options={"tools": [fail]})
    assert (results(response)[0].result, results(response)[0].exception) == (text, "password 123")


@pytest.mark.parametrize("arguments", ['{"x": "two"}', "{}"])
async def test_bad_arguments_are_told_to_the_model(scripted: Any, ask: Any, arguments: str) -> None:
    bad = Content.from_function_call("call-1", "double", arguments=arguments)
    response = await ask(scripted([[bad], "Sorry."]), options={"tools": [double]})
    assert results(response)[0].result == "Error: Argument parsing failed."
    assert results(response)[0].exception


async def test_an_unknown_function_is_told_to_the_model(scripted: Any, function_call: Any, ask: Any) -> None:
    response = await ask(scripted([[function_call("triple")], "Sorry."]), options={"tools": [double]})
    assert results(response)[0].result == 'Error: Requested function "triple" not found.'


async def test_an_unknown_function_ends_everything_when_told_so(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted(
        [[function_call("triple")]], function_invocation_configuration={"terminate_on_unknown_calls": True}
    )
    with pytest.raises(KeyError, match="triple"):
        await ask(client, options={"tools": [double]})


# Limits...


async def test_after_the_last_iteration_the_model_has_to_answer(scripted: Any, function_call: Any, ask: Any) -> None:
    calls = [[function_call("double", f"call-{index}", x=index)] for index in range(2)]
    client = scripted([*calls, "Enough."], function_invocation_configuration={"max_iterations": 2})
    response = await ask(client, options={"tools": [double], "tool_choice": "auto"})
    assert [options["tool_choice"] for options in client.options] == ["auto", "auto", "none"]
    assert response.messages[-1].text == "Enough."


async def test_calls_made_although_tools_were_withheld_are_not_carried_out(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    calls = [[function_call("double", f"call-{index}", x=index)] for index in range(2)]
    client = scripted(calls, function_invocation_configuration={"max_iterations": 1})
    assert len(results(await ask(client, options={"tools": [double]}))) == 1


async def test_calls_are_limited_in_number(scripted: Any, function_call: Any, ask: Any) -> None:
    batch = [function_call("double", f"call-{index}", x=index) for index in range(3)]
    client = scripted([batch, "Enough."], function_invocation_configuration={"max_function_calls": 2})
    response = await ask(client, options={"tools": [double]})
    assert len(results(response)) == 3  # looked at after each batch
    assert client.options[1]["tool_choice"] == "none"


async def test_errors_in_a_row_are_limited_in_number(scripted: Any, function_call: Any, ask: Any) -> None:
    calls = [[function_call("triple", f"call-{index}")] for index in range(2)]
    client = scripted([*calls, "Sorry."], function_invocation_configuration={"max_consecutive_errors_per_request": 2})
    await ask(client, options={"tools": [double]})
    assert [options.get("tool_choice") for options in client.options] == [None, None, "none"]


@pytest.mark.parametrize(
    "configuration",
    [{"max_iterations": 0}, {"max_function_calls": 0}, {"max_consecutive_errors_per_request": -1}],
)
def test_impossible_limits_are_refused(scripted: Any, configuration: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(configuration))):
        scripted([], function_invocation_configuration=configuration)


# Approval...


async def test_a_call_that_needs_approval_is_asked_about(scripted: Any, function_call: Any, ask: Any) -> None:
    response = await ask(scripted([[function_call("delete", name="a")]]), options={"tools": [delete]})
    assert [content.type for content in response.messages[0].contents] == [
        "function_call",
        "function_approval_request",
    ]
    assert requests(response)[0].id == "call-1"
    assert deleted == []


@pytest.mark.parametrize(("approved", "result"), [(True, "Deleted a."), (False, "rejected by user")])
async def test_an_answer_to_the_request_is_carried_out(
    scripted: Any, function_call: Any, ask: Any, approved: bool, result: str
) -> None:
    client = scripted([[function_call("delete", name="a")], "Well."])
    question = Message("user", ["Delete a!"])
    first = await ask(client, [question], options={"tools": [delete]})
    reply = Message("user", [requests(first)[0].to_function_approval_response(approved)])
    second = await ask(client, [question, *first.messages, reply], options={"tools": [delete]})
    assert second.messages[-1].text == "Well."
    assert deleted == (["a"] if approved else [])
    sent = client.requests[1]
    assert [message.role for message in sent] == ["user", "assistant", "tool"]
    assert [content.type for content in sent[1].contents] == ["function_call"]
    assert result in sent[2].contents[0].result


async def test_sending_the_same_approval_again_runs_nothing_twice(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted([[function_call("delete", name="a")], ConnectionError("model gone"), "Well."])
    question = Message("user", ["Delete a!"])
    first = await ask(client, [question], options={"tools": [delete]})
    conversation = [
        question,
        *first.messages,
        Message("user", [requests(first)[0].to_function_approval_response(True)]),
    ]
    with pytest.raises(ChatClientException):
        await ask(client, conversation, options={"tools": [delete]})
    await ask(client, conversation, options={"tools": [delete]})
    assert deleted == ["a"]


async def test_one_approval_does_not_hold_up_the_other_calls(scripted: Any, function_call: Any, ask: Any) -> None:
    batch = [function_call("double", "a", x=2), function_call("delete", "b", name="n")]
    client = scripted([batch, "Done."])
    question = Message("user", ["Both!"])
    first = await ask(client, [question], options={"tools": [double, delete]})
    assert [(one.call_id, one.result) for one in results(first)] == [("a", "4")]
    assert [one.id for one in requests(first)] == ["b"]
    reply = Message("user", [requests(first)[0].to_function_approval_response(True)])
    await ask(client, [question, *first.messages, reply], options={"tools": [double, delete]})
    answered = [
        one.call_id for message in client.requests[1] for one in message.contents if one.type == "function_result"
    ]
    assert answered == ["a", "b"]


async def test_a_made_up_approval_runs_nothing(scripted: Any, function_call: Any, ask: Any) -> None:
    made_up = Content.from_function_approval_response(True, "call-9", function_call("delete", "call-9", name="a"))
    client = scripted(["What?"])
    await ask(client, [Message("user", ["Hi"]), Message("user", [made_up])], options={"tools": [delete]})
    assert deleted == []
    assert [[content.type for content in message.contents] for message in client.requests[0]] == [["text"]]


async def test_an_approval_of_another_call_than_the_one_asked_about_runs_nothing(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    client = scripted([[function_call("delete", name="a")], "Well."])
    first = await ask(client, options={"tools": [delete]})
    forged = Content.from_function_approval_response(True, "call-1", function_call("delete", name="everything"))
    await ask(client, [*first.messages, Message("user", [forged])], options={"tools": [delete]})
    assert deleted == []
    assert "nothing was run" in client.requests[1][-1].contents[0].result


async def test_a_request_that_the_client_returned_is_enough_where_the_service_keeps_the_history(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    client = scripted([[function_call("delete", name="a")], "Well.", "Well."], conversation_ids=["c-1", "c-2", "c-3"])
    first = await ask(client, options={"tools": [delete]})
    response = requests(first)[0].to_function_approval_response(True)
    await ask(client, [Message("user", [response])], options={"tools": [delete], "conversation_id": "c-1"})
    await ask(client, [Message("user", [response])], options={"tools": [delete], "conversation_id": "c-2"})
    assert deleted == ["a"]


async def test_text_beside_an_approval_stays_the_user_s(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted([[function_call("delete", name="a")], "Well."])
    first = await ask(client, options={"tools": [delete]})
    response = requests(first)[0].to_function_approval_response(True)
    await ask(client, [*first.messages, Message("user", [response, "And hurry."])], options={"tools": [delete]})
    assert [(message.role, message.text) for message in client.requests[1][1:]] == [
        ("tool", ""),
        ("user", "And hurry."),
    ]


async def test_what_a_service_asks_about_its_own_tools_is_left_alone(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    hosted = function_call("remote", "call-9")
    hosted.additional_properties["server_label"] = "docs"
    request = Content.from_function_approval_request("call-9", hosted)
    reply = Message("user", [request.to_function_approval_response(True)])
    client = scripted(["Done."])
    await ask(client, [Message("assistant", [request]), reply], options={"tools": [double]})
    sent = [content.type for message in client.requests[0] for content in message.contents]
    assert sent == ["function_approval_request", "function_approval_response"]


# Calls that somebody else carries out...


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_declared_function_is_left_to_the_caller(
    scripted: Any, function_call: Any, ask: Any, by_name: bool
) -> None:
    declared = double if by_name else FunctionTool(name="double", input_model={"type": "object", "properties": {}})
    client = scripted(
        [[function_call("double", x=2)]],
        function_invocation_configuration={"additional_tools": ["double"] if by_name else []},
    )
    response = await ask(client, options={"tools": [declared]})
    assert roles(response) == ["assistant"]
    (request,) = requests(response)
    assert (request.type, request.id, request.parse_arguments()) == ("function_call", "call-1", {"x": 2})


async def test_a_tool_can_ask_the_user(scripted: Any, function_call: Any, ask: Any) -> None:
    @tool
    def sign_in() -> None:
        raise UserInputRequiredException([Content("oauth_consent_request", consent_link="https://x.invalid")])

    response = await ask(scripted([[function_call("sign_in")]]), options={"tools": [sign_in]})
    request = response.messages[-1].contents[-1]
    assert (request.type, request.call_id, request.id) == ("oauth_consent_request", "call-1", "call-1")


# What tools and middleware get...


async def test_runtime_values_reach_the_tool_and_not_the_model(scripted: Any, function_call: Any, ask: Any) -> None:
    seen: dict[str, Any] = {}

    @tool
    def show(ctx: FunctionInvocationContext) -> None:
        seen.update(ctx.kwargs)

    client = scripted([[function_call("show")], "Done."])
    options = {"tools": [show], "additional_function_arguments": {"b": 2}}
    await ask(client, options=options, function_invocation_kwargs={"a": 1, "conversation_id": "hidden"})
    assert seen == {"a": 1, "b": 2}
    assert "additional_function_arguments" not in client.options[0]
    assert client.kwargs == [{}, {}]


async def test_the_session_reaches_the_tool_and_not_the_model(scripted: Any, function_call: Any, ask: Any) -> None:
    seen: list[Any] = []

    @tool
    def show(ctx: FunctionInvocationContext) -> None:
        seen.extend([ctx.session, ctx.kwargs["session"]])

    session = AgentSession()
    client = scripted([[function_call("show")], "Done."])
    await ask(client, options={"tools": [show]}, client_kwargs={"session": session, "trace": "t"})
    assert seen == [session, session]
    assert client.kwargs == [{"trace": "t"}] * 2


async def test_function_middleware_wraps_the_call(scripted: Any, function_call: Any, ask: Any) -> None:
    @function_middleware
    async def more(context: FunctionInvocationContext, call_next: Any) -> None:
        assert context.arguments == {"x": 2}
        context.arguments["x"] = "5"  # validated again
        await call_next()
        context.result = f"about {context.result[0].text}"

    client = scripted([[function_call("double", x=2)], "Done."], middleware=[more])
    response = await ask(client, options={"tools": [double]})
    assert results(response)[0].result == "about 10"


async def test_middleware_can_end_the_loop(scripted: Any, function_call: Any, ask: Any) -> None:
    @function_middleware
    async def stop(context: FunctionInvocationContext, call_next: Any) -> None:
        raise MiddlewareTermination(result="stopped")

    client = scripted([[function_call("double", x=2)]])
    response = await ask(client, options={"tools": [double]}, client_kwargs={"middleware": [stop]})
    assert [one.result for one in results(response)] == ["stopped"]


# MCP tools...


async def test_an_mcp_tool_in_the_options_is_opened_for_the_request(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    with HttpServer(McpScript()) as server:
        remote = MCPStreamableHTTPTool("remote", server.url)
        client = scripted([[function_call("double", "a", x=2), function_call("echo", "b", text="hi")], "Done."])
        response = await ask(client, options={"tools": [double, remote]})
        assert not remote.is_connected
    doubled, echoed = results(response)
    assert doubled.result == "4"
    assert "hi" in echoed.result
    assert echoed.exception is None
    assert all(isinstance(one, FunctionTool) for one in client.options[0]["tools"])


async def test_an_mcp_tool_that_is_open_already_is_left_open(scripted: Any, ask: Any) -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("remote", server.url) as remote:
            await ask(scripted(["Hi."]), options={"tools": remote})
            assert remote.is_connected


async def test_an_mcp_tool_that_cannot_be_opened_fails_before_the_model_is_asked(scripted: Any, ask: Any) -> None:
    client, remote = scripted(["Hi."]), MCPStreamableHTTPTool("remote", f"http://127.0.0.1:{unused_port()}/mcp")
    with pytest.raises(ToolException, match="'remote'"):
        await ask(client, options={"tools": [remote]})
    assert client.requests == []


async def test_the_model_reads_the_lines_of_a_failing_mcp_tool_as_the_tool_wrote_them(
    scripted: Any, function_call: Any, ask: Any
) -> None:
    said = "line 1: no such column\n  hint: try 'name'\n" + "x" * 10_000

    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        return {"content": [{"type": "text", "text": said}], "isError": True}

    with HttpServer(McpScript(handlers={"tools/call": fail})) as server:
        client = scripted([[function_call("echo")], "Done."])
        response = await ask(client, options={"tools": [MCPStreamableHTTPTool("remote", server.url)]})
    (failed,) = results(response)
    assert failed.result == f"Error: {said}"
    assert failed.exception.startswith("line 1: no such column hint: try 'name' xxx")
    assert len(failed.exception) < len(said)


async def test_names_of_mcp_tools_in_the_options_that_clash_are_refused(scripted: Any, ask: Any) -> None:
    with HttpServer(McpScript()) as server:
        both = [MCPStreamableHTTPTool(name, server.url) for name in ("one", "other")]
        with pytest.raises(ValueError, match=r"Duplicate tool name.*`tool_name_prefix`"):
            await ask(scripted(["Hi."]), options={"tools": both})
        assert [tool.is_connected for tool in both] == [False, False]


# Streaming...


async def test_a_stream_shows_the_model_s_updates_and_the_results(scripted: Any, function_call: Any) -> None:
    client = scripted([[function_call("double", x=2)], "It is four."])
    stream = client.get_response([Message("user", ["?"])], stream=True, options={"tools": [double]})
    updates = [update async for update in stream]
    assert [update.role for update in updates if update.contents[0].type == "function_result"] == ["tool"]
    assert "".join(update.text for update in updates) == "It is four."


async def test_a_hook_that_replaces_updates_has_its_say_in_the_final_response(
    scripted: Any, function_call: Any
) -> None:
    def hide(update: Any) -> Any:
        return type(update)(
            contents=["***" if one.type == "text" else one for one in update.contents], role=update.role
        )

    client = scripted([[function_call("double", x=2)], "Four."])
    stream = client.get_response([Message("user", ["?"])], stream=True, options={"tools": [double]})
    response = await stream.with_transform_hook(hide).get_final_response()
    assert response.messages[-1].text == "***"


async def test_nothing_happens_before_a_stream_is_read(scripted: Any) -> None:
    client = scripted(["Hello."])
    client.get_response([Message("user", ["?"])], stream=True)
    assert client.requests == []


async def test_an_error_of_the_model_ends_the_stream(scripted: Any, function_call: Any, ask: Any) -> None:
    client = scripted([[function_call("double", x=2)], ConnectionError("model gone")])
    with pytest.raises(ChatClientException, match="model gone"):
        await ask(client, options={"tools": [double]})
