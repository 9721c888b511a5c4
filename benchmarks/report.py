# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The table of results, on a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verdicts import Result, Spread

HEADINGS = ("metric", "raw SDK", "ours", "quartiles", "1.0.1", "must", "aim", "verdict")


def heading(found: Mapping[str, Any]) -> str:
    """Date, machine and versions, in a line."""
    ours = found["versions"]["ours"]
    packages = ", ".join(f"{name} {ours[name]}" for name in ("mcp", "httpx", "anyio", "pydantic"))
    return (
        f"{found['date']}; {found['machine']}, {found['cores']} cores; Python {ours['python']}; {packages}; "
        f"rounds: {found['rounds'] or 'none'}" + (f"; mends ruled out: {found['mends']}" if found.get("mends") else "")
    )


def terminal(results: Sequence[Result]) -> str:
    """A table with columns that line up."""
    lines = [HEADINGS, *(_cells(result) for result in results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]

    def aligned(line: Sequence[str]) -> str:
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        return "  ".join([line[0].ljust(len(first)), *others]).rstrip()

    return "\n".join(aligned(line) for line in lines)


def markdown(results: Sequence[Result]) -> str:
    """The same for the README."""
    rule = ["---"] + ["--:"] * (len(HEADINGS) - 1)
    lines = [HEADINGS, rule, *(_cells(result) for result in results)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(result: Result) -> tuple[str, ...]:
    row = result.row
    other = {"upstream": "1.0.1: ", "bare": "httpx: "}.get(row.against, "")
    return (
        row.title,
        "" if result.reference is None else f"{other}{_number(result.reference.middle)} {row.unit}".rstrip(),
        _number(result.ours.middle),
        _range(result.ours),
        "" if result.upstream is None else _number(result.upstream.middle),
        "" if row.must is None else f"{row.must:g}",
        "" if row.aim is None else f"{row.aim:g}",
        result.verdict,
    )


def _range(spread: Spread) -> str:
    return "" if spread.low == spread.high else f"{_number(spread.low)} - {_number(spread.high)}"


def _number(value: float) -> str:
    """Three figures, or a whole number that is one."""
    if value == int(value):
        return str(int(value))
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
