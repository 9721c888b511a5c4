# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What the packages installed beside this one need of it.

Installers put this package in the place of a newer core without an error, and the packages that need the newer one then
fail to import for no reason that they could give. So importing this package looks at what they require. It reads their
metadata as text: ``importlib.metadata`` takes longer than the rest of the import.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator

INTERFACE = (1, 0, 1)
"""The release of agent-framework-core whose interface this package has."""

_REQUIREMENT = (
    r"(?i)Requires-Dist:\s*(agent[-_.]framework[-_.]core)(?![\w.-])\s*(?:\[.*?\])?\s*\(?([^;()]*)\)?\s*(?:;(.*))?"
)
_LOWER_BOUND = r"(===|==|~=|>=|>)\s*(\d+(?:\.\d+)*)"


def warn_of_newer_needs(folders: Iterable[str]) -> None:
    """Warn whoever imports this package of installed packages that need a newer core.

    Args:
        folders: Where packages are looked for; the first of a name counts, as in an import.
    """
    needs = dict(_needs(folders))
    if not needs:
        return
    listed = ", ".join(f"{package} ({specifiers})" for package, (_, specifiers) in sorted(needs.items()))
    newest = ".".join(map(str, max(bound for bound, _ in needs.values())))
    ours = ".".join(map(str, INTERFACE))
    # Level 3 is the import statement: the frames of the import system between do not count.
    warnings.warn(
        f"This agent_framework has the interface of agent-framework-core {ours}. These installed packages need a newer "
        f"one, and may fail to import: {listed}. To have upstream's package back, run: pip install "
        f'"agent-framework-core>={newest}". To use this MCP layer inside it, run `scripts/upstream overlay` from this '
        "package's repository then, in place of installing this package.",
        stacklevel=3,
    )


def _needs(folders: Iterable[str]) -> Iterator[tuple[str, tuple[tuple[int, ...], str]]]:
    """Each package that needs a newer core, with the lowest release that it takes, and what it says about it."""
    seen: set[str] = set()
    for folder in dict.fromkeys(folders):
        for package, version, entry in _packages(folder):
            if package not in seen:
                seen.add(package)
                need = _newer_need(os.path.join(folder, entry, "METADATA"))  # noqa: PTH118  # os is quicker here
                if need is not None:
                    yield f"{package} {version}", need


def _packages(folder: str) -> Iterator[tuple[str, str, str]]:
    """The packages of the framework in a folder: name, version, and the entry that has their metadata."""
    try:
        entries = os.listdir(folder or ".")  # noqa: PTH208  # likewise
    except OSError:
        return  # an entry of sys.path need not exist, and may be an archive
    for entry in entries:
        if entry.endswith(".dist-info"):
            name, _, version = entry.removesuffix(".dist-info").rpartition("-")
            package = name.lower().replace("_", "-").replace(".", "-")
            if package == "agent-framework" or package.startswith("agent-framework-"):
                yield package, version, entry


def _newer_need(metadata: str) -> tuple[tuple[int, ...], str] | None:
    for line in _header_lines(metadata):
        found = re.match(_REQUIREMENT, line)
        if found is not None and "extra" not in (found[3] or ""):  # an extra may not have been asked for
            bound = max(map(_least, re.findall(_LOWER_BOUND, found[2])), default=())
            if bound > (*INTERFACE, 0):
                return bound, f"{found[1]}{found[2].strip()}"
    return None


def _least(bound: tuple[str, str]) -> tuple[int, ...]:
    """The lowest release that a bound lets through: three numbers, or four."""
    operator, version = bound
    numbers = [int(part) for part in version.split(".")]
    release = (*numbers, 0, 0)[: max(3, len(numbers))]
    return (*release, 1) if operator == ">" else release


def _header_lines(path: str) -> Iterator[str]:
    """The lines before the description, which is most of such a file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # likewise
            for line in file:
                if not line.strip():
                    return
                yield line
    except OSError:
        return  # what cannot be read says nothing
