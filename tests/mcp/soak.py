# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The soak: rounds of random use and abuse of MCP tools against real servers, each checked for what was promised.

    python soak.py [--minutes M] [--rounds N] [--seed N] [--transport stdio|json|events|websocket|all]
    python soak.py --transport stdio --seed 1 --round 57 [--repeat N]        one round again

What a round does follows from transport, seed and number (soak_plan.py); in which order the kernel lets it happen does
not. The soak ends at the first round that fails, with exit code 1 and the way to repeat that round. `scripts/soak` runs
this in an environment that it makes.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from soak_checks import Census, Ledger, StandardError
from soak_peers import Peer
from soak_plan import TRANSPORTS, Plan, make_plan
from soak_round import Tally, run_round

ROUND_BOUND = 120.0
"""Seconds that a round may take. Past that, the event loop itself is stuck, and a thread ends the soak."""


class Soak:
    """Round after round, on servers of some transports in turn.

    Args:
        folder: Where the servers keep their ledgers.
        transports: Names out of `TRANSPORTS`.
        seed: See `make_plan`.
        on_stuck: Called in another thread when a round does not come to its end. It must not return.
    """

    def __init__(self, folder: Path, transports: list[str], seed: int, on_stuck: Callable[[], NoReturn]) -> None:
        self.seed = seed
        self.transports = transports
        self.tally = Tally()
        self._folder = folder
        self._on_stuck = on_stuck
        self._lifeline, self._end = os.pipe()  # the servers end when this process does
        self._peers = {name: self._make_peer(name) for name in transports}
        self._ledgers = {name: Ledger(folder / name / "ledger") for name in transports}

    def _make_peer(self, transport: str) -> Peer:
        folder = self._folder / transport
        folder.mkdir()
        (folder / "ledger").touch()
        return Peer(transport, folder, self._lifeline)

    def run(self, numbers: Iterable[int], seconds: float) -> None:
        """Run rounds until the numbers or the seconds are used up, or one of them fails."""
        deadline = time.monotonic() + seconds
        try:
            with StandardError() as stderr:
                for number in numbers:
                    transport = self.transports[number % len(self.transports)]
                    self._run_round(make_plan(transport, self.seed, number), stderr)
                    if self.tally.failed or time.monotonic() > deadline:
                        return
        finally:
            for peer in self._peers.values():
                peer.stop()
            os.close(self._end)
            os.close(self._lifeline)

    @property
    def _own_processes(self) -> set[int]:
        return {pid for peer in self._peers.values() for pid in peer.own}

    def _run_round(self, plan: Plan, stderr: StandardError) -> None:
        watchdog = threading.Timer(ROUND_BOUND, self._report_stuck, [threading.get_ident()])
        watchdog.start()
        try:
            self._play(plan, stderr)
        finally:
            watchdog.cancel()
            watchdog.join()

    def _report_stuck(self, thread: int) -> None:
        frame = sys._current_frames()[thread]
        self.tally.fail("hangs", "the event loop is stuck:\n" + "".join(traceback.format_stack(frame)))
        for peer in self._peers.values():
            peer.stop()
        self._on_stuck()

    def _play(self, plan: Plan, stderr: StandardError) -> None:
        ledger = self._ledgers[plan.transport]
        census = Census(self._own_processes)
        run_round(plan, self._peers[plan.transport], ledger, self.tally)
        self.tally.fail("leaks", *census.what_is_new(self._own_processes))
        ledger.read()
        self.tally.fail("doubles", *ledger.doubles())
        self.tally.fail("other failures", *ledger.untruths())
        self.tally.fail("noise", *filter(None, [stderr.take()]))


def is_to_be_expected(record: logging.LogRecord) -> bool:
    """Whether a log record only says what was done to the server: a change of its lists that could not be followed."""
    return str(record.msg).startswith("Background MCP reload failed")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long; the last round is finished (default: 1)")
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="at most so many rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--transport", choices=(*TRANSPORTS, "all"), default="all")
    parser.add_argument("--round", type=int, help="only this round")
    parser.add_argument("--repeat", type=int, default=1, help="all of that so often, or until it fails (default: 1)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("always")
    logging.getLogger("agent_framework._mcp").addFilter(lambda record: not is_to_be_expected(record))
    return next((code for code in (soak_once(options) for _ in range(options.repeat)) if code), 0)


def soak_once(options: argparse.Namespace) -> int:
    """Soak as the command line says, on servers and with a ledger of its own; the exit code."""
    first = options.round or 0
    numbers = range(first, first + 1) if options.round is not None else range(options.rounds)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        transports = list(TRANSPORTS) if options.transport == "all" else [options.transport]

        def finish() -> int:
            return report(soak.tally, options, first + soak.tally.rounds - 1)

        def give_up() -> NoReturn:
            finish()
            sys.stdout.flush()
            os._exit(1)

        soak = Soak(Path(folder), transports, options.seed, give_up)
        soak.run(numbers, options.minutes * 60)
        return finish()


def report(tally: Tally, options: argparse.Namespace, last: int) -> int:
    """Print what happened, and return the exit code."""
    print(f"[soak] how steps ended: {dict(tally.outcomes.most_common())}; the slowest took {tally.slowest:.1f} s")
    for word, details in tally.failures.items():
        for detail in details:
            print(f"[soak] {word}: {detail}")
    if tally.failed:
        again = f"scripts/soak --transport {options.transport} --seed {options.seed} --round {last}"
        print(f"[soak] round {last} of seed {options.seed} failed; to repeat it: {again}")
    print(f"[soak] seed {options.seed}, transport {options.transport}: {tally}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
