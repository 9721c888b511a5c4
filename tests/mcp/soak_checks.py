# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the soak looks at after each round: what is left in this process and below it, what went to standard error, and
what the server's ledger says.

Needs Linux: processes and descriptors are read from /proc.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from typing_extensions import Self

GRACE = 5.0  # seconds, for what has been told to end; a machine with every core busy needs some of it now and then
PROC = Path("/proc")


class Census:
    """What this process has open, and what runs in it and below it.

    Args:
        own: Process ids that belong to the soak and are not looked at.
    """

    def __init__(self, own: Collection[int] = ()) -> None:
        self.found = {**_descriptors(), **_threads(), **_children(own)}

    def what_is_new(self, own: Collection[int] = ()) -> list[str]:
        """Descriptions of what is there now, was not at the time of the census, and does not go away."""
        gc.collect()  # what complains or closes something when it dies does so now, in the round that made it
        deadline = time.monotonic() + GRACE
        while (new := self._new(own)) and time.monotonic() < deadline:
            time.sleep(0.01)  # neither the process list nor the descriptor table can be waited on
        return new

    def _new(self, own: Collection[int]) -> list[str]:
        now = Census(own).found
        return [description for key, description in now.items() if key not in self.found]


def _descriptors() -> dict[object, str]:
    found: dict[object, str] = {}
    for entry in (PROC / "self" / "fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # the one that this listing needed
        found["descriptor", entry.name, target] = f"descriptor {entry.name} -> {target}"
    return found


def _threads() -> dict[object, str]:
    return {("thread", thread.ident): f"thread {thread.name}" for thread in threading.enumerate()}


def _children(own: Collection[int]) -> dict[object, str]:
    return {
        ("process", pid): f"process {pid} {state} {name}"
        for pid, (state, name) in descendants().items()
        if pid not in own
    }


def descendants() -> dict[int, tuple[str, str]]:
    """State and command line of every process below this one, zombies included, by id."""
    rows = {int(entry.name): row for entry in PROC.glob("[0-9]*") if (row := _row(entry)) is not None}
    family = {os.getpid()}
    while more := {pid for pid, (parent, _, _) in rows.items() if parent in family and pid not in family}:
        family |= more
    return {pid: rows[pid][1:] for pid in family - {os.getpid()}}


def _row(entry: Path) -> tuple[int, str, str] | None:
    """Parent, state and command line of a process, or None if it is gone."""
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        name = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return int(parent), state, name


class StandardError:
    """Keeps what goes to standard error, from Python or from below it, until it is asked for.

    Attributes:
        real: The descriptor of the real one.
    """

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        self.real = os.dup(2)
        os.dup2(self._file.fileno(), 2)
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.dup2(self.real, 2)
        os.close(self.real)
        self._file.close()

    def take(self) -> str:
        """What has come since the last time."""
        self._file.seek(0)
        text = self._file.read().decode(errors="replace")
        self._file.seek(0)
        self._file.truncate()
        return text


class Ledger:
    """The server's ledger, read as it grows.

    Attributes:
        runs: How often each call ran, by its id.
        unsent: The ids of calls of which a client was told that they certainly did not run.
        anomalies: The lines that should not be there.
    """

    def __init__(self, path: Path) -> None:
        self.runs: Counter[str] = Counter()
        self.unsent: set[str] = set()
        self.anomalies: list[str] = []
        self._path = path
        self._offset = 0

    def read(self) -> None:
        """Take in what has been written since the last time."""
        with self._path.open() as file:
            file.seek(self._offset)
            for line in file.read().splitlines():
                word, _, rest = line.partition(" ")
                if word == "ran":
                    self.runs[rest] += 1
                elif word != "started":
                    self.anomalies.append(line)
            self._offset = file.tell()

    def doubles(self) -> list[str]:
        """The calls that ran more than once."""
        return [f"{identity} ran {count} times" for identity, count in self.runs.items() if count > 1]

    def untruths(self) -> list[str]:
        """What clients were told and is not so, and what must not happen to a server."""
        lies = sorted(self.unsent & self.runs.keys())
        return [f"{identity} ran, and its caller was told that it did not" for identity in lies] + self.anomalies
