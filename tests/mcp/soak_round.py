# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""One round of the soak: carries out a plan, and judges how each step ended.

A step may end in success, in a `ToolException`, or, if its caller gave up, in that caller's own cancellation.
Afterwards every fault is over, and each tool has to be of use again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
from soak_checks import Ledger
from soak_peers import Peer
from soak_plan import Fault, Plan, Step

from agent_framework._mcp import MCPError
from agent_framework.exceptions import ToolException

STEP_BOUND = 30.0
"""Seconds that one step may take. The worst that is allowed: a call waits for the end of a frozen predecessor, dials,
waits for its deadline, and does all of that a second time; the deadlines in the plans add up to less than this."""

TASK_BOUND = 5.0
"""Seconds that a task may take to end after everything is closed."""

COUNTS_CANCELLATIONS = sys.version_info >= (3, 11)
"""Whether a task keeps count of its cancellations. Python 3.10 folds two of the same turn of the loop, the caller's and
that of a scope whose connection was lost, into one; nobody can tell there whether the caller's was among them."""

ZEROS = ("doubles", "leaks", "leaked cancellations", "hangs", "noise", "other failures")


@dataclass
class Tally:
    """What has happened so far.

    Attributes:
        rounds: How many were begun.
        calls: How many tool calls were tried.
        faults: How many faults were injected: into servers, and by calls that make a server misbehave.
        slowest: The longest time that a step took, in seconds.
        outcomes: How steps ended, by name.
        failures: What must not happen, by the words in `ZEROS`.
    """

    rounds: int = 0
    calls: int = 0
    faults: int = 0
    slowest: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[str]] = field(default_factory=lambda: {word: [] for word in ZEROS})

    @property
    def failed(self) -> bool:
        return any(self.failures.values())

    def fail(self, word: str, *details: str) -> None:
        self.failures[word].extend(details)

    def __str__(self) -> str:
        zeros = ", ".join(f"{len(found)} {word}" for word, found in self.failures.items())
        return f"{self.rounds} rounds, {self.calls} calls, {self.faults} faults injected; {zeros}"


def run_round(plan: Plan, peer: Peer, ledger: Ledger, tally: Tally) -> None:
    """Carry out a plan on an event loop of its own."""
    tally.rounds += 1
    asyncio.run(Round(plan, peer, ledger, tally).run())


class Round:
    """One round: its tools, its workers, its faults, and what comes of them."""

    def __init__(self, plan: Plan, peer: Peer, ledger: Ledger, tally: Tally) -> None:
        self.plan = plan
        self.peer = peer
        self.ledger = ledger
        self.tally = tally
        self.tools: list[Any] = []

    async def run(self) -> None:
        await self.peer.is_back()
        async with contextlib.AsyncExitStack() as clients:
            for number, settings in enumerate(self.plan.tools):
                client = await clients.enter_async_context(httpx.AsyncClient()) if settings.own_client else None
                self.tools.append(self.peer.make_tool(number, settings, client))
            await self._use_and_abuse()
            if self.tally.failed:
                return
            await self._check_that_tools_work()
            if not self.plan.abandon:
                await self._close()
                await self._check_tasks()

    async def _use_and_abuse(self) -> None:
        faults = asyncio.create_task(self._inject())
        workers = [asyncio.create_task(self._work(steps)) for steps in self.plan.workers]
        for worker in workers:
            await worker
        faults.cancel()  # those that would come now would hit nobody
        await asyncio.wait({faults})
        self.peer.recover()
        await self.peer.is_back()

    # Faults ...

    async def _inject(self) -> None:
        for fault in self.plan.faults:
            await asyncio.sleep(fault.pause)
            self.peer.start()
            self.tally.faults += 1
            await self._happen(fault)

    async def _happen(self, fault: Fault) -> None:
        if fault.kind == "kill":
            self.peer.signal(signal.SIGKILL)
            await asyncio.sleep(fault.lasts)
        elif fault.kind == "freeze":
            self.peer.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.lasts)
            self.peer.signal(signal.SIGCONT)
        else:
            self.peer.tell(fault.kind, True)
            await asyncio.sleep(fault.lasts)
            self.peer.tell(fault.kind, False)
        self.peer.start()

    # Steps ...

    async def _work(self, steps: list[Step]) -> None:
        for step in steps:
            await asyncio.sleep(step.pause)
            await self._try(step)

    async def _try(self, step: Step) -> None:
        """Take a step in a task of its own, give it up if the plan says so, and judge how it ended."""
        began = time.monotonic()
        task = asyncio.create_task(self._give_up_inside(step))
        cancelled = step.give_up == "cancel" and await _cancel_after(task, step.after)
        await asyncio.wait({task}, timeout=STEP_BOUND)
        self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)
        if not task.done():
            self.tally.fail("hangs", f"{step}\n{_stack(task)}")
        elif task.cancelled():
            self.tally.outcomes["cancelled"] += 1
            if not cancelled:
                self.tally.fail("leaked cancellations", f"{step} was not cancelled, and got a CancelledError")
        else:
            self._judge(step, task, cancelled)

    def _judge(self, step: Step, task: asyncio.Task[bool], cancelled: bool) -> None:
        error = task.exception()
        ended = type(error).__name__ if error is not None else "given up" if task.result() else "ok"
        self.tally.outcomes[ended] += 1
        if cancelled and COUNTS_CANCELLATIONS:
            self.tally.fail("other failures", f"{step} was cancelled, and went on to {ended}")
        if isinstance(error, MCPError) and error.sent is False and step.action in ("call", "within"):
            self.ledger.unsent.add(step.identity)
        if error is not None and not isinstance(error, ToolException):
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self.tally.fail("other failures", f"{step} failed with\n{text}")

    async def _give_up_inside(self, step: Step) -> bool:
        """Take a step; True if a deadline of the caller's own ended it."""
        if step.give_up == "move_on":
            with anyio.move_on_after(step.after) as scope:
                await self._take(step)
            return scope.cancelled_caught
        if step.give_up != "wait_for":
            await self._take(step)
            return False
        try:
            await asyncio.wait_for(self._take(step), step.after)
        except ToolException:
            raise  # of which one is a TimeoutError
        except asyncio.TimeoutError:
            return True
        return False

    async def _take(self, step: Step) -> None:
        tool = self.tools[step.tool]
        if step.action == "call":
            await self._call(tool, step)
        elif step.action == "within":
            async with tool:
                await self._call(tool, step)
        elif step.action == "reset":
            await tool.connect(reset=True)
        elif step.action == "list":
            await tool.load_tools()
        elif step.action == "prompts":
            await tool.load_prompts()
        elif step.action == "prompt":
            await tool.get_prompt("greeting")
        else:
            await getattr(tool, step.action)()

    async def _call(self, tool: Any, step: Step) -> None:
        self.tally.calls += 1
        self.tally.faults += step.call not in ("work", "fail", "change")
        answer = await tool.call_tool(step.call, id=step.identity, seconds=step.seconds)
        if answer[0].text != step.identity:
            self.tally.fail("other failures", f"{step} got somebody else's answer: {answer[0].text}")

    # Afterwards ...

    async def _check_that_tools_work(self) -> None:
        """Now that every fault is over, each tool connects and answers.

        The first call may find a connection whose end had not been noticed yet; the second may not.
        """
        for number, tool in enumerate(self.tools):
            prefix = f"{self.plan.transport}/{self.plan.seed}/{self.plan.number}/after/{number}"
            first, second = (
                Step(0, number, "call", "work", f"{prefix}/{turn}", 0, None, 0) for turn in ("first", "second")
            )
            with contextlib.suppress(ToolException, asyncio.TimeoutError):
                await asyncio.wait_for(self._connect_and_call(tool, first), STEP_BOUND)
            try:
                await asyncio.wait_for(self._connect_and_call(tool, second), STEP_BOUND)
            except (ToolException, asyncio.TimeoutError) as error:
                self.tally.fail("other failures", f"{tool!r} is of no use any more: {error!r}")

    async def _connect_and_call(self, tool: Any, step: Step) -> None:
        await self.peer.is_back()  # what a step has sent and given up can end the server only now
        await tool.connect()
        await self._call(tool, step)

    async def _close(self) -> None:
        for tool in self.tools:
            try:
                await asyncio.wait_for(tool.close(), STEP_BOUND)
            except asyncio.TimeoutError:
                self.tally.fail("hangs", f"close of {tool!r}")
            if tool.is_connected:
                self.tally.fail("other failures", f"{tool!r} was closed")

    async def _check_tasks(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, others = await asyncio.wait(others, timeout=TASK_BOUND)
        self.tally.fail("leaks", *map(repr, others))


async def _cancel_after(task: asyncio.Task[Any], after: float) -> bool:
    """Cancel a task after a number of turns of the loop (int) or seconds (float), unless it is done by then."""
    if isinstance(after, int):
        for _ in range(after):
            await asyncio.sleep(0)
    else:
        await asyncio.wait({task}, timeout=after)
    return task.cancel()


def _stack(task: asyncio.Task[Any]) -> str:
    """Where a task waits, down to the innermost coroutine."""
    lines = []
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            lines.append(f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        coroutine = getattr(coroutine, "cr_await", None)
    return "\n".join(lines)
