# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Turns figures into rows: the ratio of each round, their median and quartiles, and whether that is what it must be."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from metrics import Measurement, Row, figure
from rounds import Samples


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


@dataclass(frozen=True)
class Result:
    """A row with what came out.

    Attributes:
        row: What was asked.
        name: Of the measurement.
        reference: The figure that ours is divided by, in the row's unit; where nothing is divided, the bare SDK's.
        ours: The ratio, or the figure itself.
        upstream: The same for upstream, where it takes part and is not what ours is divided by.
    """

    row: Row
    name: str
    reference: Spread | None
    ours: Spread
    upstream: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether the median is what it must be; None where nothing must be."""
        return None if self.row.must is None else self.ours.middle <= self.row.must

    @property
    def verdict(self) -> str:
        if self.met is None:
            return ""
        if self.met and self.row.aim is not None and self.ours.middle <= self.row.aim:
            return "met, aim too"
        return "met" if self.met else "MISSED"


def judge(measurements: Iterable[Measurement], figures: dict[str, Samples]) -> list[Result]:
    """A result for each row of what was measured."""
    return [
        _result(measurement.name, row, figures[measurement.name])
        for measurement in measurements
        for row in measurement.rows
        if _is_complete(row, figures.get(measurement.name, {}))
    ]


def _is_complete(row: Row, samples: Samples) -> bool:
    return row.of in samples and (row.against in ("", "bare") or row.against in samples)


def _result(name: str, row: Row, samples: Samples) -> Result:
    reference = _references(row, samples, row.of)
    if reference is None and "raw" in samples:
        reference = _values(samples, "raw", row)
    compared = row.against != "upstream" and row.of == "ours" and "upstream" in samples
    return Result(
        row,
        name,
        None if reference is None else Spread.of(reference),
        _ratios(row, samples, row.of),
        _ratios(row, samples, "upstream") if compared else None,
    )


def _references(row: Row, samples: Samples, client: str) -> list[float] | None:
    if not row.against:
        return None
    if row.against == "bare":
        return _values(samples, client, row, f"bare_{row.field}")
    return _values(samples, row.against, row)


def _ratios(row: Row, samples: Samples, client: str) -> Spread:
    values, reference = _values(samples, client, row), _references(row, samples, client)
    if reference is None:
        return Spread.of(values)
    return Spread.of([value / other for value, other in zip(values, reference, strict=True)])


def _values(samples: Samples, client: str, row: Row, field: str = "") -> list[float]:
    return [figure(sample, field or row.field, row.unit) for sample in samples[client]]
