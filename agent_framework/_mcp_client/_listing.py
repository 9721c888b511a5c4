# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Fetching everything that a server lists: all pages, or nothing; and one bad entry costs one entry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio.lowlevel

from . import _sdk
from ._causes import MESSAGE_LIMIT
from ._exceptions import MCPProtocolError
from ._link import Link
from ._naming import why_unusable
from ._printable import NAME_LIMIT, printable, printable_names
from .sdk import fields

logger = logging.getLogger("agent_framework._mcp")

MAX_PAGES = 1000
"""How many pages a listing may have. A server with more is broken or hostile, and nobody could use what it lists."""

MAX_ENTRIES = 10_000
"""How many tools or prompts a listing may have, over all pages: making functions of as many takes a fifth of a second,
and no model is offered a tenth of them."""

MAX_LISTING_SIZE = MESSAGE_LIMIT
"""How long a listing may be over all pages, in bytes of JSON: as long as one page could be."""

RELOAD_PAUSE = 0.5
"""How long the next listing in the background waits after one, in seconds: a server that announces a change with each
listing costs no more than two of them a second."""


async def list_all(link: Link, kind: str, *, timeout: float, setting: str) -> list[Any]:
    """Everything of one kind that the server lists (MCP, "Pagination").

    Args:
        link: What to ask through.
        kind: ``"tools"`` or ``"prompts"``.
        timeout: How long each page may take, in seconds.
        setting: The parameter that sets it, for the message.

    Returns:
        The SDK's ``Tool`` or ``Prompt`` objects that can be used; a warning names the others.

    Raises:
        MCPError: A page failed, there is no end to them, or they hold more than they may.
    """
    entries: list[Any] = []
    cursor: str | None = None
    seen: set[str] = set()
    size = 0
    while True:
        page = await link.request(
            _page_of(kind, cursor),
            method=f"{kind}/list",
            phase="list",
            what=f"Listing {kind}",
            timeout=timeout,
            setting=setting,
        )
        entries.extend(page.entries)
        if len(entries) > MAX_ENTRIES:
            raise _refused(link, kind, f"the server lists more than {MAX_ENTRIES} {kind}")
        cursor = page.next_cursor
        if not cursor:
            return _usable(entries, kind, link)
        if cursor in seen or len(seen) >= MAX_PAGES:
            why = "a cursor came twice" if cursor in seen else f"more than {MAX_PAGES} pages"
            raise _refused(link, kind, f"the listing does not end ({why})")
        seen.add(cursor)
        size += _sdk.size_of(page)  # only where there are several: a single one is bounded as every message is
        if size > MAX_LISTING_SIZE:
            raise _refused(link, kind, f"the listing has more than {MAX_LISTING_SIZE // 1024**2} MiB")
        await anyio.lowlevel.checkpoint()  # a session that plays a part may answer without waiting


def _page_of(kind: str, cursor: str | None) -> Callable[[Any], Any]:
    return lambda session: _sdk.list_page(session, kind, cursor)


def _refused(link: Link, kind: str, why: str) -> MCPProtocolError:
    sentence = f"Listing {kind} failed on MCP server {link.server}: {why}."
    return MCPProtocolError(sentence, server=str(link.server), phase="list")


def _usable(entries: list[Any], kind: str, link: Link) -> list[Any]:
    """Those that can be used; one record of the log tells of the others, however many they are."""
    why_not = [_why_not(entry, kind) for entry in entries]
    bad = [(entry.name, why) for entry, why in zip(entries, why_not, strict=True) if why is not None]
    if bad:
        logger.warning(
            "MCP server %s lists %s that cannot be used: %s. The first one: %s.",
            link.server,
            kind,
            printable_names(name for name, _ in bad),
            printable(bad[0][1]),
        )
    return [entry for entry, why in zip(entries, why_not, strict=True) if why is None]


def _why_not(entry: Any, kind: str) -> str | None:
    """Why an entry cannot be used, or None."""
    if isinstance(entry, _sdk.BadEntry):
        return entry.why
    if len(entry.name) > NAME_LIMIT:
        return f"its name has more than {NAME_LIMIT} characters"
    return why_unusable(fields.input_schema(entry) or {}) if kind == "tools" else None
