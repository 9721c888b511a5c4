# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The subscription by which a server of protocol 2026-07-28 tells that its lists have changed.

Since then a server tells only on a stream that the client has opened (``subscriptions/listen``). What it tells reaches
the session's message handler like any notification. Here the stream is kept open: when it is lost it is opened again,
and as nothing is told twice, the lists count as changed then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio

from . import _sdk

logger = logging.getLogger("agent_framework._mcp")

FIRST_DELAY, LAST_DELAY = 0.5, 30.0
"""How long to wait before a lost subscription is opened again, in seconds: at first, and after many losses in a row."""


async def stay_subscribed(session: Any, capabilities: Any, on_resubscribed: Callable[[], None]) -> None:
    """Keep a subscription to changes of the lists, for as long as this task runs.

    Args:
        session: A session of a modern era.
        capabilities: The server's; only changes that it announces are subscribed to.
        on_resubscribed: Called when the subscription is open again after a loss.
    """
    wanted = _sdk.listed_changes(capabilities)
    delay = FIRST_DELAY
    is_first = True
    while wanted:
        try:
            async with _sdk.subscribed(session, wanted) as events:
                if not is_first:
                    on_resubscribed()
                is_first, delay = False, FIRST_DELAY
                async for _ in events:
                    pass
        except Exception as error:  # noqa: BLE001  # no call depends on it, and the loss of a connection has its own way
            logger.debug("The subscription to changes was lost: %s", type(error).__name__)
            if _sdk.is_no_such_method(error):
                return
        await anyio.sleep(delay)
        delay = min(2 * delay, LAST_DELAY)
