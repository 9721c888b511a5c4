# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Many at once: a thousand tool objects on one server and ten thousand calls through them, and then once more."""

from __future__ import annotations

from typing import Any

from answers import Profile
from metrics import Measurement
from rounds import Bench

OBJECTS, CALLS, AT_ONCE = 1000, 10_000, 50
LEEWAY = 1.02
"""How much more memory the second time may take: pages that the allocator keeps are not given back in full."""

Figures = list[dict[str, Any]]


def measure(bench: Bench) -> Figures:
    """The figures of both times, in one process."""
    arguments = {"count": OBJECTS, "calls": CALLS, "at_once": AT_ONCE}
    crowd = Measurement("crowd", "crowd", profile=Profile(tools=5), arguments=arguments)
    with bench.new_worker("ours") as worker:
        bench.do(worker, Measurement("crowd", "crowd", arguments={"count": 1, "calls": 1, "at_once": 1}))
        return [bench.do(worker, crowd) for _ in range(2)]


def grows(times: Figures) -> list[str]:
    """What the second time took more of than the first; nothing should be here."""
    if len(times) < 2:
        return []
    first, second = times
    return [
        f"{what} when {when}: {first[when][what]:.1f}, then {second[when][what]:.1f}"
        for when in ("connected", "closed")
        for what, leeway in (("memory", LEEWAY), ("tasks", 1), ("descriptors", 1))
        if second[when][what] > first[when][what] * leeway
    ]


def table(times: Figures) -> str:
    """For the terminal."""
    lines = [f"{OBJECTS} tool objects on one server, {CALLS} calls through them, {AT_ONCE} at a time"]
    for number, time in enumerate(times, 1):
        lines.append(
            f"  time {number}: {time['wall']:.1f} s, CPU {time['cpu']:.1f} s; connected {_holding(time['connected'])}; "
            f"closed {_holding(time['closed'])}"
        )
    found = grows(times)
    return "\n".join([*lines, f"  MISSED: grows: {'; '.join(found)}" if found else "  met: nothing grows"])


def _holding(possessions: dict[str, float]) -> str:
    memory, tasks, descriptors = (possessions[key] for key in ("memory", "tasks", "descriptors"))
    return f"{memory:.1f} MiB, {tasks:.0f} tasks, {descriptors:.0f} descriptors"
