# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""How foreign errors are read."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

import anyio
import httpx
import pytest
import websockets.exceptions
from mcp.types import ErrorData
from sdk_names import TIMED_OUT, SdkError, sdk_error

from agent_framework._mcp import MCPConnectionError, MCPError, MCPServerError, MCPTimeoutError
from agent_framework._mcp_client import _causes, _errors
from agent_framework._mcp_client._server import Server, public_url
from agent_framework.exceptions import ToolExecutionException

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

SERVER = Server("docs", url="https://example.test/mcp")

NO_CONCERN_OF_OURS = {
    httpx.CookieConflict,  # raised to code that reads cookies
}


def foreign_classes() -> list[type[Exception]]:
    modules: list[Any] = [httpx, anyio, websockets.exceptions]
    names = {(module, name) for module in modules for name in (*getattr(module, "__all__", ()), *vars(module))}
    # Asking for a deprecated name warns, so only what the modules define themselves is looked at.
    found = {item for module, name in names if inspect.isclass(item := vars(module).get(name))}
    return sorted(
        (item for item in found if issubclass(item, Exception)), key=lambda item: (item.__name__, item.__module__)
    )


@pytest.mark.parametrize("foreign", foreign_classes(), ids=lambda foreign: f"{foreign.__module__}.{foreign.__name__}")
def test_every_error_of_the_libraries_below_is_known(foreign: type[Exception]) -> None:
    known = tuple(_errors._readers())
    theirs = foreign.__module__.startswith(("httpx", "websockets"))
    streams = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
    if foreign in NO_CONCERN_OF_OURS or not (theirs or foreign in streams):
        return
    assert any(issubclass(foreign, row) for row, _ in known)


@pytest.mark.parametrize(
    "cause",
    [cause for cause in vars(_causes).values() if inspect.isclass(cause) and cause.__module__ == _causes.__name__],
)
def test_every_cause_of_our_own_is_known(cause: type[Exception]) -> None:
    assert any(issubclass(cause, row) for row, _ in _errors._readers())


def test_a_group_of_known_errors_is_read_as_the_most_telling_one() -> None:
    refused = httpx.ConnectError("nope")
    group = ExceptionGroup("outer", [anyio.ClosedResourceError(), ExceptionGroup("inner", [refused])])
    error = _errors.connect_error(group, SERVER, "initialize")
    assert isinstance(error, MCPConnectionError)
    assert error.__cause__ is refused


def test_a_group_with_an_unknown_error_stays_visible() -> None:
    group = ExceptionGroup("unhandled errors in a TaskGroup", [httpx.ConnectError("nope"), KeyError("bug")])
    error = _errors.connect_error(group, SERVER, "initialize")
    assert type(error) is MCPError
    assert error.__cause__ is group
    assert "KeyError" in str(error)
    assert "TaskGroup" not in str(error)


def test_a_group_with_a_cancellation_inside_is_read_as_the_rest() -> None:
    refused = httpx.ConnectError("nope")
    group = BaseExceptionGroup("mixed", [asyncio.CancelledError("Cancelled via cancel scope 1"), refused])
    error = _errors.connect_error(group, SERVER, "initialize")
    assert error.__cause__ is refused
    assert "cancel scope" not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ErrorData(code=-32602, message="no such tool"), MCPServerError),
        (ErrorData(code=-32000, message="a code that servers use, too"), MCPServerError),
        (ErrorData(code=TIMED_OUT, message="the code of a session's own deadline, from a server"), MCPServerError),
    ],
)
def test_json_rpc_errors_are_the_servers_and_keep_their_codes(answer: ErrorData, kind: type[MCPError]) -> None:
    refused = sdk_error(answer.code, answer.message)
    error = _errors.request_error(refused, SERVER, phase="call", what="Tool 'x'", sent=True)
    assert type(error) is kind
    assert error.code == answer.code


def test_the_deadline_of_a_session_is_known_by_where_its_error_comes_from() -> None:
    try:
        try:
            raise TimeoutError
        except TimeoutError:
            raise sdk_error(TIMED_OUT, "Timed out")  # noqa: B904  # as a session does it
    except SdkError as late:
        error = _errors.request_error(late, SERVER, phase="call", what="Tool 'x'", sent=True)
    assert type(error) is MCPTimeoutError


def test_every_error_is_a_tool_execution_exception_with_a_plain_text() -> None:
    error = _errors.request_error(OSError("odd"), SERVER, phase="call", what="Tool 'x'", sent=False)
    assert isinstance(error, ToolExecutionException)
    assert str(error) == "Tool 'x' failed on MCP server 'docs' at https://example.test/mcp: odd."
    assert error.args == (str(error),)


def test_a_timeout_is_a_built_in_timeout_error() -> None:
    late = _causes.DeadlinePassed(2.5, "request_timeout")
    error = _errors.request_error(late, SERVER, phase="call", what="Tool 'x'", sent=True)
    assert isinstance(error, TimeoutError)
    assert error.timeout == 2.5
    assert "no answer within 2.5 s (request_timeout)" in str(error)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://user:pass@host:8443/mcp?token=1#x", "https://host:8443/mcp"),
        ("http://[::1]:80/mcp", "http://[::1]:80/mcp"),
        ("http://[broken/mcp?token=1", "<not a URL>"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(given: str, shown: str) -> None:
    assert public_url(given) == shown
