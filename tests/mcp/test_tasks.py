# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Tools that the server runs as tasks: created once, polled, fetched, and cancelled when nobody waits any more."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript, RpcError

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPError, MCPTaskOptions, MCPTimeoutError, MCPToolError
from agent_framework._mcp_client import _tasks

OK = {"content": [{"type": "text", "text": "done"}], "isError": False}
STAMPS = {"createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z"}


class TaskServer(McpScript):
    """Runs `slow` as a task that goes through `states`, one a poll; the last one stays."""

    def __init__(self, *states: str, support: str = "required", **options: Any) -> None:
        tool = {"name": "slow", "inputSchema": {"type": "object"}, "execution": {"taskSupport": support}}
        super().__init__(tools=[tool], **options)
        self.states = list(states)
        self.payload: dict[str, Any] = OK
        self.created: list[dict[str, Any]] = []
        self.handlers |= {"tools/call": self.create, "tasks/get": self.get, "tasks/result": self.fetch}
        self.handlers.setdefault("tasks/cancel", self.cancel)
        self.handlers |= options.get("handlers", {})

    async def create(self, params: dict[str, Any]) -> dict[str, Any]:
        self.created.append(params)
        if "task" not in params:
            return OK
        return {"task": {"taskId": "t-1", "status": "working", **STAMPS}}  # no ttl: servers leave it out

    async def get(self, params: dict[str, Any]) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"taskId": params["taskId"], "status": state, "statusMessage": f"it is {state}", **STAMPS}

    async def fetch(self, params: dict[str, Any]) -> dict[str, Any]:
        return self.payload

    async def cancel(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"taskId": params["taskId"], "status": "cancelled", **STAMPS}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tasks, "POLL_INTERVALS", (0.01, 0.02))


@contextlib.contextmanager
def serving(script: McpScript, **options: Any) -> Iterator[tuple[HttpServer, MCPStreamableHTTPTool]]:
    with HttpServer(script) as server:
        yield server, MCPStreamableHTTPTool("script", server.url, **options)


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


def count(server: HttpServer, name: str) -> int:
    return server.names.count(name)


async def warned(caplog: pytest.LogCaptureFixture) -> None:
    while not any(record.levelname == "WARNING" for record in caplog.records):
        await asyncio.sleep(0.01)  # a log has no event; the bound is around it


async def test_what_a_server_says_of_a_task_is_printable(caplog: pytest.LogCaptureFixture) -> None:
    class Loud(TaskServer):
        async def create(self, params: dict[str, Any]) -> dict[str, Any]:
            return {"task": {"taskId": "t\n1" + "x" * 10_000, "status": "working", **STAMPS}}

        async def get(self, params: dict[str, Any]) -> dict[str, Any]:
            return {**await super().get(params), "statusMessage": "bad\nworse"}

        async def cancel(self, params: dict[str, Any]) -> dict[str, Any]:
            raise RpcError(-32000, "will\nnot")

    with serving(Loud("failed")) as (_, tool):
        async with tool:
            with pytest.raises(MCPToolError, match="its task is failed: bad worse") as caught:
                await within(tool.call_tool("slow"))
            assert "bad\nworse" in caught.value.text
    with serving(Loud("working"), task_options=MCPTaskOptions(max_task_wait=timedelta(seconds=0.1))) as (server, tool):
        async with tool:
            with pytest.raises(MCPTimeoutError) as late:
                await within(tool.call_tool("slow"))
            await server.arrived("tasks/cancel")
            await within(warned(caplog))
    assert str(late.value).isprintable()
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "could not be cancelled" in warning
    assert warning.isprintable()
    assert len(warning) < 1000


def test_options_are_immutable_and_times_are_positive() -> None:
    options = MCPTaskOptions()
    assert (options.default_ttl, options.max_task_wait) == (None, None)
    assert options.cancel_remote_task_on_local_cancellation
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.default_ttl = timedelta(1)  # type: ignore[misc]
    for name in ("default_ttl", "max_task_wait"):
        with pytest.raises(ValueError, match=name):
            MCPTaskOptions(**{name: timedelta(0)})


async def test_a_tool_that_requires_it_is_called_as_a_task_and_only_once() -> None:
    with serving(TaskServer("working", "working", "completed")) as (server, tool):
        async with tool:
            (content,) = await within(tool.call_tool("slow"))
        assert content.text == "done"
        assert [count(server, name) for name in ("tools/call", "tasks/get", "tasks/result")] == [1, 3, 1]


@pytest.mark.parametrize("support", ["optional", "forbidden"])
async def test_any_other_tool_is_called_plainly(support: str) -> None:
    script = TaskServer("completed", support=support)
    with serving(script) as (_, tool):
        async with tool:
            await within(tool.call_tool("slow"))
    assert "task" not in script.created[0]


async def test_a_tool_that_may_run_as_a_task_does_so_on_request() -> None:
    with serving(TaskServer("completed", support="optional")) as (server, tool):
        async with tool:
            (content,) = await within(tool.call_tool_as_task("slow"))
        assert (content.text, count(server, "tasks/result")) == ("done", 1)


async def test_the_time_to_live_goes_out_in_milliseconds() -> None:
    script = TaskServer("completed")
    with serving(script, task_options=MCPTaskOptions(default_ttl=timedelta(seconds=90))) as (_, tool):
        async with tool:
            await within(tool.call_tool("slow"))
    assert script.created[0]["task"] == {"ttl": 90_000}


@pytest.mark.parametrize("state", ["failed", "cancelled", "input_required"])
async def test_a_task_that_does_not_complete_fails_with_the_servers_words(state: str) -> None:
    with serving(TaskServer("working", state)) as (server, tool):
        async with tool:
            with pytest.raises(MCPToolError, match=f"it is {state}"):
                await within(tool.call_tool("slow"))
        assert count(server, "tasks/cancel") == 0


async def test_a_result_that_is_an_error_fails_with_its_text() -> None:
    script = TaskServer("completed")
    script.payload = {"content": [{"type": "text", "text": "no disk"}], "isError": True}
    with serving(script) as (_, tool):
        async with tool:
            with pytest.raises(MCPToolError, match="no disk"):
                await within(tool.call_tool("slow"))


async def test_a_result_of_no_known_shape_is_named_with_its_task() -> None:
    script = TaskServer("completed")
    script.payload = {"content": "nothing of the kind"}
    with serving(script) as (_, tool):
        async with tool:
            with pytest.raises(MCPError, match="t-1"):
                await within(tool.call_tool("slow"))


@pytest.mark.parametrize("code", [-32601, -32602])
async def test_a_server_that_refuses_a_task_is_called_plainly(code: int) -> None:
    async def create(params: dict[str, Any]) -> dict[str, Any]:
        if "task" in params:
            raise RpcError(code, "what task?")
        return OK

    with serving(TaskServer("completed", handlers={"tools/call": create})) as (server, tool):
        async with tool:
            (content,) = await within(tool.call_tool("slow"))
        assert (content.text, count(server, "tools/call")) == ("done", 2)


async def test_a_server_that_answers_at_once_is_not_polled() -> None:
    async def create(params: dict[str, Any]) -> dict[str, Any]:
        return OK

    with serving(TaskServer("completed", handlers={"tools/call": create})) as (server, tool):
        async with tool:
            (content,) = await within(tool.call_tool("slow"))
        assert (content.text, count(server, "tasks/get")) == ("done", 0)


async def test_a_connection_that_is_lost_while_polling_does_not_start_the_task_again() -> None:
    script = TaskServer("working")
    with serving(script) as (server, tool):
        async with tool:
            call = asyncio.create_task(tool.call_tool("slow"))
            await server.arrived("tasks/get", 2)
            script.live_sessions.clear()  # the server has forgotten the session, as after a restart
            script.states = ["completed"]
            (content,) = await within(call)
        assert (content.text, len(script.created), script.opened_sessions) == ("done", 1, 2)


@pytest.mark.parametrize(("cancels", "sent"), [(True, 1), (False, 0)])
async def test_a_cancelled_caller_cancels_the_task_if_the_options_say_so(cancels: bool, sent: int) -> None:
    options = MCPTaskOptions(cancel_remote_task_on_local_cancellation=cancels)
    with serving(TaskServer("working"), task_options=options) as (server, tool):
        async with tool:
            call = asyncio.create_task(tool.call_tool("slow"))
            await server.arrived("tasks/get")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await within(call)
            if sent:
                await server.arrived("tasks/cancel")
            await within(tool.load_tools())
        assert count(server, "tasks/cancel") == sent


async def test_a_task_that_takes_too_long_is_cancelled_whatever_the_options_say() -> None:
    options = MCPTaskOptions(cancel_remote_task_on_local_cancellation=False, max_task_wait=timedelta(seconds=0.1))
    with serving(TaskServer("working"), task_options=options) as (server, tool):
        async with tool:
            with pytest.raises(MCPTimeoutError, match="max_task_wait"):
                await within(tool.call_tool("slow"))
            await server.arrived("tasks/cancel")


async def broken(params: dict[str, Any]) -> dict[str, Any]:
    raise RpcError(-32603, "the database is away")


async def shapeless(params: dict[str, Any]) -> dict[str, Any]:
    return {"nothing": "at all"}


@pytest.mark.parametrize("handler", [broken, shapeless])
async def test_a_poll_that_fails_gives_the_task_up(handler: Callable[..., Any]) -> None:
    with serving(TaskServer("working", handlers={"tasks/get": handler})) as (server, tool):
        async with tool:
            with pytest.raises(MCPError, match="t-1"):
                await within(tool.call_tool("slow"))
            await server.arrived("tasks/cancel")


async def test_a_poll_without_an_answer_in_time_is_not_the_end() -> None:
    async def slow_at_first(params: dict[str, Any]) -> dict[str, Any]:
        if not polls:
            polls.append(1)
            await asyncio.Event().wait()
        return {"taskId": "t-1", "status": "completed", **STAMPS}

    polls: list[int] = []
    with serving(TaskServer(handlers={"tasks/get": slow_at_first}), request_timeout=1) as (_, tool):
        async with tool:
            (content,) = await within(tool.call_tool("slow"))
    assert content.text == "done"
