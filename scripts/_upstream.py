# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the parts of scripts/upstream share: what our MCP layer consists of, and what is known of upstream's releases.

Needs what `_environments.py` needs, and nothing else.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from _environments import ROOT, ScriptError

DISTRIBUTION = "agent-framework-core"
PACKAGE = "agent_framework"
FACE = f"{PACKAGE}/_mcp.py"
FOLDER = f"{PACKAGE}/_mcp_client"
TESTS = ROOT / "tests" / "mcp"

PROVEN = ("1.0.1", "1.13.0", "1.22.0")
"""The releases that `verify` passes on, and so the only ones that `overlay` takes; README.md names the same."""

FAIL_AS_REPORTED = ("1.0.1",)
"""Releases in which the reported program ends in a CancelledError; later ones have mended that place, some in part."""

LEFT_OUT = {
    "test_soak.py": "drives scripts/soak, a program of this repository",
    "soak.py": "the program of scripts/soak",
    "soak_checks.py": "a part of scripts/soak",
    "soak_peers.py": "a part of scripts/soak",
    "soak_plan.py": "a part of scripts/soak",
    "soak_round.py": "a part of scripts/soak",
}
"""The files of tests/mcp that the pull request goes without, and why; all others are in it. `verify` runs them all."""


def layer_files() -> dict[str, bytes]:
    """The MCP layer: each file's path below the folder that holds the package, and its content."""
    paths = [ROOT / FACE, *(ROOT / FOLDER).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sorted(paths)}


def our_version() -> str:
    """The version of this fork."""
    return _in_pyproject(r'^version = "(.+?)"')


def pytest_settings() -> str:
    """The table of pyproject.toml that is pytest's, for a folder that has our tests and nothing else of us."""
    return _in_pyproject(r"^(\[tool\.pytest\.ini_options\]\n(?:(?!\[).*\n)*)")


def dependency_bounds() -> dict[str, tuple[str, str]]:
    """What our dependencies may be: the lowest version, and the one that is too high ("" for no such limit)."""
    table = _in_pyproject(r"^dependencies = \[\n((?:.*\n)*?)\]")
    rows = re.findall(r'^ *"([\w-]+)>=([\w.]+)(?:,<([\w.]+))?', table, re.MULTILINE)
    return {name: (lowest, limit) for name, lowest, limit in rows}


def numbers(version: str) -> tuple[int, ...]:
    """The release part of a version, for comparing: (1, 24, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def run(
    command: list[str],
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    seconds: float | None = 600,
) -> subprocess.CompletedProcess[str]:
    """Runs a command and returns what it said.

    Args:
        command: The program and its arguments.

    Keyword Args:
        folder: Where to run it.
        environment: Its environment instead of ours.
        seconds: How long it may take; None for as long as it likes.

    Raises:
        ScriptError: It cannot be started, or takes too long.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise ScriptError(f"{command[0]} cannot be run: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise ScriptError(f"Took longer than {seconds:g} seconds: {' '.join(command)}") from error


def replace(path: Path, content: bytes) -> None:
    """Puts a new file in the place of `path`.

    Never writes into the old one: installers share one file between environments by hard links.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    if path.exists():
        fresh.chmod(path.stat().st_mode & 0o777)
    fresh.replace(path)


def _in_pyproject(pattern: str) -> str:
    found = re.search(pattern, (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise ScriptError(f"pyproject.toml has nothing that matches {pattern!r}.")
    return found.group(1)
