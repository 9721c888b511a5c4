# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Copying a child's standard error to ours, without ever waiting for the reader of ours. POSIX only.

Ours may be a pipe that a parent does not read, or a terminal that is stopped. A plain write would then hold the event
loop for as long as that lasts, and with it every other server. Making the descriptor non-blocking would do so for
everything that shares it: other processes, and this program's own output. So what can block is opened a second time,
and only that is non-blocking. Where the system refuses, each piece is written only after the system has said that
there is room for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import select
import stat
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ._printable import printable_line

COPY_LIMIT = 256 * 1024
"""How much of a child's standard error waits until ours takes it, in bytes: four times what a pipe of Linux holds, so
that a reader that is merely slow misses nothing. What comes then is dropped."""

_WRITES_AT_ONCE = 1024
"""How often is written before the event loop turns; where it is done byte by byte, that takes about a millisecond."""


_UNFINISHED_LIMIT = 4096
"""How long a line may be, in characters, before what has come of it is passed on without its end."""


class StderrCopy:
    """Takes what a child has written, and passes it on by whole lines, without what a terminal would obey.

    What does not fit at once follows by itself. When too much waits, what comes is dropped until nothing waits any
    more, and a line in its place says how much it was.

    Args:
        source: Whose standard error it is, for that line.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._unfinished = ""  # a line whose end has not come
        self._stream: Any = None  # the sys.stderr that was opened last; programs replace it
        self._descriptor: int | None = None  # of our own; None where the stream never makes us wait
        self._write: Callable[[memoryview], int] = len
        self._waiting: deque[memoryview] = deque()
        self._held = 0  # how many bytes these are
        self._dropped = 0  # how many characters have not been held since
        self._loop = asyncio.get_running_loop()

    def take(self, text: str) -> None:
        """Take a piece of text. Never waits and never raises."""
        lines, rest = split_lines(self._unfinished + text)
        passed = "".join(f"{printable_line(line)}\n" for line in lines)
        if len(rest) > _UNFINISHED_LIMIT:
            passed, rest = passed + printable_line(rest), ""
        self._unfinished = rest
        if passed:
            self._pass_on(passed)

    def _pass_on(self, text: str) -> None:
        if sys.stderr is not self._stream:
            self._leave()
            self._open(sys.stderr)
        if self._descriptor is None:
            _write_directly(self._stream, text)
            return
        if self._dropped or self._held > COPY_LIMIT:
            self._dropped += len(text)
            return
        self._hold(text)
        if len(self._waiting) == 1:  # otherwise the loop is waiting for room already
            self._go_on()

    def _open(self, stream: Any) -> None:
        self._stream = stream
        # Notebooks and text interfaces have streams of their own, whose descriptors may lead elsewhere.
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                self._descriptor, self._write = _without_waiting(stream.fileno())

    def _hold(self, text: str) -> None:
        data = memoryview(text.encode(self._stream.encoding, "backslashreplace"))
        self._waiting.append(data)
        self._held += len(data)

    def _go_on(self) -> None:
        """Write what waits, as far as there is room; the loop calls this again when there is more."""
        try:
            for _ in range(_WRITES_AT_ONCE):
                if not self._waiting:
                    self._unwatch()
                    return
                self._write_some()
            self._watch()
        except BlockingIOError:
            self._watch()
        except OSError:  # the reader has gone
            self._forget()

    def _write_some(self) -> None:
        written = self._write(self._waiting[0])
        self._held -= written
        self._waiting[0] = self._waiting[0][written:]
        if not self._waiting[0]:
            self._waiting.popleft()
        if not self._waiting and self._dropped:
            self._hold(f"[{self._dropped} characters of the standard error of {self._source} are left out here]\n")
            self._dropped = 0

    def _watch(self) -> None:
        if self._descriptor is not None:
            self._loop.add_writer(self._descriptor, self._go_on)

    def _unwatch(self) -> None:
        if self._descriptor is not None:
            self._loop.remove_writer(self._descriptor)

    def _forget(self) -> None:
        self._unwatch()
        self._waiting.clear()
        self._held = self._dropped = 0

    def close(self) -> None:
        """Pass on the line that has no end, as far as that can be done now, and let go of the stream."""
        if self._unfinished:
            self._pass_on(printable_line(self._unfinished))
            self._unfinished = ""
        self._leave()

    def _leave(self) -> None:
        if self._descriptor is None:
            return
        self._go_on()
        self._forget()
        os.close(self._descriptor)
        self._descriptor = self._stream = None


def split_lines(text: str) -> tuple[list[str], str]:
    """The lines of a text, without their ends, and what follows the last line break of whatever kind."""
    *lines, rest = f"{text}.".splitlines()  # so that there is a last line, also when it is empty
    return lines, rest[:-1]


def _without_waiting(number: int) -> tuple[int | None, Callable[[memoryview], int]]:
    """A descriptor of our own for what a descriptor leads to, and how to write to it without waiting.

    The function writes a part of what it is given and returns how much, or raises BlockingIOError. The descriptor is
    None for what never makes anyone wait, such as a file.
    """
    mode = os.fstat(number).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)):
        return None, len
    try:
        own = os.open(f"/dev/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # a socket; or a pipe of another user, as in a container that has changed its user
        own = os.dup(number)
    if not os.get_blocking(own):
        return own, partial(os.write, own)
    # Some systems duplicate instead of opening. What says that it is ready has room for this much.
    return own, partial(_write_if_ready, own, 1 if os.isatty(own) else select.PIPE_BUF)


def _write_if_ready(descriptor: int, room: int, data: memoryview) -> int:
    """Write as much as there is room for. It would wait if another process took the room between these two calls."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError
    return os.write(descriptor, data[:room])


def _write_directly(stream: Any, text: str) -> None:
    """Write to a stream that may be anything, or closed."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.write(text)
        stream.flush()
