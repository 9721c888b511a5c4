# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Cutting a body into server-sent events, wherever the chunks end."""

from __future__ import annotations

import pytest

from agent_framework._mcp_client import _causes
from agent_framework._mcp_client.transports import events
from agent_framework._mcp_client.transports.events import Event, EventParser

BODY = (
    "\ufeffid: 1\r\nretry: 250\r\ndata: {}\r\n\r\n: comment\n\ndata: a\rdata:b\r\r"
    "event: note\ndata\ndata: x\n\nid: 2\n\ndata: ünfinished"
).encode()
EVENTS = [Event(b"{}"), Event(b"a\nb"), Event(b"\nx", b"note")]


@pytest.mark.parametrize("size", range(1, len(BODY) + 1))
def test_events_are_the_same_however_the_body_is_cut(size: int) -> None:
    parser = EventParser()
    chunks = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == EVENTS
    assert (parser.last_id, parser.retry) == ("2", 250)


@pytest.mark.parametrize(
    "line", [b"id: a\x00b", b"id: \xff", b"id: " + b"1" * 2000, b"retry: -5", b"retry: 99999999999"]
)
def test_an_id_or_a_pause_that_cannot_be_used_is_ignored(line: bytes) -> None:
    parser = EventParser()
    parser.feed(line + b"\n\n")
    assert (parser.last_id, parser.retry) == (None, None)


def test_an_id_counts_from_the_end_of_its_event_and_outlives_the_stream() -> None:
    parser = EventParser()
    parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert parser.last_id == "1"
    parser.restart()
    assert parser.feed(b"data: c\n\n") == [Event(b"c")]
    assert parser.last_id == "1"


@pytest.mark.parametrize("piece", [b": ping\n\n", b"id: 1\n\n", b"data: x", b"x"])
def test_what_never_becomes_a_message_has_a_bound(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MESSAGE_LIMIT", 10_000)
    parser = EventParser()
    fed: list[list[Event]] = []
    with pytest.raises(_causes.NotMCP, match="more than"):
        fed.extend(parser.feed(piece) for _ in range(20_000))
    assert not any(fed)
