# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""How a tool treats an optional server that is away: it is tried whenever the tool is entered, and holds up nobody.

A port that refuses costs next to nothing, so it is tried anew each time. A server that does not answer is given its
whole time once. After that, whoever enters the tool waits only for a moment, while the dial goes on behind their back:
a server that takes long to start is there for one of the next who come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ..exceptions import ToolException
from ._exceptions import MCPConnectionError, MCPError, MCPTimeoutError
from ._outage import PATIENCE
from ._server import Server

logger = logging.getLogger("agent_framework._mcp")

GIVE_UP_TIMEOUT = 2.0
"""How long a dial may take to end once it is cancelled, in seconds. Its connection is closed by then, so that only a
``connect()`` of a subclass takes longer."""

_MISTAKES = (ImportError, TypeError, ValueError, RuntimeError, AttributeError, LookupError, NameError, AssertionError)
"""What no return of a server mends: a package that is not installed, wrong use, a bug in a transport of the user's."""


def is_absence(error: ToolException) -> bool:
    """Whether this says that the server is away, or of no use, rather than that something is wrong on our side."""
    # MCPError itself, rather than one of its kinds, is a failure that nobody foresaw.
    foreseen = isinstance(error, MCPError) and type(error) is not MCPError
    return foreseen or not isinstance(error.__cause__, _MISTAKES)


class Absence:
    """What is known of an optional server that is away.

    Attributes:
        announced: Whether people have been told, and the server has not been there since.
    """

    def __init__(self) -> None:
        self.announced = False
        self._unanswered = False
        self._redial: asyncio.Task[None] | None = None

    @property
    def is_redialling(self) -> bool:
        """Whether a dial goes on behind everybody's back."""
        redial = self._redial
        return redial is not None and not redial.done() and redial.get_loop() is asyncio.get_running_loop()

    async def connect(self, connect: Callable[[], Coroutine[Any, Any, None]], server: Server, timeout: float) -> None:
        """Connect, or join a dial that is under way; only for a moment if the server did not answer before.

        Args:
            connect: Opens the connection and lists what the server offers.
            server: Who is to be reached.
            timeout: How long opening may take, in seconds: nobody waits longer than that.

        Raises:
            ToolException: The server cannot be reached, or has not answered so far.
        """
        try:
            if self._unanswered:
                await self._wait_a_moment(connect, server, min(PATIENCE, timeout))
            else:
                await connect()
        except TimeoutError:
            self._unanswered = True
            raise

    async def _wait_a_moment(
        self, connect: Callable[[], Coroutine[Any, Any, None]], server: Server, seconds: float
    ) -> None:
        redial, is_ours = self._redial, not self.is_redialling
        if redial is None or is_ours:
            redial = self._redial = asyncio.create_task(connect(), name=f"mcp-redial:{server.name}")
            redial.add_done_callback(_mark_seen)
        try:
            await asyncio.wait([redial], timeout=seconds)
        except asyncio.CancelledError:
            if is_ours:
                await self.give_up()  # nobody will leave what was not entered
            raise
        if not redial.done():
            raise MCPTimeoutError(
                f"MCP server {server} still does not answer; it is used as soon as it does.",
                server=str(server),
                phase="connect",
                timeout=seconds,
            )
        if redial.cancelled():
            sentence = f"Failed to connect to MCP server: {server}: the connection was closed."
            raise MCPConnectionError(sentence, server=str(server), phase="connect")
        redial.result()

    async def give_up(self) -> None:
        """End a dial that goes on behind everybody's back, and wait until nothing is left of it."""
        if self.is_redialling:
            assert self._redial is not None
            self._redial.cancel()
            _, running = await asyncio.wait([self._redial], timeout=GIVE_UP_TIMEOUT)
            if running:
                logger.warning(
                    "%s did not end within %g s of being cancelled.", self._redial.get_name(), GIVE_UP_TIMEOUT
                )
        self._redial = None

    def announce(self, server: Server, error: ToolException) -> None:
        """The server is away: say so, once until it is there again."""
        level = logging.DEBUG if self.announced else logging.WARNING
        self.announced = True
        logger.log(level, "Optional MCP server %s is away, and the agent goes on without it. %s", server, error)

    def end(self, server: Server) -> None:
        """The server is there."""
        if self.announced:
            logger.info("Optional MCP server %s is there again.", server)
        self.announced = self._unanswered = False


def _mark_seen(redial: asyncio.Task[None]) -> None:
    """Nobody may be left to ask how a dial ended; the next one meets the same failure."""
    if not redial.cancelled():
        redial.exception()
