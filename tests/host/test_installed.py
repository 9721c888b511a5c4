# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Installed packages that need a newer core than this one are named when the package is imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_framework import _installed

ROOT = Path(__file__).parents[2]

SAYS = (
    "UserWarning: This agent_framework has the interface of agent-framework-core 1.0.1. These installed packages need "
    "a newer one, and may fail to import: {packages}. To have upstream's package back, run: pip install "
    '"agent-framework-core>={newest}". To use this MCP layer inside it, run `scripts/upstream overlay` from this '
    "package's repository then, in place of installing this package."
)


def install(folder: Path, package: str, version: str, *requirements: str) -> None:
    """The metadata of a package as an installer leaves it; its description speaks of requirements too."""
    entry = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    entry.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {package}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    entry.joinpath("METADATA").write_text("\n".join([*lines, "", "Requires-Dist: agent-framework-core>=9", ""]))


def imported(folder: Path, *options: str, statement: str = "import agent_framework") -> tuple[int, str]:
    """The exit code of a program that imports the package beside what a folder has, and what it says on stderr."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    environment.pop("PYTHONWARNINGS", None)
    ran = subprocess.run(
        [sys.executable, *options, "-c", statement],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stderr


def warned(packages: str, newest: str) -> str:
    line = f"<string>:1: {SAYS.format(packages=packages, newest=newest)}\n"
    # From Python 3.13 on a traceback shows the source of `-c` too.
    return line if sys.version_info < (3, 13) else f"{line}  import agent_framework\n"


def test_packages_that_need_a_newer_core_are_named_once_with_the_way_back(tmp_path: Path) -> None:
    install(tmp_path, "agent-framework-foundry", "1.23.0", "agent-framework-core<2,>=1.23.0", "anyio>=4")
    install(tmp_path, "agent-framework-a2a", "1.0.0b251001", "agent-framework-core>=1.22")
    install(tmp_path, "agent-framework-mem0", "1.0.1", "agent-framework-core>=1.0.1,<2")
    code, said = imported(
        tmp_path, statement="import agent_framework; import agent_framework.openai; import agent_framework"
    )
    assert code == 0
    assert said.replace("; import agent_framework.openai; import agent_framework", "") == warned(
        "agent-framework-a2a 1.0.0b251001 (agent-framework-core>=1.22), "
        "agent-framework-foundry 1.23.0 (agent-framework-core<2,>=1.23.0)",
        "1.23.0",
    )


def test_the_warning_can_be_made_an_error_or_be_silenced(tmp_path: Path) -> None:
    install(tmp_path, "agent-framework", "1.23.0", "agent-framework-core[all]==1.23.0")
    code, said = imported(tmp_path, "-W", "error")
    assert code == 1
    assert said.endswith(
        SAYS.format(packages="agent-framework 1.23.0 (agent-framework-core==1.23.0)", newest="1.23.0") + "\n"
    )
    assert imported(tmp_path, "-W", "ignore::UserWarning") == (0, "")


def test_nothing_is_said_where_nothing_needs_a_newer_core(tmp_path: Path) -> None:
    assert imported(tmp_path) == (0, "")
    install(tmp_path, "agent-framework-anthropic", "1.0.0b260409", "agent-framework-core<2,>=1.0.1")
    install(
        tmp_path, "agent-framework-openai", "1.0.1", "agent-framework-core<2,>=1.0.1", "agent-framework-core (>=1.0)"
    )
    install(tmp_path, "agent-framework-core", "1.0.1+mcp.1", "agent-framework-openai<1.1,>=1.0.1; extra == 'openai'")
    install(tmp_path, "agents", "3", "agent-framework-core>=2")
    install(tmp_path, "agent-frameworks", "3", "agent-framework-core>=2")
    tmp_path.joinpath("agent_framework_broken-1.dist-info").mkdir()
    tmp_path.joinpath("agent_framework_file-1.dist-info").write_text("")
    assert imported(tmp_path) == (0, "")


@pytest.mark.parametrize(
    "requirement",
    [
        "agent-framework-core>=1.0.2",
        "agent-framework-core>=1.1",
        "agent-framework-core >= 2 , < 3",
        "agent-framework-core>1.0.1",
        "agent-framework-core~=1.23",
        "agent-framework-core==1.23.*",
        "agent-framework-core===1.23.0",
        "agent-framework-core!=1.3,>=1.2.0rc1",
        "agent-framework-core (<2,>=1.23)",
        "agent-framework-core[all]>=1.23",
        "agent_framework.core>=1.23; python_version >= '3.10'",
        "Agent-Framework-Core>=1.10",
    ],
)
def test_a_requirement_that_is_newer_is_seen(tmp_path: Path, requirement: str) -> None:
    install(tmp_path, "agent-framework-x", "1", requirement)
    with pytest.warns(UserWarning, match=r"agent-framework-x 1 \("):
        _installed.warn_of_newer_needs([str(tmp_path)])


@pytest.mark.parametrize(
    "requirement",
    [
        "agent-framework-core",
        "agent-framework-core<2,>=1.0.1",
        "agent-framework-core>=1.0.1.0",
        "agent-framework-core>1.0.0",
        "agent-framework-core==1.0.0b251001",
        "agent-framework-core==1.*",
        "agent-framework-core<=1.23",
        "agent-framework-core!=1.23",
        "agent-framework-core>=1.23; extra == 'new'",
        "agent-framework-core-more>=1.23",
        "agent-framework-openai>=1.23",
    ],
)
def test_a_requirement_that_is_not_newer_is_not_spoken_of(tmp_path: Path, requirement: str) -> None:
    install(tmp_path, "agent-framework-x", "1", requirement)
    _installed.warn_of_newer_needs([str(tmp_path)])  # a warning would be an error here


def test_the_first_package_of_a_name_counts(tmp_path: Path) -> None:
    install(tmp_path / "first", "agent-framework-x", "1", "agent-framework-core>=1.0.1")
    install(tmp_path / "second", "agent-framework-x", "2", "agent-framework-core>=2")
    archive = tmp_path / "library.zip"
    archive.write_bytes(b"")
    folders = [str(tmp_path / name) for name in ("missing", "first", "second", "first")]
    _installed.warn_of_newer_needs([str(archive), *folders])


def test_looking_costs_little_beside_the_import(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"package_{number}").mkdir()
        install(tmp_path, f"package-{number}", "1")
    for number in range(30):
        install(tmp_path, f"agent-framework-x{number}", "1", "agent-framework-core>=1.0.1")

    def look() -> float:
        begun = time.process_time()
        _installed.warn_of_newer_needs([str(tmp_path)])
        return time.process_time() - begun

    assert min(look() for _ in range(5)) < 0.02


def test_the_interface_is_that_of_the_version() -> None:
    version = re.search(r'^version = "([\d.]+)', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert ".".join(map(str, _installed.INTERFACE)) == version[1]
