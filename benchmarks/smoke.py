# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A look at whether server, workers and operations work together: each once, counted and not timed."""

from __future__ import annotations

from dataclasses import replace

from metrics import MEASUREMENTS, Measurement
from rounds import Bench

COUNTED = ("messages", "pings", "openings", "descriptors", "others")
SMALL = {"count": 2, "calls": 4, "at_once": 2}


def run(python: str) -> int:
    """Runs every measurement once with this package and small numbers; prints figures that do not depend on time.

    Args:
        python: An interpreter that has this package.
    """
    crowd = Measurement("crowd", "crowd", arguments=SMALL)
    with Bench({"ours": python}) as bench:
        for measurement in (*MEASUREMENTS, crowd):
            figures = bench.sample(_shrunk(measurement), "ours")
            counted = {key: figures[key] for key in COUNTED if key in figures}
            print(measurement.name, *(f"{key}={value:g}" for key, value in counted.items()), flush=True)
    return 0


def _shrunk(measurement: Measurement) -> Measurement:
    smaller = {key: min(value, SMALL.get(key, value)) for key, value in measurement.arguments.items()}
    return replace(measurement, arguments=smaller, fresh=False)
