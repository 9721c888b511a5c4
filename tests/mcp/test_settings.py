# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a constructor takes: what becomes text, what is refused and how, and which keywords are spoken of."""

from __future__ import annotations

import asyncio
import enum
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import httpx
import pytest
from fault_servers import BOUND, HttpServer, McpScript
from pydantic import AnyUrl

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPConnectionError, MCPTaskOptions, MCPTool

PEER = Path(__file__).with_name("stdio_peer.py")
SECRET = "hunter2secret"
AT_ONCE = 1.0
"""How long closing may take where there is nothing to close, in seconds: far from any of the limits of closing."""

MAKE: dict[str, Callable[..., MCPTool]] = {
    "base": lambda **options: MCPTool("docs", **options),
    "stdio": lambda **options: MCPStdioTool("docs", "serve", **options),
    "http": lambda **options: MCPStreamableHTTPTool("docs", "http://127.0.0.1:1/mcp", **options),
    "websocket": lambda **options: MCPWebsocketTool("docs", "ws://127.0.0.1:1/mcp", **options),
}


async def within(awaitable: Any, seconds: float = BOUND) -> Any:
    return await asyncio.wait_for(awaitable, seconds)


async def takes(awaitable: Any) -> float:
    begun = time.monotonic()
    await within(awaitable, 4 * BOUND)
    return time.monotonic() - begun


def plain(*_: Any) -> Any: ...


async def waits(*_: Any) -> Any: ...


class Waits:
    async def __call__(self, *_: Any) -> Any: ...


# What all tools share ...

WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("description", 1, TypeError, "description must be a str, not int."),
    ("approval_mode", True, TypeError, "approval_mode must be 'always_require' or 'never_require', not bool."),
    (
        "approval_mode",
        "always",
        ValueError,
        "approval_mode must be one of 'always_require', 'never_require', not 'always'.",
    ),
    (
        "approval_mode",
        {"always_require": ["a"]},
        ValueError,
        (
            "approval_mode has the unknown key 'always_require'; "
            "its keys are 'always_require_approval' and 'never_require_approval'."
        ),
    ),
    (
        "approval_mode",
        {"never_require_approval": "add"},
        TypeError,
        "never_require_approval must be a list of names, not str; write never_require_approval=['add'].",
    ),
    ("allowed_tools", "add", TypeError, "allowed_tools must be a list of names, not str; write allowed_tools=['add']."),
    ("allowed_tools", plain, TypeError, "allowed_tools must be a list of names, not function."),
    ("allowed_tools", (name for name in "ab"), TypeError, "allowed_tools must be a list of names, not generator."),
    ("allowed_tools", [plain], TypeError, "each name in allowed_tools must be a str, not function."),
    ("tool_name_prefix", 3, TypeError, "tool_name_prefix must be a str, not int."),
    ("load_tools", "no", TypeError, "load_tools must be True or False, not str."),
    ("load_prompts", None, TypeError, "load_prompts must be True or False, not None."),
    ("parse_tool_results", True, TypeError, "parse_tool_results must be a function, or None, not bool."),
    (
        "parse_tool_results",
        waits,
        TypeError,
        "parse_tool_results is called where nothing can be awaited, and cannot be a coroutine function.",
    ),
    ("parse_prompt_results", "text", TypeError, "parse_prompt_results must be a function, or None, not str."),
    ("session", "s", TypeError, "session must be a ClientSession, which has a method call_tool(), not str."),
    ("session", MagicMock, TypeError, "session must be a ClientSession, not the class MagicMock itself."),
    ("client", "gpt", TypeError, "client must be a chat client, which has a method get_response(), not str."),
    (
        "additional_properties",
        [1],
        TypeError,
        "additional_properties must be a Mapping, not list; it is kept as it is.",
    ),
    ("additional_tool_argument_names", 1, TypeError, "additional_tool_argument_names must be a name, a list of names"),
    (
        "additional_tool_argument_names",
        {1: "a"},
        TypeError,
        "each tool in additional_tool_argument_names must be a str",
    ),
    ("additional_tool_argument_names", {"*": [1]}, TypeError, "each name in additional_tool_argument_names must be a"),
    ("sampling_max_tokens", "10", TypeError, "sampling_max_tokens must be an int, or None for no limit, not str."),
    ("sampling_max_tokens", 0, ValueError, "sampling_max_tokens must be at least 1, or None for no limit, not 0."),
    (
        "sampling_max_requests",
        -1,
        ValueError,
        "sampling_max_requests must be at least 0, or None for no limit, not -1.",
    ),
    ("sampling_max_requests", True, TypeError, "sampling_max_requests must be an int, or None for no limit, not bool."),
    ("max_host_payload_size_bytes", 1.5, TypeError, "max_host_payload_size_bytes must be an int"),
    ("max_host_payload_size_bytes", 0, ValueError, "max_host_payload_size_bytes must be at least 1"),
    ("roots", "/srv", TypeError, "roots must be a sequence of paths or file URIs"),
    ("roots", ["http://h"], ValueError, "MCP has no roots of the scheme 'http'"),
    (
        "task_options",
        {"default_ttl": 3},
        TypeError,
        "task_options must be a MCPTaskOptions, not dict; import it from agent_framework._mcp.",
    ),
    ("use_progressive_disclosure", 1, TypeError, "use_progressive_disclosure must be True or False, not int."),
    ("always_load", "add", TypeError, "always_load must be a list of names, not str; write always_load=['add']."),
    ("tool_result_content", "all", ValueError, "tool_result_content must be one of 'both', 'content_first'"),
    ("tool_result_content", None, TypeError, "tool_result_content must be 'both' or 'content_first'"),
    ("ping_interval", 0, ValueError, "ping_interval must be a positive number of seconds, or None, not 0."),
    ("on_state_change", waits, TypeError, "on_state_change is called where nothing can be awaited"),
    ("optional", "yes", TypeError, "optional must be True or False, not str."),
    *(
        (callback, "log", TypeError, f"{callback} must be a function, or None, not str.")
        for callback in ("progress_callback", "sampling_approval_callback", "elicitation_callback", "on_state_change")
    ),
    *(
        (limit, value, kind, f"{limit} must be a number of seconds")
        for limit in ("request_timeout", "connect_timeout", "ping_interval")
        for value, kind in (
            *((value, ValueError) for value in (-1, float("nan"), float("inf"), 1e300, 10**400)),
            *((value, TypeError) for value in (True, "3", [3], timedelta(seconds=3))),
        )
    ),
]


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize(("setting", "value", "kind", "says"), WRONG)
def test_a_wrong_value_is_refused_at_once_and_named(
    make: Callable[..., MCPTool], setting: str, value: Any, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught:
        make(**{setting: value})
    assert type(caught.value) is kind
    assert str(caught.value).startswith("MCP server 'docs': ")
    assert says in str(caught.value)


@pytest.mark.parametrize("owner", [MCPTool, MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool])
@pytest.mark.parametrize(("name", "kind"), [(None, TypeError), (7, TypeError), ("", ValueError), (" \n", ValueError)])
def test_a_name_is_text_that_is_not_blank(owner: Any, name: Any, kind: type[Exception]) -> None:
    address = {MCPStdioTool: ["serve"], MCPStreamableHTTPTool: ["http://h"], MCPWebsocketTool: ["ws://h"]}
    with pytest.raises(kind, match="name must"):
        owner(name, *address.get(owner, []))


RIGHT: list[dict[str, Any]] = [
    {"approval_mode": {"always_require_approval": None, "never_require_approval": ("a",)}},
    {"allowed_tools": frozenset("ab")},
    {"allowed_tools": {"a": 1}.keys()},
    {"request_timeout": 0, "connect_timeout": 2.5, "ping_interval": 0.1},
    {"request_timeout": timedelta.max.days * 86_400},
    {"session": MagicMock()},
    {"session": AsyncMock()},
    {"client": Mock()},
    {"roots": plain, "progress_callback": waits, "elicitation_callback": Waits(), "on_state_change": plain},
    {"roots": [Path("/srv")], "task_options": MCPTaskOptions(), "sampling_max_requests": 0},
    {"parse_tool_results": str, "parse_prompt_results": Mock()},
    {"additional_tool_argument_names": iter(["a", "b"])},
    {"additional_properties": {"mine": 1}, "description": ""},
]


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize("options", RIGHT)
def test_what_fits_is_taken_as_it_is(make: Callable[..., MCPTool], options: dict[str, Any]) -> None:
    tool = make(**options)
    for setting, value in options.items():
        assert getattr(tool, setting, value) is value


def test_names_that_can_be_read_once_are_all_kept() -> None:
    tool = MCPTool("docs", additional_tool_argument_names={"add": iter(["a", "b"])})
    assert tool._extra_arguments == {"add": {"a", "b"}}


# A child process ...


async def test_paths_and_numbers_reach_a_child_as_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Port(enum.IntEnum):
        HTTP = 80

    program = 'import os, sys; sys.exit(f\'{sys.argv[1:]} {os.environ["PORT"]} {os.environ["DATA"]} {os.getcwd()}\')'
    tool = MCPStdioTool(
        "docs",
        Path(sys.executable),
        args=("-c", program, 8080, 0.5, Port.HTTP, tmp_path),
        env={"PORT": 8080, "DATA": tmp_path},
        cwd=tmp_path,
    )
    assert (tool.command, tool.env) == (sys.executable, {"PORT": "8080", "DATA": str(tmp_path)})
    assert tool.args == ["-c", program, "8080", "0.5", "80", str(tmp_path)]
    with pytest.raises(MCPConnectionError):
        await within(tool.connect())
    assert f"{['8080', '0.5', '80', str(tmp_path)]} 8080 {tmp_path} {tmp_path}" in capfd.readouterr().err
    assert await takes(tool.close()) < AT_ONCE


WRONG_STDIO: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"command": "npx -y server"},
        ValueError,
        "command must be the program alone, not a whole command line; write command='npx', args=['-y', 'server'].",
    ),
    (
        {"command": "npx -y 'my server' \"a b\""},
        ValueError,
        "write command='npx', args=['-y', 'my server', 'a b'].",
    ),
    ({"command": "npx it's"}, ValueError, "write command='npx', args=[\"it's\"]."),
    ({"command": f"{PEER} good"}, ValueError, f"write command='{PEER}', args=['good']."),
    ({"command": "serve\n"}, ValueError, "write command='serve'."),
    ({"command": ""}, ValueError, "command must not be empty."),
    ({"command": "  "}, ValueError, "command must not be empty."),
    ({"command": None}, TypeError, "command must be text or a path, not None."),
    ({"command": 8080}, TypeError, "command must be text or a path, not int."),
    ({"command": b"serve"}, TypeError, "command must be text or a path, not bytes."),
    (
        {"command": ["npx", "-y", "server"]},
        TypeError,
        "command must be the program alone, not list; write command='npx', args=['-y', 'server'].",
    ),
    ({"command": "ser\0ve"}, ValueError, "command has a NUL character in it"),
    (
        {"args": "--port 8080"},
        TypeError,
        "args must be a list of arguments, not str; write args=['--port', '8080'].",
    ),
    ({"args": {"--port": 1}}, TypeError, "args must be a list of arguments, not dict."),
    ({"args": ["-v", True]}, TypeError, "args[1] must be text, a path or a number, not bool; write the text"),
    (
        {"args": [None]},
        TypeError,
        "args[0] must be text, a path or a number, not None; leave it out, or give it a value.",
    ),
    ({"args": [["-v"]]}, TypeError, "args[0] must be text, a path or a number, not list"),
    ({"args": ["a\0b"]}, ValueError, "args[0] has a NUL character in it"),
    ({"env": [f"TOKEN={SECRET}"]}, TypeError, "env must be a mapping from names to text, not list."),
    ({"env": {"TOKEN": None}}, TypeError, "env['TOKEN'] must be text, a path or a number, not None; leave it out"),
    ({"env": {"TOKEN": [SECRET]}}, TypeError, "env['TOKEN'] must be text, a path or a number, not list"),
    ({"env": {"TOKEN": f"{SECRET}\0"}}, ValueError, "env['TOKEN'] has a NUL character in it"),
    ({"env": {1: SECRET}}, TypeError, "each name in env must be a str, not int."),
    ({"env": {"A=B": SECRET}}, ValueError, "env has the name 'A=B', which no variable of an environment can have."),
    ({"encoding": "utf-9"}, ValueError, "encoding must be a text encoding of Python's, such as 'utf-8', not 'utf-9'."),
    ({"encoding": "base64"}, ValueError, "encoding must be a text encoding"),
    ({"encoding": 8}, TypeError, "encoding must be a str, not int."),
    ({"encoding_error_handler": "explode"}, ValueError, "encoding_error_handler must be one of 'strict', 'ignore'"),
    ({"cwd": 3}, TypeError, "cwd must be text or a path, not int."),
    ({"cwd": ""}, ValueError, "cwd must not be empty."),
]


@pytest.mark.parametrize(("options", "kind", "says"), WRONG_STDIO)
def test_what_no_child_can_be_started_with_is_refused_at_once(
    options: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught:
        MCPStdioTool("docs", **{"command": "serve", **options})
    assert type(caught.value) is kind
    assert str(caught.value).startswith("MCP server 'docs': ")
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_program_may_have_spaces_in_its_path(tmp_path: Path) -> None:
    program = tmp_path / "my server"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {PEER} good\n")
    program.chmod(0o755)
    async with MCPStdioTool("docs", str(program)) as tool:
        assert tool.is_connected
    missing = tmp_path / "no such folder" / "server"
    with pytest.raises(MCPConnectionError, match="no such command"):
        await within(MCPStdioTool("docs", missing).connect())


# A URL ...


@pytest.mark.parametrize("make", [httpx.URL, AnyUrl], ids=["httpx", "pydantic"])
async def test_a_url_object_is_taken_as_text(make: Callable[[str], Any]) -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("docs", make(server.url)) as tool:
            assert tool.url == server.url
            assert type(tool.url) is str
    assert MCPWebsocketTool("docs", make("ws://127.0.0.1:1/mcp")).url == "ws://127.0.0.1:1/mcp"


@pytest.mark.parametrize(
    "url", ["HTTP://h", "https://user:pass@h:1/a?b=c#d", "http://[::1]:8000", "http://bücher.example"]
)
def test_every_url_with_scheme_and_host_is_taken(url: str) -> None:
    assert MCPStreamableHTTPTool("docs", url).url == url


WRONG_URL: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "url must be text or a URL object, not None."),
    (8000, TypeError, "url must be text or a URL object, not int."),
    (b"http://h", TypeError, "url must be text or a URL object, not bytes."),
    (Path("/mcp"), TypeError, "url must be text or a URL object, not PosixPath."),
    (httpx.URL, TypeError, "url must be text or a URL object, not type."),
    ("", ValueError, "url must not be empty."),
    ("localhost:8000/mcp", ValueError, "; write 'http://localhost:8000/mcp' perhaps."),
    ("127.0.0.1/mcp?key=" + SECRET, ValueError, "write 'http://127.0.0.1/mcp' perhaps."),
    ("http//mcp.example.com/mcp", ValueError, "write 'http://mcp.example.com/mcp' perhaps."),
    ("http:/mcp.example.com/mcp", ValueError, "write 'http://mcp.example.com/mcp' perhaps."),
    ("https:mcp.example.com", ValueError, "write 'http://mcp.example.com' perhaps."),
    ("//mcp.example.com", ValueError, "write 'http://mcp.example.com' perhaps."),
    ("httpbin.org/mcp", ValueError, "write 'http://httpbin.org/mcp' perhaps."),
    ("ftp://mcp.example.com/mcp", ValueError, "write 'http://mcp.example.com/mcp' perhaps."),
    ("docs", ValueError, "an example is http://localhost:8000/mcp."),
    (f"user:{SECRET}@mcp.example.com", ValueError, "an example is http://localhost:8000/mcp."),
    (f"ftp://user:12{SECRET}/34@mcp.example.com", ValueError, "an example is http://localhost:8000/mcp."),
    ("http://", ValueError, "url must have a host, and a port from 0 to 65535 if any"),
    ("http:///mcp", ValueError, "url must have a host"),
    ("http://:8000/mcp", ValueError, "url must have a host"),
    ("http://h:port/mcp", ValueError, "url must have a host"),
    ("http://h:65536/mcp", ValueError, "url must have a host"),
    ("http://[::1/mcp", ValueError, "url must have a host"),
    ("http://h/mcp\n", ValueError, "url has the character '\\n' at index 12"),
    (" http://h/mcp", ValueError, "url has the character ' ' at index 0"),
    ("http://h/my tools", ValueError, "url has the character ' ' at index 11"),
    ("http://h/\u200bmcp", ValueError, "url has the character '\\u200b' at index 9"),
]


@pytest.mark.parametrize(("url", "kind", "says"), WRONG_URL)
def test_what_is_no_url_is_refused_at_once(url: Any, kind: type[Exception], says: str) -> None:
    for owner, scheme in ((MCPStreamableHTTPTool, "http"), (MCPWebsocketTool, "ws")):
        given = url.replace("http://", f"{scheme}://") if isinstance(url, str) else url
        moved = len("http") - len(scheme) if given != url else 0
        with pytest.raises(kind) as caught:
            owner("docs", given)
        expected = says.replace("http://", f"{scheme}://")
        if "index" in says and moved:
            expected = says.partition(" at index")[0]
        assert type(caught.value) is kind
        assert str(caught.value).startswith("MCP server 'docs': url ")
        assert expected in str(caught.value)
        assert SECRET not in str(caught.value)


def test_each_transport_names_the_other_for_its_schemes() -> None:
    with pytest.raises(ValueError, match="must begin with http:// or https://; a websocket is for MCPWebsocketTool"):
        MCPStreamableHTTPTool("docs", "wss://h/mcp")
    with pytest.raises(ValueError, match="must begin with ws:// or wss://; HTTP is for MCPStreamableHTTPTool"):
        MCPWebsocketTool("docs", "https://h/mcp")


# HTTP ...


class Blocking:
    """A client of another package that blocks."""

    def send(self, request: Any) -> Any: ...

    def close(self) -> None: ...


WRONG_HTTP: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"terminate_on_close": "no"}, TypeError, "terminate_on_close must be True or False, not str."),
    ({"http_client": "h"}, TypeError, "http_client must be an httpx.AsyncClient, which has a method send(), not str."),
    ({"http_client": httpx.AsyncClient}, TypeError, "must be an httpx.AsyncClient, not the class AsyncClient itself."),
    (
        {"http_client": Blocking()},
        TypeError,
        "http_client must be an httpx.AsyncClient, not Blocking; a client that blocks would hold the event loop.",
    ),
    ({"header_provider": {"X": "1"}}, TypeError, "header_provider must be a function, or None, not dict."),
    ({"header_provider": waits}, TypeError, "header_provider is called where nothing can be awaited"),
    ({"header_provider": Waits()}, TypeError, "header_provider is called where nothing can be awaited"),
    ({"static_headers": [("X", SECRET)]}, TypeError, "static_headers must be a mapping from names to text, not list."),
    ({"static_headers": f"X: {SECRET}"}, TypeError, "static_headers must be a mapping from names to text, not str."),
    ({"static_headers": {"X": None}}, TypeError, "static_headers['X'] must be a str, not None; leave it out"),
    ({"static_headers": {"X": 1}}, TypeError, "static_headers['X'] must be a str, not int; write it as text."),
    ({"static_headers": {1: SECRET}}, TypeError, "each name in static_headers must be a str, not int."),
    ({"static_headers": {"X Y": SECRET}}, ValueError, "static_headers has the name 'X Y', which no header can have."),
    ({"static_headers": {"": SECRET}}, ValueError, "static_headers has the name '', which no header can have."),
    (
        {"static_headers": {"X": f"{SECRET}\n"}},
        ValueError,
        "static_headers['X'] has white space at its beginning or end",
    ),
    ({"static_headers": {"X": f"{SECRET}\r\nY: 1"}}, ValueError, "static_headers['X'] has a character in it that no"),
    ({"static_headers": {"X": f"{SECRET}\0."}}, ValueError, "static_headers['X'] has a character in it that no header"),
    ({"static_headers": {"X": f"{SECRET}é"}}, ValueError, "static_headers['X'] has a character in it that no header"),
    ({"headers": {"X": 1}}, TypeError, "static_headers['X'] must be a str, not int"),
    (
        {"headers": {"X": SECRET}, "static_headers": {"X": "1"}},
        ValueError,
        "static_headers and headers are the same setting; give it once.",
    ),
]


@pytest.mark.parametrize(("options", "kind", "says"), WRONG_HTTP)
def test_what_no_request_can_be_sent_with_is_refused_at_once(
    options: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught:
        MCPStreamableHTTPTool("docs", "http://h/mcp", **options)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("MCP server 'docs': ")
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_client_of_httpx_that_blocks_is_refused() -> None:
    with httpx.Client() as client, pytest.raises(TypeError, match="not Client; a client that blocks"):
        MCPStreamableHTTPTool("docs", "http://h/mcp", http_client=client)  # type: ignore[arg-type]


@pytest.mark.parametrize("double", [Mock(), MagicMock(), AsyncMock(), Mock(spec=httpx.AsyncClient)])
def test_a_double_may_stand_for_an_http_client(double: Any) -> None:
    assert MCPStreamableHTTPTool("docs", "http://h/mcp", http_client=double)._httpx_client is double


# Keywords ...


def said(make: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    assert {warning.category for warning in caught} <= {UserWarning}
    assert {warning.filename for warning in caught} <= {__file__}  # the line of the caller
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("make", "keywords", "warning"),
    [
        (
            "http",
            {"timeout": 3},
            (
                "MCPStreamableHTTPTool has no such parameter and ignores: 'timeout' "
                "(use request_timeout, or http_client=httpx.AsyncClient(timeout=...))."
            ),
        ),
        (
            "http",
            {"auth": ("user", SECRET)},
            (
                "MCPStreamableHTTPTool has no such parameter and ignores: 'auth' "
                "(use http_client=httpx.AsyncClient(auth=...))."
            ),
        ),
        (
            "http",
            {"tool_prefix": "a", "hedr_provider": plain, "a": 1},
            (
                "MCPStreamableHTTPTool has no such parameter and ignores: "
                "'tool_prefix' (did you mean tool_name_prefix?), 'hedr_provider' (did you mean header_provider?), 'a'."
            ),
        ),
        (
            "http",
            {"chat_client": Mock(), "hedaers": {"X": SECRET}},
            (
                "MCPStreamableHTTPTool has no such parameter and ignores: 'chat_client' (use client), "
                "'hedaers' (did you mean headers?)."
            ),
        ),
        (
            "stdio",
            {"timeout": 3, "enviroment": {}, "arg": []},
            (
                "MCPStdioTool has no such parameter and ignores: 'timeout' (use connect_timeout or request_timeout), "
                "'enviroment', 'arg' (did you mean args?)."
            ),
        ),
        (
            "stdio",
            {"headers": {"X": SECRET}},
            "MCPStdioTool has no such parameter and ignores: 'headers' (a child process gets env).",
        ),
        (
            "websocket",
            {"max_sise": 3},
            (
                "MCPWebsocketTool has no such parameter and passes on to websockets, which may refuse it: 'max_sise' "
                "(did you mean max_size?)."
            ),
        ),
    ],
)
def test_unknown_keywords_are_one_warning_that_says_what_to_write(
    make: str, keywords: dict[str, Any], warning: str
) -> None:
    assert said(lambda: MAKE[make](**keywords)) == [warning]


@pytest.mark.parametrize(
    ("make", "keywords"),
    [
        ("stdio", {"cwd": "/srv", "encoding_error_handler": "replace"}),
        ("http", {"headers": {"X": "1"}}),
        ("http", {"headers": None}),
        ("http", {"headers": {"X": "1"}, "static_headers": {"X": "1"}}),
        ("websocket", {"max_size": 3, "additional_headers": [("X", "1")], "ssl": None, "origin": "o"}),
        ("websocket", {"headers": {"X": "1"}}),
    ],
)
def test_keywords_that_have_an_effect_are_no_warning(make: str, keywords: dict[str, Any]) -> None:
    assert said(lambda: MAKE[make](**keywords)) == []


async def test_headers_is_another_name_of_static_headers() -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("docs", server.url, headers={"X-Team": "blue"}) as tool:
            await within(tool.call_tool("echo"))
    assert set(server.sent_headers("x-team")) == {"blue"}


# What is assigned later ...


async def test_what_is_assigned_later_becomes_text_too(tmp_path: Path) -> None:
    tool = MCPStdioTool("docs", "serve")
    tool.command = Path(sys.executable)  # type: ignore[assignment]
    tool.args = [PEER, "good", tmp_path / "record", 1][:3]  # type: ignore[list-item]
    tool.env = {"PORT": 8080}  # type: ignore[dict-item]
    assert repr(tool).startswith(f"<MCPStdioTool 'docs' ({sys.executable} {PEER} good")
    async with tool:
        assert (tool.args[0], tool.env) == (str(PEER), {"PORT": "8080"})
    with HttpServer(McpScript()) as server:
        remote = MCPStreamableHTTPTool("docs", "http://127.0.0.1:1/mcp")
        remote.url = httpx.URL(server.url)  # type: ignore[assignment]
        assert repr(remote).startswith(f"<MCPStreamableHTTPTool 'docs' at {server.url}")
        async with remote:
            assert remote.url == server.url
            assert type(remote.url) is str


ASSIGNED: list[tuple[str, str, Any, type[Exception]]] = [
    ("stdio", "args", ["--port", None], TypeError),
    ("stdio", "args", 8080, TypeError),
    ("stdio", "env", {"TOKEN": None}, TypeError),
    ("stdio", "command", "npx -y server", ValueError),
    ("stdio", "encoding", "utf-9", ValueError),
    ("http", "url", "localhost:8000", ValueError),
    ("http", "url", None, TypeError),
    ("websocket", "url", "http://h", ValueError),
    *(
        (make, setting, value, kind)
        for make in ("stdio", "http", "websocket")
        for setting, value, kind in (
            ("name", None, TypeError),
            ("request_timeout", float("nan"), ValueError),
            ("connect_timeout", "3", TypeError),
            ("ping_interval", 0, ValueError),
            ("allowed_tools", "add", TypeError),
            ("approval_mode", "always", ValueError),
        )
    ),
]


@pytest.mark.parametrize("enter", [False, True], ids=["connect", "enter"])
@pytest.mark.parametrize(("make", "setting", "value", "kind"), ASSIGNED)
async def test_what_is_assigned_wrongly_is_an_error_before_anything_is_opened(
    make: str, setting: str, value: Any, kind: type[Exception], enter: bool
) -> None:
    tool = MAKE[make](optional=True)
    setattr(tool, setting, value)
    with pytest.raises(kind, match=setting):
        await within(tool.__aenter__() if enter else tool.connect())
    assert await takes(tool.close()) < AT_ONCE
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_call_that_would_open_a_connection_with_a_wrong_value_says_so() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        tool = MCPStreamableHTTPTool("docs", server.url)
        async with tool:
            script.live_sessions.clear()
            tool.url = "localhost"
            with pytest.raises(ValueError, match="url must begin with"):
                await within(tool.call_tool("echo"))
            assert await takes(tool.close()) < BOUND
