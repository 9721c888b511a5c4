# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Fetching everything that a server lists: all pages, or nothing; and one bad entry costs one entry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from . import _sdk
from ._exceptions import MCPProtocolError
from ._link import Link
from ._naming import why_unusable

logger = logging.getLogger("agent_framework._mcp")

MAX_PAGES = 1000
"""How many pages a listing may have. A server with more is broken or hostile, and nobody could use what it lists."""


async def list_all(link: Link, kind: str, *, timeout: float, setting: str) -> list[Any]:
    """Everything of one kind that the server lists (MCP, "Pagination").

    Args:
        link: What to ask through.
        kind: ``"tools"`` or ``"prompts"``.
        timeout: How long each page may take, in seconds.
        setting: The parameter that sets it, for the message.

    Returns:
        The SDK's ``Tool`` or ``Prompt`` objects that can be used; the others are named in a warning.

    Raises:
        MCPError: A page failed, or there is no end to them.
    """
    entries: list[Any] = []
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = await link.request(
            _page_of(kind, cursor),
            method=f"{kind}/list",
            phase="list",
            what=f"Listing {kind}",
            timeout=timeout,
            setting=setting,
        )
        entries.extend(getattr(page, kind))
        cursor = page.nextCursor
        if not cursor:
            return [entry for entry in entries if _is_usable(entry, kind, link)]
        if cursor in seen or len(seen) >= MAX_PAGES:
            raise _endless(link, kind, "a cursor came twice" if cursor in seen else f"more than {MAX_PAGES} pages")
        seen.add(cursor)


def _page_of(kind: str, cursor: str | None) -> Callable[[Any], Any]:
    return lambda session: _sdk.list_page(session, kind, cursor)


def _endless(link: Link, kind: str, why: str) -> MCPProtocolError:
    sentence = f"Listing {kind} failed on MCP server {link.server}: the listing does not end ({why})."
    return MCPProtocolError(sentence, server=str(link.server), phase="list")


def _is_usable(entry: Any, kind: str, link: Link) -> bool:
    why_not = entry.why if isinstance(entry, _sdk.BadEntry) else None
    if why_not is None and kind == "tools":
        why_not = why_unusable(entry.inputSchema or {})
    if why_not is not None:
        logger.warning("MCP server %s lists %s that cannot be used: %r (%s).", link.server, kind, entry.name, why_not)
    return why_not is None
