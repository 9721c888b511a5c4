# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import agent_framework


def loaded_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_after("import agent_framework, agent_framework.openai, agent_framework.observability")
    assert not loaded & {"mcp", "openai", "httpx", "websockets", "anyio", "pydantic", "agent_framework_openai"}


def test_every_public_name_is_there() -> None:
    assert sorted(set(agent_framework.__all__)) == sorted(agent_framework.__all__)
    assert [name for name in agent_framework.__all__ if not hasattr(agent_framework, name)] == []


def test_the_version_is_that_of_the_distribution() -> None:
    try:
        expected = importlib.metadata.version("agent-framework-core")
    except importlib.metadata.PackageNotFoundError:
        expected = "0.0.0"  # the tests run from a folder that is not installed
    assert agent_framework.__version__ == expected
