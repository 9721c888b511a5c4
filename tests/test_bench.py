# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The benchmarks' parts work together. How fast anything is, no test says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BOUND = 50  # seconds: one run for all of the tests here, in two processes, on a busy machine


@pytest.fixture(scope="module")
def smoke() -> dict[str, dict[str, float]]:
    """What the smoke run counted, by measurement."""
    command = [sys.executable, str(ROOT / "scripts" / "bench"), "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return {
        name: {key: float(value) for key, _, value in (pair.partition("=") for pair in pairs)} for name, *pairs in lines
    }


def listed() -> list[str]:
    command = [sys.executable, str(ROOT / "scripts" / "bench"), "--list"]
    return subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=True).stdout.split()


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")


def test_every_measurement_runs(smoke: dict[str, dict[str, float]]) -> None:
    assert set(listed()) - {"growth"} == set(smoke)


def test_the_server_counts_what_it_takes_to_connect(smoke: dict[str, dict[str, float]]) -> None:
    assert smoke["messages_1"] == {"messages": 3, "pings": 0}
    assert smoke["messages_10"] == {"messages": 12, "pings": 0}


def test_descriptors_are_counted_while_connections_are_held(smoke: dict[str, dict[str, float]]) -> None:
    assert smoke["hold_200"]["descriptors"] >= 1


def test_a_refused_port_is_measured_by_its_typed_error(smoke: dict[str, dict[str, float]]) -> None:
    assert smoke["refused"] == {"others": 0}
