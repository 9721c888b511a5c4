# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from agent_framework import _telemetry
from agent_framework._telemetry import (
    AGENT_FRAMEWORK_USER_AGENT,
    APP_INFO,
    USER_AGENT_KEY,
    prepend_agent_framework_to_user_agent,
)


def installed_version() -> str:
    try:
        return version("agent-framework-core")
    except PackageNotFoundError:
        return "0.0.0"


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert f"agent-framework-python/{installed_version()}" == AGENT_FRAMEWORK_USER_AGENT
    assert {"agent-framework-version": f"python/{installed_version()}"} == APP_INFO
    assert _telemetry.version_info == installed_version()


def test_the_version_is_looked_up_by_the_name_of_the_distribution(tmp_path: Path) -> None:
    metadata = tmp_path / "agent_framework_core-7.8.9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: agent-framework-core\nVersion: 7.8.9\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from agent_framework._telemetry import AGENT_FRAMEWORK_USER_AGENT as agent; print(agent)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert done.stdout.strip() == "agent-framework-python/7.8.9"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (None, {USER_AGENT_KEY: AGENT_FRAMEWORK_USER_AGENT}),
        ({"X": "1"}, {"X": "1", USER_AGENT_KEY: AGENT_FRAMEWORK_USER_AGENT}),
        ({"User-Agent": "mine/1"}, {USER_AGENT_KEY: f"{AGENT_FRAMEWORK_USER_AGENT} mine/1"}),
        ({"user-agent": "mine/1"}, {"user-agent": f"{AGENT_FRAMEWORK_USER_AGENT} mine/1"}),
    ],
)
def test_the_framework_comes_first_in_the_user_agent(headers: Any, expected: dict[str, str]) -> None:
    before = dict(headers or {})

    assert prepend_agent_framework_to_user_agent(headers) == expected
    assert dict(headers or {}) == before


def test_a_variable_disables_the_user_agent() -> None:
    code = (
        "import json; from agent_framework._telemetry import APP_INFO;"
        "from agent_framework._telemetry import prepend_agent_framework_to_user_agent as prepend;"
        "print(json.dumps([APP_INFO, prepend({'User-Agent': 'mine/1'})]))"
    )
    environment = {**os.environ, "AGENT_FRAMEWORK_USER_AGENT_DISABLED": "True"}

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=30
    )

    assert json.loads(done.stdout) == [None, {"User-Agent": "mine/1"}]


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NONSENSE"):
        _telemetry.NONSENSE  # noqa: B018
