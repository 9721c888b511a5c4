# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""A session that the user made and owns: used, initialised if need be, never closed and never replaced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from . import _sdk
from ._errors import connect_error
from ._link import Link
from ._server import Server
from ._state import State


class BorrowedSession(Link):
    """A link over somebody else's session.

    Args:
        server: Who is at the other end.
        session: The user's ``ClientSession``, or what plays its part.
        state: READY when whoever lends it says that it is connected.
    """

    def __init__(self, server: Server, session: Any, state: State = State.NEW) -> None:
        super().__init__(server, generation=0)
        self.session = session
        self._state = state

    @property
    def state(self) -> State:
        return self._state

    @property
    def cause(self) -> BaseException | None:
        return None

    @property
    def capabilities(self) -> Any:
        return self.session.get_server_capabilities()

    async def open(self, finish: Callable[[Link], Awaitable[None]] | None = None) -> None:
        """Do the handshake if the user has not, and then wait for ``finish``.

        Raises:
            MCPError: The handshake failed. The session stays the user's.
        """
        if _sdk.is_unused(self.session):
            try:
                await _sdk.initialize(self.session)
            except Exception as error:  # noqa: BLE001  # a foreign session raises what it likes; _errors names it
                failure = connect_error(error, self.server, "initialize")
                raise failure from failure.__cause__
        if finish is not None:
            await finish(self)
        self._state = State.READY

    async def close(self) -> None:
        """Give the session back as it is. Calls in flight go on: they are between the user's session and the server."""
        self._state = State.CLOSED

    def drop(self) -> None:
        self._state = State.CLOSED
