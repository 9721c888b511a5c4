# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a worker does when it is told to: each an async function that measures one thing and returns numbers.

Every one connects anew, warms up, measures and closes, so that nothing of one is in the figures of the next. Times are
seconds for one operation.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import agents
from clients import Client, Connected, Target
from meters import Meter, possessions

Figures = dict[str, Any]
SETTLING = 0.02
"""How long what a client does after connecting is waited for before it is asked to close, in seconds."""


async def connect(client: Client, target: Target, count: int, warm: int = 1) -> Figures:
    """Opens, to the point at which tools are listed, and closes, one connection after the other."""
    meter = Meter()
    for turn in range(warm + count):
        opening = Meter() if turn < warm else meter
        if turn == warm:
            gc.collect()
        opening.__enter__()
        async with client.connected(target):
            opening.__exit__()
    return meter.per(count)


async def close(client: Client, target: Target, count: int) -> Figures:
    """Closes connections that have served a call."""
    meter = Meter()
    gc.collect()
    for turn in range(1 + count):
        closing = meter if turn else Meter()
        async with client.connected(target) as connected:
            await connected.call()
            await asyncio.sleep(SETTLING)
            closing.__enter__()
        closing.__exit__()
    return meter.per(count)


async def call(client: Client, target: Target, count: int, warm: int = 5, length: int = 0) -> Figures:
    """Calls a tool again and again."""
    with _one_core_for_pipes(target):
        async with client.connected(target) as connected:
            return await _repeat(connected, connected.call, count, warm, length)


@contextmanager
def _one_core_for_pipes(target: Target) -> Iterator[None]:
    """Keep a client and its child on one core.

    Where the kernel puts two processes that talk over pipes differs from run to run, and with it, by a third, what
    waking each other costs them.
    """
    cores = os.sched_getaffinity(0)
    if target.command:
        os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


async def invoke(client: Client, target: Target, count: int, warm: int = 5, length: int = 0) -> Figures:
    """The same through `FunctionTool.invoke`."""
    async with client.connected(target) as connected:
        assert connected.invoke is not None
        return await _repeat(connected, connected.invoke, count, warm, length)


async def _repeat(
    connected: Connected, operation: Callable[[], Awaitable[Any]], count: int, warm: int, length: int
) -> Figures:
    for _ in range(warm):
        text = connected.read(await operation())
        if len(text) < (length or 1):
            raise ValueError(f"The answer is {len(text)} characters long, and should be {length or 'some'}.")
    gc.collect()
    with Meter() as meter:
        for _ in range(count):
            await operation()
    return meter.per(count)


async def run(client: Client, target: Target, turns: list[int], count: int, telemetry: bool = False) -> Figures:
    """Runs an agent in which the tool is called once in each of so many turns.

    The figures are `cpu_0` for a run without a call, and so on. Of those there are `count`, and fewer of longer ones.
    Telemetry that is on stays on: that is for a process that does nothing else.
    """
    if telemetry:
        agents.trace()
    async with client.connected(target) as connected:
        assert connected.agent is not None
        return {f"cpu_{calls}": await _repeat_run(connected.agent(calls), calls, count) for calls in turns}


async def _repeat_run(run_once: Callable[[], Awaitable[Any]], calls: int, count: int, warm: int = 3) -> float:
    for _ in range(warm):
        *results, answer = agents.results(await run_once())
        if len(results) != calls or not all(results) or answer != agents.ANSWER:
            raise ValueError(f"The results of {calls} calls are {results}, and the answer is {answer!r}.")
    count = max(1, count // (1 + 5 * calls))  # a turn with a call takes some five times as long as one without
    gc.collect()
    with Meter() as meter:
        for _ in range(count):
            await run_once()
    return meter.cpu / count


async def burst(client: Client, target: Target, count: int) -> Figures:
    """Calls at the same time, twice; the second time is measured, when the sockets are there."""
    async with client.connected(target) as connected:
        await asyncio.gather(*(connected.call() for _ in range(count)))
        gc.collect()
        with Meter() as meter:
            await asyncio.gather(*(connected.call() for _ in range(count)))
    return meter.per(count)


async def hold(client: Client, target: Target, count: int, warm: int = 5) -> Figures:
    """Opens connections one after the other and keeps them all; for a process that has not done so before."""
    for _ in range(warm):
        await (await client.open(target))[1]()
    before, meter = possessions(), Meter()
    with meter:
        held = [await client.open(target) for _ in range(count)]
    await asyncio.sleep(SETTLING)
    after = possessions()
    for _, leave in held:
        await leave()
    return {**meter.per(count), **{key: (after[key] - before[key]) / count for key in after}}


async def refuse(client: Client, target: Target, count: int) -> Figures:
    """Meets a port on which nobody listens, in turn with bare httpx, whose figures are `bare_wall` and `bare_cpu`.

    `others` is the share of errors that are no `ToolException`.

    Of the wall times the shortest counts: this is about a millisecond, and what else runs can only add to it.
    """
    import ssl

    import httpx

    shared = ssl.create_default_context()

    async def bare() -> None:
        async with httpx.AsyncClient(verify=shared) as http:
            await http.post(target.url, json={})

    async def ours() -> None:
        async with client.connected(target):
            raise AssertionError("somebody listens on that port")

    meters: dict[str, list[Meter]] = {"bare_": [], "": []}
    outcomes: list[BaseException] = []
    for _ in range(1 + count):
        for attempt, taken in zip((bare, ours), meters.values(), strict=True):
            with Meter() as meter:
                outcomes.append(await _fail(attempt))
            taken.append(meter)
    figures = {"others": sum(not _is_tool_exception(outcome) for outcome in outcomes[1::2]) / (1 + count)}
    for who, (_, *taken) in meters.items():
        figures[f"{who}wall"] = min(meter.wall for meter in taken)
        figures[f"{who}cpu"] = statistics.median(meter.cpu for meter in taken)
    return figures


async def _fail(attempt: Callable[[], Awaitable[None]]) -> BaseException:
    # In a task of its own: some clients cancel the caller.
    outcome = (await asyncio.gather(asyncio.create_task(_run(attempt)), return_exceptions=True))[0]
    if outcome is None or isinstance(outcome, AssertionError):
        raise AssertionError("the attempt did not fail") from outcome
    return outcome


def _is_tool_exception(error: BaseException) -> bool:
    return any(kind.__name__ == "ToolException" for kind in type(error).__mro__)


async def _run(attempt: Callable[[], Awaitable[None]]) -> None:
    await attempt()


async def crowd(client: Client, target: Target, count: int, calls: int, at_once: int) -> Figures:
    """Opens connections, makes calls through all of them, `at_once` at a time, and closes them all."""
    limit = asyncio.Semaphore(at_once)

    async def limited(awaitable: Callable[[], Awaitable[Any]]) -> Any:
        async with limit:
            return await awaitable()

    with Meter() as meter:
        held = await asyncio.gather(*(limited(lambda: client.open(target)) for _ in range(count)))
        await asyncio.gather(*(limited(held[turn % count][0].call) for turn in range(calls)))
    connected = possessions()
    with meter:
        await asyncio.gather(*(limited(leave) for _, leave in held))
    held.clear()
    return {**meter.per(1), "connected": connected, "closed": possessions()}


OPERATIONS: dict[str, Callable[..., Coroutine[Any, Any, Figures]]] = {
    operation.__name__: operation for operation in (connect, close, call, invoke, run, burst, hold, refuse, crowd)
}
