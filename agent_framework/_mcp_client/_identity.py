# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""For whom a session is open, where each run brings credentials of its own.

A server may tie what it lists and keeps to whoever opened the session. So the calls of somebody else wait until nobody
uses it, and get a session opened with their own headers. Calls with the same headers go side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

Key = frozenset[tuple[str, str]]


class InUse(Exception):
    """Others used the session all the time."""


def key_of(headers: Mapping[str, str]) -> Key:
    """What tells two sets of headers apart; header names know no case (RFC 9110, section 5.1)."""
    return frozenset((name.lower(), value) for name, value in headers.items())


class SessionIdentity:
    """Whose session it is, and how many use it now.

    Attributes:
        is_watched: Whether the host tells us for whom a run is; without that, nothing here has any effect.
    """

    def __init__(self) -> None:
        self.is_watched = False
        self._key: Key | None = None
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, headers: Mapping[str, str]) -> None:
        """Note the headers that a session is opened with, unless they are known."""
        if self._key is None:
            self._key = key_of(headers)

    def forget(self) -> None:
        """Note that there is no session any more."""
        self._key = None

    @asynccontextmanager
    async def used_by(
        self, headers: Mapping[str, str], switch: Callable[[], Awaitable[None]], *, patience: float
    ) -> AsyncIterator[None]:
        """Use the session with these headers.

        Args:
            headers: Those of the caller.
            switch: Opens a session with them.
            patience: How long to wait for others, in seconds.

        Raises:
            InUse: Others have used the session all the time.
        """
        import anyio

        self._follow_loop()
        # Whoever waits for the others holds the gate, so that later calls line up behind instead of going on for ever.
        with anyio.move_on_after(patience) as scope:
            await self._gate.acquire()
        if scope.cancelled_caught:
            raise InUse
        try:
            await self._become(key_of(headers), switch, patience)
            self._users += 1
            self._idle.clear()
        finally:
            self._gate.release()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def _become(self, key: Key, switch: Callable[[], Awaitable[None]], patience: float) -> None:
        import anyio

        if self._key is not None and self._key != key:
            with anyio.move_on_after(patience) as scope:
                await self._idle.wait()
            if scope.cancelled_caught:
                raise InUse
            self._key = None  # if switching fails, there is no session of anybody
            await switch()
        self._key = key

    def _follow_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._users = 0  # the users of a loop that has ended never said so
            self._gate = asyncio.Lock()
            self._idle = asyncio.Event()
            self._idle.set()
