# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""`scripts/upstream verify`: a release of upstream's from the package index, without and with our MCP layer.

Everything happens in an environment and a folder that are made for it and removed afterwards. The folder has our tests
and samples and nothing else of this repository, so `agent_framework` is what is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import _upstream as upstream
import _upstream_overlay as overlays
from _environments import ROOT, VENVS, Interpreter, ScriptError

REPORTED = "samples/unreachable_server.py"
IN_THEIR_HOST = "tests/upstream/in_their_host.py"
SHOWN = 60  # lines of what failed
PROVIDER = "agent-framework-openai"
REPORTED_END = re.compile(r"^asyncio\.exceptions\.CancelledError: Cancelled via cancel scope ", re.MULTILINE)
MODEL_VARIABLES = re.compile(r"(AZURE_)?OPENAI_|PYTHON(PATH|HOME|WARNINGS)$")  # the stand-in answers; nothing of ours


VERSIONS = """
import importlib.metadata, sys, agent_framework
print(agent_framework.__file__, *map(importlib.metadata.version, sys.argv[1:]))
"""


class Failed(Exception):
    """A step did not come out as it has to; the message says what came out."""


@dataclass
class Trial:
    """A release on trial.

    Attributes:
        version: The release.
        interpreter: What its environment is made from.
        home: The folder that all of it is in.
        oldest: Whether it gets the lowest versions of what the layer needs.
        rows: The outcome of each step: its name, whether it passed, and what is to be known of it.
        census: The environment's files before the overlay.
    """

    version: str
    interpreter: Interpreter
    home: Path
    oldest: bool = False
    rows: list[tuple[str, bool, str]] = field(default_factory=list)
    census: str = ""

    @property
    def python(self) -> str:
        return str(self.home / "environment" / "bin" / "python")

    @property
    def folder(self) -> Path:
        return self.home / "work"

    @property
    def passed(self) -> bool:
        return all(passed for _, passed, _ in self.rows)

    def step(self, name: str, act: Callable[[], str]) -> bool:
        """Takes a step and notes how it came out; a failure is shown at once."""
        print(f"[upstream {self.version}] {name} ...", flush=True)
        started = time.monotonic()
        try:
            outcome, passed = act(), True
        except (Failed, ScriptError) as error:
            outcome, passed = str(error), False
            print(outcome, flush=True)
        first, *_ = outcome.splitlines() or [""]
        self.rows.append((name, passed, f"{first} ({time.monotonic() - started:.0f} s)"))
        return passed

    def run(self, *arguments: str, seconds: float = 120) -> tuple[int, str, str]:
        """Runs the environment's Python in the folder: exit code, output, standard error."""
        environment = {name: value for name, value in os.environ.items() if not MODEL_VARIABLES.match(name)}
        done = upstream.run([self.python, *arguments], folder=self.folder, environment=environment, seconds=seconds)
        return done.returncode, done.stdout, done.stderr


def verify(version: str, interpreter: Interpreter, *, oldest: bool = False, keep: bool = False) -> bool:
    """Tries a release and prints a table of how it came out.

    Args:
        version: The release of agent-framework-core.
        interpreter: What to make its environment from.

    Keyword Args:
        oldest: Install the lowest versions of what the layer needs, instead of the newest.
        keep: Leave environment and folder where they are, and say where that is.

    Returns:
        Whether everything passed.
    """
    with scratch(version, keep=keep) as home:
        trial = Trial(version, interpreter, home, oldest)
        take_steps(trial)
    print_table(trial)
    return trial.passed


@contextlib.contextmanager
def scratch(version: str, *, keep: bool) -> Iterator[Path]:
    VENVS.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=f"upstream-{version}-", dir=VENVS))
    try:
        yield home
    finally:
        if keep:
            print(f"[upstream {version}] kept: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def take_steps(trial: Trial) -> None:
    """Each stands on the ones before it up to the overlay; what comes after is told apart in the table."""
    ready = (
        trial.step("install", lambda: install(trial))
        and trial.step("the reported program before", lambda: fails_as_reported(trial))
        and trial.step("overlay", lambda: put(trial))
    )
    if not ready:
        return
    trial.step("the reported program after", lambda: prints_the_error(trial))
    trial.step("in their host", lambda: pytest(trial, IN_THEIR_HOST))
    trial.step("our tests of the MCP layer", lambda: pytest(trial, "tests/mcp"))
    trial.step("undo", lambda: undo(trial))
    trial.step("pip uninstall", lambda: uninstall(trial))


def print_table(trial: Trial) -> None:
    width = max(len(name) for name, _, _ in trial.rows)
    print(f"\n{upstream.DISTRIBUTION} {trial.version}, Python {trial.interpreter.version}")
    for name, passed, outcome in trial.rows:
        print(f"  {name:<{width}}  {'passed' if passed else 'FAILED'}  {outcome}")
    print(flush=True)


# Steps ...


def install(trial: Trial) -> str:
    """Lets pip find the provider package and the SDK that go with the release."""
    lay_out(trial.folder)
    scripts = ROOT / "scripts"
    lowest = ["--constraint", str(scripts / "constraints-oldest.txt")] if trial.oldest else []
    commands = [
        [trial.interpreter.path, "-m", "venv", str(trial.home / "environment")],
        [
            *(trial.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *(f"{upstream.DISTRIBUTION}=={trial.version}", PROVIDER),
            *("--requirement", str(scripts / "requirements-upstream.txt"), *lowest),
        ],
    ]
    for command in commands:
        done = upstream.run(command)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command[:4])} failed\n{tail(done.stdout + done.stderr)}")
    return ", ".join(f"{name} {version}" for name, version in versions(trial).items())


def lay_out(folder: Path) -> None:
    """Our tests and samples, with pytest's settings."""
    names = shutil.ignore_patterns("__pycache__")
    for name in ("tests/mcp", "samples"):
        shutil.copytree(ROOT / name, folder / name, ignore=names)
    (folder / "tests" / "upstream").mkdir()
    for name in ("tests/conftest.py", IN_THEIR_HOST):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "pyproject.toml").write_text(upstream.pytest_settings())


def versions(trial: Trial) -> dict[str, str]:
    """What was installed; the package itself has to be the environment's."""
    names = [PROVIDER, "mcp", "anyio", "httpx"]
    code, output, error = trial.run("-c", VERSIONS, *names)
    if code != 0:
        raise Failed(f"agent_framework cannot be imported\n{tail(error)}")
    where, *found = output.split()
    if trial.home not in Path(where).parents:
        raise Failed(f"agent_framework is not the environment's but {where}")
    return dict(zip(names, found))  # noqa: B905  # as many versions as names, or the program had failed


def fails_as_reported(trial: Trial) -> str:
    code, output, error = trial.run(REPORTED)
    if code != 0 and REPORTED_END.search(error) and "Error:" not in output:
        return error.strip().splitlines()[-1]
    said = tail(output + error, 1)
    if trial.version in upstream.FAIL_AS_REPORTED:
        raise Failed(f"does not fail as reported, but ends with {code}: {said}")
    return f"does not fail as reported (later releases need not): {said}"


def prints_the_error(trial: Trial) -> str:
    code, output, error = trial.run(REPORTED)
    lines = output.splitlines()
    if (code, error) != (0, "") or len(lines) != 1 or not lines[0].startswith("Error: "):
        raise Failed(f"ends with {code}: {tail(output + error)}")
    return lines[0]


def put(trial: Trial) -> str:
    """Twice: the second one has to find what the first one left, and to keep what the first one kept."""
    trial.census = census(trial)
    overlays.overlay(trial.python, proven_only=False)
    overlays.overlay(trial.python, proven_only=False)
    return f"{len(upstream.layer_files())} files of {upstream.our_version()}"


def undo(trial: Trial) -> str:
    overlays.undo(trial.python)
    if census(trial) != trial.census:
        raise Failed("the environment is not as it was before")
    return "every file is as it was"


def uninstall(trial: Trial) -> str:
    """What `pip uninstall` and `pip install --upgrade` do with an overlay: nothing of it may stay."""
    site = overlays.find(trial.python).site
    overlays.overlay(trial.python, proven_only=False)
    trial.run("-c", "import agent_framework._mcp_client._connection")  # so that there are compiled files, too
    code, output, error = trial.run("-m", "pip", "uninstall", "--yes", "--quiet", upstream.DISTRIBUTION)
    left = sorted(path.relative_to(site).as_posix() for path in (site / upstream.PACKAGE).rglob("*.py"))
    left += [str(path) for path in [site / upstream.FOLDER, *site.glob("agent_framework_core-*")] if path.exists()]
    if code != 0 or left:
        raise Failed(f"left behind: {', '.join(left)} {tail(output + error)}")
    return "nothing is left"


def pytest(trial: Trial, what: str) -> str:
    code, output, error = trial.run("-m", "pytest", "-q", "-p", "no:cacheprovider", what, seconds=1800)
    if code != 0:
        raise Failed(f"{tail(output, 1)}\n{tail(output + error)}")
    return tail(output, 1)


# Looking ...


def census(trial: Trial) -> str:
    """Every file below site-packages with its digest, but compiled ones."""
    site = overlays.find(trial.python).site
    paths = sorted(path for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return "".join(f"{path.relative_to(site)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in paths)


def tail(text: str, lines: int = SHOWN) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
