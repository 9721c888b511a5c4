# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""`scripts/upstream overlay`: our MCP layer in an environment where upstream's package is installed.

What it replaces is kept beside the package's metadata, and the list of installed files (`RECORD`, "Recording installed
projects" in the packaging specifications) names what is there now. So `pip uninstall` removes all of it, and an upgrade
puts the new release's own MCP layer in place of ours.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import _upstream as upstream
from _environments import ScriptError

BACKUP = "mcp-overlay"
NOTE = "overlay.json"

PROBE = """
import importlib.metadata as metadata, json, sys
name, others = sys.argv[1], sys.argv[2:]

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

found = {"versions": {other: version(other) for other in others}}
try:
    distribution = metadata.distribution(name)
except metadata.PackageNotFoundError:
    pass
else:
    records = [entry for entry in distribution.files or () if entry.match("*.dist-info/RECORD")]
    found["version"] = distribution.version
    found["site"] = str(distribution.locate_file(""))
    found["record"] = str(records[0].locate()) if records else None
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Target:
    """Upstream's package as it is installed somewhere.

    Attributes:
        version: Its version.
        site: The folder that holds the package.
        record: The list of its files.
        beside: The versions of what our layer needs, None for what is not there.
    """

    version: str
    site: Path
    record: Path
    beside: Mapping[str, str | None]

    @property
    def face(self) -> Path:
        return self.site / upstream.FACE

    @property
    def folder(self) -> Path:
        return self.site / upstream.FOLDER

    @property
    def backup(self) -> Path:
        return self.record.parent / BACKUP

    @property
    def is_overlaid(self) -> bool:
        return (self.backup / NOTE).is_file()


def overlay(python: str, *, proven_only: bool = True) -> str:
    """Puts our MCP layer into the environment of an interpreter, in place of upstream's or of an older one of ours.

    Args:
        python: The interpreter.

    Keyword Args:
        proven_only: Refuse releases that it has not been proven on.

    Returns:
        A sentence that says what was done.

    Raises:
        ScriptError: There is no upstream package there, or none that can take it.
    """
    target = find(python)
    if proven_only and target.version not in upstream.PROVEN:
        raise ScriptError(
            f"{upstream.DISTRIBUTION} {target.version} is not among the releases this was proven on "
            f"({', '.join(upstream.PROVEN)}). `scripts/upstream verify {target.version}` tries it apart."
        )
    _check_dependencies(target)
    if target.folder.exists() and not target.is_overlaid:
        raise ScriptError(f"{target.folder} is there already, and not by this script.")
    try:
        _keep(target)
        _put(target)
    except PermissionError as error:
        raise ScriptError(f"{error.filename} cannot be written: permission denied.") from error
    return f"The MCP layer of {upstream.our_version()} is in {upstream.DISTRIBUTION} {target.version} at {target.site}."


def undo(python: str) -> str:
    """Takes our MCP layer out again and restores what was there, byte for byte.

    Returns:
        A sentence that says what was done.

    Raises:
        ScriptError: There is no upstream package there, or it has not been overlaid.
    """
    target = find(python)
    if not target.is_overlaid:
        raise ScriptError(f"{upstream.DISTRIBUTION} {target.version} at {target.site} has its own MCP layer.")
    # The note goes last: whatever interrupts this, the next `--undo` finishes it.
    upstream.replace(target.face, (target.backup / target.face.name).read_bytes())
    shutil.rmtree(target.folder, ignore_errors=True)
    _forget_compiled(target)
    upstream.replace(target.record, (target.backup / target.record.name).read_bytes())
    shutil.rmtree(target.backup)
    return f"{upstream.DISTRIBUTION} {target.version} at {target.site} is as it was."


def find(python: str) -> Target:
    """Upstream's package in the environment of an interpreter.

    Raises:
        ScriptError: It is not there, or not in a form that files can be put into.
    """
    # Isolated: neither PYTHONPATH nor the current folder may show a package that is not the environment's.
    asked = upstream.run([python, "-I", "-c", PROBE, upstream.DISTRIBUTION, *upstream.dependency_bounds()], seconds=60)
    if asked.returncode != 0:
        raise ScriptError(f"{python} is no Python that can be asked for its packages:\n{asked.stderr[-1000:]}")
    found = json.loads(asked.stdout)
    _check_kind(python, found)
    return Target(found["version"], Path(found["site"]), Path(found["record"]), found["versions"])


def _check_kind(python: str, found: dict[str, str]) -> None:
    if "version" not in found:
        raise ScriptError(f"{upstream.DISTRIBUTION} is not installed in the environment of {python}.")
    if "+mcp" in found["version"]:
        raise ScriptError(f"{upstream.DISTRIBUTION} {found['version']} is this fork, which has the MCP layer in it.")
    if not found["record"] or not (Path(found["site"]) / upstream.FACE).is_file():
        raise ScriptError(
            f"{upstream.DISTRIBUTION} {found['version']} is not installed as files in {found['site']}, but in editable "
            "form or by something other than an installer of wheels. For a checkout there is `scripts/upstream export`."
        )


def _check_dependencies(target: Target) -> None:
    """What is not installed may be missing, as for upstream: the layer says so when it is used."""
    for name, (lowest, limit) in upstream.dependency_bounds().items():
        version = target.beside[name]
        if version is None:
            continue
        too_old = upstream.numbers(version) < upstream.numbers(lowest)
        too_new = limit and upstream.numbers(version) >= upstream.numbers(limit)
        if too_old or too_new:
            wanted = f"{name}>={lowest}" + (f",<{limit}" if limit else "")
            raise ScriptError(f"{name} {version} is installed there, and the MCP layer needs {wanted}.")


def _keep(target: Target) -> None:
    """Keeps what the first overlay replaces; a later one replaces ours only. The note says that the rest is there."""
    if target.is_overlaid:
        return
    target.backup.mkdir(exist_ok=True)
    for path in (target.face, target.record):
        shutil.copyfile(path, target.backup / path.name)
    note = {"layer": upstream.our_version(), "replaced": upstream.FACE, "added": upstream.FOLDER}
    upstream.replace(target.backup / NOTE, json.dumps(note, indent=1).encode() + b"\n")


def _put(target: Target) -> None:
    """The folder before the file that imports it, so that the package can be imported at every moment."""
    files = upstream.layer_files()
    for name, content in files.items():
        if name != upstream.FACE:
            upstream.replace(target.site / name, content)
    upstream.replace(target.face, files[upstream.FACE])
    for path in list(target.folder.rglob("*.py")):
        if path.relative_to(target.site).as_posix() not in files:
            path.unlink()  # of an older layer
    _forget_compiled(target)
    kept = {path.relative_to(target.site).as_posix(): path.read_bytes() for path in sorted(target.backup.iterdir())}
    upstream.replace(target.record, _record(target, {**files, **kept}))


def _record(target: Target, files: dict[str, bytes]) -> bytes:
    """The original list, with lines for `files` in place of its own for them."""
    original = (target.backup / target.record.name).read_text(encoding="utf-8")
    kept = [f"{line}\n" for line in original.splitlines() if line and next(csv.reader([line]))[0] not in files]
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(
        [name, f"sha256={_digest(content)}", len(content)] for name, content in files.items()
    )
    return ("".join(kept) + lines.getvalue()).encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _forget_compiled(target: Target) -> None:
    """Python would see that they are out of date by time and size; not leaving it to that costs nothing."""
    for path in (target.face.parent / "__pycache__").glob(f"{target.face.stem}.*.pyc"):
        path.unlink()
