# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A short soak of each transport, and the soak's own checks: one that cannot fail protects nothing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from fault_servers import ANYIO_LOSES_SOCKETS
from soak import Soak, is_to_be_expected, report
from soak_checks import Census, Ledger, StandardError
from soak_plan import TRANSPORTS, Plan, Settings, Step, make_plan
from soak_round import ZEROS, Round, Tally

from agent_framework._mcp import MCPConnectionError

SOAK = Path(__file__).with_name("soak.py")
ROUNDS = 6
BOUND = 45  # seconds; six rounds take about five

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the soak reads /proc"),
    pytest.mark.skipif(ANYIO_LOSES_SOCKETS, reason="anyio before 4.16 loses the socket of a cancelled connect"),
]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_nothing_hangs_leaks_or_runs_twice_when_a_server_is_used_and_abused_at_random(transport: str) -> None:
    command = [sys.executable, str(SOAK), "--transport", transport, "--seed", "7", "--rounds", str(ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    last_line = done.stdout.splitlines()[-1]
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.search(rf": {ROUNDS} rounds, [1-9]\d* calls, [1-9]\d* faults injected; ", last_line)
    assert last_line.endswith(", ".join(f"0 {word}" for word in ZEROS))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_plan_follows_from_transport_seed_and_number(transport: str) -> None:
    plan = make_plan(transport, 3, 5)
    assert plan == make_plan(transport, 3, 5)
    assert plan.workers != make_plan(transport, 4, 5).workers
    assert plan.workers != make_plan(transport, 3, 6).workers


def test_every_call_of_a_plan_has_an_id_of_its_own() -> None:
    plans = [make_plan(transport, 1, number) for transport in TRANSPORTS for number in range(50)]
    ids = [step.identity for plan in plans for steps in plan.workers for step in steps]
    assert len(set(ids)) == len(ids) > 0


class Misbehaving:
    """Stands in for a tool that breaks its promises: each method does one thing that must not be."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []

    async def connect(self) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        await asyncio.Event().wait()

    async def load_tools(self) -> None:
        raise KeyError("session")

    async def load_prompts(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def get_prompt(self, name: str) -> None:
        self.tasks.append(asyncio.create_task(asyncio.Event().wait()))

    async def call_tool(self, name: str, **arguments: Any) -> Any:
        raise MCPConnectionError("it certainly did not run", sent=False)


BROKEN_PROMISES = {
    "connect": ("leaked cancellations", "was not cancelled"),
    "close": ("hangs", "in close"),
    "list": ("other failures", "KeyError"),
    "prompts": ("other failures", "was cancelled, and went on"),
    "prompt": ("leaks", "Task pending"),
}


@pytest.mark.parametrize("action", BROKEN_PROMISES)
async def test_a_step_that_breaks_a_promise_is_counted(action: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("soak_round.COUNTS_CANCELLATIONS", True)
    monkeypatch.setattr("soak_round.STEP_BOUND", 0.1)
    monkeypatch.setattr("soak_round.TASK_BOUND", 0.1)
    before = asyncio.all_tasks()
    play = a_round(tmp_path)
    await play._try(a_step(action, give_up="cancel" if action == "prompts" else None))
    if action == "prompt":
        await play._check_tasks()
    word, detail = BROKEN_PROMISES[action]
    assert {key for key, found in play.tally.failures.items() if found} == {word}
    assert detail in play.tally.failures[word][0]
    await end(asyncio.all_tasks() - before)


async def test_a_call_that_ran_although_its_caller_was_told_that_it_did_not_is_counted(tmp_path: Path) -> None:
    play = a_round(tmp_path)
    await play._try(a_step("call"))
    assert not play.tally.failed
    (tmp_path / "ledger").write_text("ran a/b\n")
    play.ledger.read()
    assert play.ledger.untruths() == ["a/b ran, and its caller was told that it did not"]


def a_round(folder: Path) -> Round:
    plan = Plan("stdio", 1, 1, [Settings(1, 1, False, False)], [], [], False)
    play = Round(plan, None, Ledger(folder / "ledger"), Tally())  # type: ignore[arg-type]
    play.tools = [Misbehaving()]
    return play


def a_step(action: str, give_up: str | None = None) -> Step:
    return Step(0.0, 0, action, "work", "a/b", 0.0, give_up, 3)


async def end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def test_the_ledger_counts_what_ran_and_keeps_what_is_strange(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("ran a\nran b\n")
    ledger = Ledger(path)
    ledger.read()
    assert ledger.doubles() == []
    with path.open("a") as file:
        file.write("ran a\nbare work\noverlap 0\n")
    ledger.read()
    assert ledger.doubles() == ["a ran 2 times"]
    assert ledger.untruths() == ["bare work", "overlap 0"]


def test_the_census_finds_a_descriptor_a_thread_a_child_and_a_zombie(monkeypatch: Any) -> None:
    monkeypatch.setattr("soak_checks.GRACE", 0.0)
    census = Census()
    assert census.what_is_new() == []
    reader, writer = os.pipe()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, args=(BOUND,), name="forgotten")
    thread.start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=reader)
    found = census.what_is_new()
    assert {entry.split()[0] for entry in found} == {"descriptor", "thread", "process"}
    assert [entry for entry in census.what_is_new({child.pid}) if entry.startswith("process")] == []
    os.close(writer)
    os.close(reader)
    stop.set()
    thread.join(BOUND)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert [entry.split()[2] for entry in census.what_is_new()] == ["Z"]
    child.wait(BOUND)
    assert census.what_is_new() == []


def test_a_round_that_blocks_the_event_loop_is_reported_by_another_thread(tmp_path: Path, monkeypatch: Any) -> None:
    reported = threading.Event()
    monkeypatch.setattr("soak.ROUND_BOUND", 0.1)
    soak = Soak(tmp_path, ["stdio"], 1, reported.set)  # type: ignore[arg-type]
    monkeypatch.setattr(soak, "_play", lambda plan, stderr: reported.wait(BOUND))
    soak.run([0], 0)
    assert "the event loop is stuck" in soak.tally.failures["hangs"][0]


def test_what_goes_to_standard_error_is_kept_wherever_it_comes_from() -> None:
    with StandardError() as stderr:
        os.write(2, b"from below\n")
        assert stderr.take() == "from below\n"
        assert stderr.take() == ""


def test_only_the_reload_that_a_fault_stopped_may_be_logged() -> None:
    def record(text: str) -> logging.LogRecord:
        return logging.LogRecord("agent_framework._mcp", logging.WARNING, "", 1, text, (), None)

    assert is_to_be_expected(record("Background MCP reload failed: the %s of %s stay as they were."))
    assert not is_to_be_expected(record("The connection to MCP server %s did not close within %g s."))


def test_a_failure_makes_the_exit_code_and_says_how_to_repeat_the_round(capsys: Any) -> None:
    options = argparse.Namespace(transport="stdio", seed=2)
    tally = Tally(rounds=58, calls=100, faults=9)
    assert report(tally, options, 57) == 0
    tally.fail("doubles", "a ran 2 times")
    assert report(tally, options, 57) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].endswith("scripts/soak --transport stdio --seed 2 --round 57")
    assert "58 rounds, 100 calls, 9 faults injected; 1 doubles, 0 leaks" in lines[-1]
