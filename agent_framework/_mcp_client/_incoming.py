# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What a server sends by itself, looked at before the session sees it.

A session of the SDK takes what arrives one after the other, in the loop that also delivers the answers, and it writes
what it does not understand to the root logger as the server wrote it. So requests are answered beside it, and what is
no use to it does not get there: notifications that MCP does not know, answers to requests that no session makes, log
messages beyond what a log can bear. The texts of errors become printable here, whichever transport brought them.
"""

from __future__ import annotations

import logging
from typing import Any

import anyio

from . import _sdk
from ._printable import NAME_LIMIT, printable
from ._server import Server
from ._server_requests import ServerRequests

logger = logging.getLogger("agent_framework._mcp")

MAX_LOG_MESSAGES = 200
"""How many log messages of one server are passed on within ``LOG_WINDOW``: what a program logs when it logs much. Each
costs a fraction of a millisecond here, and what the program's handlers take."""

LOG_WINDOW = 1.0
"""The time for which log messages are counted together, in seconds."""


class Incoming:
    """What arrives on one connection.

    Args:
        server: Who sends it.
        requests: Answers the server's requests.
    """

    def __init__(self, server: Server, requests: ServerRequests) -> None:
        self._server = server
        self._requests = requests
        self._log_messages = 0  # since the window began
        self._window_began = 0.0
        self._has_told = False

    def take(self, item: Any) -> bool:
        """Look at a message, or at an exception that stands for something unreadable. Never waits and never raises.

        Returns:
            Whether the session is not to see it.
        """
        if _sdk.is_answer(item):
            _sdk.make_error_printable(item)
            return False
        if self._requests.take(item):
            return True
        method = _sdk.notification_method(item)
        return method is not None and not self._admit(method, item)

    def _admit(self, method: str, notification: Any) -> bool:
        if not _sdk.is_valid_notification(notification):
            shown = printable(method, NAME_LIMIT)
            logger.debug("MCP server %s sent a notification that is not valid MCP: %s", self._server, shown)
            return False
        return method != "notifications/message" or self._admit_log_message()

    def _admit_log_message(self) -> bool:
        now = anyio.current_time()
        if now - self._window_began >= LOG_WINDOW:
            self._window_began, self._log_messages = now, 0
        self._log_messages += 1
        if self._log_messages <= MAX_LOG_MESSAGES:
            return True
        if not self._has_told:
            self._has_told = True
            logger.warning(
                "MCP server %s sends more than %d log messages within %g s; what is more is dropped.",
                self._server,
                MAX_LOG_MESSAGES,
                LOG_WINDOW,
            )
        return False
