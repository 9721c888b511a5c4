# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Imports run one way. What runs at import time may only look down; inside a function a module may ask for its host."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "agent_framework"
HOST = ["exceptions", "_types", "_tools", "_clients", "_agents"]
CONNECTION = ["_state", "_errors", "_streams", "_calls", "_link", "_connection"]
HOST_OF_MCP = {"_tools", "_types", "_clients", "_middleware", "exceptions"}
OF_THE_HOST = {"_types", "exceptions"}

NAMES_OF_THE_HOST = {
    "_clients": {"SupportsChatGetResponse"},  # for type checkers
    "_middleware": {"FunctionInvocationContext"},
    "_tools": {"FunctionTool"},
    "_types": {"ChatOptions", "Content", "Message"},
    "exceptions": {"ContentError", "ToolException", "ToolExecutionException"},
    "observability": {"OBSERVABILITY_SETTINGS", "get_meter", "get_tracer"},
}
"""All that the MCP layer knows of its host. Each name is upstream's too, with the same meaning, so that the layer can
be dropped into upstream's package; `scripts/upstream verify` tries that."""

FOREIGN = {"anyio", "exceptiongroup", "h11", "httpcore", "httpx", "jsonschema_rs", "mcp", "opentelemetry", "pydantic"}
FOREIGN |= {"pydantic_core", "typing_extensions", "websockets"}
"""The other packages that it knows. Upstream's package or the MCP SDK brings each of them but jsonschema-rs, without
which structured results are not checked."""


def imported(path: Path) -> set[str]:
    """The modules of this package that a module imports when it is imported, as paths below the package."""
    found: set[str] = set()
    if not path.exists():
        path = path.with_suffix("") / "__init__.py"
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
    for path in (PACKAGE / "_mcp_client").rglob("*.py"):
        assert below(imported(path)) - {"_mcp_client"} <= OF_THE_HOST, path.name


def names_of_the_host(path: Path) -> set[tuple[str, str]]:
    """The names of the host, with their modules, that a file of the MCP layer uses anywhere, also inside functions."""
    tree, here = ast.parse(path.read_text()), path.relative_to(PACKAGE).parts[:-1]
    found: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*here[: len(here) - node.level + 1], *(node.module or "").split(".")]
        module, *inside = [part for part in base if part] or [""]
        for alias in node.names:
            if module:
                found.add((".".join([module, *inside]), alias.name))
            else:  # from .. import observability
                found |= {(alias.name, used) for used in attributes_of(tree, alias.asname or alias.name)}
    return {(module, name) for module, name in found if module.split(".")[0] not in ("_mcp", "_mcp_client")}


def attributes_of(tree: ast.AST, name: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def layer() -> list[Path]:
    return [PACKAGE / "_mcp.py", *(PACKAGE / "_mcp_client").rglob("*.py")]


def test_the_mcp_layer_uses_these_names_of_the_host_and_no_other() -> None:
    used = set().union(*(names_of_the_host(path) for path in layer()))
    assert used == {(module, name) for module, names in NAMES_OF_THE_HOST.items() for name in names}


def test_the_mcp_layer_uses_these_other_packages_and_no_other() -> None:
    used: set[str] = set()
    for path in layer():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                used.add((node.module or "").split(".")[0])
    assert used - set(sys.stdlib_module_names) <= FOREIGN


@pytest.mark.parametrize(
    "name", ["LOG_LEVEL_MAPPING", "MCPStdioTool", "MCPStreamableHTTPTool", "MCPTool", "MCPWebsocketTool"]
)
def test_the_mcp_layer_has_what_the_other_modules_of_both_hosts_import(name: str) -> None:
    assert hasattr(importlib.import_module("agent_framework._mcp"), name)


def test_the_exceptions_have_one_address_in_both_hosts() -> None:
    face, exceptions = (importlib.import_module(f"agent_framework.{name}") for name in ("_mcp", "exceptions"))
    shown = [name for name in exceptions.__all__ if name.startswith("MCP")]
    assert shown
    for name in shown:
        assert getattr(face, name) is getattr(exceptions, name)
        assert name in face.__all__


def test_nothing_but_the_public_names_meets_the_mcp_layer_on_import() -> None:
    for path in PACKAGE.glob("*.py"):
        if path.stem not in ("__init__", "_mcp"):
            assert not {"_mcp", "_mcp_client"} & below(imported(path)), path.name
