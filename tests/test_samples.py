# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The samples, run as a user runs them, each in a process of its own and in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
SECONDS = 50
MODEL_VARIABLES = re.compile("(AZURE_)?OPENAI_")

# asyncio's debug mode reports whatever holds the loop for 0.1 s, such as openai's import of its own parts at first use.
SLOW_STEP = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)

KEY_LINES = {
    "tool_function.py": [
        r"arguments: \{'city': \{'description': 'Name of the city'",
        r"\(get_weather runs, for Oslo\)",
        r"agent: get_weather says: 6 degrees in Oslo\.",
        r"agent: That did not work\. .*There is no weather station in Atlantis\.",
    ],
    "mcp_stdio.py": [
        r"The server offers weekday_of: The weekday of a date",
        r"agent: weekday_of says: 2024-02-29 is a Thursday\.",
        r"directly: 2000-01-01 is a Saturday\.",
        r"MCPToolError: .*day is out of range for month",
        r"The server's process has ended",
    ],
    "mcp_http.py": [
        r"Connected: True - the model sees: \['search_docs'\]",
        r"agent: search_docs says: Create a storage account: Run `az storage account create",
        r"Connected: False",
    ],
    "several_servers.py": [
        r"left out:  .*'wiki' at http://127\.0\.0\.1:\d+/mcp: connection refused",
        r"connected: docs, with docs_search_docs, docs_check_links",
        r"connected: calendar, with weekday_of",
        r"agent: docs_search_docs says: Create a resource group",
        r"agent: weekday_of says: 2024-02-29 is a Thursday\.",
    ],
    "unreachable_server.py": [
        r"\AError: .*https://127\.0\.0\.1:12345/mcp.*refused.*\n\Z",
    ],
    "approval.py": [
        r"may delete_account run with \{'name': 'old-logs'\}\? yes\n  \(delete_account runs, for old-logs\)",
        r"agent: delete_account says: old-logs has been deleted\.",
        r"may delete_account run with \{'name': 'production-data'\}\? no\nagent: That did not work\. .*rejected",
    ],
    "streaming.py": [
        r"\[the model calls get_weather\]\n\[the result is: 6 degrees and rain in Oslo\.\]",
        r"^get_weather says\|.*\|$",
        r"All of it: get_weather says: 6 degrees and rain in Oslo\.\nMessages: assistant, tool, assistant\nTokens: \d+",
    ],
    "sessions.py": [
        r"runs know of each other:\n.*keep that in mind\.\n  agent: You told me: \"My name is Ada\.\"",
        r"stands alone:\n  agent: I do not know",
        r"JSON, and taken up by another agent:\n  agent: You told me: \"My name is Ada\.\"",
    ],
    "middleware.py": [
        r"run begins: .*Lima\?\n  model is asked, with 1 messages\n    get_weather is called",
        r"\{'city': 'Lima'\}\n  model is asked, with 3 messages\nrun ends, with 3 messages\nagent: .*24 degrees",
        r"with \{'city': 'Oslo'\}\n    answered by the middleware\n",
        r"agent: get_weather says: Oslo closed for maintenance\.",
    ],
    "telemetry.py": [
        r"^    chat local-stand-in: \d+\.\d ms, \d+ tokens in$",
        r"^    tools/call weekday_of: \d+\.\d ms$",
        r"^    execute_tool weekday_of: \d+\.\d ms$",
        r"^  invoke_agent Scheduler: \d+\.\d ms",
        r"^agent: weekday_of says: 2024-02-29 is a Thursday\.",
    ],
    "agent_as_mcp_server.py": [
        r"The server offers Forecaster: Knows the weather in every city\.",
        r"agent: Forecaster says: get_weather says: 24 degrees and sun in Lima\.",
    ],
    "demo.py": [
        r"\n1\. (.*\n)+  agent: search_docs says: Create a storage account",
        r"\n2\. (.*\n)+  tool check_links raised MCPConnectionError: ",
        r"\n2\. (.*\n)+  agent: That did not work\.",
        r"\n3\. (.*\n)+  agent: search_docs says: List virtual machines",
        r"\n4\. (.*\n)+  nobody: MCPConnectionError: .*127\.0\.0\.1.*refused",
        r"  not installed: MCPConnectionError: .*mcp-server-that-is-not-installed",
    ],
}
"""What a sample's output has in it: patterns, with ^ and $ at the lines' ends."""


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder, without the variables that would make a sample ask a real model."""
    environment = {key: value for key, value in os.environ.items() if not MODEL_VARIABLES.match(key)}
    if path := environment.get("PYTHONPATH"):
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in path.split(os.pathsep))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
    )


def test_every_sample_is_tested_and_listed_with_its_command() -> None:
    names = {path.name for path in SAMPLES.glob("*.py")}
    listed = re.findall(r"`python samples/(\w+\.py)`", (SAMPLES / "README.md").read_text())
    assert names == set(KEY_LINES)
    assert sorted(listed) == sorted(names)


@pytest.mark.parametrize("options", [(), ("-X", "dev", "-W", "error")], ids=["plain", "development mode"])
@pytest.mark.parametrize("name", KEY_LINES)
def test_a_sample_shows_its_point_without_noise_or_leftovers(
    name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    done = run_python(tmp_path, *options, str(SAMPLES / name))
    noise = SLOW_STEP.sub("", done.stderr) if options else done.stderr
    assert (noise, done.returncode) == ("", 0), f"{done.stdout}\n{done.stderr}"
    missing = [line for line in KEY_LINES[name] if not re.search(line, done.stdout, re.MULTILINE)]
    assert not missing, done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_telemetry_sample_says_so_when_the_sdk_is_not_installed(tmp_path: Path) -> None:
    program = (
        "import runpy, sys\n"
        "sys.modules['opentelemetry.sdk.trace'] = None\n"
        f"sys.path.insert(0, {str(SAMPLES)!r})\n"
        f"runpy.run_path({str(SAMPLES / 'telemetry.py')!r}, run_name='__main__')\n"
    )
    done = run_python(tmp_path, "-c", program)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [
        "Nothing to show: the OpenTelemetry SDK is not installed (pip install opentelemetry-sdk)."
    ]
