# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The picture for the README, as SVG written by hand: bars of ratios, and below them how cost grows.

Colours are of middling lightness, so that the picture can be read on a light and on a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from growth import Curve
from verdicts import Result

TEXT, OURS, UPSTREAM, RAW, MUST = "#7d8590", "#2f81f7", "#db8a2a", "#8b949e", "#3fa35b"
COLOURS = {"raw": RAW, "upstream": UPSTREAM, "ours": OURS}
WIDTH, MARGIN, LABELS, VALUES = 860, 16, 270, 56
ROW, BAR, TOP = 26, 12, 76
PANEL, PANEL_HEIGHT, PANEL_TOP = 190, 120, 40
TITLE = "Cost as a share of what the bare MCP SDK costs: less is better"
FAINT = 0.35
"""The width of lines that only help the eye; thin enough to be pale on any page."""

MOST = 1.25
"""The largest ratio that a bar shows in full."""


def draw(results: Sequence[Result], curves: Sequence[Curve], heading: str) -> str:
    """The whole picture."""
    shown = [result for result in results if result.row.against == "raw" and result.row.of == "ours"]
    panels_at = TOP + len(shown) * ROW + 34
    height = panels_at + (PANEL_TOP + PANEL_HEIGHT + 44 if curves else 0)
    parts = [*_legend(heading), *_bars(shown)]
    for number, curve in enumerate(curves):
        parts += _panel(curve, MARGIN + 26 + number * (PANEL + 19), panels_at + PANEL_TOP)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    return "\n".join([start, f"<title>{TITLE}</title>", *parts, "</svg>\n"])


def _legend(heading: str) -> Iterator[str]:
    yield _text(MARGIN, 20, TITLE, size=14, weight="bold")
    yield _text(MARGIN, 36, heading, size=10)
    x = LABELS
    for colour, title in ((OURS, "this package"), (UPSTREAM, "upstream 1.0.1"), (MUST, "target"), (RAW, "bare SDK")):
        yield f'<rect x="{x}" y="48" width="10" height="10" fill="{colour}"/>'
        yield _text(x + 15, 57, title)
        x += 120


def _bars(results: Sequence[Result]) -> Iterator[str]:
    bottom = TOP + len(results) * ROW
    for share in (0, 0.25, 0.5, 0.75, 1, 1.25):
        yield _line(_x(share), TOP - 6, _x(share), bottom, RAW, 2 if share == 1 else FAINT)
        yield _text(_x(share), bottom + 14, f"{share:g}", anchor="middle", size=10)
    for number, result in enumerate(results):
        yield from _bar(result, TOP + number * ROW)


def _bar(result: Result, y: float) -> Iterator[str]:
    middle = y + BAR / 2
    yield _text(LABELS - 8, middle + 4, result.row.title, anchor="end")
    yield f'<rect x="{_x(0)}" y="{y}" width="{_x(result.ours.middle) - _x(0):.1f}" height="{BAR}" fill="{OURS}"/>'
    yield _line(_x(result.ours.low), middle, _x(result.ours.high), middle, TEXT, 2)
    if result.upstream is not None:
        yield f'<circle cx="{_x(result.upstream.middle):.1f}" cy="{middle}" r="4" fill="{UPSTREAM}"/>'
    if result.row.must is not None:
        yield _line(_x(result.row.must), y - 4, _x(result.row.must), y + BAR + 4, MUST, 3)
    yield _text(WIDTH - MARGIN, middle + 4, f"{result.ours.middle:.2f}", anchor="end", colour=OURS, weight="bold")


def _x(share: float) -> float:
    room = WIDTH - MARGIN - VALUES - LABELS
    return round(LABELS + min(share, MOST) / MOST * room, 1)


def _panel(curve: Curve, left: float, top: float) -> Iterator[str]:
    """One series, on logarithmic scales."""
    labels = list(curve.series.points)
    values = [value for line in curve.values.values() for value in line if value > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def y(value: float) -> float:
        share = (math.log10(max(value, 10**low)) - low) / max(high - low, 1)
        return round(top + PANEL_HEIGHT * (1 - share), 1)

    def x(number: int) -> float:
        return round(left + (PANEL - 20) * number / (len(labels) - 1), 1)

    yield _text(left, top - 12, curve.series.title, weight="bold", size=11)
    for power in range(low, high + 1):
        yield _line(left, y(10**power), left + PANEL - 20, y(10**power), RAW, FAINT)
        yield _text(left - 4, y(10**power) + 3, f"{10.0**power:g}", anchor="end", size=9)
    for number, label in enumerate(labels):
        if number % 2 == (len(labels) - 1) % 2:  # every second one, the last among them
            yield _text(x(number), top + PANEL_HEIGHT + 14, label, anchor="middle", size=9)
    yield _text(left + (PANEL - 20) / 2, top + PANEL_HEIGHT + 28, curve.series.axis, anchor="middle", size=10)
    for client, colour in COLOURS.items():
        yield _polyline(((x(number), y(value)) for number, value in enumerate(curve.values[client])), colour)


def _polyline(points: Iterable[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="{width}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", colour: str = TEXT
) -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
