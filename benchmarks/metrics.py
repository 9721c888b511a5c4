# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What is measured, how, and what is to be reached. The targets are ratios unless a row says that it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from answers import Profile

MIB = 2**20
SSE_CALLS = 100
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        title: For people.
        field: Which figure of the measurement.
        must: What may at most come out; None for a row that is for information.
        aim: What we would like.
        unit: In which the figure is told; see `figure`.
        against: Whose figure ours is divided by: "raw", "upstream", "bare" (httpx, in the same process), or "" for a
            figure that counts by itself.
        of: Whose figure is judged.
    """

    title: str
    field: str = "cpu"
    must: float | None = None
    aim: float | None = None
    unit: str = "µs"
    against: str = "raw"
    of: str = "ours"


@dataclass(frozen=True)
class Measurement:
    """One operation of the workers, and the rows that come of it.

    Attributes:
        name: For `--only`, and in the results.
        do: The operation, see operations.py; "import" is done without a worker.
        rows: What to tell of it.
        profile: Of the server.
        peer: "http", "stdio", or "refused" for a port on which nobody listens.
        arguments: Of the operation.
        clients: Who takes part.
        fresh: Whether each time takes a new process.
        most: How many rounds are enough; None for all that there are.
        count: Turns what the server counted into more figures.
    """

    name: str
    do: str
    rows: tuple[Row, ...] = ()
    profile: Profile = field(default_factory=Profile)
    peer: str = "http"
    arguments: dict[str, Any] = field(default_factory=dict)
    clients: tuple[str, ...] = ("raw", "ours", "upstream")
    fresh: bool = False
    most: int | None = None
    count: Callable[[Counts], dict[str, float]] | None = None


SCALES = {"ms": 1e3, "µs": 1e6, "KiB": 1024.0}


def figure(sample: dict[str, Any], field: str, unit: str) -> float:
    """A figure of a worker, which is in seconds or MiB, in another unit."""
    return float(sample[field]) * SCALES.get(unit, 1.0)


BOTH = ("ours", "upstream")
WITH_AGAIN = ("raw", "ours", "upstream", "again")
"""With a second process of the bare SDK, which says how much of a ratio is the machine's noise."""

IMPORTS = {
    "raw": "from mcp import ClientSession; from mcp.client.streamable_http import streamable_http_client",
    "ours": "import agent_framework",
    "upstream": "import agent_framework",
}


def _messages(counts: Counts) -> dict[str, float]:
    return {"messages": sum(counts["messages"].values()), "pings": counts["messages"].get("ping", 0)}


def _openings(counts: Counts) -> dict[str, float]:
    return {"openings": counts["openings"].get("tools/call", 0) / SSE_CALLS}


def _run(calls: int, title: str, must: float, aim: float) -> Row:
    return Row(f"agent.run, {title}", f"cpu_{calls}", must, aim, against="upstream")


MEASUREMENTS = (
    Measurement(
        "connect_1",
        "connect",
        (Row("connect, 1 tool", must=0.20, aim=0.10, unit="ms"),),
        Profile(tools=1),
        arguments={"count": 10},
    ),
    Measurement(
        "connect_50",
        "connect",
        (
            Row("connect, 50 tools", must=0.30, aim=0.15, unit="ms"),
            Row("noise: raw against raw, connect, 50 tools", unit="ms", of="again"),
        ),
        Profile(tools=50),
        arguments={"count": 8},
        clients=WITH_AGAIN,
    ),
    Measurement(
        "connect_500",
        "connect",
        (Row("connect, 500 tools", must=0.75, aim=0.20, unit="ms"),),
        Profile(tools=500),
        arguments={"count": 4},
    ),
    Measurement(
        "messages_1",
        "connect",
        (
            Row("messages to connect, 1 page", "messages", must=3, aim=3, unit="", against=""),
            Row("pings among them", "pings", must=0, aim=0, unit="", against=""),
        ),
        Profile(tools=50, pages=1),
        arguments={"count": 1, "warm": 0},
        count=_messages,
        most=1,
    ),
    Measurement(
        "messages_10",
        "connect",
        (
            Row("messages to connect, 10 pages", "messages", must=12, aim=12, unit="", against=""),
            Row("pings among them", "pings", must=0, aim=0, unit="", against=""),
        ),
        Profile(tools=50, pages=10),
        arguments={"count": 1, "warm": 0},
        count=_messages,
        most=1,
    ),
    Measurement(
        "call_json",
        "call",
        (
            Row("call, JSON answer", must=0.85, aim=0.50),
            Row("noise: raw against raw, call, JSON answer", of="again"),
        ),
        arguments={"count": 200},
        clients=WITH_AGAIN,
    ),
    Measurement(
        "call_sse",
        "call",
        (
            Row("call, event-stream answer", must=0.65, aim=0.40),
            Row("TCP connections opened per such call", "openings", must=0.02, aim=0, unit="", against=""),
        ),
        Profile(events=1),
        arguments={"count": SSE_CALLS - 5, "warm": 5},
        count=_openings,
    ),
    Measurement(
        "call_structured",
        "call",
        (Row("call, structured result", must=0.45, aim=0.33),),
        Profile(kind="structured"),
        arguments={"count": 80},
    ),
    Measurement(
        "call_1mib",
        "call",
        (Row("call, 1 MiB of text", must=0.95, aim=0.65, unit="ms"),),
        Profile(kind="blob", size=MIB),
        arguments={"count": 12, "warm": 2, "length": MIB},
    ),
    Measurement(
        "invoke_echo",
        "invoke",
        (Row("FunctionTool.invoke, echo", must=0.85, aim=0.50, against="upstream"),),
        arguments={"count": 200},
        clients=BOTH,
    ),
    Measurement(
        "invoke_structured",
        "invoke",
        (Row("FunctionTool.invoke, structured", must=0.45, aim=0.35, against="upstream"),),
        Profile(kind="structured"),
        arguments={"count": 80},
        clients=BOTH,
    ),
    Measurement(
        "invoke_1mib",
        "invoke",
        (Row("FunctionTool.invoke, 1 MiB", must=0.95, aim=0.65, unit="ms", against="upstream"),),
        Profile(kind="blob", size=MIB),
        arguments={"count": 12, "warm": 2, "length": MIB},
        clients=BOTH,
    ),
    Measurement(
        "run",
        "run",
        (
            _run(0, "50 tools, no call", must=2, aim=1),
            _run(1, "50 tools, 1 call", must=1, aim=0.55),
            _run(10, "50 tools, 10 turns of 1 call", must=1, aim=0.55),
        ),
        Profile(tools=50),
        arguments={"turns": [0, 1, 10], "count": 300},
        clients=BOTH,
    ),
    Measurement(
        "run_traced",
        "run",
        (
            _run(0, "telemetry, 50 tools, no call", must=2, aim=1),
            _run(1, "telemetry, 50 tools, 1 call", must=1, aim=0.55),
            _run(10, "telemetry, 50 tools, 10 turns of 1 call", must=1, aim=0.55),
        ),
        Profile(tools=50),
        arguments={"turns": [0, 1, 10], "count": 150, "telemetry": True},
        clients=BOTH,
        fresh=True,
    ),
    Measurement(
        "run_500",
        "run",
        (_run(0, "500 tools, no call", must=2, aim=1),),
        Profile(tools=500),
        arguments={"turns": [0], "count": 60},
        clients=BOTH,
    ),
    Measurement(
        "run_5000",
        "run",
        (_run(0, "5,000 tools, no call", must=2, aim=1),),
        Profile(tools=5000, pages=10),  # on one page they would be larger than what servers send at a time
        arguments={"turns": [0], "count": 8},
        clients=BOTH,
        most=3,
    ),
    Measurement(
        "burst",
        "burst",
        (Row("100 calls of 20 ms at once, second burst, each", must=0.75, aim=0.20),),
        Profile(delay=20),
        arguments={"count": 100},
    ),
    Measurement(
        "hold_200",
        "hold",
        (
            Row("200 connections, CPU each", must=0.20, aim=0.10, unit="ms"),
            Row("200 connections, memory each", "memory", must=0.16, aim=0.11, unit="KiB"),
            Row("200 connections, tasks each", "tasks", unit="", against=""),
            Row("200 connections, descriptors each", "descriptors", unit="", against=""),
        ),
        arguments={"count": 200},
        fresh=True,
        most=2,
    ),
    Measurement(
        "close",
        "close",
        (Row("close, with a session", must=0.80, aim=0.50),),
        Profile(session=1),
        arguments={"count": 15},
    ),
    Measurement(
        "refused",
        "refuse",
        (
            Row("refused port to error, wall, against bare httpx", "wall", 1.5, 1.2, unit="ms", against="bare"),
            Row("refused port to error, CPU, against bare httpx", unit="ms", against="bare"),
            Row("refused port, share of errors that are no ToolException", "others", 0, 0, unit="", against=""),
        ),
        peer="refused",
        arguments={"count": 40},
    ),
    Measurement(
        "stdio_connect",
        "connect",
        (Row("stdio connect", must=1.15, aim=1.05, unit="ms"),),
        peer="stdio",
        arguments={"count": 8},
    ),
    Measurement(
        "stdio_call",
        "call",
        (Row("stdio call", must=1.10, aim=1.05),),
        peer="stdio",
        arguments={"count": 300},
    ),
    Measurement("import", "import", (Row("import", must=0.45, aim=0.30, unit="ms"),)),
)
