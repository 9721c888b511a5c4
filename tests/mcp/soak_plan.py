# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a round of the soak does, as data: a function of transport, seed and number, and of nothing else.

Several workers use a few tool objects at the same time, each doing one step after the other; faults happen beside them.
Where a step is given up, it is after a number of turns of the event loop, to hit every await of a connect, a call or a
close, or after some milliseconds, to hit what takes time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

TRANSPORTS = ("stdio", "json", "events", "websocket")

ACTIONS = {"call": 16, "connect": 4, "list": 2, "close": 1, "reset": 1, "within": 1, "prompt": 1, "prompts": 1}
FIRST_ACTIONS = {**ACTIONS, "connect": 60}
CALLS = {"work": 12, "fail": 1, "hang": 2, "die": 1, "cut": 1, "change": 2, "babble": 1}
HTTP_CALLS = {**CALLS, "refuse": 1, "page": 1, "forget": 1}
FAULTS = {"kill": 3, "freeze": 2, "slow": 2, "rude": 1, "doomed": 1}
WAYS_TO_GIVE_UP: dict[str | None, int] = {None: 12, "cancel": 4, "wait_for": 1, "move_on": 1}


@dataclass(frozen=True)
class Step:
    """One thing that a worker does.

    Attributes:
        pause: Seconds before it.
        tool: Which tool object.
        action: A key of `ACTIONS`.
        call: For calls: a key of `HTTP_CALLS`.
        identity: For calls: what the server writes into its ledger; no other call ever has it.
        seconds: For calls: how long the server works.
        give_up: How the caller gives up, or None.
        after: When: an int counts turns of the loop, a float seconds.
    """

    pause: float
    tool: int
    action: str
    call: str
    identity: str
    seconds: float
    give_up: str | None
    after: float


@dataclass(frozen=True)
class Fault:
    """Something that happens to the servers: `pause` seconds after the one before, for `lasts` seconds."""

    pause: float
    kind: str
    lasts: float


@dataclass(frozen=True)
class Settings:
    """How a tool object is made; times in seconds."""

    connect_timeout: float
    request_timeout: int | None
    own_client: bool
    load_prompts: bool


@dataclass(frozen=True)
class Plan:
    """A round. `abandon` means that the event loop ends without a close."""

    transport: str
    seed: int
    number: int
    tools: list[Settings]
    workers: list[list[Step]]
    faults: list[Fault]
    abandon: bool


def make_plan(transport: str, seed: int, number: int) -> Plan:
    """The plan for one round."""
    dice = random.Random(f"{transport}/{seed}/{number}")
    tools = [_settings(dice) for _ in range(dice.choice((1, 1, 2)))]
    workers: list[list[Step]] = []
    for worker in range(dice.choice((1, 2, 3, 4, 6, 6, 12, 24))):
        prefix = f"{transport}/{seed}/{number}/{worker}"
        count = dice.randint(1, 12)
        workers.append([_step(dice, transport, len(tools), f"{prefix}/{step}", step == 0) for step in range(count)])
    faults = [_fault(dice) for _ in range(dice.choice((0, 1, 2, 3, 5)))]
    return Plan(transport, seed, number, tools, workers, faults, abandon=dice.random() < 0.1)


def _settings(dice: random.Random) -> Settings:
    return Settings(
        connect_timeout=dice.choice((0.5, 2.0, 5.0)),
        request_timeout=dice.choice((1, 2, None)),
        own_client=dice.random() < 0.2,
        load_prompts=dice.random() < 0.3,
    )


def _step(dice: random.Random, transport: str, tools: int, identity: str, is_first: bool) -> Step:
    call = _pick(dice, HTTP_CALLS if transport in ("json", "events") else CALLS)
    give_up = _pick(dice, WAYS_TO_GIVE_UP)
    if call == "hang" and give_up is None:
        give_up = "cancel"
    return Step(
        pause=dice.choice((0.0, 0.0, dice.uniform(0, 0.05), dice.uniform(0, 0.2))),
        tool=dice.randrange(tools),
        action=_pick(dice, FIRST_ACTIONS if is_first else ACTIONS),
        call=call,
        identity=identity,
        seconds=dice.choice((0.0, 0.0, dice.uniform(0, 0.1))),
        give_up=give_up,
        # Only a task that is cancelled from outside can be hit after a number of turns.
        after=dice.randint(0, 40) if give_up == "cancel" and dice.random() < 0.6 else dice.uniform(0.0, 0.3),
    )


def _fault(dice: random.Random) -> Fault:
    lasts = dice.choice((0.0, dice.uniform(0, 0.3), dice.uniform(0, 0.3), dice.uniform(0, 1.5)))
    return Fault(dice.uniform(0, 0.2), _pick(dice, FAULTS), lasts)


def _pick(dice: random.Random, weights: Mapping[T, int]) -> T:
    return dice.choices(list(weights), list(weights.values()))[0]
