# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The child process behind a stdio server: started in a process group of its own, stopped for certain.

Stopping follows the MCP specification (lifecycle, "Shutdown", stdio): close its input, wait, SIGTERM, wait, SIGKILL.
Each wait is bounded, and whoever is cancelled in the middle goes straight to SIGKILL. POSIX only.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import subprocess
from collections import deque
from typing import Any

import anyio

from . import _sdk
from ._causes import ServerExited
from ._pipes import PipeReader, PipeWriter, call_on_exit
from ._printable import printable
from ._secrets import secret_lines, without
from ._stderr import StderrCopy, split_lines

STDIN_CLOSE_GRACE = 2.0
"""How long a server may take to exit after its input has ended, in seconds: enough to flush files, short for a user."""

TERMINATE_GRACE = 2.0
"""How long it may take after SIGTERM, in seconds."""

REAP_TIMEOUT = 1.0
"""How long the kernel may take to deliver SIGKILL and close the pipes, in seconds; more means a process in
uninterruptible sleep, for which nobody can do anything."""

EXIT_GRACE = 0.5
"""How long a server whose output has ended may take to exit, in seconds, so that the error can name the exit code; and
how long the output of one that has exited may take to end."""

STDERR_LINES = 10
"""How many last lines of standard error an error message quotes."""

STDERR_LINE_LENGTH = 500
"""How many characters of each."""

STDERR_LENGTH = 1500
"""How many characters of all of them: the last ones, and few enough that an error message has room for them."""

_HELD_LIMIT = 128 * 1024
"""How much output is held that nobody has received yet, in bytes, before the pipe is left to fill up."""


class ServerProcess:
    """A running server. Made by :meth:`start`, ended by :meth:`stop`.

    Args:
        process: The child, with pipes to and from it.
        name: The command, as it is called where text of it is left out.
        secrets: What is not shown of what it writes to standard error.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, secrets: tuple[str, ...]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.secrets = secrets
        self._process = process
        self._turn = asyncio.Lock()
        self._chunks: deque[bytes] = deque()  # what nobody has received yet
        self._held = 0  # how many bytes these are
        self._discards = self._output_ended = False
        self._output_news = asyncio.Event()
        self._stderr_lines: deque[str] = deque(maxlen=STDERR_LINES)
        self._stderr_rest = ""  # a line whose end has not come
        self._stderr_decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stderr_copy = StderrCopy(name)
        self._stderr_ended = asyncio.Event()
        self._exited = asyncio.Event()
        self._closed_first = "output"
        self._ending: asyncio.TimerHandle | None = None
        self._input = PipeWriter(process.stdin, self._on_broken_input)
        self._output = PipeReader(process.stdout, self._take_output, self._on_output_end)
        self._errors = PipeReader(process.stderr, self._take_stderr, self._stderr_ended.set)
        self._forget_exit = call_on_exit(process, self._on_exit)

    @classmethod
    def start(cls, parameters: Any) -> ServerProcess:
        """Start a server.

        Args:
            parameters: The SDK's ``StdioServerParameters``.

        Raises:
            OSError: It cannot be started.
        """
        given = parameters.env or {}
        process = subprocess.Popen(  # noqa: S603 - the user says what to run
            [parameters.command, *parameters.args],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_sdk.default_environment(), **given},
            cwd=parameters.cwd,
            start_new_session=True,
        )
        try:
            return cls(process, str(parameters.command), secret_lines(given.values()))
        except BaseException:  # whatever it is, nobody would have the process to stop it
            process.kill()
            raise

    async def receive(self) -> bytes:
        """The next bytes of its output; empty at the end."""
        while not self._chunks:
            if self._output_ended:
                return b""
            self._output_news.clear()
            await self._output_news.wait()
        chunk = self._chunks.popleft()
        self._release(len(chunk))
        return chunk

    async def send(self, data: bytes) -> None:
        """Write to its input, as soon as there is room. Who is cancelled before has written nothing.

        Raises:
            ServerExited: Its input is closed, or its output, so that no answer can come; nothing was written.
        """
        async with self._turn:
            await self._input.room.wait()
            if self._output_ended:
                raise await self.why_it_ended()
            if not self._input.is_closed:
                with contextlib.suppress(BrokenPipeError):
                    self._input.write(data)
                    return
            raise await self.why_it_ended("input")

    def _take_output(self, data: bytes) -> None:
        if self._discards:
            return
        self._chunks.append(data)
        self._held += len(data)
        self._output_news.set()
        if self._held > _HELD_LIMIT:
            self._output.pause()

    def _release(self, length: int) -> None:
        was_paused = self._held > _HELD_LIMIT
        self._held -= length
        if was_paused and self._held <= _HELD_LIMIT and not self._output_ended:
            self._output.resume()

    def _on_output_end(self) -> None:
        self._output_ended = True
        self._output_news.set()

    def _on_broken_input(self) -> None:
        # Nobody can be told which message was not read to its end, so all end that wait, but for those whose answers
        # are there.
        self._closed_first = "input"
        self._output.finish()

    def _on_exit(self) -> None:
        self._exited.set()
        # What it has started may hold its pipes open for as long as it likes, and say nothing.
        self._ending = asyncio.get_running_loop().call_later(EXIT_GRACE, self._finish_outputs)

    def _finish_outputs(self) -> None:
        self._output.finish()
        self._errors.finish()

    def _take_stderr(self, data: bytes) -> None:
        """Copy a piece of its standard error to ours, and keep the last lines."""
        text = self._stderr_decoder.decode(data)
        self._stderr_copy.take(text)
        lines, rest = split_lines(self._stderr_rest + text)
        self._stderr_lines.extend(lines[-STDERR_LINES:])
        self._stderr_rest = without(rest, self.secrets)[-STDERR_LINE_LENGTH:]

    async def why_it_ended(self, closed: str | None = None) -> ServerExited:
        """How the server ended; call this once its output has ended, or its input is ``closed``."""
        with anyio.move_on_after(EXIT_GRACE):
            await self._exited.wait()
            await self._stderr_ended.wait()
        return ServerExited(self._process.returncode, self._last_words(), closed or self._closed_first)

    def _last_words(self) -> str:
        lines = [
            printable(without(line.strip(), self.secrets), STDERR_LINE_LENGTH)
            for line in (*self._stderr_lines, self._stderr_rest)
        ]
        said = " | ".join(line for line in lines if line)
        return said if len(said) <= STDERR_LENGTH else f"…{said[-STDERR_LENGTH:]}"

    async def stop(self) -> None:
        """End the process and everything it started, whatever state it is in. Bounded, and safe to cancel."""
        self._discard_output()
        try:
            await self._ask_to_leave()
        finally:
            self._signal_group(signal.SIGKILL)
            with anyio.move_on_after(REAP_TIMEOUT, shield=True):
                await self._exited.wait()
            self._let_go()

    def _discard_output(self) -> None:
        """From now on nobody reads the output, and yet the process must not block on a full pipe."""
        self._discards = True
        self._chunks.clear()
        self._release(self._held)

    async def _ask_to_leave(self) -> None:
        self._input.close()
        with anyio.move_on_after(STDIN_CLOSE_GRACE):
            await self._exited.wait()
            return
        self._signal_group(signal.SIGTERM)
        with anyio.move_on_after(TERMINATE_GRACE):
            await self._exited.wait()

    def _let_go(self) -> None:
        """Close what is ours of it; a grandchild that left the group can hold the other ends open."""
        if self._ending is not None:
            self._ending.cancel()
        self._forget_exit()
        self._input.abort()
        self._output.close()
        self._errors.close()
        self._stderr_copy.close()

    def _signal_group(self, number: int) -> None:
        # The group outlives its leader for as long as it has members, so this reaches what the server left behind.
        # macOS answers EPERM for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
