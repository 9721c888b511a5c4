# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The checks of conftest.py, tried on tests that do leave something: a check that cannot fail protects nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = --import-mode=importlib -p no:anyio
"""
PREAMBLE = """
import asyncio, socket, subprocess, sys
KEPT = []
NAP = "import time; time.sleep(30)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {NAP!r}])"
async def numbers():
    try:
        yield 1
    finally:
        await asyncio.sleep(0)
        raise ValueError("late")
async def fail():
    raise ValueError("unseen")
"""
LEFTOVERS = {
    "a task": ("KEPT.append(asyncio.ensure_future(asyncio.Event().wait()))", "tasks left behind"),
    "a task nobody holds": ("asyncio.ensure_future(asyncio.Event().wait())", "Task was destroyed but it is pending"),
    "a child process": ("KEPT.append(subprocess.Popen([sys.executable, '-c', NAP]))", "child processes left behind"),
    "a grandchild": (
        "subprocess.run([sys.executable, '-c', PARENT])",
        "child processes left behind",
    ),
    "a socket": ("KEPT.append(socket.socket())", "file descriptors left behind"),
    "a socket nobody holds": ("socket.socket()", "unclosed <socket"),
    "a coroutine": ("asyncio.sleep(0)", "was never awaited"),
    "an exception": ("asyncio.ensure_future(fail()); await asyncio.sleep(0)", "exception was never retrieved"),
    "a generator": ("KEPT.append(numbers()); await KEPT[-1].__anext__()", "closing of asynchronous generator"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What pytest says of each of the tests above, by its name, and of one that leaves nothing."""
    folder = tmp_path_factory.mktemp("leftovers")
    bodies = {name: body for name, (body, _) in LEFTOVERS.items()} | {"nothing": "await asyncio.sleep(0)"}
    tests = (f"async def test_{name.replace(' ', '_')}():\n    {body}\n" for name, body in bodies.items())
    (folder / "test_them.py").write_text(PREAMBLE + "".join(tests))
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "conftest.py").write_text(CONFTEST.read_text().replace("GRACE_SECONDS = 3.0", "GRACE_SECONDS = 0.3"))
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short"]
    output = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False).stdout
    sections = re.split(r"^_+ (?:ERROR at \w+ of )?test_(\w+) _+$", output, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for name, text in zip(sections[1::2], sections[2::2], strict=True):
        found[name] = found.get(name, "") + text
    return found


@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_a_test_fails_that_leaves(leftover: str, report: dict[str, str]) -> None:
    assert LEFTOVERS[leftover][1] in report[leftover.replace(" ", "_")]


def test_a_test_passes_that_leaves_nothing(report: dict[str, str]) -> None:
    assert report
    assert "nothing" not in report
