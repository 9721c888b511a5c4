# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""`scripts/upstream export`: the pull request, written into a checkout of upstream's repository.

What is written: our MCP layer in place of upstream's module, our tests of it in a folder of their own, both with
upstream's file header and after upstream's own lint settings have had their say, and beside the change a text for the
pull request, made from docs/pull-request.md.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import _upstream as upstream
from _environments import ROOT, ScriptError, choose_interpreter, make_environment

CORE = "python/packages/core"
TESTS = f"{CORE}/tests/mcp_client"
TEXT = "pull-request.md"
LANDMARKS = (
    f"{CORE}/pyproject.toml",
    f"{CORE}/{upstream.PACKAGE}/__init__.py",
    f"{CORE}/{upstream.FACE}",
    f"{CORE}/tests",
    "python/pyproject.toml",
)
OWNED = (f"{CORE}/{upstream.FOLDER}", TESTS)  # folders in which nothing but the change is

OUR_HEADER = "# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.\n"
THEIR_HEADER = "# Copyright (c) Microsoft. All rights reserved.\n"
HELPERS_ARE_FOUND = "sys.path.insert(0, str(Path(__file__).parent))  # upstream's import mode shows no neighbours\n"


def export(checkout: Path, *, check: bool = False, tidy: Callable[[Path, list[str]], None] | None = None) -> int:
    """Writes the change into a checkout, and says what was written.

    Args:
        checkout: The root of a clone of upstream's repository.

    Keyword Args:
        check: Only tell what would change.
        tidy: Brings files below a folder into the form that the checkout's settings ask for; ruff unless given.

    Returns:
        0 when everything is written, or with `check` when nothing would change; else 1.

    Raises:
        ScriptError: It is no such checkout.
    """
    _check_checkout(checkout)
    with tempfile.TemporaryDirectory(prefix="upstream-export-") as folder:
        files = _tidied(checkout, Path(folder), _change(), tidy or _ruff)
    files[TEXT] = pull_request_text().encode()
    changes = _compare(checkout, files)
    for mark, name in changes:
        print(f"{mark} {name}")
    if check:
        return 1 if changes else 0
    for mark, name in changes:
        if mark == "-":
            (checkout / name).unlink()
        else:
            upstream.replace(checkout / name, files[name])
    print(f"{len(files) - 1} files. {TEXT} is the text of the pull request and no part of it: do not commit it.")
    return 0


def pull_request_text() -> str:
    """docs/pull-request.md, with tests by the names they have over there."""
    text = (ROOT / "docs" / "pull-request.md").read_text()
    body = text.partition("\n---\n")[2]  # what stands above the line is for people of this repository
    named = re.sub(r"tests/mcp/(\w+\.py)", lambda found: f"{TESTS}/{_their_name(found.group(1))}", body)
    return _unwrapped(named.lstrip())


def _check_checkout(checkout: Path) -> None:
    missing = [name for name in LANDMARKS if not (checkout / name).exists()]
    if missing:
        raise ScriptError(f"{checkout} is no checkout of upstream's repository: it has no {missing[0]}.")
    settings = (checkout / LANDMARKS[0]).read_text()
    if f'name = "{upstream.DISTRIBUTION}"' not in settings:
        raise ScriptError(f"{checkout / LANDMARKS[0]} is not that of {upstream.DISTRIBUTION}.")


def _change() -> dict[str, bytes]:
    """Every file of the change by its path in upstream's repository."""
    files = {f"{CORE}/{name}": content for name, content in upstream.layer_files().items()}
    for path in sorted(upstream.TESTS.glob("*.py")):
        if path.name not in upstream.LEFT_OUT:
            files[f"{TESTS}/{_their_name(path.name)}"] = path.read_bytes()
    files[f"{TESTS}/conftest.py"] = _conftest()
    return {name: _with_their_header(name, content) for name, content in files.items()}


def _unwrapped(text: str) -> str:
    """Paragraphs as one line each: where pull requests are read, the end of a line is a line break."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    join = re.compile(r"(?<=[^\n|])\n(?!\n|\||#+ |- |$)")
    return "".join(part if part.startswith("```") else join.sub(" ", part) for part in parts)


def _their_name(name: str) -> str:
    """Upstream's folders of tests have modules of one namespace, so ours say what they are about."""
    return re.sub(r"^test_(?!mcp_)", "test_mcp_", name)


def _conftest() -> bytes:
    """Our checks for what tests leave behind, and a way to the helpers, which upstream's settings do not make."""
    text = (ROOT / "tests" / "conftest.py").read_text()
    before, pytest, after = text.partition("\nimport pytest\n")
    if not pytest:
        raise ScriptError("tests/conftest.py does not import pytest, behind which the export has something to say.")
    return f"{before}{pytest}\n{HELPERS_ARE_FOUND}{after}".encode()


def _with_their_header(name: str, content: bytes) -> bytes:
    text = content.decode()
    if not text.startswith(OUR_HEADER):
        raise ScriptError(f"{name} does not begin with the header that the export replaces.")
    return (THEIR_HEADER + text[len(OUR_HEADER) :]).encode()


def _tidied(
    checkout: Path, folder: Path, files: dict[str, bytes], tidy: Callable[[Path, list[str]], None]
) -> dict[str, bytes]:
    """The files as `tidy` leaves them, with the checkout's settings around them."""
    for name in ("python/pyproject.toml", f"{CORE}/pyproject.toml", f"{CORE}/{upstream.PACKAGE}/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, folder / name)
    for name, content in files.items():
        upstream.replace(folder / name, content)
    tidy(folder, sorted(files))
    return {name: (folder / name).read_bytes() for name in files}


def _ruff(folder: Path, names: list[str]) -> None:
    """Formats, takes out comments for rules that are not asked for there, and marks what their rules would not have.

    Our settings and theirs differ in a handful of rules (asserts that narrow types, parameters called `timeout`).
    """
    python = make_environment(
        choose_interpreter(None), "check-only", requirements=("requirements-check.txt",), project=False
    )
    ruff = [python, "-m", "ruff"]
    for arguments in (
        ["check", "--quiet", "--exit-zero", "--no-cache", "--select", "RUF100", "--fix"],
        ["format", "--quiet", "--no-cache"],
        ["check", "--quiet", "--exit-zero", "--no-cache", "--no-fix", "--add-noqa"],
        ["format", "--quiet", "--no-cache"],  # a line that has got a comment may have to be broken
    ):
        done = upstream.run([*ruff, *arguments, *names], folder=folder)
        if done.returncode != 0:
            raise ScriptError(f"ruff {arguments[0]} failed\n{(done.stdout + done.stderr)[-2000:]}")


def _compare(checkout: Path, files: dict[str, bytes]) -> list[tuple[str, str]]:
    """What has to be added (+), changed (~) and removed (-)."""
    changes = []
    for name, content in sorted(files.items()):
        path = checkout / name
        if not path.exists():
            changes.append(("+", name))
        elif path.read_bytes() != content:
            changes.append(("~", name))
    for folder in OWNED:
        there = (path.relative_to(checkout).as_posix() for path in (checkout / folder).rglob("*.py"))
        changes += [("-", name) for name in sorted(there) if name not in files]
    return changes
