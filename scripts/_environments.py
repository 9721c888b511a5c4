# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the scripts share: which Pythons are here, and a virtual environment for one of them.

Needs a Python 3.8 or newer with `venv`, and nothing else; pip installs the rest into `.venvs/`, where each environment
is kept under a name made of its Python and of the files that say what goes into it: the next run finds it ready.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venvs"
MINIMUM = (3, 10)
PROBE_SECONDS = (
    20  # a shim that resolves its version takes a second or two on a busy machine; one that hangs is of no use
)
SDK = "1.30"
"""The MCP SDK of an environment that asks for no other; the HTTP transports do not stand on 2.x yet."""
PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2], '%d.%d.%d' % sys.version_info[:3])"


class ScriptError(Exception):
    """Something that the person at the keyboard has to know, in one sentence."""


class Interpreter:
    """A Python that was started and answered.

    Attributes:
        path: The executable.
        minor: For example "3.10".
        version: For example "3.10.13".
    """

    def __init__(self, path: str, minor: str, version: str) -> None:
        self.path, self.minor, self.version = path, minor, version

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))


def find_interpreters() -> dict[str, Interpreter]:
    """Every usable Python of this machine by its minor version, oldest first.

    Names on PATH may be shims for a version that is not installed, so each candidate is started before it counts.
    """
    found: dict[str, Interpreter] = {}
    for candidate in _candidates():
        interpreter = _probe(candidate)
        if interpreter is not None and interpreter.order[:2] >= MINIMUM:
            found.setdefault(interpreter.minor, interpreter)
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def choose_interpreter(wanted: str | None) -> Interpreter:
    """The Python for `wanted`: a minor version, "oldest", "newest", or None for the one that runs this script.

    Raises:
        ScriptError: There is no such Python here.
    """
    if wanted is None:
        current = _probe(sys.executable)
        if current is not None and current.order[:2] >= MINIMUM:
            return current
    found = find_interpreters()
    if not found:
        raise ScriptError(f"No Python {'.'.join(map(str, MINIMUM))} or newer with venv and ensurepip was found.")
    if wanted in (None, "newest"):
        return list(found.values())[-1]
    if wanted == "oldest":
        return next(iter(found.values()))
    if wanted not in found:
        raise ScriptError(f"Python {wanted} was not found here. Found: {', '.join(found)}.")
    return found[wanted]


def make_environment(
    interpreter: Interpreter,
    purpose: str,
    *,
    extras: str = "",
    requirements: tuple[str, ...] = (),
    constraints: tuple[str, ...] | None = None,
    project: bool = True,
) -> str:
    """Makes, or finds ready, a virtual environment with this project in it, and returns the path of its Python.

    Args:
        interpreter: The Python to make it from.
        purpose: First part of its name, for people.

    Keyword Args:
        extras: Extras of the project to install, for example "[openai,ws]".
        requirements: Names of requirement files beside this one.
        constraints: Names of constraint files beside this one; by default the one of the usual SDK.
        project: Whether this project goes into it; what must not meet our dependencies gets an environment without.

    Raises:
        ScriptError: pip or venv failed; the end of their output is in the message.
    """
    if constraints is None:
        constraints = (sdk_constraints(SDK),) if project else ()
    files = [ROOT / "pyproject.toml"] if project else []
    files += [ROOT / "scripts" / name for name in (*requirements, *constraints)]
    mark = hashlib.sha256(extras.encode() + b"".join(path.read_bytes() for path in files)).hexdigest()[:10]
    folder = VENVS / f"{purpose}-py{interpreter.version}-{mark}"
    python = str(folder / "bin" / "python")
    ready = folder / "ready"
    VENVS.mkdir(exist_ok=True)
    with (VENVS / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run that wants the same environment waits for the first to make it
        if not ready.exists():
            print(
                f"[{purpose}] Python {interpreter.version}: installing into {folder.relative_to(ROOT)} ...", flush=True
            )
            shutil.rmtree(folder, ignore_errors=True)
            _run_quietly([interpreter.path, "-m", "venv", str(folder)])
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            if project:
                install += ["--editable", f"{ROOT}{extras}"]
            for name in requirements:
                install += ["--requirement", str(ROOT / "scripts" / name)]
            for name in constraints:
                install += ["--constraint", str(ROOT / "scripts" / name)]
            _run_quietly(install)
            ready.touch()
    return python


def make_test_environment(interpreter: Interpreter, *, oldest: bool = False, sdk: str | None = None) -> str:
    """Makes, or finds ready, an environment for the tests, and returns the path of its Python.

    Args:
        interpreter: The Python to make it from.

    Keyword Args:
        oldest: Whether to take the lowest version of every direct dependency.
        sdk: Which release of the MCP SDK, for example "2.3"; None for the usual one.

    Raises:
        ScriptError: There is no constraint file for that release, or pip or venv failed.
    """
    constraints = "constraints-oldest.txt" if oldest else sdk_constraints(sdk or SDK)
    return make_environment(
        interpreter,
        "test-oldest" if oldest else f"test-sdk-{sdk}" if sdk else "test",
        extras="[openai,ws]",
        requirements=("requirements-test.txt",),
        constraints=(constraints,),
    )


def sdk_constraints(sdk: str) -> str:
    """The name of the constraint file of a release of the MCP SDK.

    Raises:
        ScriptError: There is none.
    """
    name = f"constraints-sdk-{sdk}.txt"
    if not (ROOT / "scripts" / name).exists():
        files = sorted((ROOT / "scripts").glob("constraints-sdk-*.txt"))
        known = ", ".join(file.stem.rpartition("-")[2] for file in files)
        raise ScriptError(f"There is no scripts/{name}; the releases of the MCP SDK that are tested: {known}.")
    return name


def make_node_folder(package: str, version: str, purpose: str) -> Path:
    """Makes, or finds ready, a folder with one npm package and what it needs, and returns the package's own folder.

    Args:
        package: Its name in the registry.
        version: Exactly this one.
        purpose: First part of the folder's name, for people.

    Raises:
        ScriptError: node or npm is not here, or npm failed; the end of its output is in the message.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise ScriptError("node and npm were not found.")
    folder = VENVS / f"{purpose}-npm-{version}"
    ready = folder / "ready"
    VENVS.mkdir(exist_ok=True)
    with (VENVS / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            print(f"[{purpose}] npm: installing into {folder.relative_to(ROOT)} ...", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _run_quietly([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", f"{package}@{version}"])
            ready.touch()
    return folder / "node_modules" / package


def run(command: list[str], *, title: str = "", environment: dict[str, str] | None = None) -> int:
    """Runs a command in the project's root with its output going where ours goes, and returns its exit code.

    Args:
        command: The program and its arguments.

    Keyword Args:
        title: Printed first, in brackets.
        environment: Variables to set beside our own.
    """
    if title:
        print(f"[{title}]", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False, env={**os.environ, **(environment or {})}).returncode


def _candidates() -> list[str]:
    """Executables that may be a Python, the likeliest first, without duplicates."""
    paths = [sys.executable]
    for directory in map(Path, os.get_exec_path()):
        inside = sorted(directory.glob("python3*")) if directory.is_dir() else []
        paths += [str(path) for path in inside if re.fullmatch(r"python3(\.\d+)?", path.name)]
    paths += [str(path) for path in sorted(_pyenv_root().glob("versions/*/bin/python"), reverse=True)]
    return list(dict.fromkeys(path for path in paths if path))


def _pyenv_root() -> Path:
    """Where pyenv keeps its versions; the folder need not exist."""
    if os.environ.get("PYENV_ROOT"):
        return Path(os.environ["PYENV_ROOT"])
    if shutil.which("pyenv"):
        answer = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
        if answer:
            return Path(answer)
    return Path.home() / ".pyenv"


def _probe(path: str) -> Interpreter | None:
    try:
        answer = subprocess.run(
            [path, "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.split()
    return Interpreter(path, *words) if answer.returncode == 0 and len(words) == 2 else None


def _run_quietly(command: list[str]) -> None:
    """Runs a command whose output matters only when it fails."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise ScriptError(f"Failed: {' '.join(command)}\n{done.stdout[-4000:]}")
