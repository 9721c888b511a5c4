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
from asyncio.subprocess import SubprocessStreamProtocol
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

_CHUNK = 64 * 1024


class _Protocol(SubprocessStreamProtocol):
    """Input and output as streams, and events: standard error has ended, the process is gone, everything is closed.

    Args:
        on_stderr: Given what comes on standard error, at once: no task is needed to read it.
    """

    def __init__(self, on_stderr: Callable[[bytes], None]) -> None:
        super().__init__(limit=_CHUNK, loop=asyncio.get_running_loop())
        self._on_stderr = on_stderr
        self.discards_output = False
        self.stderr_ended = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._pipes = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        if fd == 2:
            self._on_stderr(cast("bytes", data))
        elif not self.discards_output:
            super().pipe_data_received(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 2:
            self.stderr_ended.set()
        super().pipe_connection_lost(fd, exc)

    def discard_output(self) -> None:
        """From now on nobody reads the output, and yet the process must not block on a full pipe."""
        self.discards_output = True
        pipe = self._pipes.get_pipe_transport(1)
        if pipe is not None and not pipe.is_closing():
            cast("asyncio.ReadTransport", pipe).resume_reading()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()
        # What it has started may hold its output open for as long as it likes, and say nothing.
        asyncio.get_running_loop().call_later(EXIT_GRACE, self._end_output)

    def _end_output(self) -> None:
        self.end_output(1, 2)

    def end_output(self, *descriptors: int) -> None:
        """Read nothing more from these descriptors of the child."""
        for descriptor in descriptors:
            pipe = self._pipes.get_pipe_transport(descriptor)
            if pipe is not None:
                pipe.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.closed.set()


class ServerProcess:
    """A running server. Made by :meth:`start`, ended by :meth:`stop`."""

    _transport: asyncio.SubprocessTransport
    _protocol: _Protocol

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self.secrets = secrets
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._stderr_rest = ""
        self._closed_first = "output"

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
        process._transport, process._protocol = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Protocol(process._take_stderr),
            parameters.command,
            *parameters.args,
            env={**_sdk.default_environment(), **given},
            cwd=parameters.cwd,
            start_new_session=True,
        )
        return process

    async def receive(self) -> bytes:
        """The next bytes of its output; empty at the end."""
        assert self._protocol.stdout is not None
        return await self._protocol.stdout.read(_CHUNK)

    @property
    def is_input_closed(self) -> bool:
        """Whether nothing that is written from now on can reach it."""
        assert self._protocol.stdin is not None
        return self._protocol.stdin.is_closing()

    def end_output(self, *, because_of: str) -> None:
        """Read nothing more from it, because what it has closed makes it useless; ``receive`` ends."""
        self._closed_first = because_of
        self._protocol.end_output(1)

    async def send(self, data: bytes) -> None:
        """Write to its input.

        Raises:
            ConnectionError: It has closed its input.
        """
        assert self._protocol.stdin is not None
        self._protocol.stdin.write(data)
        await self._protocol.stdin.drain()

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
            await self._protocol.exited.wait()
            await self._protocol.stderr_ended.wait()
        return ServerExited(self._transport.get_returncode(), self._last_words(), closed or self._closed_first)

    def _last_words(self) -> str:
        lines = [
            printable(without(line, self.secrets)).strip()[:STDERR_LINE_LENGTH]
            for line in (*self._stderr, self._stderr_rest)
        ]
        return " | ".join(line for line in lines if line)

    async def stop(self) -> None:
        """End the process and everything it started, whatever state it is in. Bounded, and safe to cancel."""
        self._protocol.discard_output()
        try:
            await self._ask_to_leave()
        finally:
            self._signal_group(signal.SIGKILL)
            with anyio.move_on_after(REAP_TIMEOUT, shield=True):
                await self._protocol.exited.wait()
            # A grandchild that left the group can hold the pipes open: they are closed from our side.
            self._transport.close()
            with anyio.move_on_after(REAP_TIMEOUT, shield=True):
                await self._protocol.closed.wait()
                await self._input_closed()

    async def _ask_to_leave(self) -> None:
        assert self._protocol.stdin is not None
        self._protocol.stdin.close()
        with anyio.move_on_after(STDIN_CLOSE_GRACE):
            await self._protocol.exited.wait()
            return
        self._signal_group(signal.SIGTERM)
        with anyio.move_on_after(TERMINATE_GRACE):
            await self._protocol.exited.wait()

    async def _input_closed(self) -> None:
        """Take the error of an input that broke with data in it, about which asyncio would complain before 3.12."""
        assert self._protocol.stdin is not None
        with contextlib.suppress(OSError):
            await self._protocol.stdin.wait_closed()

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
