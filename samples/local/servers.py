# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""MCP servers for the samples: one over HTTP, which is started here, one over stdio, and one that is not there."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from typing_extensions import Self

CALENDAR_SERVER = str(Path(__file__).with_name("calendar_server.py"))
"""An MCP server over stdio, for `MCPStdioTool(name=..., command=sys.executable, args=[CALENDAR_SERVER])`."""

DOCS_SERVER = str(Path(__file__).with_name("docs_server.py"))
START_SECONDS = 20.0  # importing the SDK's server takes a second or two, more on a busy machine
STOP_SECONDS = 5.0


class DocsServer:
    """The process of an MCP server over HTTP, which can be killed and started again on the same port.

    As a context manager it runs inside of the block.
    """

    def __init__(self) -> None:
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where its MCP endpoint is."""
        return f"http://127.0.0.1:{self.port}/mcp"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Starts the process and returns when it accepts connections."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, DOCS_SERVER, str(self.port), stdout=asyncio.subprocess.PIPE
        )
        self.port = int((await self.said("ready")).split()[1])

    async def said(self, word: str) -> str:
        """Waits for the next line of its output that begins with a word, and returns the line."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS):
            if line.startswith(word.encode()):
                return line.decode().rstrip()
        raise RuntimeError(f"The MCP server ended without a line that begins with {word!r}.")

    async def kill(self) -> None:
        """Ends it without a chance to say goodbye."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.communicate(), STOP_SECONDS)  # also reads its output to the end


def url_of_nobody() -> str:
    """The URL of an MCP server that does not run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/mcp"
