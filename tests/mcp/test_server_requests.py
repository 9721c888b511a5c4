# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Requests from the server, beside the session: what is taken out of the stream, and what is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio.lowlevel
import pytest
from mcp import types
from mcp.shared.message import SessionMessage
from sdk_names import IS_1, field, message_of

from agent_framework._mcp_client import _server_requests
from agent_framework._mcp_client._server import Server
from agent_framework._mcp_client._server_requests import RequestContext, ServerRequests

BOUND = 5.0
SERVER = Server("asking")
SAMPLING, ELICITATION, ROOTS = "sampling/createMessage", "elicitation/create", "roots/list"
FAILED = (types.INTERNAL_ERROR, "The client failed to answer the request.")
PARAMS: dict[str, dict[str, Any]] = {
    SAMPLING: {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 5},
    ELICITATION: {"message": "who?", "requestedSchema": {"type": "object", "properties": {}}},
    ROOTS: {},
}
ANSWER = types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="ho"), model="m")


def request(method: str, request_id: int | str = 1, params: dict[str, Any] | None = None) -> SessionMessage:
    body = {
        "jsonrpc": "2.0",
        "id": request_id,
        "method": method,
        "params": PARAMS[method] if params is None else params,
    }
    return message_of(body)


def notification(method: str, **params: Any) -> SessionMessage:
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    return message_of(body)


class Peer:
    """The server's end: what was answered, and the requests object that it talks to."""

    def __init__(self, requests: ServerRequests, answers: Any) -> None:
        self.requests = requests
        self.answers = answers

    def ask(self, method: str, request_id: int | str = 1, params: dict[str, Any] | None = None) -> bool:
        return self.requests.take(request(method, request_id, params))

    async def answer(self) -> dict[str, Any]:
        with anyio.fail_after(BOUND):
            item = await self.answers.receive()
        return item.message.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def error(self) -> tuple[int, str]:
        error = (await self.answer())["error"]
        return error["code"], error["message"]


@asynccontextmanager
async def peer(**handlers: Callable[..., Awaitable[Any]]) -> AsyncIterator[Peer]:
    """A connection with handlers for sampling, elicitation and roots; what is unfinished ends with it."""
    methods = {"sampling": SAMPLING, "elicitation": ELICITATION, "roots": ROOTS}
    write_stream, answers = anyio.create_memory_object_stream[SessionMessage](0)
    async with write_stream, answers, anyio.create_task_group() as tasks:
        requests = ServerRequests(
            SERVER,
            {methods[name]: handler for name, handler in handlers.items()},
            start_soon=tasks.start_soon,
            send=write_stream.send,
            session=lambda: "the session",
        )
        yield Peer(requests, answers)
        tasks.cancel_scope.cancel()


class Held:
    """A handler that waits until it is released."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.begins = anyio.Event()
        self.released = anyio.Event()

    async def __call__(self, context: RequestContext, params: Any = None) -> Any:
        self.begun += 1
        self.begins.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return ANSWER


async def no_roots(context: RequestContext) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[])


async def test_a_request_is_answered_with_what_its_handler_returns() -> None:
    seen: list[Any] = []

    async def sampling(context: RequestContext, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        seen.append((context, params))
        return ANSWER

    async with peer(sampling=sampling) as server:
        params = {**PARAMS[SAMPLING], "_meta": {"progressToken": "p"}}
        assert server.ask(SAMPLING, "a string", params)
        assert await server.answer() == {
            "jsonrpc": "2.0",
            "id": "a string",
            "result": {"role": "assistant", "content": {"type": "text", "text": "ho"}, "model": "m"},
        }
    ((context, given),) = seen
    token = context.meta.progressToken if IS_1 else context.meta["progress_token"]
    assert (context.session, context.request_id, token) == ("the session", "a string", "p")
    assert isinstance(given, types.CreateMessageRequestParams)
    assert field(given, "maxTokens") == 5


async def test_each_method_has_its_handler_and_its_params() -> None:
    async def elicitation(context: RequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"mode": params.mode})

    async def roots(context: RequestContext) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///work")])

    url = {"mode": "url", "message": "sign in", "url": "https://example.com", "elicitationId": "e"}
    async with peer(elicitation=elicitation, roots=roots) as server:
        assert server.ask(ELICITATION)
        assert (await server.answer())["result"] == {"action": "accept", "content": {"mode": "form"}}
        assert server.ask(ELICITATION, 2, url)
        assert (await server.answer())["result"]["content"] == {"mode": "url"}
        assert server.ask(ROOTS, 3)
        assert (await server.answer())["result"] == {"roots": [{"uri": "file:///work"}]}


async def test_a_request_without_params_is_served() -> None:
    async def roots(context: RequestContext) -> types.ListRootsResult:
        assert context.meta is None
        return types.ListRootsResult(roots=[])

    async with peer(roots=roots) as server:
        bare = message_of({"jsonrpc": "2.0", "id": 1, "method": ROOTS})
        assert server.requests.take(bare)
        assert (await server.answer())["result"] == {"roots": []}


async def test_everything_but_requests_is_left_to_the_session() -> None:
    async with peer(roots=Held()) as server:
        take = server.requests.take
        assert not take(notification("notifications/tools/list_changed"))
        answer = message_of({"jsonrpc": "2.0", "id": 1, "result": {}})
        assert not take(answer)
        assert not take(ValueError("garbage"))


async def test_a_ping_is_answered_and_a_method_without_a_handler_is_refused() -> None:
    async with peer(roots=no_roots) as server:
        assert server.ask("ping", 1, {})
        assert await server.answer() == {"jsonrpc": "2.0", "id": 1, "result": {}}
        assert server.ask(SAMPLING, 2)
        assert (await server.error())[0] == types.METHOD_NOT_FOUND
        assert server.ask("tasks/\x1b[31mlist", 3, {})
        assert (await server.error())[0] == types.METHOD_NOT_FOUND


async def test_requests_are_handled_side_by_side_and_answered_when_they_are_done() -> None:
    slow = Held()
    async with peer(sampling=slow, roots=no_roots) as server:
        assert server.ask(SAMPLING, 1)
        await slow.begins.wait()
        assert server.ask(ROOTS, 2)
        assert (await server.answer())["id"] == 2
        slow.released.set()
        assert (await server.answer())["id"] == 1


async def test_an_error_that_a_handler_returns_is_the_answer() -> None:
    async def sampling(context: RequestContext, params: Any) -> types.ErrorData:
        return types.ErrorData(code=-1, message="the user rejected it", data={"why": "no"})

    async with peer(sampling=sampling) as server:
        server.ask(SAMPLING)
        assert (await server.answer())["error"] == {
            "code": -1,
            "message": "the user rejected it",
            "data": {"why": "no"},
        }


async def test_params_that_are_not_valid_are_refused_without_their_content() -> None:
    asked = Held()
    async with peer(sampling=asked) as server:
        assert server.ask(SAMPLING, params={"messages": "secret"})
        code, message = await server.error()
        assert code == types.INVALID_PARAMS
        assert "params.messages" in message
        assert "secret" not in message
        assert asked.begun == 0


@pytest.mark.parametrize(
    "error", [ValueError("no model at /home/me/model"), KeyError(), PermissionError(13, "denied", "/home/me/key")]
)
async def test_a_handler_that_raises_answers_without_its_reason_which_is_in_our_log_and_harms_nobody(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failing = True

    async def sampling(context: RequestContext, params: Any) -> types.CreateMessageResult:
        if failing:
            raise error
        return ANSWER

    async with peer(sampling=sampling) as server:
        server.ask(SAMPLING)
        assert await server.error() == FAILED
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        assert "MCP server 'asking'" in record.getMessage()
        assert record.exc_info is not None
        assert record.exc_info[1] is error
        server.ask(SAMPLING)  # a server may ask for the same failure as often as it likes, and fills no log with it
        assert await server.error() == FAILED
        assert len(caplog.records) == 1
        failing = False
        server.ask(SAMPLING)
        assert "result" in await server.answer()


async def test_a_handler_that_returns_something_else_answers_with_an_error() -> None:
    async def sampling(context: RequestContext, params: Any) -> Any:
        return "ho"

    async with peer(sampling=sampling) as server:
        server.ask(SAMPLING)
        assert await server.error() == FAILED


@pytest.mark.parametrize("way", ["returned", "raised"])
async def test_an_answer_that_no_wire_can_hold_is_an_error_of_that_request_only(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    # The traceback is not for the report: pytest's workers cannot send such text either.
    caplog.set_level(logging.CRITICAL, "agent_framework._mcp")

    async def elicitation(context: RequestContext, params: Any) -> types.ElicitResult:
        if way == "raised":
            raise ValueError("half of a pair: \ud83d")
        return types.ElicitResult(action="accept", content={"name": "half of a pair: \ud83d"})

    async with peer(elicitation=elicitation, roots=no_roots) as server:
        server.ask(ELICITATION, 1)
        assert await server.error() == FAILED
        server.ask(ROOTS, 2)
        assert (await server.answer())["id"] == 2


async def test_a_cancellation_that_comes_out_of_a_handler_by_itself_is_an_error_of_that_request_only() -> None:
    other = Held()

    async def elicitation(context: RequestContext, params: Any) -> Any:
        raise asyncio.CancelledError

    async with peer(elicitation=elicitation, sampling=other) as server:
        server.ask(SAMPLING, 1)
        server.ask(ELICITATION, 2)
        assert await server.error() == FAILED
        other.released.set()
        assert (await server.answer())["id"] == 1


async def test_a_request_that_the_server_cancels_is_stopped_and_not_answered() -> None:
    held = Held()
    async with peer(sampling=held, roots=no_roots) as server:
        server.ask(SAMPLING, 7)
        await held.begins.wait()
        assert server.requests.take(notification("notifications/cancelled", requestId=7, reason="too late"))
        server.ask(ROOTS, 8)
        assert (await server.answer())["id"] == 8
        assert held.cancelled == 1
        assert not server.requests.take(notification("notifications/cancelled", requestId=7))


async def test_a_request_that_is_cancelled_before_it_began_never_begins() -> None:
    held = Held()
    async with peer(sampling=held, roots=no_roots) as server:
        server.ask(SAMPLING, 7)
        server.requests.take(notification("notifications/cancelled", requestId=7))
        server.ask(ROOTS, 8)
        assert (await server.answer())["id"] == 8
        assert held.begun == 0


@pytest.mark.parametrize("request_id", [8, "7", None, {"a": 1}])
async def test_the_cancellation_of_anything_else_is_left_to_the_session(request_id: Any) -> None:
    held = Held()
    async with peer(sampling=held) as server:
        server.ask(SAMPLING, 7)
        await held.begins.wait()
        assert not server.requests.take(notification("notifications/cancelled", requestId=request_id))
        held.released.set()
        assert (await server.answer())["id"] == 7


async def test_more_requests_at_once_than_the_limit_are_refused_and_later_ones_are_served() -> None:
    held = Held()
    async with peer(sampling=held) as server:
        for number in range(_server_requests.MAX_REQUESTS_AT_ONCE):
            assert server.ask(SAMPLING, number)
        assert server.ask(SAMPLING, "one too many")
        refused = await server.answer()
        assert (refused["id"], refused["error"]["code"]) == ("one too many", types.INVALID_REQUEST)
        held.released.set()
        served = [await server.answer() for _ in range(_server_requests.MAX_REQUESTS_AT_ONCE)]
        assert all("result" in answer for answer in served)
        assert server.ask(SAMPLING, "again")
        assert (await server.answer())["id"] == "again"


@pytest.mark.parametrize("method", [SAMPLING, ROOTS, "ping", "no/such"])
async def test_a_server_that_floods_and_reads_nothing_costs_a_bounded_number_of_answers(method: str) -> None:
    async with peer(sampling=Held()) as server:
        for number in range(1000):
            assert server.ask(method, number, PARAMS.get(method, {}))
        await anyio.wait_all_tasks_blocked()
        assert server.answers.statistics().tasks_waiting_send == 1
        waiting = [(await server.answer())["id"] for _ in range(_server_requests.MAX_ANSWERS_WAITING)]
        first = _server_requests.MAX_REQUESTS_AT_ONCE if method == SAMPLING else 0
        assert waiting == list(range(first, first + _server_requests.MAX_ANSWERS_WAITING))
        assert server.ask("ping", "later", {})
        assert (await server.answer())["id"] == "later"


async def test_answers_that_a_transport_takes_at_once_leave_the_event_loop_to_others() -> None:
    turns: list[int] = []

    async def send(item: Any) -> None:
        turns.append(turn)

    turn = 0
    async with anyio.create_task_group() as tasks:
        requests = ServerRequests(SERVER, {}, start_soon=tasks.start_soon, send=send, session=lambda: None)
        for number in range(10):
            assert requests.take(request("ping", number, {}))
        while len(turns) < 100:
            turn += 1
            if turn % 2:
                assert requests.take(request("ping", 1000 + turn, {}))  # also just when the last one has been answered
            await anyio.lowlevel.checkpoint()
    assert len(set(turns)) == len(turns)


async def test_a_request_that_is_too_large_to_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server_requests, "MAX_REQUEST_SIZE", 1024)
    held = Held()
    async with peer(sampling=held) as server:
        message = {"role": "user", "content": {"type": "text", "text": "x" * 2000}}
        assert server.ask(SAMPLING, params={"messages": [message], "maxTokens": 5})
        assert (await server.error())[0] == types.INVALID_REQUEST
        assert server.ask("ping", "x" * 1000, {})  # answers would be as long as their ids
        assert server.ask("ping", 2, {})
        assert (await server.answer())["id"] == 2
        assert held.begun == 0


async def test_an_id_that_is_in_use_is_refused() -> None:
    held = Held()
    async with peer(sampling=held) as server:
        server.ask(SAMPLING, 7)
        await held.begins.wait()
        assert server.ask(SAMPLING, 7)
        assert (await server.error())[0] == types.INVALID_REQUEST
        assert held.begun == 1


async def test_an_answer_for_which_the_connection_is_gone_is_dropped() -> None:
    held = Held()
    write_stream, answers = anyio.create_memory_object_stream[SessionMessage](0)
    with write_stream, anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:  # waits for the handling, and raises what it raises
            requests = ServerRequests(
                SERVER, {SAMPLING: held}, start_soon=tasks.start_soon, send=write_stream.send, session=lambda: None
            )
            assert requests.take(request(SAMPLING))
            await held.begins.wait()
            answers.close()
            held.released.set()


async def test_the_end_of_the_connection_cancels_what_is_in_progress() -> None:
    held = Held()
    async with peer(sampling=held) as server:
        server.ask(SAMPLING)
        await held.begins.wait()
    assert held.cancelled == 1


async def test_a_request_for_which_the_connection_is_ending_is_nobodys() -> None:
    async def send(item: Any) -> None:
        raise AssertionError("nothing was started")

    requests = ServerRequests(SERVER, {SAMPLING: Held()}, start_soon=lambda *_: False, send=send, session=lambda: None)
    assert requests.take(request(SAMPLING))
    assert requests.take(request(ROOTS))
    assert repr(requests).endswith("in progress: 0>")


async def test_a_handler_for_an_unknown_method_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="tools/call"):
        ServerRequests(SERVER, {"tools/call": Held()}, start_soon=print, send=Held(), session=lambda: None)
