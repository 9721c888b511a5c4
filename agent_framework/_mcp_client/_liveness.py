# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Whether a silent server is still alive, asked only while calls wait for it and only if somebody wants to know.

A frozen process or a half-open TCP connection looks like a slow tool. So the server is pinged (MCP, "Ping") after some
silence; whatever it sends is a sign of life, an error or somebody else's answer included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from ._causes import ServerSilent


class Liveness:
    """Listens for signs of life.

    Args:
        interval: How long the server may be silent while calls wait, in seconds. Then it is pinged, and has as long
            again.
        ping: Asks for a sign of life and waits for it, no longer than the seconds it is given. Must not raise.
        on_silence: Called with the reason when none came.
    """

    def __init__(
        self,
        interval: float,
        *,
        ping: Callable[[float], Awaitable[None]],
        on_silence: Callable[[BaseException], None],
    ) -> None:
        self._interval = interval
        self._ping = ping
        self._on_silence = on_silence
        self._expecting = anyio.Event()
        self._silent_since = 0.0

    def note_life(self) -> None:
        """The server has sent something."""
        self._silent_since = anyio.current_time()

    def calls_wait(self) -> None:
        """From now on the server owes an answer; silence before does not count."""
        self.note_life()
        self._expecting.set()

    def calls_ended(self) -> None:
        """The server owes nothing."""
        self._expecting = anyio.Event()

    async def watch(self) -> None:
        """Ping when there is reason to, until the server is silent for too long or this task is cancelled."""
        while True:
            await self._expecting.wait()
            silence = anyio.current_time() - self._silent_since
            if silence < self._interval:
                await anyio.sleep(self._interval - silence)
            elif silence < 2 * self._interval:
                await self._ping(2 * self._interval - silence)
            else:
                self._on_silence(ServerSilent(silence))
                return
