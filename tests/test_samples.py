# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The samples, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 50
MODEL_VARIABLES = re.compile("(AZURE_)?OPENAI_")


def run_sample(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a sample without the variables that would make it ask a real model."""
    environment = {key: value for key, value in os.environ.items() if not MODEL_VARIABLES.match(key)}
    return subprocess.run(
        [sys.executable, *options, str(ROOT / "samples" / name)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("options", [(), ("-X", "dev", "-W", "error")], ids=["plain", "development mode"])
def test_the_reported_script_prints_one_line_that_names_server_and_cause(options: tuple[str, ...]) -> None:
    done = run_sample("unreachable_server.py", *options)
    assert (done.stderr, done.returncode) == ("", 0)
    (line,) = done.stdout.splitlines()
    assert line.startswith("Error: ")
    assert "https://127.0.0.1:12345/mcp" in line
    assert "refused" in line


def test_the_demo_tells_of_the_answer_the_loss_and_the_return() -> None:
    done = run_sample("demo.py")
    assert (done.stderr, done.returncode) == ("", 0)
    answer, loss, comeback, absent = re.split(r"\n\d\. ", done.stdout)[1:]
    assert "agent: The documentation says: Create a storage account" in answer
    assert "tool check_links raised MCPConnectionError: " in loss
    assert "agent: I could not find out." in loss
    assert "agent: The documentation says: List virtual machines" in comeback
    assert re.search(r"nobody: MCPConnectionError: .*127\.0\.0\.1.*refused", absent)
    assert re.search("not installed: MCPConnectionError: .*mcp-server-that-is-not-installed", absent)
