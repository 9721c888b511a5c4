# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The verdicts of `scripts/conformance`, which itself needs npm and is not run here."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE.parent.parent / "scripts" / "conformance"
TABLE: dict[str, Any] = runpy.run_path(str(HERE / "expected_failures.py"))
Listed, Outcome, judge, judge_sdk = (TABLE[name] for name in ("Listed", "Outcome", "judge", "judge_sdk"))

PASSED = Outcome(True, 3, frozenset())
FAILED = Outcome(False, 2, frozenset({"a-check"}))
NOTHING_CHECKED = Outcome(True, 0, frozenset())
NO_RESULT = Outcome(False, 0, frozenset())
KNOWN = Listed("a reason", ("a-check",))


def test_the_table_is_about_the_releases_that_the_script_runs() -> None:
    (suites,) = (
        node.value
        for node in ast.parse(SCRIPT.read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "SUITES"
    )
    assert isinstance(suites, ast.Dict)
    assert [ast.literal_eval(key) for key in suites.keys if key] == list(TABLE["EXPECTED_FAILURES"])


def test_every_listed_scenario_has_a_reason_and_names_each_failing_check_once() -> None:
    for scenarios in TABLE["EXPECTED_FAILURES"].values():
        for scenario, listed in scenarios.items():
            assert listed.reason, scenario
            assert len(set(listed.checks)) == len(listed.checks), scenario


@pytest.mark.parametrize(
    ("outcome", "listed", "verdict", "good"),
    [
        (PASSED, None, "passed", True),
        (FAILED, None, "FAILED", False),
        (FAILED, KNOWN, "listed", True),
        (PASSED, KNOWN, "PASSED, ALTHOUGH LISTED", False),
        (FAILED, Listed("a reason", ("another-check",)), "FAILED OTHERWISE THAN LISTED", False),
        (FAILED, Listed("a reason", ("a-check", "another-check")), "FAILED OTHERWISE THAN LISTED", False),
        (NOTHING_CHECKED, None, "FAILED", False),
        (NOTHING_CHECKED, Listed("a reason"), "listed", True),
        (NO_RESULT, KNOWN, "FAILED OTHERWISE THAN LISTED", False),
        (NO_RESULT, Listed("a reason"), "FAILED OTHERWISE THAN LISTED", False),
    ],
)
def test_a_run_is_good_only_when_it_passes_or_fails_just_as_listed(
    outcome: Any, listed: Any, verdict: str, good: bool
) -> None:
    assert judge(outcome, listed) == verdict
    assert (verdict in TABLE["GOOD"]) is good


def test_a_listed_scenario_that_the_sdk_alone_passes_is_a_failure_of_ours() -> None:
    assert judge_sdk(PASSED, KNOWN) not in TABLE["GOOD"]
    assert judge_sdk(PASSED, None) in TABLE["GOOD"]
    assert judge_sdk(FAILED, KNOWN) in TABLE["GOOD"]
    assert judge_sdk(FAILED, None) in TABLE["GOOD"]
