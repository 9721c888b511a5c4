# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The same faults on every transport: a server that is killed, frozen or started anew, and callers that come together,
overlap and give up. The servers are processes of their own, so that they can be stopped and killed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fault_servers import ANYIO_LOSES_SOCKETS, BOUND, freeze
from test_ends import await_death, await_idleness

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPConnectionError, MCPTimeoutError, MCPTool
from agent_framework.exceptions import ToolException

HERE = Path(__file__).parent
PEER = str(HERE / "bad_peer.py")
AT_ONCE = 1.0  # seconds: the bar for noticing that a server is gone
T = TypeVar("T")

SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from fault_servers import HttpServer, McpScript

kind, port = sys.argv[2], int(sys.argv[3])
if kind == "websocket":
    from test_websocket import WebsocketServer
    server = WebsocketServer(port=port)
else:
    server = HttpServer(McpScript(events=kind == "events"), port=port)
with server:
    print(server.port, flush=True)
    for line in sys.stdin:
        print(server.names.count("initialize"), flush=True)
"""

CHILD = f"""
import os, runpy, sys
with open(sys.argv.pop(), "a") as record:
    record.write(f"{{os.getpid()}}\\n")
runpy.run_path({PEER!r}, run_name="__main__")
"""


class Place:
    """Where a server is reached, with the server in it.

    Args:
        kind: "stdio", "json", "events" or "websocket".
        record: A file for what the server cannot be asked.
    """

    def __init__(self, kind: str, record: Path) -> None:
        self.kind = kind
        self._record = record
        self._before = 0  # handshakes of servers that were killed, or are to be
        self._is_doomed = False
        self._port = 0
        if kind != "stdio":
            self._start()

    def tool(self, **options: Any) -> MCPTool:
        if self.kind == "stdio":
            return MCPStdioTool("there", sys.executable, args=["-SE", "-c", CHILD, str(self._record)], **options)
        if self.kind == "websocket":
            return MCPWebsocketTool("there", f"ws://127.0.0.1:{self._port}/mcp", **options)
        return MCPStreamableHTTPTool("there", f"http://127.0.0.1:{self._port}/mcp", **options)

    def _start(self) -> None:
        command = [sys.executable, "-c", SERVER, str(HERE), self.kind, str(self._port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    @property
    def pids(self) -> list[int]:
        if self.kind != "stdio":
            return [self._process.pid]
        return [int(line) for line in self._record.read_text().split()] if self._record.exists() else []

    @property
    def handshakes(self) -> int:
        """How many there were. A child has one each."""
        return len(self.pids) if self.kind == "stdio" else self._before + self._ask()

    def _ask(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pids[-1], number)

    def freeze(self) -> None:
        freeze(self.pids[-1])

    def freeze_for_good(self) -> None:
        """Stops the server: it takes what it is sent, and does nothing. Only `restart` can follow."""
        self._count()
        self.freeze()

    def _count(self) -> None:
        if self.kind != "stdio" and not self._is_doomed:
            self._before += self._ask()  # it cannot be asked later
        self._is_doomed = True

    def restart(self) -> None:
        """Kills the server without a farewell; another one takes its place."""
        self._count()
        self._is_doomed = False
        self.send(signal.SIGKILL)
        if self.kind != "stdio":
            self.close()
            self._start()

    def close(self) -> None:
        if self.kind != "stdio":
            self._process.kill()
            self._process.communicate()


@pytest.fixture(params=["stdio", "json", "events", "websocket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with contextlib.closing(Place(request.param, tmp_path / "children")) as made:
        yield made


async def within(awaitable: Awaitable[T], seconds: float = BOUND) -> T:
    return await asyncio.wait_for(awaitable, seconds)


async def assert_works(tool: MCPTool) -> None:
    assert (await within(tool.call_tool("echo", word="hi")))[0].text == '{"word": "hi"}'


# Gone and back ...


async def test_a_connection_knows_that_its_server_was_killed_while_it_was_idle(place: Place) -> None:
    if place.kind in ("json", "events"):
        pytest.skip("between requests, HTTP without a listening stream has no connection to lose")
    async with place.tool() as tool:
        lost = asyncio.Event()
        place.send(signal.SIGKILL)
        began = time.monotonic()
        while tool.is_connected:
            assert time.monotonic() - began < AT_ONCE
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(lost.wait(), 0.01)


@pytest.mark.parametrize("callers", [1, 8, 64])
async def test_however_many_call_after_a_restart_there_is_one_handshake_and_all_are_answered(
    place: Place, callers: int
) -> None:
    async with place.tool() as tool:
        await assert_works(tool)
        await asyncio.to_thread(place.restart)
        if place.kind in ("stdio", "websocket"):
            began = time.monotonic()
            while tool.is_connected:
                assert time.monotonic() - began < AT_ONCE
                await asyncio.to_thread(time.sleep, 0.01)
        outcomes = await within(asyncio.gather(*(assert_works(tool) for _ in range(callers)), return_exceptions=True))
        assert outcomes == [None] * callers
        assert place.handshakes == 2


async def test_calls_under_way_are_told_at_once_that_their_server_was_killed_and_what_became_of_them(
    place: Place,
) -> None:
    async with place.tool() as tool:
        place.freeze_for_good()  # so that all of them are under way
        calls = [asyncio.create_task(tool.call_tool("echo", n=n)) for n in range(8)]
        await asyncio.sleep(0)
        done, _ = await asyncio.wait(calls, timeout=0.2)
        assert not done
        began = time.monotonic()
        await asyncio.to_thread(place.restart)
        restarted = time.monotonic() - began
        outcomes = await within(asyncio.gather(*calls, return_exceptions=True), AT_ONCE + restarted)
        assert not any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        for outcome in outcomes:
            assert isinstance(outcome, MCPConnectionError), outcome
            assert outcome.sent is True
        await assert_works(tool)
        assert place.handshakes == 2


async def test_an_argument_that_no_wire_can_hold_costs_its_own_call(place: Place) -> None:
    async with place.tool() as tool:
        with pytest.raises(ToolException, match="surrogates not allowed") as caught:
            await within(tool.call_tool("echo", word="half of a pair: \ud83d"), AT_ONCE)
        assert getattr(caught.value, "sent", None) is False
        assert tool.is_connected
        await assert_works(tool)
        assert place.handshakes == 1


# Frozen ...


async def test_a_frozen_server_is_bounded_by_the_deadlines_and_usable_when_it_thaws(place: Place) -> None:
    tool = place.tool(request_timeout=1)
    async with tool:
        place.freeze()
        try:
            for what in (tool.call_tool("echo"), tool.load_tools()):
                with pytest.raises(MCPTimeoutError, match="no answer within 1 s"):
                    await within(what, 3)
        finally:
            place.send(signal.SIGCONT)
        await assert_works(tool)
        assert place.handshakes == 1


async def test_a_connection_to_a_frozen_server_can_be_closed_in_time_and_nothing_is_left(place: Place) -> None:
    tool = place.tool()
    await within(tool.connect())
    place.freeze()
    try:
        call = asyncio.create_task(tool.call_tool("echo"))
        await asyncio.wait({call}, timeout=0.1)
        began = time.monotonic()
        await within(tool.close(), 8)
        assert time.monotonic() - began < 7
        with pytest.raises(MCPConnectionError):
            await within(call)
    finally:
        if place.kind != "stdio":
            place.send(signal.SIGCONT)


# Callers that overlap and give up ...


async def connect(tool: MCPTool) -> None:
    await tool.connect()


async def refresh(tool: MCPTool) -> None:
    await tool.load_tools()


async def call(tool: MCPTool) -> None:
    await tool.call_tool("echo")


async def close(tool: MCPTool) -> None:
    await tool.close()


async def test_operations_that_overlap_all_end_whatever_their_order(place: Place) -> None:
    tool = place.tool()
    for order in itertools.permutations([connect, refresh, call, close]):
        tasks = []
        for operation in order:
            tasks.append(asyncio.create_task(operation(tool)))
            await asyncio.sleep(0)
        for outcome in await within(asyncio.gather(*tasks, return_exceptions=True), 2 * BOUND):
            assert outcome is None or isinstance(outcome, ToolException), repr(outcome)
    await within(tool.connect())
    await assert_works(tool)
    await within(tool.close())


@pytest.mark.parametrize("operation", [connect, refresh, call, close])
async def test_a_cancellation_at_any_turn_leaves_the_object_usable(place: Place, operation: Any) -> None:
    if operation is connect and place.kind != "stdio" and ANYIO_LOSES_SOCKETS:
        pytest.skip("this release of anyio loses sockets of connects that are cancelled as they succeed")
    tool = place.tool()
    bystander = place.tool()
    await within(bystander.connect())
    for turns in range(0, 40, 4):
        if operation is not connect:
            await within(tool.connect(), 2 * BOUND)
        task = asyncio.create_task(operation(tool))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=2 * BOUND)
        assert done, f"it hangs when cancelled after {turns} turns"
        assert task.cancelled() or task.exception() is None, repr(task.exception())
    await within(tool.connect(), 2 * BOUND)
    await assert_works(tool)
    await assert_works(bystander)
    await within(asyncio.gather(tool.close(), bystander.close()), 2 * BOUND)


# Ends ...


@pytest.mark.parametrize("end", ["closed", "left open"])
def test_a_tool_serves_one_loop_after_the_other(place: Place, end: str) -> None:
    tool = place.tool()

    async def use() -> None:
        await within(tool.connect())
        await assert_works(tool)
        if end == "closed":
            await within(tool.close())

    for _ in range(2):
        asyncio.run(use())
        gc.collect()
    asyncio.run(tool.close())


PROGRAM = """
import asyncio, gc, signal, sys
from agent_framework import MCPWebsocketTool, MCPStreamableHTTPTool

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what it runs in the background ignore it
URL, HOW = sys.argv[1:]

async def main():
    asyncio.get_running_loop().slow_callback_duration = 10  # a busy machine is not what this is about
    tool = (MCPWebsocketTool if URL.startswith("ws") else MCPStreamableHTTPTool)("there", URL)
    await tool.connect()
    await tool.call_tool("echo")
    print("ready", flush=True)
    if HOW == "forget":
        del tool
        gc.collect()
    if HOW == "error":
        raise SystemExit(3)
    if HOW == "interrupt":
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["leave", "forget", "error", "interrupt"])
def test_a_program_that_does_not_close_ends_in_silence(place: Place, how: str) -> None:
    if place.kind in ("stdio", "json"):
        pytest.skip("test_ends.py has these two")
    url = getattr(place.tool(), "url")  # noqa: B009  # all but children have one
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, url, how]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            if how == "interrupt":
                await_idleness(program.pid)
                program.send_signal(signal.SIGINT)
            _, err = program.communicate(timeout=20)
        finally:
            program.kill()
    if how == "interrupt":
        assert err.strip().splitlines()[-1].startswith("KeyboardInterrupt"), err
        for noise in (
            "never awaited",
            "never retrieved",
            "destroyed",
            "Warning",
            "ignored",
            "unclosed",
            "cancel scope",
        ):
            assert noise not in err, err
    else:
        assert (program.returncode, err) == (3 if how == "error" else 0, "")
    await_death(program.pid)
