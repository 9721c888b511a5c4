# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Runs measurements in rounds: in each, every client takes its turn, so that what the machine does else meets all."""

from __future__ import annotations

import math
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from answers import Profile
from metrics import IMPORTS, Measurement
from processes import ROOT, BenchError, Server, Worker, clean_environment, stdio_command

if TYPE_CHECKING:
    from typing_extensions import Self

KINDS = {"raw": "sdk", "again": "sdk", "ours": "framework", "upstream": "framework"}
# The first entry of the path is the working folder, from which nothing is to be imported by accident.
TIMED_IMPORT = "import sys, time; del sys.path[0]; start = time.process_time(); {}; print(time.process_time() - start)"

Samples = dict[str, list[dict[str, Any]]]
"""Figures by client, one for each round."""


@dataclass(frozen=True)
class Task:
    """A turn in a round: one measurement by one client."""

    measurement: Measurement
    client: str


class Bench:
    """A context manager: the server, a worker for each client, and what they measure together.

    Args:
        pythons: By client, the interpreter of its environment. "again" is the second process of "raw".
    """

    def __init__(self, pythons: Mapping[str, str]) -> None:
        self.pythons = dict(pythons)
        if "raw" in self.pythons:
            self.pythons["again"] = self.pythons["raw"]
        self._workers: dict[str, Worker] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.server = stack.enter_context(Server(self.pythons["ours"]))
            for client in self.pythons:
                self._workers[client] = stack.enter_context(self.new_worker(client))
            # Bound and not listening: nobody else gets the port while we need it to refuse.
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            self._refusing = f"http://127.0.0.1:{held.getsockname()[1]}/mcp"
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        """What each client runs on, by distribution."""
        return {client: worker.greeting for client, worker in self._workers.items() if client != "again"}

    def run(
        self, measurements: Iterable[Measurement], rounds: int, title: str, *, minutes: float = math.inf
    ) -> dict[str, Samples]:
        """Measures, and returns the figures by the measurements' names.

        An interrupt from the keyboard ends it too, with the rounds that are complete, if there is one.

        Args:
            measurements: What is measured in every round.
            rounds: How many there are at most.
            title: What to call this on the terminal.

        Keyword Args:
            minutes: After so long no further round begins; the first one always does.
        """
        measurements = list(measurements)
        figures: dict[str, Samples] = {measurement.name: {} for measurement in measurements}
        end = time.monotonic() + minutes * 60
        for turn in range(rounds):
            if turn and time.monotonic() > end:
                break
            print(f"[bench] {title}, round {turn + 1} of {rounds}", flush=True)
            try:
                found = [(task, self.sample(task.measurement, task.client)) for task in self._tasks(measurements, turn)]
            except KeyboardInterrupt:
                if not turn:
                    raise
                break
            for task, sample in found:
                figures[task.measurement.name].setdefault(task.client, []).append(sample)
        return figures

    def sample(self, measurement: Measurement, client: str) -> dict[str, Any]:
        """One client's figures for one measurement.

        Raises:
            BenchError: It failed.
        """
        if measurement.do == "import":
            # Twice, because the first time may have to compile what has changed.
            return {"cpu": min(self._import(client) for _ in range(2))}
        self.server.counts()
        if measurement.fresh:
            with self.new_worker(client) as worker:
                figures = self.do(worker, measurement)
        else:
            figures = self.do(self._workers[client], measurement)
        counts = self.server.counts()
        return {**figures, **(measurement.count(counts) if measurement.count else {})}

    def do(self, worker: Worker, measurement: Measurement) -> dict[str, Any]:
        """What a worker finds out, without what the server counts."""
        target = {"tool": measurement.profile.kind, **self._address(measurement.peer, measurement.profile)}
        return worker.do(measurement.do, target, **measurement.arguments)

    def _address(self, peer: str, profile: Profile) -> dict[str, Any]:
        if peer == "stdio":
            return {"command": stdio_command(self.pythons["ours"], profile)}
        return {"url": self._refusing if peer == "refused" else self.server.url(profile)}

    def new_worker(self, client: str) -> Worker:
        """A context manager: another process of a client."""
        return Worker(self.pythons[client], KINDS[client])

    def _import(self, client: str) -> float:
        python = self.pythons[client]
        command = [python, "-c", TIMED_IMPORT.format(IMPORTS[client])]
        done = subprocess.run(
            command, cwd=ROOT, env=clean_environment(python), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"{IMPORTS[client]!r} failed:\n{done.stderr[-2000:]}")
        return float(done.stdout)

    def _tasks(self, measurements: list[Measurement], turn: int) -> Iterable[Task]:
        """The turns of one round; who begins changes from round to round."""
        for measurement in measurements:
            if measurement.most is None or turn < measurement.most:
                clients = [client for client in measurement.clients if client in self.pythons]
                shift = turn % max(len(clients), 1)
                yield from (Task(measurement, client) for client in clients[shift:] + clients[:shift])
