# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Server-sent events, parsed from the chunks of a body (WHATWG HTML, section 9.2, "Server-sent events").

Each byte is looked at once, however the body is cut into chunks: a message of many megabytes comes as one line in many
chunks.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass

import anyio.lowlevel

from .._causes import MESSAGE_LIMIT, too_long

_USABLE_ID = re.compile(rb"[!-~]([ -~]*[!-~])?")
_ID_LIMIT = 1024  # bytes; an id goes back in a header
_RETRY_DIGITS = 6  # so, a quarter of an hour
_LINES_AT_ONCE = 512  # a chunk with more is taken in parts
_PART = 8 * 1024  # bytes


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        data: Its data, never empty.
        kind: Its type, empty unless the server gave it one.
    """

    data: bytes
    kind: bytes = b""

    @property
    def is_message(self) -> bool:
        """Whether it should hold an MCP message."""
        return self.kind in (b"", b"message")


async def events_in(pieces: AsyncIterator[bytes], parser: EventParser) -> AsyncGenerator[Event, None]:
    """The events in the pieces of a body. The event loop turns between pieces, and within those of many lines."""
    is_first = True
    async for piece in pieces:
        for part in _parts(piece):
            if not is_first:
                await anyio.lowlevel.checkpoint()
            is_first = False
            for event in parser.feed(part):
                yield event


def _parts(piece: bytes) -> Iterable[bytes]:
    if piece.count(b"\n") + piece.count(b"\r") <= _LINES_AT_ONCE:
        return (piece,)
    return (piece[start : start + _PART] for start in range(0, len(piece), _PART))


class EventParser:
    """Turns chunks of a body into events.

    An id that no HTTP header can carry back, and a reconnection time that is no number, are ignored.

    Attributes:
        last_id: The last event id so far, as text for the ``Last-Event-ID`` header, or None.
        retry: The reconnection time that the stream asked for last, in milliseconds, or None.
    """

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.retry: int | None = None
        self.restart()

    def restart(self) -> None:
        """Begin with another body; the id and the reconnection time outlive the one before."""
        self._partial = bytearray()  # the beginning of a line whose end has not come yet
        self._data: list[bytes] = []
        self._kind = b""
        self._id = self.last_id  # takes effect at the end of its event
        self._size = 0  # bytes since the last event with data
        self._is_at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes.

        Raises:
            NotMCP: More has come without completing an event than any message may hold. Comments count too: a server
                must not keep a reader busy with nothing.
        """
        events = []
        self._size += len(chunk)
        for line in self._lines(chunk):
            event = self._take(line)
            if event is not None:
                events.append(event)
        if self._size > MESSAGE_LIMIT:
            raise too_long()
        return events

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that a chunk completes, without their ends, which may be LF, CRLF or CR."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the other half of a CRLF
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines()
        unfinished = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        if lines and self._partial:
            self._partial += lines[0]
            lines[0] = bytes(self._partial)
            self._partial.clear()
        self._partial += unfinished
        return lines

    def _take(self, line: bytes) -> Event | None:
        if self._is_at_start:
            self._is_at_start = False
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line:
            return self._dispatch()
        name, _, value = (b"data", b":", line[6:]) if line.startswith(b"data: ") else _split(line)
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value
        elif name == b"id" and len(value) <= _ID_LIMIT and _USABLE_ID.fullmatch(value):
            self._id = value.decode("ascii")
        elif name == b"retry" and len(value) <= _RETRY_DIGITS and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        """The event that a blank line ends; None where it has no data."""
        self.last_id = self._id
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        kind = self._kind
        self._data, self._kind = [], b""
        if not data:
            return None
        self._size = 0
        return Event(data, kind)


def _split(line: bytes) -> tuple[bytes, bytes, bytes]:
    name, colon, value = line.partition(b":")
    return name, colon, value.removeprefix(b" ")
