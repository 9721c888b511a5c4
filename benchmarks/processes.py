# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The processes of a run: workers and the server, each told over its standard input what to do next."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from answers import Profile

if TYPE_CHECKING:
    from typing_extensions import Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CORES = 2
ANSWER_SECONDS = 300  # the longest operation takes a minute on a busy machine


class BenchError(Exception):
    """A process did not do what it was told; what it said is in the message."""


class Child:
    """A context manager: a Python program that answers each line on its input with a line on its output.

    Args:
        command: The interpreter, a file of this folder, and arguments.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile("w+")  # closed when the process has ended
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=clean_environment(self._command[0]),
        )
        self.greeting = self._read()
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def ask(self, line: str) -> Any:
        """Sends a line, and returns the answer.

        Raises:
            BenchError: The process ended, or did not answer in time, or answered with an error.
        """
        assert self._process.stdin is not None
        try:
            print(line, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise BenchError(self._obituary()) from None
        answer = self._read()
        if isinstance(answer, dict) and "error" in answer:
            raise BenchError(f"{' '.join(self._command[1:])} was asked for {line}\n{answer['error']}")
        return answer

    def _read(self) -> Any:
        assert self._process.stdout is not None
        watchdog = threading.Timer(ANSWER_SECONDS, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise BenchError(self._obituary())
        return json.loads(line)

    def _obituary(self) -> str:
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        return f"{' '.join(self._command[1:])} ended. Its last words:\n{self._errors.read()[-4000:]}"


class Server(Child):
    """The HTTP peer."""

    def __init__(self, python: str) -> None:
        super().__init__([python, str(HERE / "http_peer.py")])

    def url(self, profile: Profile) -> str:
        return f"http://127.0.0.1:{self.greeting}/mcp?{profile.query}"

    def counts(self) -> dict[str, dict[str, int]]:
        """What has arrived since the last time: see `http_peer.Counts`."""
        return dict(self.ask(""))


class Worker(Child):
    """A process with one client.

    Args:
        python: The interpreter of the environment that has the client.
        kind: "sdk" or "framework".
    """

    def __init__(self, python: str, kind: str) -> None:
        super().__init__([python, str(HERE / "worker.py"), kind])

    def do(self, operation: str, target: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
        return dict(self.ask(json.dumps({"do": operation, "target": target, **arguments})))


def stdio_command(python: str, profile: Profile) -> list[str]:
    """What a client starts to talk to the stdio peer."""
    return [python, "-E", "-S", str(HERE / "stdio_peer.py"), profile.query]


def clean_environment(python: str) -> dict[str, str]:
    """Our environment variables without what would put other packages, or other settings, into a Python.

    The Python that runs us keeps them: with them it found what it needs.
    """
    if python == sys.executable:
        return dict(os.environ)
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}


def settle_down() -> int:
    """Restricts this process and its children to two cores, and lets them have many sockets; returns the cores."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return len(cores)
