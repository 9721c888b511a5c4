# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""`scripts/upstream export` into a made-up checkout: what it writes, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import _upstream as upstream
import _upstream_export as exports
import pytest
from _environments import ROOT, ScriptError

CORE = "python/packages/core"
SETTINGS = """
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
timeout = 60
"""
THEIRS = {
    "python/pyproject.toml": "[tool.ruff]\nline-length = 120\n",
    f"{CORE}/pyproject.toml": f'[project]\nname = "agent-framework-core"\n{SETTINGS}',
    f"{CORE}/agent_framework/__init__.py": "",
    f"{CORE}/agent_framework/_mcp.py": "# Upstream's own.\n",
    f"{CORE}/agent_framework/_tools.py": "# Upstream's own.\n",
    f"{CORE}/tests/core/test_mcp.py": "# Upstream's own.\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in THEIRS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=True)
    return ran.stdout


def untouched(folder: Path, names: list[str]) -> None:
    """Stands in for ruff, which is no part of the test environment."""


def export(checkout: Path, *, check: bool = False) -> int:
    return exports.export(checkout, check=check, tidy=untouched)


def test_the_change_is_one_file_one_folder_and_a_folder_of_tests(checkout: Path) -> None:
    assert export(checkout) == 0
    assert git(checkout, "diff", "--name-only").split() == [f"{CORE}/agent_framework/_mcp.py"]
    new = git(checkout, "ls-files", "--others").split()
    folders = (f"{CORE}/agent_framework/_mcp_client/", f"{CORE}/tests/mcp_client/")
    assert [name for name in new if not name.startswith(folders)] == ["pull-request.md"]


def test_every_file_has_upstreams_header_and_none_of_ours(checkout: Path) -> None:
    export(checkout)
    written = [*git(checkout, "ls-files", "--others").split(), f"{CORE}/agent_framework/_mcp.py"]
    for name in written:
        text = (checkout / name).read_text()
        assert "agent-framework-mcp contributors" not in text, name
        if name.endswith(".py"):
            assert text.startswith("# Copyright (c) Microsoft. All rights reserved.\n"), name


def test_the_code_is_ours_but_for_the_header(checkout: Path) -> None:
    export(checkout)
    for name, content in upstream.layer_files().items():
        theirs = (checkout / CORE / name).read_bytes()
        assert theirs.partition(b"\n")[2] == content.partition(b"\n")[2]


def test_tests_have_names_that_say_what_they_are_about(checkout: Path) -> None:
    export(checkout)
    names = {path.name for path in (checkout / CORE / "tests/mcp_client").glob("test_*.py")}
    assert "test_mcp_connect.py" in names
    assert all(name.startswith("test_mcp_") for name in names)
    assert "test_mcp_soak.py" not in names


def test_what_is_left_out_exists_and_has_a_reason() -> None:
    for name, reason in upstream.LEFT_OUT.items():
        assert (upstream.TESTS / name).is_file()
        assert reason


@pytest.mark.parametrize("mode", ["importlib", "prepend"])
def test_the_exported_tests_run_where_they_are(checkout: Path, mode: str) -> None:
    export(checkout)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:anyio", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, f"--import-mode={mode}", "tests/mcp_client/test_mcp_peers.py"],
        cwd=checkout / CORE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_second_export_changes_nothing_and_check_says_so(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(checkout, check=True) == 1
    assert f"~ {CORE}/agent_framework/_mcp.py" in capsys.readouterr().out
    assert git(checkout, "status", "--porcelain").count("??") == 0
    export(checkout)
    capsys.readouterr()
    assert export(checkout, check=True) == 0
    assert capsys.readouterr().out == ""


def test_what_an_earlier_export_wrote_and_is_gone_is_removed(checkout: Path) -> None:
    export(checkout)
    old = checkout / CORE / "agent_framework/_mcp_client/_of_an_older_layer.py"
    old.write_text("")
    assert export(checkout, check=True) == 1
    assert old.exists()
    export(checkout)
    assert not old.exists()


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="is no checkout of upstream's repository"):
        export(tmp_path)
    with pytest.raises(ScriptError, match="is no checkout of upstream's repository"):
        export(ROOT)
    assert list(tmp_path.iterdir()) == []


def test_a_checkout_of_another_package_is_refused(checkout: Path) -> None:
    (checkout / CORE / "pyproject.toml").write_text('[project]\nname = "something-else"\n')
    with pytest.raises(ScriptError, match="is not that of agent-framework-core"):
        export(checkout)


def test_the_text_names_tests_as_they_are_called_over_there(checkout: Path) -> None:
    export(checkout)
    text = (checkout / "pull-request.md").read_text()
    assert f"{CORE}/tests/mcp_client/test_mcp_connect.py::test_" in text
    assert "tests/mcp/" not in text
    assert text.startswith("# Python: ")


def test_paragraphs_of_the_text_are_one_line_each_and_tables_and_code_stay() -> None:
    text = "a\nb\n\n| c |\n|---|\n| d |\n\n```text\ne\nf\n```\n\n## g\n\n- h\n- i\n#1 is j\n"
    assert exports._unwrapped(text) == "a b\n\n| c |\n|---|\n| d |\n\n```text\ne\nf\n```\n\n## g\n\n- h\n- i #1 is j\n"
