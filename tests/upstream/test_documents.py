# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the documents and the tests say of upstream is so."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import _upstream as upstream
import pytest
from _environments import ROOT

from agent_framework import _mcp

PULL_REQUEST = ROOT / "docs" / "pull-request.md"

SHARED = {
    "agent_framework": {
        "Agent",
        "BaseChatClient",
        "ChatResponse",
        "ChatResponseUpdate",
        "Content",
        "FunctionInvocationContext",
        "FunctionTool",
        "MCPStdioTool",
        "MCPStreamableHTTPTool",
        "MCPWebsocketTool",
        "Message",
        "ResponseStream",
        "_mcp",
        "observability",
    },
    "agent_framework._tools": {"FunctionInvocationLayer"},
    "agent_framework.exceptions": {"ContentError", "ToolException", "ToolExecutionException"},
    "agent_framework.observability": {"OBSERVABILITY_SETTINGS"},
}
"""The names of the host that tests/mcp may use, since upstream 1.0.1 has them too; and those of the layer itself."""

OF_1_0_1 = """
    additional_properties allowed_tools approval_mode args client command description encoding env header_provider
    http_client kwargs load_prompts load_tools name parse_prompt_results parse_tool_results request_timeout session
    terminate_on_close tool_name_prefix url
    MCPSpecificApproval MCPStdioTool MCPStreamableHTTPTool MCPTool MCPWebsocketTool
"""  # the parameters and names of the MCP tools of 1.0.1

OF_THE_LAYER = ("agent_framework._mcp", "agent_framework._mcp_client")


def named_tests() -> list[str]:
    return sorted(set(re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", PULL_REQUEST.read_text())))


def test_the_pull_request_names_a_test_for_each_change_of_behaviour() -> None:
    text = PULL_REQUEST.read_text()
    rows = text[text.index("| behaviour | 1.0.1 | now | test |") :].partition("\n\n")[0].splitlines()[2:]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


@pytest.mark.parametrize("name", named_tests())
def test_a_test_that_the_pull_request_names_exists_and_is_in_it(name: str) -> None:
    path, _, function = name.partition("::")
    assert Path(path).name not in upstream.LEFT_OUT
    tree = ast.parse((ROOT / path).read_text())
    assert function in {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("document", ["README.md", "docs/pull-request.md"])
def test_the_releases_that_are_named_are_those_it_was_proven_on(document: str) -> None:
    (named,) = re.findall(r"taken from the package index \((.+?)\)", (ROOT / document).read_text().replace("\n", " "))
    assert tuple(re.findall(r"\d+\.\d+\.\d+", named)) == upstream.PROVEN


@pytest.mark.parametrize("kind", ["MCPTool", "MCPStdioTool", "MCPStreamableHTTPTool", "MCPWebsocketTool"])
def test_the_pull_request_names_every_parameter_that_is_new(kind: str) -> None:
    text = PULL_REQUEST.read_text()
    parameters = set(inspect.signature(getattr(_mcp, kind)).parameters) - set(OF_1_0_1.split())
    assert [name for name in parameters if f"`{name}`" not in text] == []


def test_the_pull_request_names_every_name_that_is_new() -> None:
    text = PULL_REQUEST.read_text()
    assert [name for name in _mcp.__all__ if f"`{name}`" not in text and name not in OF_1_0_1.split()] == []


def imported_by(path: Path) -> set[tuple[str, str]]:
    """The names of the package that a test file takes, programs in strings included."""
    found = set()
    for module, block, line in re.findall(
        r"^ *from (agent_framework[\w.]*) import (?:\(([^)]*)\)|(.*))", path.read_text(), re.MULTILINE
    ):
        for name in (block or line.partition("#")[0]).split(","):
            if name.strip():
                found.add((module, name.split()[0]))
    return found


@pytest.mark.parametrize("path", sorted(upstream.TESTS.glob("*.py")), ids=lambda path: path.name)
def test_a_test_of_the_mcp_layer_uses_only_what_both_hosts_have(path: Path) -> None:
    # What leans on this host goes to tests/host. The exceptions are in `agent_framework._mcp` in both.
    foreign = {
        (module, name)
        for module, name in imported_by(path)
        if not module.startswith(OF_THE_LAYER) and name not in SHARED.get(module, set())
    }
    assert foreign == set()
