# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""How cost grows: the same operation with more tools, more connections, or larger results."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from answers import Profile
from metrics import Measurement, figure
from rounds import Bench, Samples

ROUNDS = 3
CLIENTS = ("raw", "ours", "upstream")
TOOLS = (1, 10, 50, 200, 500, 1000, 2000)
CONNECTIONS = (1, 10, 50, 100, 200, 400)
SIZES = {"1 KiB": 2**10, "16 KiB": 2**14, "64 KiB": 2**16, "256 KiB": 2**18, "1 MiB": 2**20, "4 MiB": 2**22}


@dataclass(frozen=True)
class Series:
    """One line of a picture for each client.

    Attributes:
        name: For the results.
        title: What is measured, with its unit.
        axis: What grows.
        points: A measurement for each value on the axis, by the value's label.
        field: Which of its figures.
        unit: Of the figure.
    """

    name: str
    title: str
    axis: str
    points: Mapping[str, Measurement]
    field: str = "cpu"
    unit: str = "ms"


def _connecting(tools: int) -> Measurement:
    count = 4 if tools < 500 else 2
    return Measurement(f"tools_{tools}", "connect", profile=Profile(tools=tools), arguments={"count": count})


def _holding(count: int) -> Measurement:
    # One round: at twenty milliseconds each, four hundred connections are dear, and so many vary little.
    return Measurement(f"connections_{count}", "hold", arguments={"count": count}, fresh=True, most=1)


def _carrying(size: int) -> Measurement:
    arguments = {"count": 40 if size < 2**20 else 5, "warm": 2, "length": size}
    return Measurement(f"payload_{size}", "call", profile=Profile(kind="blob", size=size), arguments=arguments)


HELD = {str(count): _holding(count) for count in CONNECTIONS}
# What one connection takes is less than what the allocator had to spare.
WEIGHED = {label: point for label, point in HELD.items() if int(label) >= 10}

SERIES = (
    Series("tools", "CPU to connect, ms", "tools", {str(tools): _connecting(tools) for tools in TOOLS}),
    Series("connections", "CPU of a connection, ms", "connections open", HELD),
    Series("memory", "memory of a connection, KiB", "connections open", WEIGHED, "memory", "KiB"),
    Series("payload", "CPU of a call, ms", "text in the result", {key: _carrying(size) for key, size in SIZES.items()}),
)


@dataclass(frozen=True)
class Curve:
    """A series with what came out: by client, a figure for each point."""

    series: Series
    values: Mapping[str, list[float]]


def measure(bench: Bench, rounds: int = ROUNDS) -> dict[str, Samples]:
    """The figures of all points, by the names of their measurements."""
    points = {point.name: point for series in SERIES for point in series.points.values()}
    return bench.run(points.values(), rounds, "growth")


def curves(figures: Mapping[str, Samples]) -> list[Curve]:
    """What `measure` returned, as lines."""
    return [Curve(series, {client: _line(series, figures, client) for client in CLIENTS}) for series in SERIES]


def _line(series: Series, figures: Mapping[str, Samples], client: str) -> list[float]:
    return [
        statistics.median(figure(sample, series.field, series.unit) for sample in figures[point.name][client])
        for point in series.points.values()
    ]


def table(found: Sequence[Curve]) -> str:
    """For the terminal: a line for each point."""
    return "\n\n".join(_part(curve) for curve in found)


def _part(curve: Curve) -> str:
    lines = [f"{curve.series.title:32}" + "".join(f"{title:>12}" for title in ("raw SDK", "ours", "1.0.1", "ours/raw"))]
    columns = (curve.values[client] for client in CLIENTS)
    for label, raw, ours, upstream in zip(curve.series.points, *columns, strict=True):
        start = f"  {label} {curve.series.axis}"
        ratio = ours / raw if raw else float("nan")
        lines.append(f"{start:32}{raw:12.2f}{ours:12.2f}{upstream:12.2f}{ratio:12.2f}")
    return "\n".join(lines)
