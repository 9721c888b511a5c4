# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Every way a server can be unreachable, in every way a user can open a tool: always a named error, and nothing else.

conftest.py checks after each test that no task, process or descriptor is left and that asyncio has not complained.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fault_servers import HTTP_FAULTS, HttpServer, McpScript, unused_port

from agent_framework import Agent, BaseChatClient, MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
)
from agent_framework.exceptions import ToolException

pytestmark = pytest.mark.timeout(30)

PEER = Path(__file__).with_name("stdio_peer.py")
PATIENCE = 0.5  # seconds that a tool gives a server that never answers
BOUND = 5.0  # seconds for everything else: on loopback it takes milliseconds, and a child process some tenths
FORBIDDEN = ("cancel scope", "TaskGroup", "ExceptionGroup", "unhandled errors")
HAS_TASK_GROUP = sys.version_info >= (3, 11)
since_311 = pytest.mark.skipif(not HAS_TASK_GROUP, reason="asyncio.TaskGroup and asyncio.timeout came with Python 3.11")

Tool = MCPStdioTool | MCPStreamableHTTPTool


@dataclass(frozen=True)
class Case:
    """One way to fail, and the error that it has to become.

    Attributes:
        make: Opens the peer, in a folder for its files, and gives the tool and how messages must name its server.
        error: The exception's type.
        cause: The type of its `__cause__`.
        says: What its message says of the root cause, in lower case.
        fields: Attributes of the exception.
        stderr: What the server itself writes there.
    """

    make: Callable[[Path], contextlib.AbstractContextManager[tuple[Tool, str]]]
    error: type[MCPError]
    cause: type[BaseException]
    says: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    stderr: str = ""


def at_url(url: str) -> Callable[[Path], contextlib.AbstractContextManager[tuple[Tool, str]]]:
    @contextlib.contextmanager
    def make(folder: Path) -> Iterator[tuple[Tool, str]]:
        yield MCPStreamableHTTPTool(name="docs", url=url, request_timeout=1), url

    return make


def at_server(
    fault: str, scheme: str = "http"
) -> Callable[[Path], contextlib.AbstractContextManager[tuple[Tool, str]]]:
    @contextlib.contextmanager
    def make(folder: Path) -> Iterator[tuple[Tool, str]]:
        with HttpServer(HTTP_FAULTS[fault]) as server:
            url = server.url.replace("http:", f"{scheme}:")
            # With this client's own patience, what ends the wait is our deadline.
            yield MCPStreamableHTTPTool(name="docs", url=url, request_timeout=1, connect_timeout=PATIENCE), url

    return make


def at_command(
    command: str, *args: str, **options: Any
) -> Callable[[Path], contextlib.AbstractContextManager[tuple[Tool, str]]]:
    @contextlib.contextmanager
    def make(folder: Path) -> Iterator[tuple[Tool, str]]:
        script = folder / "not-executable"
        script.write_text("#!/bin/sh\n")
        script.chmod(stat.S_IRUSR | stat.S_IWUSR)
        actual = command.format(folder=folder)
        patience = PATIENCE if args and args[-1] != "exits" else None
        yield MCPStdioTool(name="docs", command=actual, args=list(args), connect_timeout=patience, **options), actual

    return make


def at_peer(fault: str) -> Callable[[Path], contextlib.AbstractContextManager[tuple[Tool, str]]]:
    return at_command(sys.executable, str(PEER), fault)


def status(code: int, error: type[MCPError] = MCPServerError, **fields: Any) -> Case:
    return Case(at_server(str(code)), error, httpx.HTTPStatusError, str(code), {"status_code": code, **fields})


RPC_FIELDS = {"code": -32603, "data": {"retry": False}, "status_code": None}
REBUILT = "the index is being rebuilt"

CASES = {
    "http refused": Case(
        at_url(f"http://127.0.0.1:{unused_port()}/mcp"), MCPConnectionError, httpx.ConnectError, "refused"
    ),
    "https refused": Case(
        at_url(f"https://127.0.0.1:{unused_port()}/mcp"), MCPConnectionError, httpx.ConnectError, "refused"
    ),
    "unresolvable name": Case(at_url("http://name.invalid/mcp"), MCPConnectionError, httpx.ConnectError, "resolve"),
    "TLS to a plain port": Case(at_server("HTML", "https"), MCPConnectionError, httpx.ConnectError, "tls"),
    "never answers": Case(at_server("never answers"), MCPTimeoutError, TimeoutError, "0.5 s", {"timeout": PATIENCE}),
    "closed in mid-header": Case(
        at_server("closed in mid-header"), MCPConnectionError, httpx.RemoteProtocolError, "connection"
    ),
    "401": status(401, MCPAuthenticationError, www_authenticate='Bearer realm="mcp"'),
    "403": status(403, MCPAuthenticationError, www_authenticate=None),
    "404": status(404),
    "500": status(500),
    "503": status(503),
    "HTML": Case(at_server("HTML"), MCPProtocolError, Exception, "text/html"),
    "bad JSON": Case(at_server("bad JSON"), MCPProtocolError, Exception, "json"),
    "JSON-RPC error": Case(at_server("JSON-RPC error"), MCPServerError, Exception, REBUILT, RPC_FIELDS),
    "JSON-RPC error in an event stream": Case(
        at_server("JSON-RPC error in an event stream"), MCPServerError, Exception, REBUILT, RPC_FIELDS
    ),
    "wrong protocol version": Case(at_server("wrong protocol version"), MCPProtocolError, Exception, "1999-01-01"),
    "wrong protocol version in an event stream": Case(
        at_server("wrong protocol version in an event stream"), MCPProtocolError, Exception, "1999-01-01"
    ),
    "event stream without an answer": Case(
        at_server("event stream without an answer"), MCPConnectionError, Exception, "answer"
    ),
    "no such command": Case(at_command("{folder}/nothing"), MCPConnectionError, FileNotFoundError, "no such"),
    "no such folder": Case(
        at_command(sys.executable, cwd="/nowhere"), MCPConnectionError, FileNotFoundError, "directory: /nowhere"
    ),
    "not executable": Case(at_command("{folder}/not-executable"), MCPConnectionError, PermissionError, "permission"),
    "exits at once": Case(
        at_peer("exits"),
        MCPConnectionError,
        Exception,
        "code 3; its last words: no licence",
        stderr="no licence found\n",
    ),
    "prints garbage": Case(at_peer("garbage"), MCPTimeoutError, TimeoutError, "0.5 s", {"timeout": PATIENCE}),
    "prints garbage for ever": Case(at_peer("babbles"), MCPTimeoutError, TimeoutError, "0.5 s", {"timeout": PATIENCE}),
    "stdio server never answers": Case(
        at_peer("silent"), MCPTimeoutError, TimeoutError, "0.5 s", {"timeout": PATIENCE}
    ),
}


class UncalledClient(BaseChatClient):
    """A chat client that nobody has a reason to call: the tools come first."""

    def _inner_get_response(self, *, messages: Sequence[Any], stream: bool, options: Any, **kwargs: Any) -> Any:
        pytest.fail("the model was asked although a tool could not be opened")


# Ways to open a tool. Each lets the error out as the user would see it.


async def connect(tool: Tool) -> None:
    await tool.connect()


async def enter(tool: Tool) -> None:
    async with tool:
        pytest.fail("the tool opened")


async def enter_agent(tool: Tool) -> None:
    async with Agent(client=UncalledClient(), tools=[tool]):
        pytest.fail("the agent opened")


async def run_agent(tool: Tool) -> None:
    async with Agent(client=UncalledClient()) as agent:
        await agent.run("What is new?", tools=tool)


async def stream_agent(tool: Tool) -> None:
    async with Agent(client=UncalledClient()) as agent:
        async for _ in agent.run("What is new?", tools=tool, stream=True):
            pytest.fail("there was an update")


async def connect_in_fail_after(tool: Tool) -> None:
    with anyio.fail_after(20):
        await tool.connect()


async def connect_in_timeout(tool: Tool) -> None:
    async with asyncio.timeout(20):
        await tool.connect()


async def connect_in_task_group(tool: Tool) -> None:
    """In its body, where the group would turn a stray cancellation into its own."""
    caught: list[ToolException] = []
    async with asyncio.TaskGroup() as group:
        sibling = group.create_task(asyncio.Event().wait())
        try:
            await tool.connect()
        except ToolException as error:
            caught.append(error)
        await asyncio.sleep(0)
        assert not sibling.cancelling(), "the failure reached a sibling task"
        sibling.cancel()
    raise caught[0]


async def connect_in_child_task(tool: Tool) -> None:
    """As a child, whose failure is the group's."""

    async def child() -> None:
        try:
            await tool.connect()
        finally:
            assert_not_cancelled()

    async def parent() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    with pytest.RaisesGroup(ToolException) as caught:
        await asyncio.create_task(
            parent()
        )  # a group that fails may leave its own task's count at 1, before Python 3.13
    raise caught.value.exceptions[0]


WAYS = [
    connect,
    enter,
    enter_agent,
    run_agent,
    stream_agent,
    connect_in_fail_after,
    pytest.param(connect_in_timeout, marks=since_311),
    pytest.param(connect_in_task_group, marks=since_311),
    pytest.param(connect_in_child_task, marks=since_311),
]


def assert_not_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    if HAS_TASK_GROUP:
        assert task.cancelling() == 0


@contextlib.asynccontextmanager
async def undisturbed_task() -> AsyncIterator[None]:
    """Checks that what happened inside was quick, left no task at all, and cancelled nobody."""
    before, started = asyncio.all_tasks(), time.monotonic()
    yield
    assert time.monotonic() - started < BOUND
    assert asyncio.all_tasks() <= before, "a task outlived the failure"
    await asyncio.sleep(0)  # a cancellation that is still under way would arrive here
    assert_not_cancelled()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_unreachable_server_is_a_tool_exception_that_names_it_and_the_root_cause(
    case: Case, way: Callable[[Tool], Awaitable[None]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with case.make(tmp_path) as (tool, server):
        async with undisturbed_task():
            with pytest.raises(ToolException) as caught:
                await way(tool)
        assert not tool.is_connected
        await tool.close()
    error = caught.value
    assert type(error) is case.error
    message = str(error)
    assert server in message
    assert case.says in message.lower()
    assert not [word for word in FORBIDDEN if word in message]
    assert "\n" not in message
    assert isinstance(error.__cause__, case.cause)
    assert not hasattr(error.__cause__, "exceptions"), "the cause is a group, not the root cause"
    assert error.phase == "connect"
    assert {name: getattr(error, name) for name in case.fields} == case.fields
    assert capfd.readouterr().err == case.stderr


async def test_a_stdio_server_that_ignores_the_end_of_its_input_and_sigterm_is_gone_when_connect_has_failed() -> None:
    tool = MCPStdioTool(name="docs", command=sys.executable, args=[str(PEER), "stubborn"], connect_timeout=PATIENCE)
    started = time.monotonic()
    with pytest.raises(MCPTimeoutError):
        await tool.connect()
    assert time.monotonic() - started < 10  # the graces after the end of its input and after SIGTERM, and some


async def test_a_tool_that_failed_to_connect_connects_once_its_server_is_there() -> None:
    port = unused_port()
    tool = MCPStreamableHTTPTool(name="docs", url=f"http://127.0.0.1:{port}/mcp")
    with pytest.raises(MCPConnectionError):
        await tool.connect()
    with HttpServer(McpScript(), port=port) as server:
        async with tool:
            assert [function.name for function in tool.functions] == ["echo"]
        assert server.names.count("initialize") == 1
