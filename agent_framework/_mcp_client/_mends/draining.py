# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Event streams read to their end behind the answer, so that their connections serve the next request.

Reason: the SDK's transport closes the response of an event stream as soon as the answer has come out of it. What is
left is an empty chunk, but a connection with anything left in it cannot be used again: each call opens a new one.

Gain: a call with an event-stream answer costs two thirds, and no TCP or TLS handshake.

Can go when: the SDK's transport drains its responses.

The answer is passed on first. Whoever closes the response, a task of the SDK's transport that has nothing else to do,
waits here for the end: for a moment, as some servers never end their streams.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx

DRAIN_TIMEOUT = 1.0
"""How long the end of a stream may be behind the answer, in seconds."""


_LIMIT = 64 * 1024  # bytes; a server that says more behind its answer will hardly end soon, and reading it is work


async def drain(rest: AsyncIterator[bytes]) -> None:
    """Read what is left of a stream, and forget it, unless it is too much."""
    size = 0
    try:
        with anyio.move_on_after(DRAIN_TIMEOUT):
            async for event in rest:
                size += len(event)
                if size > _LIMIT:
                    return
    except Exception:  # noqa: BLE001, S110  # the answer is there; what breaks behind it concerns nobody
        pass


class DrainedResponse(httpx.Response):
    """A response with a body of its own, which ends the one that it was made of when it is closed.

    Args:
        end: Ends the other one.
    """

    def __init__(self, *args: Any, end: Callable[[], Awaitable[None]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._end = end

    async def aclose(self) -> None:
        """Close this response and the other one. May be called repeatedly."""
        await super().aclose()
        await self._end()
