# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The life of one connection, as a table.

Two rules keep this file honest: everything that decides in which state a connection is stands here, and nothing here
knows what a transport, a task or a session is.

A connection moves one way and never comes back; a reconnect is a new connection with the next generation number::

    NEW --open--> CONNECTING --ready--> READY --lost, close--> CLOSING --ended--> CLOSED

Before READY a failure belongs to whoever opens the connection (``failed``); afterwards to the connection (``lost``).
The first cause that leads into CLOSING or CLOSED is the one that waiters and later callers are told: what goes wrong
while things are being taken down is a consequence, not a reason.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class State(enum.Enum):
    """Where a connection is in its life."""

    NEW = "new"  # made, nothing started
    CONNECTING = "connecting"  # the owner opens transport and session
    READY = "ready"  # the handshake is done, requests may be sent
    CLOSING = "closing"  # no new requests; the owner takes everything down
    CLOSED = "closed"  # nothing is left


class Event(enum.Enum):
    """What can happen to a connection."""

    OPEN = "open"  # somebody wants it
    READY = "ready"  # the handshake succeeded
    FAILED = "failed"  # opening it failed
    LOST = "lost"  # the transport or the server went away
    CLOSE = "close"  # somebody wants it gone
    ENDED = "ended"  # the owner has left everything


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.NEW: {
        Event.OPEN: State.CONNECTING,
        Event.CLOSE: State.CLOSED,
    },
    State.CONNECTING: {
        Event.READY: State.READY,
        Event.FAILED: State.CLOSING,
        Event.LOST: State.CLOSING,
        Event.CLOSE: State.CLOSING,
    },
    State.READY: {
        Event.LOST: State.CLOSING,
        Event.CLOSE: State.CLOSING,
    },
    State.CLOSING: {
        Event.FAILED: State.CLOSING,
        Event.LOST: State.CLOSING,
        Event.CLOSE: State.CLOSING,
        Event.ENDED: State.CLOSED,
    },
    State.CLOSED: {
        Event.CLOSE: State.CLOSED,
    },
}


@dataclass(frozen=True)
class MCPStateChange:
    """A connection went from one state to another.

    Attributes:
        server: The server as messages name it.
        generation: Which connection of its tool, counted from 1; a reconnect is the next one.
        before: The old state: "new", "connecting", "ready", "closing" or "closed".
        after: The new state.
        error: Why, where something failed: an ``MCPError`` that names server and root cause. None otherwise.
    """

    server: str
    generation: int
    before: str
    after: str
    error: Exception | None = None


class IllegalTransition(RuntimeError):
    """An event that the table has no cell for; the state is unchanged."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"A connection that is {state.value} cannot take the event {event.value!r}.")
        self.state = state
        self.event = event


class Lifecycle:
    """The state of one connection and the first cause of its end.

    Args:
        on_change: Called with the old and the new state after every change of state. It must not raise and must not
            wait.
    """

    def __init__(self, on_change: Callable[[State, State], None] | None = None) -> None:
        self._state = State.NEW
        self._cause: BaseException | None = None
        self._on_change = on_change

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def cause(self) -> BaseException | None:
        """What led into CLOSING or CLOSED first, or None while alive and after a plain close."""
        return self._cause

    def apply(self, event: Event, cause: BaseException | None = None) -> State:
        """Take an event.

        Args:
            event: What happened.
            cause: Why, for the events that end a connection.

        Returns:
            The state afterwards.

        Raises:
            IllegalTransition: The table has no cell for this event in this state; nothing has changed.
        """
        before = self._state
        after = TRANSITIONS[before].get(event)
        if after is None:
            raise IllegalTransition(before, event)
        if after is before:
            return after
        if before not in (State.CLOSING, State.CLOSED) and after in (State.CLOSING, State.CLOSED):
            self._cause = cause
        self._state = after
        if self._on_change is not None:
            self._on_change(before, after)
        return after

    def __repr__(self) -> str:
        cause = f" because of {self._cause!r}" if self._cause is not None else ""
        return f"<{type(self).__name__} {self._state.value}{cause}>"
