# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Sessions of whichever major of the SDK is installed."""

from __future__ import annotations

import asyncio
import inspect
from importlib.util import find_spec
from typing import Any

from mcp.client import session as client_session
from mcp.client.session import ClientSession

from .._printable import printable
from .requests import OnProgress, OwnSession

major: Any
if find_spec("mcp.shared.jsonrpc_dispatcher") is not None:
    from . import v2 as major
else:
    from . import v1 as major

TELLS_ITS_END = major.__name__.endswith("v2")
"""Whether a session of the SDK that is left, or was never entered, tells those who wait for answers."""


class UnsupportedProtocolVersion(Exception):
    """The server chose a protocol version that this SDK does not know (MCP lifecycle, version negotiation)."""


class NotEntered(Exception):
    """A session was used outside of its ``async with`` block."""


def make_session(read_stream: Any, write_stream: Any, *, read_timeout: float | None, **callbacks: Any) -> ClientSession:
    """A session that is not yet entered.

    Args:
        read_stream: What the transport receives.
        write_stream: What the transport sends; see ``Requests``.
        read_timeout: How long any request may wait for its answer, in seconds; None or 0 for ever.
        **callbacks: What ``ClientSession`` takes besides, by its names.
    """
    kind: Any = client_session.ClientSession
    if inspect.isclass(kind):
        session: ClientSession = major.make_session(
            kind, read_stream, write_stream, read_timeout=read_timeout or None, **callbacks
        )
        return session
    # Somebody has put a function of their own in the place of the class.
    timeout = major.read_timeout(read_timeout) if read_timeout else None
    made: ClientSession = kind(
        read_stream=read_stream, write_stream=write_stream, read_timeout_seconds=timeout, **callbacks
    )
    return made


def is_of_the_sdk(session: Any) -> bool:
    """Whether it is a session of the SDK; what only plays the part of one has the methods that are called, if that."""
    return issubclass(type(session), ClientSession)


async def ask(
    session: Any,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    timeout: float | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Send a request on a session of the SDK, and return the result as it stands on the wire.

    Args:
        session: The session.
        method: The JSON-RPC method.
        params: Its params.
        timeout: How long the answer may take, in seconds, infinite for ever; None for the session's own limit.
        on_progress: Called with progress, total and message for each report of the server on this request.

    Raises:
        pydantic.ValidationError: On a session of the user's own, SDK 2.x finds the result not what the negotiated
            protocol version asks for.
    """
    if isinstance(session, OwnSession):
        return await session.ask(method, params, timeout, on_progress)
    result: dict[str, Any] = await major.ask(session, method, params, timeout, on_progress)
    return result


async def initialize(session: Any) -> Any:
    """Do the handshake and return the server's ``InitializeResult``.

    Raises:
        UnsupportedProtocolVersion: The server answered with a version that the SDK does not know.
        NotEntered: The session has not been entered, so nobody would receive an answer. SDK 1.x does not tell; there
            no answer comes.
    """
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    try:
        return await session.initialize()
    except RuntimeError as error:  # for either reason; but an answer takes at least a turn of the event loop
        if turned.is_set() or not is_of_the_sdk(session):
            raise UnsupportedProtocolVersion(printable(error)) from error
        raise NotEntered(str(error)) from error
