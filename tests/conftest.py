# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Every test is checked for what it leaves behind: tasks, child processes, file descriptors, and noise.

The checks wait, with a bound, for what is still on its way out (a task that was cancelled, a process that was told to
stop), and they look at the difference: what was there before the test is not the test's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import inspect
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GRACE_SECONDS = 3.0  # for what has been told to end; a machine with every core busy needs most of it now and then
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")


def pytest_configure(config: pytest.Config) -> None:
    """On Linux, orphans of our children become ours, so that a grandchild that outlives its parent is seen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Async tests get the check for tasks, right behind the other one: set up early and torn down late."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(item.fixturenames.index("nothing_left_behind") + 1, "no_task_left_behind")


class Noise(logging.Handler):
    """Collects what asyncio complains about: to its logger, or to a loop's exception handler."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(self.format(record))

    def complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context['message']}: {context.get('exception') or context.get('task') or context}")


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[Noise]:
    """Fails a test that leaves a child process or a file descriptor, or that makes asyncio complain."""
    noise = Noise()
    logging.getLogger("asyncio").addHandler(noise)
    descriptors, processes = open_descriptors(), living_descendants()
    gc.freeze()  # what exists now is older than the test: the collection below need not look at it
    yield noise
    gc.collect()  # an object that complains when it dies has to die here, not in some later test
    logging.getLogger("asyncio").removeHandler(noise)
    left = wait_until_empty(lambda: new_entries(living_descendants(), processes))
    kill_all(left)
    reap_orphans()
    assert not left, f"child processes left behind: {left}"
    left = wait_until_empty(lambda: new_entries(open_descriptors(), descriptors))
    assert not left, f"file descriptors left behind: {left}"
    assert not noise.complaints, f"asyncio complained: {noise.complaints}"


@pytest.fixture
async def no_task_left_behind(nothing_left_behind: Noise) -> AsyncIterator[None]:
    """Fails a test that leaves a task, and hears what the test's loop complains about."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(nothing_left_behind.complain)
    yield
    gc.collect()
    deadline = loop.time() + GRACE_SECONDS
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        if loop.time() > deadline:
            break
        await asyncio.wait(others, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
    assert not others, f"tasks left behind: {others}"


def wait_until_empty(look: Callable[[], list[str]]) -> list[str]:
    """What `look` still finds when nothing is left or the grace is over."""
    deadline = time.monotonic() + GRACE_SECONDS
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.01)  # neither the kernel's process list nor its descriptor table can be waited on
    return found


def new_entries(now: dict[Any, str], before: dict[Any, str]) -> list[str]:
    """Descriptions of what is there now and was not before."""
    return [description for key, description in now.items() if key not in before]


def open_descriptors() -> dict[Any, str]:
    """This process's open descriptors: number, kind and inode, with a description."""
    found = {}
    for path in Path("/dev/fd").iterdir():
        try:
            status = os.fstat(int(path.name))
            target = path.readlink() if sys.platform == "linux" else oct(status.st_mode)
        except OSError:
            continue  # the listing's own descriptor
        found[path.name, status.st_mode, status.st_dev, status.st_ino] = f"{path.name} -> {target}"
    return found


def living_descendants() -> dict[Any, str]:
    """Processes below this one that are not zombies, by id and start time; none without /proc."""
    parents = {pid: row for pid in PROC.glob("[0-9]*") if (row := process_row(pid))} if PROC.is_dir() else {}
    family, grown = {os.getpid()}, True
    while grown:
        children = {int(path.name) for path, (_, parent, _) in parents.items() if parent in family}
        grown = not children <= family
        family |= children
    return {
        (int(path.name), start): f"{path.name} {command_line(path)}"
        for path, (state, _, start) in parents.items()
        if int(path.name) in family - {os.getpid()} and state not in "ZX"
    }


def process_row(path: Path) -> tuple[str, int, str] | None:
    """State, parent and start time of a process, or None if it is gone."""
    try:
        fields = (path / "stat").read_text().rpartition(")")[2].split()  # the name in parentheses may hold anything
    except OSError:
        return None
    return fields[0], int(fields[1]), fields[19]


def command_line(path: Path) -> str:
    try:
        return (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return "(gone)"


def kill_all(descriptions: list[str]) -> None:
    """Ends what a test left, so that it is that test's failure and no other's."""
    for description in descriptions:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(description.split()[0]), signal.SIGKILL)


def reap_orphans() -> None:
    """Collects the zombies that fell to us as subreaper; our own children were waited for by who started them."""
    try:
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass
    except ChildProcessError:
        pass
