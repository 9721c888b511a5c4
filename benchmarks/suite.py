# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The command: which measurements, how often, and what to do with the results."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import crowd
import drawing
import growth
import report
from metrics import MEASUREMENTS, Measurement
from processes import BenchError, settle_down
from rounds import Bench
from verdicts import Result, judge

ROUNDS, QUICK_ROUNDS = 7, 3
QUICK_MINUTES = 1.5  # after which no round begins; one takes half a minute when nothing else runs
NOISE = (0.9, 1.1)
"""Where a client measured against itself has to be for the other ratios to mean much."""

MENDS = "AGENT_FRAMEWORK_MCP_MENDS"
"""The variable that switches mends off in the workers too; results say so."""

EXTRAS = ("growth", "crowd")
"""What ``--only`` takes beside the names of measurements, and ``--quick`` leaves out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, and the table of targets only")
    parser.add_argument("--only", metavar="NAME", action="append", help="one measurement; may be repeated")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"instead of {ROUNDS}")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no round of the targets after so long")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the picture for the README there")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README too")
    parser.add_argument(
        "--from", type=Path, dest="source", metavar="FILE", help="report on such a file; measure nothing"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the measurements")
    parser.add_argument("--smoke", action="store_true", help="see that all parts work, with the Python that runs this")


def print_names() -> int:
    """Prints what ``--only`` takes."""
    print("\n".join([*(measurement.name for measurement in MEASUREMENTS), *EXTRAS]))
    return 0


def main(pythons: Mapping[str, str], options: argparse.Namespace) -> int:
    """Measures and reports; the result is the exit code.

    Raises:
        BenchError: An option is wrong, or something could not be measured.
    """
    if options.plot and options.plot.suffix != ".svg":
        raise BenchError("The picture is an SVG: give --plot a name that ends in .svg.")
    found = measure(pythons, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return tell(found, options)


def measure(pythons: Mapping[str, str], options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, as it goes into a file."""
    names = options.only or [*(measurement.name for measurement in MEASUREMENTS), *(() if options.quick else EXTRAS)]
    chosen = choose([name for name in names if name not in EXTRAS])
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    minutes = options.minutes or (QUICK_MINUTES if options.quick else math.inf)
    cores = settle_down()
    with Bench(pythons) as bench:
        found = describe(bench, cores)
        found["figures"] = bench.run(chosen, rounds, "targets", minutes=minutes) if chosen else {}
        found["rounds"] = max((len(samples["ours"]) for samples in found["figures"].values()), default=0)
        if "growth" in names:
            found["growth"] = growth.measure(bench, min(rounds, growth.ROUNDS))
        if "crowd" in names:
            found["crowd"] = crowd.measure(bench)
    return found


def tell(found: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Prints and draws what was measured; the result is the exit code."""
    results = judge(MEASUREMENTS, found["figures"])
    curves = growth.curves(found["growth"]) if "growth" in found else []
    print(f"\n{report.heading(found)}\n")
    if results:
        print(report.terminal(results))
    for warning in warnings(results):
        print(f"\n{warning}")
    if curves:
        print(f"\n{growth.table(curves)}")
    if "crowd" in found:
        print(f"\n{crowd.table(found['crowd'])}")
    if options.markdown:
        print(f"\n{report.markdown(results)}")
    if options.plot:
        options.plot.write_text(drawing.draw(results, curves, report.heading(found)), encoding="utf-8")
    missed = [result for result in results if result.met is False] or crowd.grows(found.get("crowd", []))
    return 1 if missed else 0


def choose(names: Sequence[str]) -> list[Measurement]:
    """The measurements of these names.

    Raises:
        BenchError: There is none of that name.
    """
    known = {measurement.name: measurement for measurement in MEASUREMENTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BenchError(f"There is no measurement {', '.join(unknown)}; there are {', '.join([*known, *EXTRAS])}.")
    return [known[name] for name in names]


def describe(bench: Bench, cores: int) -> dict[str, Any]:
    """When, on what, with what; nothing that tells whose machine it was."""
    now = dt.datetime.now(dt.timezone.utc)
    return {
        "date": f"{now:%Y-%m-%d}",
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "mends": os.environ.get(MENDS, ""),
        "versions": bench.versions,
    }


def warnings(results: Sequence[Result]) -> list[str]:
    """What makes the results doubtful."""
    low, high = NOISE
    return [
        f"The machine is too busy for these ratios: {result.row.title} is {result.ours.middle:.2f}, should be 1."
        for result in results
        if result.row.of == "again" and not low <= result.ours.middle <= high
    ]
