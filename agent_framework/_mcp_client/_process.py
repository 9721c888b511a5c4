# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The child process behind a stdio server: started in a process group of its own, stopped for certain.

Stopping follows the MCP specification (lifecycle, "Shutdown", stdio): close its input, wait, SIGTERM, wait, SIGKILL.
Each wait is bounded, and whoever is cancelled in the middle goes straight to SIGKILL. POSIX only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import anyio

from . import _sdk
from ._causes import ServerExited
from ._secrets import printable, secret_lines, without

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

_HELD_LIMIT = 128 * 1024
"""How much output is held that nobody has received yet, in bytes, before the pipe is left to fill up."""


class _Pipes(asyncio.SubprocessProtocol):
    """The pipes to and from a process, without a task of their own.

    Args:
        on_stderr: Given what comes on standard error, at once.

    Attributes:
        room: Set while the input takes more.
        input_closed: Whether the input is closed, on either side.
        stderr_ended: Set when standard error is at its end.
        exited: Set when the process is gone.
        closed: Set when all of this is over.
    """

    _transport: asyncio.SubprocessTransport

    def __init__(self, on_stderr: Callable[[bytes], None]) -> None:
        self._on_stderr = on_stderr
        self._chunks: deque[bytes] = deque()  # what nobody has received yet
        self._held = 0  # how many bytes these are
        self._paused = self._discards = self._output_ended = False
        self._output_news = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None
        self.closed_first = "output"
        self.input_closed = False
        self.room = asyncio.Event()
        self.room.set()
        self.stderr_ended = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        piece = cast("bytes", data)
        if fd == 2:
            self._on_stderr(piece)
        elif not self._discards:
            self._chunks.append(piece)
            self._output_news.set()
            self._hold(len(piece))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self.input_closed = True
            self.room.set()
            if exc is not None:  # something that was written has not been read, and nobody can be told which
                self.end_output(because_of="input")
        elif fd == 1:
            self._output_ended = True
            self._output_news.set()
        else:
            self.stderr_ended.set()

    def process_exited(self) -> None:
        self.exited.set()
        # What it has started may hold its pipes open for as long as it likes, and say nothing.
        self._ending = asyncio.get_running_loop().call_later(EXIT_GRACE, self._close_pipes, 1, 2)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self.closed.set()

    async def receive(self) -> bytes:
        """The next bytes of the output; empty at its end."""
        while not self._chunks:
            if self._output_ended:
                return b""
            self._output_news.clear()
            await self._output_news.wait()
        chunk = self._chunks.popleft()
        self._hold(-len(chunk))
        return chunk

    def discard_output(self) -> None:
        """From now on nobody reads the output, and yet the process must not block on a full pipe."""
        self._discards = True
        self._chunks.clear()
        self._hold(-self._held)

    def end_output(self, *, because_of: str) -> None:
        """Read no more output, because what was closed before makes it useless."""
        self.closed_first = because_of
        self._close_pipes(1)

    def _hold(self, more: int) -> None:
        """Read no further while more is held than anybody takes."""
        self._held += more
        pipe = self._transport.get_pipe_transport(1)
        if self._paused is (self._held > _HELD_LIMIT) or pipe is None or pipe.is_closing():
            return
        self._paused = not self._paused
        reading = cast("asyncio.ReadTransport", pipe)
        (reading.pause_reading if self._paused else reading.resume_reading)()

    def _close_pipes(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            pipe = self._transport.get_pipe_transport(descriptor)
            if pipe is not None:
                pipe.close()


class ServerProcess:
    """A running server. Made by :meth:`start`, ended by :meth:`stop`."""

    _transport: asyncio.SubprocessTransport
    _pipes: _Pipes

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self.secrets = secrets
        self._turn = asyncio.Lock()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._stderr_rest = ""

    @classmethod
    async def start(cls, parameters: Any) -> ServerProcess:
        """Start a server.

        Args:
            parameters: The SDK's ``StdioServerParameters``.

        Raises:
            OSError: It cannot be started.
        """
        given = parameters.env or {}
        process = cls(secret_lines(given.values()))
        process._transport, process._pipes = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Pipes(process._take_stderr),
            parameters.command,
            *parameters.args,
            env={**_sdk.default_environment(), **given},
            cwd=parameters.cwd,
            start_new_session=True,
        )
        return process

    async def receive(self) -> bytes:
        """The next bytes of its output; empty at the end."""
        return await self._pipes.receive()

    async def send(self, data: bytes) -> None:
        """Write to its input, as soon as there is room. Who is cancelled before has written nothing.

        Raises:
            ServerExited: Its input is closed; nothing was written.
        """
        async with self._turn:
            await self._pipes.room.wait()
            pipe = self._transport.get_pipe_transport(0)
            if pipe is None or pipe.is_closing() or self._pipes.input_closed:
                raise await self.why_it_ended("input")
            cast("asyncio.WriteTransport", pipe).write(data)

    def _take_stderr(self, data: bytes) -> None:
        """Copy a piece of its standard error to ours, and keep the last lines."""
        text = data.decode("utf-8", "replace")
        _write_stderr(text)
        *lines, rest = (self._stderr_rest + text).splitlines(keepends=True) or [""]
        if rest.endswith("\n"):
            lines, rest = [*lines, rest], ""
        self._stderr.extend(lines)
        self._stderr_rest = without(rest, self.secrets)[-STDERR_LINE_LENGTH:]

    async def why_it_ended(self, closed: str | None = None) -> ServerExited:
        """How the server ended; call this once its output has ended, or its input is ``closed``."""
        with anyio.move_on_after(EXIT_GRACE):
            await self._pipes.exited.wait()
            await self._pipes.stderr_ended.wait()
        return ServerExited(self._transport.get_returncode(), self._last_words(), closed or self._pipes.closed_first)

    def _last_words(self) -> str:
        lines = [
            printable(without(line, self.secrets)).strip()[:STDERR_LINE_LENGTH]
            for line in (*self._stderr, self._stderr_rest)
        ]
        return " | ".join(line for line in lines if line)

    async def stop(self) -> None:
        """End the process and everything it started, whatever state it is in. Bounded, and safe to cancel."""
        self._pipes.discard_output()
        try:
            await self._ask_to_leave()
        finally:
            self._signal_group(signal.SIGKILL)
            with anyio.move_on_after(REAP_TIMEOUT, shield=True):
                await self._pipes.exited.wait()
            # A grandchild that left the group can hold the pipes open: they are closed from our side.
            self._transport.close()
            with anyio.move_on_after(REAP_TIMEOUT, shield=True):
                await self._pipes.closed.wait()

    async def _ask_to_leave(self) -> None:
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            pipe.close()
        with anyio.move_on_after(STDIN_CLOSE_GRACE):
            await self._pipes.exited.wait()
            return
        self._signal_group(signal.SIGTERM)
        with anyio.move_on_after(TERMINATE_GRACE):
            await self._pipes.exited.wait()

    def _signal_group(self, number: int) -> None:
        # The group outlives its leader for as long as it has members, so this reaches what the server left behind.
        # macOS answers EPERM for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)


def _write_stderr(text: str) -> None:
    """Pass a server's standard error on. In notebooks and text interfaces ours may be anything, or closed."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()
