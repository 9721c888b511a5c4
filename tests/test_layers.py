# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Imports run one way. What runs at import time may only look down; inside a function a module may ask for its host."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "agent_framework"
HOST = ["exceptions", "_types", "_tools", "_clients", "_agents"]
CONNECTION = ["_state", "_errors", "_streams", "_calls", "_link", "_connection"]
HOST_OF_MCP = {"_tools", "_types", "_clients", "_middleware", "exceptions"}
OF_THE_HOST = {"_types", "exceptions"}


def imported(path: Path) -> set[str]:
    """The modules of this package that a module imports when it is imported, as paths below the package."""
    found: set[str] = set()
    here = path.relative_to(PACKAGE).parts[:-1]
    for node in top_level(ast.parse(path.read_text()).body):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*here[: len(here) - node.level + 1], *((node.module or "").split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names] if not node.module else [".".join(base)]
            found.update(names)
    return found


def top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements that run on import: not those inside functions, nor those for type checkers only."""
    statements: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        statements.append(node)
        for block in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                statements.extend(top_level(getattr(node, block, [])))
    return statements


def below(modules: set[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("layer", HOST)
def test_no_layer_of_the_host_imports_one_above_it(layer: str) -> None:
    above = set(HOST[HOST.index(layer) + 1 :])
    reached, todo = set(), {layer}
    while todo:
        module = todo.pop()
        reached.add(module)
        path = PACKAGE / f"{module}.py"
        todo |= {name for name in below(imported(path)) if (PACKAGE / f"{name}.py").exists()} - reached
    assert not above & reached


@pytest.mark.parametrize("layer", CONNECTION)
def test_no_layer_of_the_connection_imports_one_above_it(layer: str) -> None:
    above = {f"_mcp_client.{name}" for name in CONNECTION[CONNECTION.index(layer) + 1 :]}
    reached, todo = set(), {f"_mcp_client.{layer}"}
    while todo:
        module = todo.pop()
        reached.add(module)
        path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
        todo |= {name for name in imported(path) if name.startswith("_mcp_client.")} - reached
    assert not above & reached


def test_the_state_table_imports_nothing_but_the_standard_library() -> None:
    assert imported(PACKAGE / "_mcp_client" / "_state.py") == set()


def test_the_mcp_layer_needs_little_of_the_host() -> None:
    assert below(imported(PACKAGE / "_mcp.py")) - {"_mcp_client"} <= HOST_OF_MCP
    for path in (PACKAGE / "_mcp_client").glob("*.py"):
        assert below(imported(path)) - {"_mcp_client"} <= OF_THE_HOST, path.name


def test_nothing_but_the_public_names_meets_the_mcp_layer_on_import() -> None:
    for path in PACKAGE.glob("*.py"):
        if path.stem not in ("__init__", "_mcp"):
            assert not {"_mcp", "_mcp_client"} & below(imported(path)), path.name
