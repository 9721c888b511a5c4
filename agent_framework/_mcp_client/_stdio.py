# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The stdio transport: a child process that takes one message a line and writes one a line (MCP, "Transports", stdio).

Whoever wants a message reads the pipe, and whoever has one writes it, in their own task: a call passes no other task on
its way, which is a good part of what it costs.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from . import _sdk
from ._causes import MESSAGE_LIMIT, ServerExited, too_long
from ._process import ServerProcess
from ._streams import TransportEnded


@asynccontextmanager
async def stdio(parameters: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A server as a child process that speaks over its standard input and output.

    Args:
        parameters: The SDK's ``StdioServerParameters``.

    Raises:
        OSError: The process cannot be started.
    """
    process = ServerProcess.start(parameters)
    try:
        yield MessageReader(process, _decoder(parameters)), MessageWriter(process, parameters)
    finally:
        await process.stop()


def _decoder(parameters: Any) -> codecs.IncrementalDecoder:
    make: Callable[[str], codecs.IncrementalDecoder] = codecs.getincrementaldecoder(parameters.encoding)
    errors = parameters.encoding_error_handler
    # A strict decoder gives up a whole chunk, with the good lines in it. Lone surrogates fail the one line they are in.
    return make("surrogateescape" if errors == "strict" else errors)


class MessageReader:
    """What the server writes, message by message. What cannot be read comes as an exception, and the end as a reason.

    Args:
        process: The server.
        decoder: Turns its bytes into text.
    """

    def __init__(self, process: ServerProcess, decoder: codecs.IncrementalDecoder) -> None:
        self._process = process
        self._decoder = decoder
        self._items: deque[str | TransportEnded] = deque()  # lines, and the end
        self._begun: list[str] = []  # the parts of a line whose end has not come
        self._length = 0
        self._ended = False

    async def receive(self) -> Any:
        """The next message, an exception that stands for something unreadable, or ``TransportEnded``.

        Raises:
            anyio.EndOfStream: There is nothing more.
        """
        if self._items:
            # A server that floods us sends thousands at a time, and none of them makes its reader wait.
            await anyio.lowlevel.checkpoint()
        while not self._items:
            if self._ended:
                raise anyio.EndOfStream
            chunk = await self._process.receive()
            if chunk:
                self._take(chunk)
            elif rest := "".join(self._begun):
                self._begun = []
                self._items.append(rest)  # an answer perhaps, whose server has ended without ending the line
            else:
                self._end(await self._process.why_it_ended())
        item = self._items.popleft()
        return _sdk.read(item, self._process.secrets) if isinstance(item, str) else item

    def _take(self, chunk: bytes) -> None:
        first, *others = self._decoder.decode(chunk).split("\n")
        self._begun.append(first)
        self._length += len(first)
        for part in others:
            self._items.append("".join(self._begun))
            self._begun, self._length = [part], len(part)
        if self._length > MESSAGE_LIMIT:
            self._end(too_long())

    def _end(self, reason: Exception) -> None:
        self._ended = True
        ended = TransportEnded()
        ended.__cause__ = reason
        self._items.append(ended)


class MessageWriter:
    """Takes messages for the server.

    Args:
        process: The server.
        parameters: Its ``StdioServerParameters``.
    """

    writes_in_task_of_sender = True

    def __init__(self, process: ServerProcess, parameters: Any) -> None:
        self._process = process
        self._parameters = parameters

    async def send(self, item: Any) -> None:
        """Write one message, as soon as the pipe has room.

        Raises:
            ValueError: It holds text that the encoding cannot; nothing is written.
            anyio.BrokenResourceError: The server had closed its input before, so that it has certainly not got this.
        """
        line = _sdk.encode(item) + "\n"
        data = line.encode(self._parameters.encoding, self._parameters.encoding_error_handler)
        try:
            await self._process.send(data)
        except ServerExited as error:
            raise anyio.BrokenResourceError from error
