# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The soak's servers, seen from its own process: started, killed, frozen, told to misbehave; and the tools for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from soak_checks import descendants
from soak_plan import Settings

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool

SERVER = Path(__file__).with_name("soak_server.py")
MISBEHAVIOURS = ("slow", "rude", "doomed")

SERVER_BOUND = 15.0
"""Seconds that a server may take to start on a busy machine."""


class Peer:
    """The server side of one transport: a process of ours, or, for stdio, the children that the tools start.

    Args:
        transport: One of `TRANSPORTS`.
        folder: Where the server keeps its ledger and looks for how to behave.
        lifeline: A descriptor to read from; the server ends when it does.
    """

    def __init__(self, transport: str, folder: Path, lifeline: int) -> None:
        self.transport = transport
        self.folder = folder
        self.port = 0 if transport == "stdio" else _free_port()
        self._lifeline = lifeline
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def own(self) -> set[int]:
        """Ids of processes that the soak has started itself."""
        return set() if self._process is None else {self._process.pid}

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that serve now."""
        if self.transport == "stdio":
            return [pid for pid, (state, name) in descendants().items() if f"{SERVER} stdio" in name and state != "Z"]
        return [] if self._process is None or self._process.poll() is not None else [self._process.pid]

    def start(self) -> None:
        """Start the server if it does not run; over stdio the tools do that."""
        if self.transport != "stdio" and not self.pids:
            arguments = [sys.executable, str(SERVER), self.transport, str(self.folder), str(self.port)]
            with (self.folder / "server.log").open("ab") as log:
                self._process = subprocess.Popen(arguments, stdin=self._lifeline, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        """Send a signal to what serves now, and wait for the end of what was killed."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL and self._process is not None:
            self._process.wait(SERVER_BOUND)

    def tell(self, word: str, on: bool) -> None:
        """Make the server behave as `word` says, or not any more."""
        if on:
            (self.folder / word).touch()
        else:
            (self.folder / word).unlink(missing_ok=True)

    def recover(self) -> None:
        """End every fault."""
        for word in MISBEHAVIOURS:
            self.tell(word, False)
        self.signal(signal.SIGCONT)
        self.start()

    async def is_back(self) -> None:
        """Wait until the server takes connections."""
        deadline = time.monotonic() + SERVER_BOUND
        while self.transport != "stdio":
            self.start()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.01)  # the moment when a process begins to listen cannot be waited on
                continue
            writer.close()
            await writer.wait_closed()
            return

    def stop(self) -> None:
        """End every server; after a failure, some that tools should have ended may be among them."""
        self.signal(signal.SIGKILL)

    def make_tool(self, number: int, settings: Settings, http_client: httpx.AsyncClient | None) -> Any:
        """A tool object for this server."""
        options: dict[str, Any] = {
            "connect_timeout": settings.connect_timeout,
            "request_timeout": settings.request_timeout,
            "load_prompts": settings.load_prompts,
        }
        name = f"soak-{number}"
        if self.transport == "stdio":
            arguments = [str(SERVER), "stdio", str(self.folder), str(number)]
            return MCPStdioTool(name, sys.executable, args=arguments, **options)
        if self.transport == "websocket":
            return MCPWebsocketTool(name, f"ws://127.0.0.1:{self.port}/mcp", **options)
        return MCPStreamableHTTPTool(name, f"http://127.0.0.1:{self.port}/mcp", http_client=http_client, **options)


def _free_port() -> int:
    """A port outside of the range from which outgoing connections get theirs.

    In that range a client that dials a port where nobody listens can be given the same port, and meets itself.
    """
    while True:
        port = random.randint(15_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
