# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The table of connection states, cell by cell."""

from __future__ import annotations

import pytest

from agent_framework._mcp_client._state import TRANSITIONS, Event, IllegalTransition, Lifecycle, State

N, CO, R, CL, X = State.NEW, State.CONNECTING, State.READY, State.CLOSING, State.CLOSED

CELLS = {
    (N, Event.OPEN): CO,
    (N, Event.CLOSE): X,
    (CO, Event.READY): R,
    (CO, Event.FAILED): CL,
    (CO, Event.LOST): CL,
    (CO, Event.CLOSE): CL,
    (R, Event.LOST): CL,
    (R, Event.CLOSE): CL,
    (CL, Event.FAILED): CL,
    (CL, Event.LOST): CL,
    (CL, Event.CLOSE): CL,
    (CL, Event.ENDED): X,
    (X, Event.CLOSE): X,
}
WAYS: dict[State, list[Event]] = {
    N: [],
    CO: [Event.OPEN],
    R: [Event.OPEN, Event.READY],
    CL: [Event.OPEN, Event.READY, Event.LOST],
    X: [Event.OPEN, Event.READY, Event.LOST, Event.ENDED],
}


def in_state(state: State) -> Lifecycle:
    lifecycle = Lifecycle()
    for event in WAYS[state]:
        lifecycle.apply(event)
    return lifecycle


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_each_cell_of_the_table(state: State, event: Event) -> None:
    lifecycle = in_state(state)
    if (state, event) in CELLS:
        assert lifecycle.apply(event) is CELLS[state, event]
        return
    with pytest.raises(IllegalTransition) as caught:
        lifecycle.apply(event)
    assert lifecycle.state is state
    assert state.value in str(caught.value)
    assert event.value in str(caught.value)


def test_the_first_cause_is_kept() -> None:
    first, second = OSError("first"), OSError("second")
    lifecycle = in_state(R)
    lifecycle.apply(Event.LOST, first)
    lifecycle.apply(Event.FAILED, second)
    lifecycle.apply(Event.CLOSE)
    lifecycle.apply(Event.ENDED, second)
    assert lifecycle.cause is first


def test_a_close_has_no_cause_and_what_follows_does_not_become_one() -> None:
    lifecycle = in_state(R)
    lifecycle.apply(Event.CLOSE)
    lifecycle.apply(Event.LOST, OSError("a consequence"))
    assert lifecycle.cause is None


def test_changes_are_reported_once_each() -> None:
    seen: list[tuple[State, State]] = []
    lifecycle = Lifecycle(on_change=lambda before, after: seen.append((before, after)))
    for event in (Event.OPEN, Event.READY, Event.LOST, Event.LOST, Event.ENDED, Event.CLOSE):
        lifecycle.apply(event)
    assert seen == [(N, CO), (CO, R), (R, CL), (CL, X)]


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)
