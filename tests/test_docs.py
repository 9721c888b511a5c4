# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The documents say what the code does: generated parts are fresh, names exist, examples are what is really raised."""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fault_servers import HTTP_FAULTS, HttpServer, McpScript, RpcError, never, unused_port

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, exceptions
from agent_framework._mcp import MCPTool
from agent_framework._mcp_client import _causes, _errors
from agent_framework.exceptions import MCPError

ROOT = Path(__file__).parents[1]
ERRORS = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = re.compile(r"^[A-Z]\w+: .+$", re.MULTILINE)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
IS_TIME = re.compile(r"TIMEOUT|GRACE|WAIT|PAUSE|PATIENCE|INTERVAL|DELAY|SECONDS")
IS_LIMIT = re.compile(r"^MAX_|^[A-Z].*(_LIMIT|_SIZE|_LENGTH|_LINES)$")
NO_TIME = {"REQUEST_TIMEOUT", "MAX_ANSWERS_WAITING", "MAX_LOOKS_WAITING", "MAX_REPORTS_WAITING"}  # a code, and numbers
# Code in the text that is no name of ours.
WORDS = {"Any", "asyncio.timeout", "begin", "docs", "end", "file", "httpx", "isError", "mcp", "websockets"}
WORDS |= {"McpError", "mcp.McpError"}  # SDK 2.x has another name for it
WORDS |= {"_meta", "_timeout"}  # keywords that call_tool takes out of **kwargs
PATIENCE = 0.2  # seconds that a tool gives a server that never answers


def load_docs() -> ModuleType:
    """The module behind scripts/docs."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module("_docs")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


docs = load_docs()


# What is generated ...


@pytest.mark.parametrize("name", docs.PARTS)
def test_the_generated_parts_of_a_document_are_what_the_code_says_now(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert docs.filled(text, docs.PARTS[name]) == text, f"{name} is stale; run scripts/docs"


def test_a_document_without_a_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="markers for"):
        docs.filled("no marker", {"states": docs.states})


def test_every_deadline_has_its_unit_and_reason_in_the_table() -> None:
    listed = docs.deadlines()
    names = [name for module in docs.LAYER for name, *_ in docs.constants(module) if IS_TIME.search(name)]
    assert [name for name in names if name not in NO_TIME and f"`{name}`" not in listed] == []


def test_every_limit_has_its_unit_and_reason_in_the_table() -> None:
    listed = docs.limits()
    names = [name for module in docs.LAYER for name, *_ in docs.constants(module) if IS_LIMIT.search(name)]
    assert [name for name in names if f"`{name}`" not in listed] == []


@pytest.mark.parametrize("name", docs.PARTS)
def test_constants_and_files_that_a_document_names_are_there(name: str) -> None:
    text = re.sub(FENCED, "", (ROOT / name).read_text(encoding="utf-8"))
    constants = {constant for module in docs.LAYER for constant, *_ in docs.constants(module)}
    members = {member.name for member in (*docs._state.State, *docs._state.Event)}
    assert set(re.findall(r"`([A-Z_]{4,})`", text)) - constants - members == set()
    folders = (ROOT, ROOT / "agent_framework")
    files = re.findall(r"`(\w+(?:/\w+)*\.py)`", text)
    assert [file for file in files if not any((folder / file).exists() for folder in folders)] == []


# Exceptions ...


@pytest.mark.parametrize("kind", docs.PUBLIC, ids=lambda kind: kind.__name__)
def test_every_field_of_an_exception_is_documented_with_its_type(kind: type[MCPError]) -> None:
    documented = {name for base in kind.__mro__ if issubclass(base, MCPError) for name in docs.fields(base)}
    assert set(vars(kind("a sentence"))) == documented


@pytest.mark.parametrize("kind", docs.PUBLIC, ids=lambda kind: kind.__name__)
def test_every_public_exception_has_a_section_with_an_example(kind: type[MCPError]) -> None:
    section = ERRORS.partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
    assert "What to do:" in section
    assert f"\n{kind.__name__}: " in section


def test_every_row_of_the_translation_has_a_row_in_the_document() -> None:
    samples = docs.samples()
    used = {rank for sample in samples if sample is not None and (rank := rank_of(sample)) is not None}
    rows = list(_errors._readers())
    shown = {rows[rank][0].__name__ for rank in used}  # httpx and httpx2 have the same names
    assert [kind.__name__ for kind, _ in rows if kind.__name__ not in shown] == []


def rank_of(cause: BaseException) -> int | None:
    known = _errors._read(cause)
    return None if known is None else known[0]


def test_every_cause_of_our_own_is_translated_in_the_document() -> None:
    # A refusal is of a class that is made for the HTTP library too.
    shown = {kind for sample in docs.samples() for kind in (type(sample), type(sample).__bases__[0])}
    assert [name for name, item in vars(_causes).items() if is_cause(item) and item not in shown] == []


def is_cause(item: Any) -> bool:
    return inspect.isclass(item) and item.__module__ == _causes.__name__


def test_the_document_of_errors_names_nothing_that_is_not_there() -> None:
    spans = set(re.findall(r"`([^`\n]+)`", re.sub(FENCED, "", ERRORS)))
    names = {span.removesuffix("()") for span in spans if re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", span)}
    assert sorted(name for name in names if not exists(name)) == []


def exists(name: str) -> bool:
    """Whether a name in the text is a class, a module, a field, a parameter or a method that there is."""
    return name in known_names() or resolves(name)


def known_names() -> set[str]:
    fields = {field for kind in docs.PUBLIC for field in docs.fields(kind)}
    tools = (MCPTool, MCPStdioTool, MCPStreamableHTTPTool)
    parameters = {name for tool in tools for name in inspect.signature(tool).parameters}
    modules = {layer.rpartition(".")[2] for layer in docs.LAYER}
    private = {kind.__name__ for kind in docs.private_exceptions()}
    return {
        *fields,
        *parameters,
        *private,
        *dir(builtins),
        *exceptions.__all__,
        *dir(MCPTool),
        *dir(MCPError("a sentence")),
        *modules,
        *WORDS,
    }


def resolves(name: str) -> bool:
    """Whether it is an attribute of a module that can be imported, or a name of the libraries below."""
    head, _, attribute = name.rpartition(".")
    homes = [head] if head else ["asyncio", "httpx", "pydantic", "socket"]
    homes += [f"{head}.exceptions"] if head else []
    with contextlib.suppress(ModuleNotFoundError):
        return any(hasattr(importlib.import_module(home), attribute) for home in homes)
    return name.partition(".")[0] == "error" and hasattr(MCPError("a sentence"), attribute)


# Examples ...

Scenario = Callable[[Path], Awaitable[Any]]


async def refuse_connection(folder: Path) -> None:
    await MCPStreamableHTTPTool("docs", f"http://127.0.0.1:{unused_port()}/mcp").connect()


async def miss_command(folder: Path) -> None:
    await MCPStdioTool("docs", "no-such-server").connect()


async def exit_at_start(folder: Path) -> None:
    command = program(folder, "import sys; print('no such database', file=sys.stderr); sys.exit(3)")
    await MCPStdioTool("docs", command, args=["--data", "x"]).connect()


async def die_in_a_call(folder: Path) -> None:
    peer = ROOT / "tests/mcp/stdio_peer.py"
    command = program(
        folder, f"import runpy, sys; sys.argv = ['', 'good']; runpy.run_path({str(peer)!r}, run_name='__main__')"
    )
    async with MCPStdioTool("docs", command) as tool:
        await tool.call_tool("die")


def program(folder: Path, code: str) -> str:
    path = folder / "docs-server"
    path.write_text(f"#!{sys.executable}\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


async def fail_to_connect(folder: Path, *, fault: str) -> None:
    with HttpServer(HTTP_FAULTS[fault]) as server:
        await MCPStreamableHTTPTool(
            "docs", server.url, connect_timeout=PATIENCE if fault == "never answers" else 5
        ).connect()


@contextlib.asynccontextmanager
async def connected(script: McpScript | None = None, **options: Any) -> AsyncIterator[MCPStreamableHTTPTool]:
    with HttpServer(script or McpScript()) as server:
        async with MCPStreamableHTTPTool("docs", server.url, **options) as tool:
            yield tool


async def call(folder: Path, *, handler: Any = None, arguments: dict[str, Any] | None = None, **options: Any) -> None:
    handlers = {} if handler is None else {"tools/call": handler}
    async with connected(McpScript(handlers=handlers), **options) as tool:
        await tool.call_tool("echo", **(arguments or {}))


async def refuse_call(params: dict[str, Any]) -> dict[str, Any]:
    raise RpcError(-32602, "Unknown tool: echo")


async def report_failure(params: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": "no document has this name"}], "isError": True}


async def fail_without_a_word(params: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}], "isError": True}


def headers_of_nobody(values: dict[str, Any]) -> dict[str, str]:
    return {"authorization": values["user"]}


def parse_badly(result: Any) -> str:
    raise ValueError("no such field")


async def call_after_close(folder: Path) -> None:
    async with connected() as tool:
        await tool.close()
        await tool.call_tool("echo")


async def call_from_another_loop(folder: Path) -> None:
    async with connected() as tool:
        await asyncio.to_thread(lambda: asyncio.run(tool.call_tool("echo")))


async def use_wrongly(folder: Path, command: str = "docs-server", **options: Any) -> None:
    MCPStdioTool("docs", command, **options)


async def mistype_url(folder: Path) -> None:
    MCPStreamableHTTPTool("docs", "localhost:8000/mcp")


async def use_unknown_keyword(folder: Path) -> None:
    MCPStreamableHTTPTool("docs", "http://127.0.0.1:8000/mcp", timeout=5)  # warnings are errors in tests


SCENARIOS: dict[str, Scenario] = {
    "an unreachable port": refuse_connection,
    "a command that does not exist": miss_command,
    "a process that exits at once": exit_at_start,
    "a process that dies in a call": die_in_a_call,
    "a tool that is closed": call_after_close,
    "a server that never answers": partial(fail_to_connect, fault="never answers"),
    "401": partial(fail_to_connect, fault="401"),
    "500": partial(fail_to_connect, fault="500"),
    "a web page": partial(fail_to_connect, fault="HTML"),
    "a wrong protocol version": partial(fail_to_connect, fault="wrong protocol version"),
    "a call that takes too long": partial(call, handler=never, arguments={"_timeout": PATIENCE}),
    "a JSON-RPC error": partial(call, handler=refuse_call),
    "a failing tool": partial(call, handler=report_failure),
    "a tool that fails without a text": partial(call, handler=fail_without_a_word),
    "a header_provider that fails": partial(call, header_provider=headers_of_nobody),
    "a parser that fails": partial(call, parse_tool_results=parse_badly),
    "tools that are not loaded": partial(call, load_tools=False),
    "another event loop": call_from_another_loop,
    "a negative deadline": partial(use_wrongly, connect_timeout=-1),
    "a command line": partial(use_wrongly, command="npx -y server"),
    "a variable without a value": partial(use_wrongly, env={"TOKEN": None}),
    "a URL without scheme": mistype_url,
    "an unknown keyword": use_unknown_keyword,
}
PRODUCED: set[str] = set()


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_document_shows_the_message_that_is_really_raised(scenario: str, tmp_path: Path) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what the document says
        await SCENARIOS[scenario](tmp_path)
    message = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", str(caught.value)).replace(f"{tmp_path}/", "")
    PRODUCED.add(f"{type(caught.value).__name__}: {message}")
    assert f"\n{type(caught.value).__name__}: {message}\n" in ERRORS


def test_every_message_in_the_document_comes_from_one_of_those_tests() -> None:
    if len(PRODUCED) < len(SCENARIOS):
        pytest.skip("the tests that raise them have not all run in this process")
    shown = {line for kind, block in FENCED.findall(ERRORS) if kind == "text" for line in EXAMPLE.findall(block)}
    assert shown == PRODUCED


# Every document ...


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_to_something(document: Path) -> None:
    text = re.sub(FENCED, "", document.read_text(encoding="utf-8"))
    links = [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not leads_somewhere(document, link)] == []


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(document: Path) -> set[str]:
    """The ids that GitHub gives to the headings of a document."""
    text = re.sub(FENCED, "", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_compiles_and_imports_what_there_is(document: Path) -> None:
    for kind, block in FENCED.findall(document.read_text(encoding="utf-8")):
        if kind == "python":
            tree = compile(block, document.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            for node in ast.walk(tree):
                check_import(node)


def check_import(node: ast.AST) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            importlib.import_module(alias.name)
    elif isinstance(node, ast.ImportFrom):
        home = importlib.import_module(node.module or "")
        assert [alias.name for alias in node.names if not hasattr(home, alias.name)] == []
