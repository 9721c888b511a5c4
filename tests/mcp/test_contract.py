# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The interface that upstream's users, packages and tests know: names, positions, defaults, and what stands in for it.

Some tests here use mocks, because that is what they are about: people put mocks into these places.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import anyio
import httpx
import mcp.client.session
import mcp.client.stdio
import mcp.client.streamable_http
import pytest
from fault_servers import BOUND, Exchange, HttpServer, McpScript
from mcp import types
from mcp.client.session import ClientSession
from opentelemetry import propagate
from sdk_names import IS_1, field, http_streams, seconds

from agent_framework import (
    Content,
    FunctionTool,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    MCPWebsocketTool,
    Message,
    _mcp,
)
from agent_framework._mcp import MCPSpecificApproval, MCPTool, MCPToolError
from agent_framework.exceptions import ToolException, ToolExecutionException

PEER = str(Path(__file__).with_name("stdio_peer.py"))
OBJECT = {"type": "object", "properties": {}}
REQUIRED = inspect.Parameter.empty

SHARED = {
    "description": None,
    "approval_mode": None,
    "allowed_tools": None,
    "tool_name_prefix": None,
    "load_tools": True,
    "parse_tool_results": None,
    "load_prompts": True,
    "parse_prompt_results": None,
    "session": None,
    "request_timeout": None,
    "client": None,
    "additional_properties": None,
}
OWN: dict[type[MCPTool], tuple[str, dict[str, Any]]] = {
    MCPStdioTool: ("command", {"args": None, "env": None, "encoding": None}),
    MCPStreamableHTTPTool: ("url", {"terminate_on_close": None, "http_client": None, "header_provider": None}),
    MCPWebsocketTool: ("url", {}),
}
MAKE: dict[str, Callable[..., MCPTool]] = {
    "base": lambda **options: MCPTool("docs", **options),
    "stdio": lambda **options: MCPStdioTool("docs", "serve", **options),
    "http": lambda **options: MCPStreamableHTTPTool("docs", "http://127.0.0.1:1/mcp", **options),
    "websocket": lambda **options: MCPWebsocketTool("docs", "ws://127.0.0.1:1/mcp", **options),
}


async def within(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, BOUND)


def parameters(owner: type, *kinds: Any) -> dict[str, Any]:
    found = list(inspect.signature(owner).parameters.values())
    return {parameter.name: parameter.default for parameter in found if parameter.kind in kinds}


# Signatures ...


def test_the_base_class_takes_upstreams_parameters_in_their_order() -> None:
    positional = parameters(MCPTool, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert list(positional.items()) == [("name", REQUIRED), *SHARED.items()]


@pytest.mark.parametrize("owner", OWN, ids=lambda owner: owner.__name__)
def test_a_transport_takes_name_and_address_and_the_rest_by_keyword(owner: type[MCPTool]) -> None:
    address, own = OWN[owner]
    positional = parameters(owner, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert list(positional.items()) == [("name", REQUIRED), (address, REQUIRED)]
    keywords = parameters(owner, inspect.Parameter.KEYWORD_ONLY)
    assert {**SHARED, **own}.items() <= keywords.items()
    assert REQUIRED not in keywords.values()
    assert parameters(owner, inspect.Parameter.VAR_KEYWORD)


@pytest.mark.parametrize("owner", [MCPTool, *OWN], ids=lambda owner: owner.__name__)
def test_the_methods_have_upstreams_signatures(owner: type[MCPTool]) -> None:
    shapes = {
        name: [str(parameter).partition(":")[0] for parameter in inspect.signature(method).parameters.values()]
        for name in ("close", "load_tools", "load_prompts", "call_tool", "get_prompt", "get_mcp_client")
        if (method := getattr(owner, name))
    }
    assert shapes == {
        "close": ["self"],
        "load_tools": ["self"],
        "load_prompts": ["self"],
        # Upstream's, and one mapping without a name.
        "call_tool": ["self", "tool_name", "*arguments", "**kwargs"],
        "get_prompt": ["self", "prompt_name", "*arguments", "**kwargs"],
        "get_mcp_client": ["self"],
    }
    reset = inspect.signature(owner.connect).parameters["reset"]
    assert (reset.kind, reset.default) == (inspect.Parameter.KEYWORD_ONLY, False)
    callbacks = ("sampling_callback", "logging_callback", "message_handler")
    assert [len(inspect.signature(getattr(owner, name)).parameters) for name in callbacks] == [3, 2, 2]
    coroutines = (*callbacks, "connect", "close", "load_tools", "load_prompts", "call_tool", "get_prompt")
    assert all(inspect.iscoroutinefunction(getattr(owner, name)) for name in coroutines)


def test_approval_by_name_is_a_dictionary_with_two_optional_keys() -> None:
    assert MCPSpecificApproval.__optional_keys__ == {"always_require_approval", "never_require_approval"}
    assert MCPSpecificApproval(always_require_approval=["a"]) == {"always_require_approval": ["a"]}


# What is stored ...


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_parameters_are_kept_under_upstreams_names(make: Callable[..., MCPTool]) -> None:
    given: dict[str, Any] = {
        "description": "Documents.",
        "approval_mode": "always_require",
        "allowed_tools": ["a"],
        "parse_tool_results": str,
        "parse_prompt_results": repr,
        "request_timeout": 3,
        "client": Mock(),
        "additional_properties": {"mine": 1},
    }
    tool = make(tool_name_prefix="my docs_", load_tools=False, load_prompts=False, **given)
    assert {name: getattr(tool, name) for name in given} == given
    assert (tool.name, tool.tool_name_prefix) == ("docs", "my-docs")
    assert (tool.load_tools_flag, tool.load_prompts_flag) == (False, False)
    assert (tool.session, tool.is_connected, tool.functions, tool._functions) == (None, False, [], [])
    assert str(tool) == "MCPTool(name=docs, description=Documents.)"
    plain = make()
    assert (plain.description, plain.additional_properties) == ("", None)


def test_transports_keep_their_own_parameters() -> None:
    stdio = MCPStdioTool("docs", "serve", args=["-v"], env={"A": "1"}, encoding="latin-1", cwd="/srv")
    assert (stdio.command, stdio.args, stdio.env, stdio.encoding) == ("serve", ["-v"], {"A": "1"}, "latin-1")
    assert MCPStdioTool("docs", "serve").args == []
    client, provide = Mock(spec=httpx.AsyncClient), lambda values: {}
    http = MCPStreamableHTTPTool("docs", "http://h/mcp", http_client=client, header_provider=provide)
    assert (http.url, http.terminate_on_close) == ("http://h/mcp", None)
    assert (http._httpx_client, http._header_provider) == (client, provide)
    assert MCPWebsocketTool("docs", "ws://h/mcp").url == "ws://h/mcp"


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_every_attribute_can_be_assigned_later(make: Callable[..., MCPTool]) -> None:
    tool, value = make(), object()
    names = [
        *("name", "description", "approval_mode", "allowed_tools", "tool_name_prefix", "additional_properties"),
        *("load_tools_flag", "load_prompts_flag", "parse_tool_results", "parse_prompt_results", "request_timeout"),
        *("client", "command", "args", "env", "encoding", "url", "terminate_on_close", "_functions"),
    ]
    for name in names:
        if hasattr(tool, name):
            setattr(tool, name, value)
            assert getattr(tool, name) is value


async def test_what_is_assigned_later_is_used() -> None:
    async def prompts(params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": [{"name": "greet"}]}

    async def prompt(params: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}]}

    class Prompting(McpScript):
        async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
            answer = await super().initialize(params)
            return {**answer, "capabilities": {"tools": {}, "prompts": {}}}

    with HttpServer(Prompting(handlers={"prompts/list": prompts, "prompts/get": prompt})) as server:
        tool = MCPStreamableHTTPTool("docs", "http://127.0.0.1:1/mcp", load_prompts=False)
        tool.url, tool.tool_name_prefix, tool.approval_mode = server.url, "d", "always_require"
        tool.load_prompts_flag, tool.terminate_on_close = True, False
        async with tool:
            echo, greet = tool.functions
            assert (echo.name, echo.approval_mode, greet.name) == ("d_echo", "always_require", "d_greet")
            assert echo.additional_properties["_mcp_remote_name"] == "echo"
            assert echo.additional_properties["_mcp_normalized_name"] == "echo"
            tool.allowed_tools = ["greet"]
            assert tool.functions == [greet]
            tool.parse_tool_results = lambda result: f"{len(result.content)} items"
            tool.parse_prompt_results = lambda result: f"{len(result.messages)} messages"
            assert await tool.call_tool("echo") == "1 items"
            assert await tool.get_prompt("greet") == "1 messages"
            assert [item.text for item in await echo.invoke(arguments={})] == ["1 items"]
        assert "DELETE" not in server.names


# Names in the module ...


def test_the_module_has_upstreams_names() -> None:
    assert _mcp.logger is logging.getLogger("agent_framework._mcp")
    assert (_mcp.MCP_DEFAULT_TIMEOUT, _mcp.MCP_DEFAULT_SSE_READ_TIMEOUT) == (30, 300)
    assert (_mcp._MCP_REMOTE_NAME_KEY, _mcp._MCP_NORMALIZED_NAME_KEY) == ("_mcp_remote_name", "_mcp_normalized_name")
    assert _mcp.propagate is propagate
    assert isinstance(_mcp._mcp_call_headers, ContextVar)
    with pytest.raises(LookupError):
        _mcp._mcp_call_headers.get()


@pytest.mark.parametrize(
    ("level", "names"),
    [
        (logging.DEBUG, ["debug"]),
        (logging.INFO, ["info", "notice"]),
        (logging.WARNING, ["warning"]),
        (logging.ERROR, ["error"]),
        (logging.CRITICAL, ["critical", "alert", "emergency"]),
    ],
)
def test_log_levels_of_mcp_are_those_of_logging(level: int, names: list[str]) -> None:
    assert [name for name, value in _mcp.LOG_LEVEL_MAPPING.items() if value == level] == names
    assert len(_mcp.LOG_LEVEL_MAPPING) == 8


@pytest.mark.parametrize(
    ("name", "normalized", "prefix", "exposed"),
    [
        ("a b/c", "a-b-c", None, "a-b-c"),
        ("ä.b_c-1", "-.b_c-1", None, "-.b_c-1"),
        ("__tool", "__tool", "p", "p_tool"),
        ("-_.", "-_.", "p", "p"),
        ("tool", "tool", "p.-_", "p_tool"),
        ("-tool", "-tool", "---", "-tool"),
        ("tool", "tool", "my srv", "my-srv_tool"),
    ],
)
def test_names_are_normalised_and_prefixed(name: str, normalized: str, prefix: str | None, exposed: str) -> None:
    assert _mcp._normalize_mcp_name(name) == normalized
    assert _mcp._build_prefixed_mcp_name(normalized, prefix) == exposed


def test_a_prompts_arguments_are_a_schema_of_strings() -> None:
    first, second = types.PromptArgument(name="a", required=True), types.PromptArgument(name="b", description="B")
    assert _mcp._get_input_model_from_mcp_prompt(types.Prompt(name="p")) == OBJECT
    some = _mcp._get_input_model_from_mcp_prompt(types.Prompt(name="p", arguments=[first, second]))
    fields = {"a": {"type": "string", "description": None}, "b": {"type": "string", "description": "B"}}
    assert some == {"type": "object", "properties": fields, "required": ["a"]}
    assert "required" not in _mcp._get_input_model_from_mcp_prompt(types.Prompt(name="p", arguments=[second]))


def test_a_trace_context_is_added_to_meta_and_overwrites_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _mcp._inject_otel_into_mcp_meta() is None
    monkeypatch.setattr(_mcp.propagate, "inject", lambda carrier: carrier.update(traceparent="ours", baggage="b"))
    assert _mcp._inject_otel_into_mcp_meta() == {"traceparent": "ours", "baggage": "b"}
    given = {"traceparent": "theirs", "x": 1}
    assert _mcp._inject_otel_into_mcp_meta(given) == {"traceparent": "theirs", "baggage": "b", "x": 1}
    assert given == {"traceparent": "theirs", "x": 1}


async def test_listed_meta_goes_before_the_trace_context_and_that_before_the_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_mcp.propagate, "inject", lambda carrier: carrier.update(a="trace", b="trace"))
    script = McpScript(tools=[{"name": "echo", "inputSchema": OBJECT, "_meta": {"a": "listed"}}])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as tool:
            await tool.call_tool("echo", _meta={"a": "mine", "b": "mine", "c": "mine"})
        sent = server.wait_for("tools/call").message
    assert sent is not None
    assert sent["params"]["_meta"] == {"a": "listed", "b": "trace", "c": "mine"}


async def test_the_converters_are_methods() -> None:
    tool = MCPTool("docs")
    text = types.TextContent(type="text", text="hi")
    assert [item.text for item in tool._parse_tool_result_from_mcp(types.CallToolResult(content=[text]))] == ["hi"]
    said = types.PromptMessage(role="user", content=text)
    assert tool._parse_prompt_result_from_mcp(types.GetPromptResult(messages=[said])) == "hi"
    assert [item.text for item in tool._parse_content_from_mcp([text, text])] == ["hi", "hi"]
    assert tool._parse_message_from_mcp(said).text == "hi"
    assert tool._prepare_content_for_mcp(Content.from_text("hi")) == text
    assert tool._prepare_message_for_mcp(Message("user", ["hi"])) == [text]
    assert tool._determine_approval_mode("any") is None
    tool.approval_mode = {"always_require_approval": ["a"], "never_require_approval": ["a", "b"]}
    found = [tool._determine_approval_mode(*names) for names in (("x", "a"), ("b",), ("x",))]
    assert found == ["always_require", "never_require", None]


# get_mcp_client: what reaches the SDK, and where its functions are looked up ...


def recorder(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Mock:
    stand_in = Mock(name=name)
    monkeypatch.setattr(module, name, stand_in)
    return stand_in


def test_stdio_parameters_reach_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    make = recorder(monkeypatch, mcp.client.stdio, "StdioServerParameters")
    connect = recorder(monkeypatch, mcp.client.stdio, "stdio_client")
    tool = MCPStdioTool("docs", "serve", args=["-v"], env={"A": "1"}, encoding="latin-1", cwd="/srv")
    assert tool.get_mcp_client() is connect.return_value
    make.assert_called_once_with(command="serve", args=["-v"], env={"A": "1"}, encoding="latin-1", cwd="/srv")
    connect.assert_called_once_with(server=make.return_value)
    MCPStdioTool("docs", "serve").get_mcp_client()
    make.assert_called_with(command="serve", args=[], env=None)


@pytest.mark.parametrize(("given", "sent"), [(None, True), (True, True), (False, False)])
def test_http_parameters_reach_the_modules_own_function(
    monkeypatch: pytest.MonkeyPatch, given: bool | None, sent: bool
) -> None:
    connect = recorder(monkeypatch, _mcp, "streamable_http_client")
    tool = MCPStreamableHTTPTool("docs", "http://h/mcp", terminate_on_close=given)
    assert tool.get_mcp_client() is connect.return_value
    connect.assert_called_once_with(url="http://h/mcp", http_client=None, terminate_on_close=sent)
    client = Mock(spec=httpx.AsyncClient)
    MCPStreamableHTTPTool("docs", "http://h/mcp", http_client=client).get_mcp_client()
    connect.assert_called_with(url="http://h/mcp", http_client=client, terminate_on_close=True)


def test_the_modules_http_function_asks_the_sdk_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = recorder(monkeypatch, mcp.client.streamable_http, "streamable_http_client")
    assert _mcp.streamable_http_client("http://h/mcp", http_client=1) is connect.return_value
    connect.assert_called_once_with("http://h/mcp", http_client=1)


@pytest.mark.skipif(not IS_1, reason="this SDK has no websocket transport")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_websocket_parameters_reach_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = recorder(monkeypatch, importlib.import_module("mcp.client.websocket"), "websocket_client")
    assert MCPWebsocketTool("docs", "ws://h/mcp", max_size=1).get_mcp_client() is connect.return_value
    connect.assert_called_once_with(url="ws://h/mcp", max_size=1)


async def test_the_modules_http_function_is_looked_up_by_each_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, Any]] = []

    def count(**options: Any) -> Any:
        opened.append(options)
        return mcp.client.streamable_http.streamable_http_client(**options)

    with HttpServer(McpScript()) as server:
        tool = MCPStreamableHTTPTool("docs", server.url)
        monkeypatch.setattr(_mcp, "streamable_http_client", count)
        await tool.connect()
        await tool.close()
    assert [(sorted(options), options["url"]) for options in opened] == [
        (["http_client", "terminate_on_close", "url"], server.url)
    ]


WITHOUT_MCP = """
import asyncio, json, sys
sys.modules["mcp"] = None
from agent_framework import FunctionTool, MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool
from agent_framework._mcp import MCPTool
from agent_framework.exceptions import ToolException
tools = [
    MCPStdioTool("docs", "serve"),
    MCPStreamableHTTPTool("docs", "http://h/mcp"),
    MCPStreamableHTTPTool("docs", "http://h/mcp", header_provider=dict),
    MCPWebsocketTool("docs", "ws://h/mcp"),
]
for tool in tools:
    try:
        tool.get_mcp_client()
    except ModuleNotFoundError as error:
        print(json.dumps([type(tool).__name__, str(error)]))
for tool in [*tools, MCPTool("docs")]:
    try:
        asyncio.run(tool.connect())
    except ToolException as error:
        print(json.dumps(["connect", str(error)]))
    asyncio.run(tool.close())
"""


def test_without_mcp_everything_imports_and_each_use_says_what_to_install() -> None:
    ran = subprocess.run(
        # Upstream 1.3 to 1.10 warn on import that parts of them are experimental.
        [sys.executable, "-W", "ignore::FutureWarning", "-c", WITHOUT_MCP],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(_mcp.__file__).parents[1],
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    said = [json.loads(line) for line in ran.stdout.splitlines()]
    for name, sentence in said[:4]:
        assert sentence.startswith(f"{name} requires `mcp")
        assert "pip install" in sentence
    assert [name for name, _ in said[4:]] == ["connect"] * 5
    assert all(sentence.startswith("MCP support requires `mcp`. Install it with") for _, sentence in said[4:])


# Which failure gives what ...


class Failing(AbstractAsyncContextManager[Any]):
    """A transport that fails where it is told to; its streams belong to nobody."""

    def __init__(self, *, enter: BaseException | None = None, leave: BaseException | None = None) -> None:
        self.enter, self.leave = enter, leave
        self.left = 0

    async def __aenter__(self) -> Any:
        if self.enter is not None:
            raise self.enter
        return Mock(), Mock()

    async def __aexit__(self, *exc_info: object) -> None:
        self.left += 1
        if self.leave is not None:
            raise self.leave


def session_class(monkeypatch: pytest.MonkeyPatch, **methods: Any) -> tuple[MagicMock, Mock]:
    """Puts a mock in the place of the SDK's class; returns it and the session it gives."""
    session = Mock(spec=ClientSession)
    session.initialize = AsyncMock(return_value=None)
    session.configure_mock(**methods)
    made = MagicMock()
    made.return_value.__aenter__ = AsyncMock(return_value=session)
    monkeypatch.setattr(mcp.client.session, "ClientSession", made)
    return made, session


def failing_with(error: BaseException, stage: str, monkeypatch: pytest.MonkeyPatch, tool: MCPTool) -> Failing:
    transport = Failing(enter=error if stage == "transport" else None)
    tool.get_mcp_client = Mock(return_value=transport)  # type: ignore[method-assign]
    made, session = session_class(monkeypatch)
    if stage == "session":
        made.side_effect = error
    if stage == "initialize":
        session.initialize.side_effect = error
    return transport


STAGES = {
    ("transport", "base"): "Failed to connect to MCP server",
    ("transport", "stdio"): "Failed to start MCP server 'serve'",
    ("session", "base"): "Failed to create MCP session",
    ("session", "stdio"): "Failed to create MCP session",
    ("initialize", "base"): "MCP server failed to initialize",
    ("initialize", "stdio"): "MCP server 'serve -v' failed to initialize",
}


@pytest.mark.parametrize("error", [ValueError("odd"), asyncio.CancelledError("stray")], ids=["error", "cancellation"])
@pytest.mark.parametrize(("stage", "kind"), STAGES)
async def test_a_failure_to_connect_begins_with_what_failed(
    monkeypatch: pytest.MonkeyPatch, stage: str, kind: str, error: BaseException
) -> None:
    tool = MAKE[kind](**({"args": ["-v"]} if kind == "stdio" else {}))
    transport = failing_with(error, stage, monkeypatch, tool)
    with pytest.raises(ToolException) as caught:
        await within(tool.connect())
    assert str(caught.value).startswith(STAGES[stage, kind])
    if isinstance(error, Exception):
        assert "odd" in str(caught.value)
        assert caught.value.__cause__ is error
    assert transport.left == (stage != "transport")
    assert (tool.is_connected, tool.session, tool._lifecycle_owner_task.done()) == (False, None, True)  # type: ignore[union-attr]


async def test_a_get_mcp_client_that_fails_is_a_failure_to_connect() -> None:
    tool = MAKE["base"]()
    tool.get_mcp_client = Mock(side_effect=RuntimeError("no route"))  # type: ignore[method-assign]
    with pytest.raises(ToolException, match="Failed to connect to MCP server: 'docs': no route"):
        await within(tool.connect())


async def test_the_base_class_has_no_transport() -> None:
    with pytest.raises(ToolException, match="has no transport"):
        await within(MCPTool("docs").connect())


async def test_a_failing_clean_up_hides_neither_the_first_failure_nor_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = MAKE["base"](load_tools=False, load_prompts=False)
    transport = failing_with(ValueError("the reason"), "initialize", monkeypatch, tool)
    transport.leave = OSError("the clean-up")
    with pytest.raises(ToolException, match="the reason"):
        await within(tool.connect())
    session_class(monkeypatch)
    await within(tool.connect())
    await within(tool.close())
    assert (tool.is_connected, transport.left) == (False, 2)


async def test_a_failing_async_with_has_closed_the_tool() -> None:
    class Odd(MCPTool):
        async def connect(self) -> None:  # type: ignore[override]
            self.session = Mock(spec=ClientSession)
            raise self.error

    tool = Odd("docs")
    tool.error = KeyError("odd")  # type: ignore[attr-defined]
    with pytest.raises(ToolExecutionException, match="Failed to enter context manager") as caught:
        await tool.__aenter__()
    assert isinstance(caught.value.__cause__, KeyError)
    assert tool.session is None
    tool.error = ToolException("as it is")  # type: ignore[attr-defined]
    with pytest.raises(ToolException, match="as it is"):
        await tool.__aenter__()


async def test_an_error_result_is_its_texts_line_by_line() -> None:
    async def fail(params: dict[str, Any]) -> dict[str, Any]:
        image = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
        texts = [{"type": "text", "text": text} for text in (params.get("arguments") or {}).get("texts", [])]
        return {"content": [image, *texts], "isError": True}

    with HttpServer(McpScript(handlers={"tools/call": fail})) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as tool:
            for texts, said, expected in (
                (["one", "two"], "one two", "one\ntwo"),
                ([], "failure without a text", "failure without a text"),
            ):
                with pytest.raises(MCPToolError) as caught:
                    await tool.call_tool("echo", texts=texts)
                assert said in str(caught.value)
                assert expected in caught.value.text


async def test_an_error_in_the_body_of_async_with_comes_out_as_it_is() -> None:
    with HttpServer(McpScript()) as server:
        with pytest.raises(KeyError, match="mine"):
            async with MCPStreamableHTTPTool("docs", server.url):
                raise KeyError("mine")


# The session that is made ...


@pytest.mark.parametrize("client", [None, Mock()], ids=["no client", "client"])
@pytest.mark.parametrize("timeout", [None, 0, 7])
async def test_the_session_gets_streams_callbacks_and_capabilities_by_name(
    monkeypatch: pytest.MonkeyPatch, client: Any, timeout: int | None
) -> None:
    made, session = session_class(monkeypatch)
    tool = MCPTool("docs", client=client, request_timeout=timeout)
    tool.get_mcp_client = Mock(return_value=Failing())  # type: ignore[method-assign]
    await within(tool.connect())
    given = made.call_args.kwargs
    assert {"read_stream", "write_stream"} < given.keys()
    assert given["read_timeout_seconds"] == (seconds(7) if timeout else None)
    assert given["message_handler"] == tool.message_handler
    assert given["logging_callback"] == tool.logging_callback
    assert given["sampling_callback"] == tool.sampling_callback
    capabilities = given["sampling_capabilities"]
    assert capabilities is None if client is None else capabilities.tools is not None
    assert (tool.session is session, tool.is_connected) == (True, True)
    assert tool._lifecycle_owner_task is not None
    assert tool._lifecycle_owner_task.get_name() == "mcp-lifecycle:docs"
    await within(tool.close())
    assert (tool.session, tool.is_connected, tool._lifecycle_owner_task.done()) == (None, False, True)


async def test_a_handshake_answer_without_capabilities_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _, session = session_class(monkeypatch, initialize=AsyncMock(return_value=None))
    tool = MCPTool("docs")
    tool.get_mcp_client = Mock(return_value=Failing())  # type: ignore[method-assign]
    async with tool:
        assert tool.functions == []
        session.list_tools.assert_not_called()
        session.list_prompts.assert_not_called()


@pytest.mark.skipif(not IS_1, reason="DevUI looks into sessions of SDK 1.x")
async def test_devui_can_see_whether_the_write_stream_is_closed() -> None:
    async with MCPStdioTool("docs", sys.executable, args=[PEER, "good"]) as tool:
        assert tool.session is not None
        assert tool.session._write_stream._closed is False  # type: ignore[attr-defined]
        session = tool.session
        with pytest.raises(ToolException):
            await within(tool.call_tool("die"))
        assert (tool.is_connected, tool.session) == (False, None)
        await within(tool.connect())
        assert session._write_stream._closed is True  # type: ignore[attr-defined]
        tool.is_connected = False
        tool.session = None
        await within(tool.connect())
        assert tool.is_connected


async def test_the_inner_of_two_nested_uses_closes() -> None:
    with HttpServer(McpScript()) as server:
        async with MCPStreamableHTTPTool("docs", server.url) as tool:
            async with tool as same:
                assert same is tool
            assert not tool.is_connected
            assert [function.name for function in tool.functions] == ["echo"]


# Subclasses ...


class Counting(MCPStreamableHTTPTool):
    """Overrides what people override."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.opened = 0
        self.heard: list[Any] = []
        self.logged: list[Any] = []

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        self.opened += 1
        return super().get_mcp_client()

    async def message_handler(self, message: Any) -> None:
        self.heard.append(message)
        await super().message_handler(message)

    async def logging_callback(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logged.append(params.data)
        await super().logging_callback(params)

    async def sampling_callback(self, context: Any, params: Any) -> Any:
        answer = types.TextContent(type="text", text="by the subclass")
        return types.CreateMessageResult(role="assistant", content=answer, model="mine")


class Talkative(McpScript):
    """Before it answers a call: says that the tools have changed, logs, and asks for a sample."""

    sampled: Any = None

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        logged = {"level": "warning", "data": {"disk": "full"}}
        asked = {"messages": [{"role": "user", "content": {"type": "text", "text": "?"}}], "maxTokens": 5}
        await self.push({"method": "notifications/tools/list_changed"})
        await self.push({"method": "notifications/message", "params": logged})
        await self.push({"id": "s-1", "method": "sampling/createMessage", "params": asked})
        return await super().call_tool(params)

    async def __call__(self, exchange: Exchange) -> object:
        if exchange.name == "response":
            self.sampled = exchange.message
        return await super().__call__(exchange)


async def test_callbacks_and_the_transport_can_be_overridden(caplog: pytest.LogCaptureFixture) -> None:
    script = Talkative(standing_stream=True, tools=[{"name": "echo", "inputSchema": OBJECT}])
    with HttpServer(script) as server:
        async with Counting("docs", server.url) as tool:
            await server.arrived("GET")
            script.tools = [{"name": "echo", "inputSchema": OBJECT}, {"name": "new", "inputSchema": OBJECT}]
            await within(tool.call_tool("echo"))
            await server.arrived("response")
            await server.arrived("tools/list", 2)
            assert script.sampled["result"]["content"]["text"] == "by the subclass"
            assert tool.opened == 1
            assert type(getattr(tool.heard[0], "root", tool.heard[0])) is types.ToolListChangedNotification
            assert tool.logged == [{"disk": "full"}]
    (logged,) = [record for record in caplog.records if record.getMessage().endswith('{"disk": "full"}')]
    assert (logged.name, logged.levelno) == ("agent_framework._mcp", logging.WARNING)
    assert str(tool._server) in logged.getMessage()


async def test_an_overridden_transport_keeps_the_header_provider_and_finds_a_new_session() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with Counting("docs", server.url, header_provider=lambda values: {"x-n": str(values.get("n"))}) as tool:
            await tool.call_tool("echo", n=1)
            script.live_sessions.clear()
            await within(tool.call_tool("echo", n=2))
            assert tool.opened == 2
        calls = [exchange.headers["x-n"] for exchange in server.exchanges if exchange.name == "tools/call"]
        assert calls == ["1", "2", "2"]


async def test_a_transport_of_the_sdks_own_finds_a_new_session_when_the_server_has_forgotten_the_old_one() -> None:
    class Own(MCPStreamableHTTPTool):
        def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
            return mcp.client.streamable_http.streamable_http_client(self.url)

    script = McpScript()
    with HttpServer(script) as server:
        async with Own("docs", server.url) as tool:
            script.live_sessions.clear()
            if not IS_1:  # what the SDK's transport says is no proof there that nothing ran
                with pytest.raises(ToolExecutionException, match="Session terminated") as caught:
                    await within(tool.call_tool("echo"))
                assert caught.value.sent is True  # type: ignore[attr-defined]
            answers = await within(asyncio.gather(*(tool.call_tool("echo", n=n) for n in range(3))))
            assert [answer[0].text for answer in answers] == [f'{{"n": {n}}}' for n in range(3)]
        assert script.opened_sessions == 2


async def test_a_transport_may_close_the_tool_while_it_opens() -> None:
    tool = MCPTool("docs")

    @asynccontextmanager
    async def transport() -> AsyncIterator[Any]:
        await tool.close()
        yield Mock(), Mock()

    tool.get_mcp_client = transport  # type: ignore[method-assign]
    with pytest.raises(ToolException, match="was closed"):
        await within(tool.connect())


# Mocks in the place of a session ...

ECHO = types.Tool(name="echo", description="Echoes.", inputSchema={"type": "object", "properties": {"x": {}}})
GREET = types.Prompt(name="greet", arguments=[types.PromptArgument(name="who")])


def mock_session(make: Callable[[], Any]) -> Any:
    session = make()
    session.send_ping = AsyncMock()
    session.initialize = AsyncMock()
    session.list_tools = AsyncMock(return_value=types.ListToolsResult(tools=[ECHO]))
    session.list_prompts = AsyncMock(return_value=types.ListPromptsResult(prompts=[GREET]))
    said = types.TextContent(type="text", text="hi")
    session.call_tool = AsyncMock(return_value=types.CallToolResult(content=[said]))
    message = types.PromptMessage(role="user", content=said)
    session.get_prompt = AsyncMock(return_value=types.GetPromptResult(messages=[message]))
    return session


SESSIONS: dict[str, Callable[[], Any]] = {
    "Mock of the class": lambda: Mock(spec=ClientSession),
    "Mock": Mock,
    "MagicMock": MagicMock,
    "AsyncMock of the class": lambda: AsyncMock(spec=ClientSession),
}


@pytest.fixture(params=SESSIONS.values(), ids=SESSIONS)
def session(request: pytest.FixtureRequest) -> Any:
    return mock_session(request.param)


async def assert_serves(tool: MCPTool, session: Any) -> None:
    assert [function.name for function in tool.functions] == ["echo", "greet"]
    echo, greet = tool.functions
    assert (await echo.invoke(arguments={"x": 1}))[0].text == "hi"
    session.call_tool.assert_called_once_with("echo", arguments={"x": 1}, meta=None)
    assert (await greet.invoke(arguments={"who": "Ada"}))[0].text == "hi"
    session.get_prompt.assert_called_once_with("greet", arguments={"who": "Ada"})
    session.list_tools.assert_called_once_with(params=None)


async def test_a_mock_can_be_assigned_as_session(session: Any) -> None:
    tool = MCPTool("docs")
    tool.session = session
    tool.is_connected = True
    assert (tool.session, tool.is_connected) == (session, True)
    await tool.load_tools()
    await tool.load_prompts()
    await assert_serves(tool, session)
    await tool.close()
    assert (tool.session, tool.is_connected, len(tool.functions)) == (None, False, 2)


async def test_a_mock_can_be_passed_as_session(session: Any) -> None:
    async with MCPTool("docs", session=session) as tool:
        session.initialize.assert_not_called()
        await assert_serves(tool, session)


async def test_what_plays_a_sessions_part_needs_the_methods_that_are_called_only() -> None:
    class Part:
        async def list_tools(self, params: Any = None) -> Any:
            return types.ListToolsResult(tools=[ECHO])

        async def call_tool(self, name: str, arguments: Any = None, meta: Any = None) -> Any:
            return types.CallToolResult(content=[types.TextContent(type="text", text=f"{name} {arguments}")])

    part: Any = Part()
    async with MCPTool("docs", session=part, load_prompts=False) as tool:
        assert (await tool.call_tool("echo", x=1))[0].text == "echo {'x': 1}"  # type: ignore[union-attr]


@pytest.mark.parametrize("with_reset", [False, True])
async def test_connect_can_be_overridden(session: Any, with_reset: bool) -> None:
    class Bare(MCPTool):
        async def connect(self) -> None:  # type: ignore[override]
            self.session = session

        def get_mcp_client(self) -> Any:
            return None

    class Full(Bare):
        async def connect(self, *, reset: bool = False) -> None:
            await super().connect()
            self.is_connected = True

    async with (Full if with_reset else Bare)("docs") as tool:
        await tool.load_tools()
        await tool.load_prompts()
        await assert_serves(tool, session)
        assert tool.is_connected


async def test_functions_can_be_assigned_and_appended() -> None:
    tool = MCPTool("docs", allowed_tools=["mine", "other"])
    mine = FunctionTool(name="mine", func=lambda: "mine")
    hidden = FunctionTool(name="hidden", func=lambda: "hidden")
    tool._functions = [mine]
    tool._functions.append(hidden)
    tool._functions.append(
        FunctionTool(name="d_other", func=lambda: "other", additional_properties={"_mcp_remote_name": "other"})
    )
    assert [function.name for function in tool.functions] == ["mine", "d_other"]
    tool.session = mock_session(Mock)
    tool.allowed_tools = None
    await tool.load_tools()
    assert [function.name for function in tool.functions] == ["echo", "mine", "hidden", "d_other"]
    await tool.close()


async def test_pages_are_asked_for_with_the_cursor_of_the_page_before() -> None:
    tool = MCPTool("docs", load_prompts=False)
    tool.session = session = mock_session(Mock)
    second = types.Tool(name="second", inputSchema={"type": "object"})
    pages = [types.ListToolsResult(tools=[ECHO], nextCursor="c"), types.ListToolsResult(tools=[second])]
    session.list_tools = AsyncMock(side_effect=pages)
    await tool.load_tools()
    first_page, second_page = session.list_tools.call_args_list
    assert first_page.kwargs == {"params": None}
    assert second_page.kwargs == {"params": types.PaginatedRequestParams(cursor="c")}
    session.send_ping.assert_not_called()
    assert [function.name for function in tool.functions] == ["echo", "second"]
    assert field(second, "inputSchema") == {"type": "object"}
    await tool.close()


@pytest.mark.parametrize(
    "error", [anyio.ClosedResourceError(), anyio.BrokenResourceError()], ids=lambda e: str(type(e))
)
async def test_a_session_that_was_assigned_and_breaks_is_named_and_not_replaced(error: Exception) -> None:
    tool = MCPTool("docs")
    tool.session = session = mock_session(Mock)
    tool.is_connected = True
    session.call_tool.side_effect = error
    with pytest.raises(ToolExecutionException, match="has ended and was not replaced"):
        await tool.call_tool("echo")
    assert session.call_tool.call_count == 1
    await tool.close()


async def test_a_session_of_ones_own_that_the_server_has_forgotten_is_named_and_not_replaced() -> None:
    script = McpScript()
    with HttpServer(script) as server:
        async with (
            http_streams(server.url) as (read_stream, write_stream),
            ClientSession(read_stream, write_stream) as session,
            MCPStreamableHTTPTool("docs", server.url, session=session) as tool,
        ):
            script.live_sessions.clear()
            with pytest.raises(ToolExecutionException, match="has ended and was not replaced"):
                await within(tool.call_tool("echo"))
        assert script.opened_sessions == 1
