# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What is read before and after: processor time, wall time, memory, tasks and descriptors of this process."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class Meter:
    """A context manager that adds up what passes inside, over as many uses as there are.

    Attributes:
        cpu: Processor time of this process, all threads, user and system, in seconds.
        wall: In seconds.
    """

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cpu += time.process_time() - self._cpu
        self.wall += time.perf_counter() - self._wall

    def per(self, count: int) -> dict[str, float]:
        """Both for one of `count` operations, in seconds."""
        return {"cpu": self.cpu / count, "wall": self.wall / count}


def possessions() -> dict[str, float]:
    """What this process holds: `memory` resident in MiB, asyncio `tasks` of the running loop, file `descriptors`."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }
