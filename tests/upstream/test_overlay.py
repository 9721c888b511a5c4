# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""`scripts/upstream overlay` on a made-up installation: what it puts where, and that it can be undone."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import _upstream as upstream
import _upstream_overlay as overlays
import pytest
from _environments import ROOT

SCRIPT = str(ROOT / "scripts" / "upstream")
THEIRS = {
    "agent_framework/__init__.py": b"",
    upstream.FACE: b"# Upstream's own.\r\n",
    "agent_framework/_tools.py": b"#\n",
}


class Installation:
    """A virtual environment with files in it that look as if an installer had put them there."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
        self.python = str(folder / "bin" / "python")
        (self.site,) = folder.glob("lib/python*/site-packages")

    def install(self, name: str, version: str, files: dict[str, bytes]) -> None:
        metadata = f"{name.replace('-', '_')}-{version}.dist-info"
        content = {
            **files,
            f"{metadata}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n".encode(),
        }
        lines = [f"{path},sha256={digest(data)},{len(data)}" for path, data in content.items()]
        lines += [f"{metadata}/RECORD,,", "agent_framework/__pycache__/_mcp.cpython-311.pyc,,"]
        for path, data in {**content, f"{metadata}/RECORD": "\n".join(lines).encode()}.items():
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            (self.site / path).write_bytes(data)

    def census(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.site)): path.read_bytes() for path in self.site.rglob("*") if path.is_file()}


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("environment"))


@pytest.fixture
def bare(environment: Installation) -> Installation:
    """Nothing is installed in it."""
    shutil.rmtree(environment.site)
    environment.site.mkdir()
    return environment


@pytest.fixture
def installed(bare: Installation) -> Installation:
    bare.install(upstream.DISTRIBUTION, upstream.PROVEN[0], THEIRS)
    return bare


def test_an_overlay_puts_the_layer_in_and_undo_restores_every_byte(installed: Installation) -> None:
    before = installed.census()
    overlays.overlay(installed.python)
    there = installed.census()
    for name, content in upstream.layer_files().items():
        assert there[name] == content
    assert there["agent_framework/_tools.py"] == before["agent_framework/_tools.py"]
    overlays.undo(installed.python)
    assert installed.census() == before
    assert not (installed.site / upstream.FOLDER).exists()


def test_a_second_overlay_keeps_what_the_first_one_kept(installed: Installation) -> None:
    before = installed.census()
    overlays.overlay(installed.python)
    once = installed.census()
    old = installed.site / upstream.FOLDER / "_of_an_older_layer.py"
    old.write_text("")
    overlays.overlay(installed.python)
    assert installed.census() == once
    overlays.undo(installed.python)
    assert installed.census() == before


@pytest.mark.parametrize("name", [upstream.FACE, f"{upstream.FOLDER}/_connection.py"])
@pytest.mark.parametrize("then", [overlays.overlay, overlays.undo])
def test_an_overlay_that_was_interrupted_can_be_finished_or_undone(
    installed: Installation, monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[str], str]
) -> None:
    before, replace = installed.census(), upstream.replace

    def interrupted(path: Path, content: bytes) -> None:
        if path == installed.site / name:
            raise KeyboardInterrupt
        replace(path, content)

    monkeypatch.setattr(upstream, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        overlays.overlay(installed.python)
    monkeypatch.undo()
    then(installed.python)
    if then is overlays.overlay:
        overlays.undo(installed.python)
    assert installed.census() == before


def test_the_list_of_installed_files_names_each_with_what_it_holds(installed: Installation) -> None:
    overlays.overlay(installed.python)
    (record,) = installed.site.glob("*.dist-info/RECORD")
    rows = list(csv.reader(record.read_text().splitlines()))
    assert len({path for path, _, _ in rows}) == len(rows)
    assert all(len(row) == 3 for row in rows)
    for path, hashed, size in rows:
        if hashed:
            data = (installed.site / path).read_bytes()
            assert (hashed, int(size)) == (f"sha256={digest(data)}", len(data)), path
    compiled = {path for path in installed.census() if path.endswith(".pyc")}
    assert set(installed.census()) - compiled <= {path for path, _, _ in rows}


def test_a_file_that_another_environment_shares_is_not_written_into(installed: Installation, tmp_path: Path) -> None:
    shared = tmp_path / "in an installer's cache"
    os.link(installed.site / upstream.FACE, shared)
    overlays.overlay(installed.python)
    overlays.undo(installed.python)
    assert shared.read_bytes() == THEIRS[upstream.FACE]


def test_what_was_compiled_from_the_replaced_file_is_gone(installed: Installation) -> None:
    compiled = installed.site / "agent_framework" / "__pycache__" / "_mcp.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"")
    overlays.overlay(installed.python)
    assert not compiled.exists()


# Refusals ...


def refusal(python: str, *arguments: str) -> str:
    """What the command says when it does nothing."""
    command = [sys.executable, SCRIPT, "overlay", python, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_where_nothing_is_installed_it_says_so(bare: Installation) -> None:
    assert "is not installed in the environment" in refusal(bare.python)


def test_what_is_no_python_is_named(tmp_path: Path) -> None:
    assert "cannot be run: No such file" in refusal(str(tmp_path / "python"))
    assert "is no Python" in refusal(shutil.which("false") or "/bin/false")


def test_this_fork_needs_no_overlay(bare: Installation) -> None:
    bare.install(upstream.DISTRIBUTION, "1.0.1+mcp.1", THEIRS)
    assert "is this fork" in refusal(bare.python)


def test_an_editable_installation_is_refused(bare: Installation) -> None:
    bare.install(upstream.DISTRIBUTION, upstream.PROVEN[0], {"agent_framework.pth": b""})
    assert "editable" in refusal(bare.python)


def test_a_release_that_was_not_proven_is_refused(bare: Installation) -> None:
    bare.install(upstream.DISTRIBUTION, "1.0.99", THEIRS)
    assert "scripts/upstream verify 1.0.99" in refusal(bare.python)
    assert bare.census()[upstream.FACE] == THEIRS[upstream.FACE]


def test_a_folder_of_that_name_which_is_not_ours_is_left_alone(installed: Installation) -> None:
    stranger = installed.site / upstream.FOLDER / "notes.txt"
    stranger.parent.mkdir()
    stranger.write_text("mine")
    assert "not by this script" in refusal(installed.python)
    assert "has its own MCP layer" in refusal(installed.python, "--undo")
    assert stranger.read_text() == "mine"


@pytest.mark.parametrize(("name", "version"), [("anyio", "4.9.0"), ("mcp", "3.0.0")])
def test_a_dependency_that_the_layer_cannot_use_is_named(installed: Installation, name: str, version: str) -> None:
    installed.install(name, version, {f"{name}/__init__.py": b""})
    said = refusal(installed.python)
    assert f"{name} {version} is installed there" in said
    assert f"{name}>=" in said


def test_an_overlay_can_be_undone_whatever_has_become_of_the_dependencies(installed: Installation) -> None:
    before = installed.census()
    overlays.overlay(installed.python)
    installed.install("mcp", "3.0.0", {"mcp/__init__.py": b""})
    overlays.undo(installed.python)
    assert before.items() <= installed.census().items()


def test_there_is_nothing_to_undo_where_nothing_was_done(installed: Installation) -> None:
    before = installed.census()
    assert "has its own MCP layer" in refusal(installed.python, "--undo")
    assert installed.census() == before
