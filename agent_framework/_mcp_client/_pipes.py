# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The ends of a child's pipes that are ours, and its exit, as callbacks of the event loop. POSIX only.

asyncio's own way to start a process makes a transport, a protocol and a future for each pipe, and before Python 3.12 a
thread for each child: three times the processor time of the start itself. A child that answers a handshake and two
requests is not worth it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

CHUNK = 64 * 1024
"""How much is read at once, in bytes; a pipe of Linux holds as much."""


class PipeReader:
    """A pipe that is read as soon as there is something.

    Args:
        pipe: The open pipe; it is closed here.
        on_data: Given what was read, never empty.
        on_end: Called once, when nothing more will come: the pipe was at its end, or was closed here.
    """

    def __init__(self, pipe: IO[bytes], on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._pipe = pipe
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)
        self.resume()

    def pause(self) -> None:
        """Leave what comes in the pipe, so that whoever writes has to wait when it is full."""
        self._loop.remove_reader(self._pipe.fileno())

    def resume(self) -> None:
        self._loop.add_reader(self._pipe.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        if data:
            self._on_data(data)
        else:
            self.close()

    def finish(self) -> None:
        """Take what is in the pipe, as far as it fits into one piece, and close it."""
        if not self._pipe.closed:
            self._read()
            self.close()

    def close(self) -> None:
        """Close the pipe, if it is not. What is in it is lost."""
        if not self._pipe.closed:
            self.pause()
            self._pipe.close()
            self._on_end()


class PipeWriter:
    """A pipe that takes one piece of data after the other.

    Args:
        pipe: The open pipe; it is closed here.
        on_break: Called when the reader has gone and has left part of a piece unread.

    Attributes:
        room: Set while the pipe takes a piece, or cannot take one any more.
    """

    def __init__(self, pipe: IO[bytes], on_break: Callable[[], None]) -> None:
        self._pipe = pipe
        self._on_break = on_break
        self._rest = memoryview(b"")  # of the piece that is being written
        self._loop = asyncio.get_running_loop()
        self._is_leaving = False
        self.room = asyncio.Event()
        self.room.set()
        os.set_blocking(pipe.fileno(), False)

    @property
    def is_closed(self) -> bool:
        return self._is_leaving or self._pipe.closed

    def write(self, data: bytes) -> None:
        """Write a piece; what does not fit at once follows by itself. There must be ``room``.

        Raises:
            BrokenPipeError: The reader has gone. Nothing of the piece was written.
        """
        self._rest = memoryview(data)
        try:
            self._write()
        except BrokenPipeError:
            self.abort()
            raise
        if self._rest:
            self.room.clear()
            self._loop.add_writer(self._pipe.fileno(), self._go_on)

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            self._rest = self._rest[os.write(self._pipe.fileno(), self._rest) :]

    def _go_on(self) -> None:
        try:
            self._write()
        except BrokenPipeError:
            self.abort()
            self._on_break()
            return
        if not self._rest:
            self._loop.remove_writer(self._pipe.fileno())
            self.room.set()
            if self._is_leaving:
                self.abort()

    def close(self) -> None:
        """Close the pipe behind the last piece."""
        self._is_leaving = True
        if not self._rest:
            self.abort()

    def abort(self) -> None:
        """Close the pipe now, whatever is not written yet."""
        if not self._pipe.closed:
            self._loop.remove_writer(self._pipe.fileno())
            self._pipe.close()
        self._rest = memoryview(b"")
        self.room.set()


def call_on_exit(process: subprocess.Popen[bytes], on_exit: Callable[[], None]) -> Callable[[], None]:
    """Have the running loop call a function when a child has exited; its ``returncode`` is known by then.

    Returns:
        What to call when nobody is interested any more.
    """
    descriptor = _open_pidfd(process.pid)
    if descriptor is None:
        return _call_from_thread(process, on_exit)
    loop = asyncio.get_running_loop()

    def forget() -> None:
        nonlocal descriptor
        if descriptor is not None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            descriptor = None

    def exited() -> None:
        forget()
        process.wait()
        on_exit()

    loop.add_reader(descriptor, exited)
    return forget


def _open_pidfd(pid: int) -> int | None:
    """A descriptor that is readable once a child has exited; None where there are none, or a sandbox forbids them."""
    if sys.platform == "linux":
        # Linux has them from 5.3 on, and so has a Python that was built there.
        with contextlib.suppress(AttributeError, OSError):
            return os.pidfd_open(pid)
    return None


def _call_from_thread(process: subprocess.Popen[bytes], on_exit: Callable[[], None]) -> Callable[[], None]:
    loop = asyncio.get_running_loop()

    def watch() -> None:
        process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: then nobody is interested
            loop.call_soon_threadsafe(on_exit)

    threading.Thread(target=watch, name=f"mcp-child-{process.pid}", daemon=True).start()
    return lambda: None
