# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Cutting a body into server-sent events, wherever the chunks end."""

from __future__ import annotations

import pytest

from agent_framework._mcp_client._http import EventSplitter

BODY = "id: 1\r\ndata: {}\r\n\r\n: comment\n\ndata: a\rdata: b\r\rdata: ünfinished".encode()
EVENTS = [b"id: 1\ndata: {}\n\n", b": comment\n\n", b"data: a\ndata: b\n\n"]


@pytest.mark.parametrize("size", range(1, len(BODY) + 1))
def test_events_are_the_same_however_the_body_is_cut(size: int) -> None:
    splitter = EventSplitter()
    chunks = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    assert [event for chunk in chunks for event in splitter.feed(chunk)] == EVENTS
