# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Everything at once on one object, and a cancellation at any turn of the loop: no deadlock, no second session."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from fault_servers import ANYIO_LOSES_SOCKETS, BOUND, HttpServer, McpScript

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPTool
from agent_framework.exceptions import ToolException

pytestmark = pytest.mark.skipif(ANYIO_LOSES_SOCKETS, reason="anyio before 4.16 loses the socket of a cancelled connect")

HERE = Path(__file__).parent
PEER = str(HERE / "bad_peer.py")
TOOLS = [{"name": "echo", "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}]
Operation = Callable[[MCPTool], Awaitable[Any]]


class Counting(McpScript):
    """Knows how many sessions live side by side, and which calls came."""

    def __init__(self, **options: Any) -> None:
        super().__init__(tools=TOOLS, **options)
        self.most_sessions = 0
        self.calls: list[Any] = []

    def _open_session(self) -> str:
        session = super()._open_session()
        self.most_sessions = max(self.most_sessions, len(self.live_sessions))
        return session

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(params.get("arguments"))
        return await super().call_tool(params)


def stdio_tool() -> MCPStdioTool:
    return MCPStdioTool("peer", sys.executable, args=["-SE", PEER])


async def connect(tool: MCPTool) -> None:
    await tool.connect()


async def reset(tool: MCPTool) -> None:
    await tool.connect(reset=True)


async def refresh(tool: MCPTool) -> None:
    await tool.load_tools()


async def call(tool: MCPTool) -> None:
    assert (await tool.call_tool("echo", n=7))[0].text == '{"n": 7}'  # type: ignore[union-attr]


async def close(tool: MCPTool) -> None:
    await tool.close()


OPERATIONS: list[Operation] = [connect, refresh, call, close, reset]


async def settle(*tasks: asyncio.Task[Any]) -> list[Any]:
    """The outcomes, none of which may be late, or a cancellation that nobody asked for."""
    _, late = await asyncio.wait(tasks, timeout=BOUND)
    assert not late, f"still waiting: {late}"
    found = [task.exception() if not task.cancelled() else asyncio.CancelledError() for task in tasks]
    for outcome in found:
        assert outcome is None or isinstance(outcome, ToolException), repr(outcome)
    return found


async def assert_usable(tool: MCPTool) -> None:
    await asyncio.wait_for(tool.connect(), BOUND)
    await asyncio.wait_for(call(tool), BOUND)


@pytest.mark.parametrize("connected", [False, True], ids=["new", "connected"])
async def test_three_operations_at_once_in_every_order_end_and_share_one_session(connected: bool) -> None:
    script = Counting()
    with HttpServer(script) as server:
        for order in itertools.product([connect, refresh, call, close], repeat=2 if connected else 3):
            tool = MCPStreamableHTTPTool("script", server.url)
            if connected:
                await tool.connect()
            found = await settle(*(asyncio.create_task(operation(tool)) for operation in order))
            for operation, outcome in zip(order, found, strict=True):
                if close not in order and operation is not call:
                    assert outcome is None, f"{operation.__name__} in {[f.__name__ for f in order]}: {outcome!r}"
                assert outcome is None or isinstance(outcome, MCPConnectionError), repr(outcome)
            await asyncio.wait_for(tool.close(), BOUND)
            assert not tool.is_connected
        assert script.most_sessions == 1
        assert script.live_sessions == set()
        assert set(map(str, script.calls)) <= {"{'n': 7}"}


@pytest.mark.parametrize("seed", range(4))
async def test_random_schedules_neither_hang_nor_open_a_second_session(seed: int) -> None:
    choose = random.Random(seed)
    script = Counting(events=bool(seed % 2), standing_stream=seed % 3 == 0)
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        for _ in range(8):
            tasks = []
            for _ in range(choose.randrange(1, 12)):
                tasks.append(asyncio.create_task(choose.choice(OPERATIONS)(tool)))
                for _ in range(choose.randrange(0, 15)):
                    await asyncio.sleep(0)
                if choose.random() < 0.2:
                    script.live_sessions.clear()  # as a restart does
            await settle(*tasks)
        script.live_sessions.clear()
        script.most_sessions = 0
        await assert_usable(tool)
        assert script.most_sessions == 1
        await tool.close()
        assert set(map(str, script.calls)) <= {"{'n': 7}"}


@pytest.mark.parametrize("seed", range(2))
async def test_random_schedules_on_a_child_leave_one_child_at_most(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    tool = stdio_tool()
    for _ in range(5):
        tasks = []
        for _ in range(choose.randrange(1, 8)):
            tasks.append(asyncio.create_task(choose.choice(OPERATIONS)(tool)))
            for _ in range(choose.randrange(0, 15)):
                await asyncio.sleep(0)
        await settle(*tasks)
    await assert_usable(tool)
    await tool.close()


async def test_connect_and_listing_overlap_as_in_two_tasks_of_an_agent() -> None:
    with HttpServer(Counting()) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        tasks = [asyncio.create_task(f(tool)) for f in (connect, refresh, connect, refresh)]
        assert await settle(*tasks) == [None] * 4
        assert server.names.count("initialize") == 1
        await tool.close()


async def test_a_call_that_overlaps_the_first_connect_is_sent_with_its_arguments() -> None:
    script = Counting()
    with HttpServer(script) as server:
        for turns in range(0, 60, 3):
            tool = MCPStreamableHTTPTool("script", server.url)
            connecting = asyncio.create_task(tool.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            calling = asyncio.create_task(call(tool))
            await settle(connecting, calling)
            await tool.close()
        assert set(map(str, script.calls)) <= {"{'n': 7}"}


async def test_sixty_four_calls_and_a_close_all_end() -> None:
    with HttpServer(Counting()) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        await tool.connect()
        calls = [asyncio.create_task(call(tool)) for _ in range(64)]
        await server.arrived("tools/call", 5)
        closing = asyncio.create_task(tool.close())
        found = await settle(*calls, closing)
        assert found[-1] is None
        for outcome in found:
            assert outcome is None or (isinstance(outcome, MCPConnectionError) and outcome.sent is not None)


# Cancellation at every turn ...


async def natively(operation: Operation, tool: MCPTool, turns: int) -> None:
    task = asyncio.create_task(operation(tool))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=BOUND)
    assert task.done()
    if not task.cancelled():
        check(task.exception())


async def by_an_anyio_scope(operation: Operation, tool: MCPTool, turns: int) -> None:
    with anyio.CancelScope() as scope:
        alarm = asyncio.create_task(after(turns, scope.cancel))
        try:
            await operation(tool)
        except ToolException as error:
            check(error)
    await alarm
    await assert_undisturbed()


async def by_a_timeout(operation: Operation, tool: MCPTool, turns: int) -> None:
    try:
        async with asyncio.timeout(None) as timeout:
            alarm = asyncio.create_task(after(turns, partial(expire, timeout)))
            try:
                await operation(tool)
            except ToolException as error:
                check(error)
    except TimeoutError:
        pass
    await alarm
    await assert_undisturbed()


def expire(timeout: Any) -> None:
    if not timeout.expired():
        with contextlib.suppress(RuntimeError):  # it is over
            timeout.reschedule(asyncio.get_running_loop().time())


async def by_a_sibling(operation: Operation, tool: MCPTool, turns: int) -> None:
    def fail() -> None:
        raise KeyError("sibling")

    async def guarded() -> None:
        try:
            await operation(tool)
        except ToolException as error:
            check(error)

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(guarded())
            tasks.create_task(after(turns, fail))

    task = asyncio.create_task(group())
    await asyncio.wait({task}, timeout=BOUND)
    leaves = getattr(task.exception(), "exceptions", ())
    assert [type(leaf) for leaf in leaves] == [KeyError]


async def after(turns: int, act: Callable[[], None]) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    act()


def check(error: BaseException | None) -> None:
    """What may come instead of a cancellation: nothing."""
    assert error is None, repr(error)


async def assert_undisturbed() -> None:
    await asyncio.sleep(0)  # a cancellation that is still under way would arrive here
    task: Any = asyncio.current_task()
    assert sys.version_info < (3, 11) or task.cancelling() == 0


since_311 = pytest.mark.skipif(sys.version_info < (3, 11), reason="this means of cancelling came with Python 3.11")
WAYS = [
    natively,
    by_an_anyio_scope,
    pytest.param(by_a_timeout, marks=since_311),
    pytest.param(by_a_sibling, marks=since_311),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", [connect, refresh, call, close, reset])
async def test_a_cancellation_at_any_turn_reaches_its_target_only_and_the_object_stays_usable(
    operation: Operation, way: Any
) -> None:
    script = Counting()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        bystander = MCPStreamableHTTPTool("bystander", server.url)
        await bystander.connect()
        for turns in range(0, 61, 3 if way is natively else 8):
            if operation is not connect:
                await asyncio.wait_for(tool.connect(), BOUND)
            elif turns:
                await asyncio.wait_for(tool.close(), BOUND)
            await way(operation, tool, turns)
            await asyncio.wait_for(call(bystander), BOUND)
        await assert_usable(tool)
        await asyncio.wait_for(tool.close(), BOUND)
        await bystander.close()
        assert script.live_sessions == set() or operation in (connect, reset)


@pytest.mark.parametrize("operation", [connect, call, close])
async def test_a_cancellation_at_any_turn_leaves_no_child(operation: Operation) -> None:
    tool = stdio_tool()
    for turns in range(0, 61, 12):
        if operation is not connect:
            await asyncio.wait_for(tool.connect(), BOUND)
        elif turns:
            await asyncio.wait_for(tool.close(), BOUND)
        await natively(operation, tool, turns)
    await assert_usable(tool)
    await asyncio.wait_for(tool.close(), BOUND)


async def test_a_cancelled_caller_of_many_leaves_the_others_at_every_turn() -> None:
    with HttpServer(Counting()) as server:
        for turns in range(0, 61, 4):
            tool = MCPStreamableHTTPTool("script", server.url)
            leaving, *staying = (asyncio.create_task(tool.connect()) for _ in range(3))
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            assert await settle(*staying) == [None, None]
            await asyncio.wait({leaving})
            await asyncio.wait_for(tool.close(), BOUND)


async def test_a_cancelled_call_of_many_leaves_the_others_at_every_turn_of_a_reconnect() -> None:
    script = Counting()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        await tool.connect()
        for turns in range(0, 61, 4):
            script.live_sessions.clear()
            leaving, *staying = (asyncio.create_task(call(tool)) for _ in range(4))
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            assert await settle(*staying) == [None] * 3
            await asyncio.wait({leaving})
        await tool.close()


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
async def test_a_call_that_is_cancelled_just_as_its_answer_arrives_costs_no_other_call(events: bool) -> None:
    class Script(Counting):
        async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
            if params["arguments"].get("n") == 0:
                await asyncio.Event().wait()
            return await super().call_tool(params)

    with HttpServer(Script(events=events)) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            waiting = asyncio.create_task(tool.call_tool("echo", n=0))
            await server.arrived("tools/call")
            for count in range(2, 152):
                answered = asyncio.create_task(call(tool))
                for _ in range(count):
                    await asyncio.sleep(0)
                answered.cancel()
                await asyncio.wait({answered})
                assert not waiting.done(), f"it failed after {count} cancellations: {waiting}"
            assert server.names.count("initialize") == 1
            waiting.cancel()
            await asyncio.wait({waiting})


async def test_a_call_on_its_way_survives_a_reconnect_that_is_given_up_and_the_one_after_it() -> None:
    class Slow(Counting):
        may_open, may_answer = threading.Event(), threading.Event()

        async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
            await asyncio.to_thread(self.may_open.wait, BOUND)
            return await super().initialize(params)

        async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
            if params["arguments"]["n"] == 0:
                await asyncio.to_thread(self.may_answer.wait, BOUND)
            return await super().call_tool(params)

    script = Slow()
    script.may_open.set()
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            slow = asyncio.create_task(tool.call_tool("echo", n=0))
            await server.arrived("tools/call")
            script.live_sessions.clear()
            script.may_open.clear()
            leaving = asyncio.create_task(call(tool))
            await server.arrived("initialize", 2)
            leaving.cancel()
            await asyncio.wait({leaving})
            script.may_open.set()
            await asyncio.wait_for(call(tool), BOUND)
            assert not slow.done(), slow
            script.may_answer.set()
            assert (await asyncio.wait_for(slow, BOUND))[0].text == '{"n": 0}'  # type: ignore[union-attr]


async def test_nobody_is_told_of_a_cancelled_handshake_by_a_notification() -> None:
    with HttpServer(Counting()) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        for turns in range(0, 61, 5):
            await natively(connect, tool, turns)
            await tool.close()
        first = [exchange.message for exchange in server.exchanges if exchange.name == "initialize"]
        ids = {message["id"] for message in first if message}
        cancelled = [exchange.message for exchange in server.exchanges if exchange.name == "notifications/cancelled"]
        assert not [message for message in cancelled if message and message["params"]["requestId"] in ids]
