# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""How it ends: programs that do not close, Ctrl-C, one event loop after another, children that do not leave; and what
is never said on the way."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import otel_recorder
import pytest
from fault_servers import BOUND, CLOSE, JSON, Exchange, HttpServer, McpScript, never, unused_port

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError, MCPError, MCPTool
from agent_framework._mcp_client import _process
from agent_framework.exceptions import ToolException

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PEER = str(HERE / "bad_peer.py")


def stdio_tool(*arguments: str, **options: Any) -> MCPStdioTool:
    return MCPStdioTool("bad", sys.executable, args=["-SE", PEER, *arguments], **options)


# Whole programs ...

PROGRAM = f"""
import asyncio, gc, os, signal, sys
from agent_framework import MCPStdioTool, MCPStreamableHTTPTool

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what it runs in the background ignore it
URL, HOW = sys.argv[1:]
http = MCPStreamableHTTPTool("http", URL)
stdio = MCPStdioTool("stdio", sys.executable, args=["-SE", {PEER!r}, *(["deaf"] if HOW == "error" else [])])
silent = MCPStreamableHTTPTool("silent", URL.replace("/mcp", "/silent"))

async def main():
    asyncio.get_running_loop().slow_callback_duration = 10  # a busy machine is not what this is about
    await asyncio.gather(http.connect(), stdio.connect())
    await asyncio.gather(http.call_tool("echo"), stdio.call_tool("echo"))
    print("pid", (await stdio.call_tool("pid"))[0].text, flush=True)
    if HOW == "connect":
        await silent.connect()
    if HOW == "call":
        await asyncio.gather(http.call_tool("hang"), stdio.call_tool("hang"))
    if HOW == "close":
        await asyncio.gather(http.close(), stdio.close())
    if HOW == "error":
        raise SystemExit(3)
    if HOW == "background":
        asyncio.create_task(stdio.call_tool("hang"))
        asyncio.create_task(http.call_tool("hang"))
        await asyncio.sleep(0.1)

async def forget():
    await MCPStreamableHTTPTool("http", URL).connect()
    await MCPStdioTool("stdio", sys.executable, args=["-SE", {PEER!r}]).connect()

async def main_that_forgets():
    asyncio.get_running_loop().slow_callback_duration = 10
    await forget()
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()

asyncio.run(main_that_forgets() if HOW == "forget" else main())
"""


class Program(McpScript):
    """Serves the programs: `hang` waits for ever, and so do a farewell and everything at /silent."""

    async def __call__(self, exchange: Exchange) -> object:
        params = (exchange.message or {}).get("params") or {}
        if exchange.path == "/silent" or exchange.method == "DELETE" or params.get("name") == "hang":
            return await never(exchange)
        return await super().__call__(exchange)


def run_program(server: HttpServer, how: str, interrupt: Callable[[], object] | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a program; with `interrupt`, SIGINT is sent after it."""
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, server.url, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline() if how != "forget" else ""
            if interrupt is not None:
                interrupt()
                await_idleness(process.pid)
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, first + out, err


def await_idleness(pid: int) -> None:
    """Waits until a program waits: before Python 3.11 its SIGINT is raised in whatever code it is just running."""
    deadline, quiet, before = time.monotonic() + BOUND, 0, ""
    while quiet < 3:
        assert time.monotonic() < deadline, f"the program {pid} is never idle"
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = " ".join([fields[0], *fields[11:13]])  # its state and its processor times
        quiet = quiet + 1 if now == before and fields[0] == "S" else 0
        before = now
        time.sleep(0.01)


def await_death(pid: int) -> None:
    deadline = time.monotonic() + BOUND
    while is_alive(pid):
        assert time.monotonic() < deadline, f"the child {pid} outlived its program"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("how", ["error", "background", "forget"])
def test_a_program_that_does_not_close_ends_without_noise_or_orphan(how: str) -> None:
    with HttpServer(Program()) as server:
        code, out, err = run_program(server, how)
    assert err == ""
    assert code == (3 if how == "error" else 0)
    for word in out.split()[1:]:
        await_death(int(word))


@pytest.mark.parametrize("how", ["connect", "call", "close"])
def test_a_program_that_is_interrupted_says_so_and_nothing_else_and_leaves_no_orphan(how: str) -> None:
    with HttpServer(Program()) as server:
        waits = {
            "connect": lambda: server.wait_for("initialize", 2),
            "call": lambda: server.wait_for("tools/call", 2),
            "close": lambda: server.wait_for("DELETE"),
        }
        code, out, err = run_program(server, how, waits[how])
    assert err.strip().splitlines()[-1].startswith("KeyboardInterrupt"), err
    for noise in (
        "never awaited",
        "destroyed",
        "Warning",
        "ignored",
        "generator",
        "cancel scope",
        "unclosed",
        "orphan",
    ):
        assert noise not in err, err
    assert err.startswith("Traceback"), err
    assert err.count("\nKeyboardInterrupt") == 1, err
    assert code in (-signal.SIGINT, 130, 1)
    await_death(int(out.split()[1]))


# Children that do not leave ...


async def test_a_child_that_ignores_the_end_of_its_input_and_sigterm_is_gone_after_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _process.STDIN_CLOSE_GRACE + _process.TERMINATE_GRACE < 6
    monkeypatch.setattr(_process, "STDIN_CLOSE_GRACE", 0.3)
    monkeypatch.setattr(_process, "TERMINATE_GRACE", 0.3)
    tool = stdio_tool("deaf")
    await tool.connect()
    child = int((await tool.call_tool("pid"))[0].text)  # type: ignore[union-attr, arg-type]
    calls = [asyncio.create_task(tool.call_tool("hang")) for _ in range(3)]
    await asyncio.sleep(0)
    started = time.monotonic()
    await asyncio.wait_for(tool.close(), 3)
    assert time.monotonic() - started >= 0.5, "it was not given its graces"
    assert not is_alive(child)
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, MCPConnectionError)


async def test_tools_are_closed_in_any_order_and_by_any_task() -> None:
    with HttpServer(McpScript()) as server:
        for order in ((0, 1, 2, 3), (3, 1, 0, 2), (2, 0, 3, 1)):
            tools: list[MCPTool] = [
                stdio_tool(),
                MCPStreamableHTTPTool("a", server.url),
                stdio_tool(),
                MCPStreamableHTTPTool("b", server.url),
            ]
            for tool in tools:
                await asyncio.create_task(tool.connect())
            for number in order:
                await asyncio.wait_for(asyncio.create_task(tools[number].close()), BOUND)
                assert [tool.is_connected for tool in tools].count(False) >= 1
                for tool in tools:
                    if tool.is_connected:
                        await asyncio.wait_for(tool.call_tool("echo"), BOUND)


# Two loops ...


@pytest.mark.parametrize("kind", ["http", "stdio"])
@pytest.mark.parametrize("end", ["closed", "left open"])
def test_a_tool_serves_loops_in_succession_however_the_first_one_ended(kind: str, end: str) -> None:
    async def use(tool: MCPTool) -> None:
        if not tool.is_connected:  # as an agent does
            await tool.connect()
        assert (await tool.call_tool("echo"))[0].text == "{}"  # type: ignore[union-attr]
        if end == "closed":
            await tool.close()

    with HttpServer(McpScript()) as server:
        tool: MCPTool = MCPStreamableHTTPTool("script", server.url) if kind == "http" else stdio_tool()
        for _ in range(3):
            asyncio.run(use(tool))
            assert not tool.is_connected
        asyncio.run(tool.close())


ABANDONING = f"""
import asyncio, sys
from agent_framework import MCPStdioTool, MCPStreamableHTTPTool

async def use(tool):
    if not tool.is_connected:
        await tool.connect()
    print((await tool.call_tool("echo"))[0].text, flush=True)

tools = [MCPStreamableHTTPTool("http", sys.argv[1]), MCPStdioTool("stdio", sys.executable, args=["-SE", {PEER!r}])]
for tool in tools:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(tool))
    loop.close()
    print(tool.is_connected)
    async def again(tool=tool):
        await tool.call_tool("echo")
        await use(tool)
        await tool.close()
    asyncio.run(again())
"""


def test_a_tool_whose_loop_was_closed_over_its_head_serves_the_next_loop() -> None:
    """asyncio complains about such a loop on its own; what counts is that the tool works."""
    with HttpServer(McpScript()) as server:
        done = subprocess.run(
            [sys.executable, "-c", ABANDONING, server.url],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.stdout.split() == ["{}", "False", "{}"] * 2, done.stderr


def test_a_tool_that_was_left_open_knows_that_its_loop_is_gone() -> None:
    with HttpServer(McpScript()) as server:
        tool = MCPStreamableHTTPTool("script", server.url)
        asyncio.run(tool.connect())
        assert not tool.is_connected
        asyncio.run(tool.connect())
        asyncio.run(tool.close())


async def test_a_tool_that_nobody_holds_any_more_is_not_collected_in_mid_connection() -> None:
    with HttpServer(McpScript()) as server:

        async def forget() -> asyncio.Task[Any]:
            tool = MCPStreamableHTTPTool("script", server.url)
            await tool.connect()
            assert tool._lifecycle_owner_task is not None
            return tool._lifecycle_owner_task

        owner = await forget()
        names = {task.get_name() for task in asyncio.all_tasks()}
        gc.collect()
        assert names <= {task.get_name() for task in asyncio.all_tasks()}
        owner.cancel()
        await asyncio.wait({owner}, timeout=BOUND)


# Secrets ...

USER, PASSWORD, QUERY, TOKEN, ENV = "us3rname", "p4ssw0rd", "qu3rytoken", "he4dertoken", "env1ronment-value"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (USER, PASSWORD, QUERY, TOKEN, ENV, BASIC)
OURS = ("agent_framework",)


@pytest.fixture
def everything_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """All that our loggers said, all that was traced."""
    from agent_framework.observability import OBSERVABILITY_SETTINGS

    monkeypatch.setattr(OBSERVABILITY_SETTINGS, "enable_instrumentation", True)
    exporter = otel_recorder.span_exporter()
    exporter.clear()
    caplog.set_level(logging.DEBUG)
    for name in ("agent_framework", "agent_framework._mcp"):
        caplog.set_level(logging.DEBUG, name)
    formatter = logging.Formatter()

    def said() -> list[str]:
        records = [record for record in caplog.records if record.name.startswith(OURS)]
        return [
            *(formatter.format(record) for record in records),
            *(span.to_json() for span in exporter.get_finished_spans()),
        ]

    return said


def assert_no_secret(*texts: str) -> None:
    for text in texts:
        for secret in SECRETS:
            assert secret not in text, text


def shown(error: BaseException) -> str:
    """An error as a log would show it: with its fields, its causes and their texts."""
    parts = "".join(traceback.format_exception(type(error), error, error.__traceback__, chain=True))
    # The source lines of the test itself are not what the library says.
    said = [line for line in parts.splitlines() if not line.startswith("    ")]
    return "\n".join([*said, repr(error), repr(vars(error)), str(error.args)])


async def drop(exchange: Exchange) -> object:
    return CLOSE


async def refuse(exchange: Exchange) -> None:
    await exchange.answer(401, "{}", JSON, www_authenticate="Bearer")


async def refuse_echoing(exchange: Exchange) -> None:
    token = exchange.headers.get("authorization", "").partition(" ")[2]
    message = f"invalid token {token}"
    body = f'{{"jsonrpc": "2.0", "id": null, "error": {{"code": -32000, "message": "{message}"}}}}'
    await exchange.answer(401, body, JSON)


async def redirect(exchange: Exchange) -> None:
    await exchange.answer(307, location=f"http://{USER}:{PASSWORD}@elsewhere.invalid/?key={QUERY}")


async def page(exchange: Exchange) -> None:
    await exchange.answer(200, "<p>", "text/html")


FAULTS: dict[str, Any] = {
    "good": None,
    "dropped": drop,
    "401": refuse,
    "echoing 401": refuse_echoing,
    "redirected": redirect,
    "html": page,
    "silent": never,
}


@pytest.mark.parametrize("stage", ["initialize", "tools/call"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_secret_of_an_http_server_is_said(
    fault: str, stage: str, everything_said: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    script = McpScript()

    async def behave(exchange: Exchange) -> object:
        return await FAULTS[fault](exchange) if fault != "good" and exchange.name == stage else await script(exchange)

    with HttpServer(behave) as server:
        url = server.url.replace("http://", f"http://{USER}:{PASSWORD}@") + f"?key={QUERY}#{QUERY}"
        async with httpx.AsyncClient(headers={"x-api-key": TOKEN}, timeout=5) as client:
            tool = MCPStreamableHTTPTool(
                "secret",
                url,
                http_client=client,
                header_provider=lambda values: {"authorization": f"Bearer {TOKEN}"},
                connect_timeout=0.3,
                request_timeout=1,
            )
            said = [repr(tool), str(tool)]
            try:
                await tool.connect()
                said.append(repr(tool._link))
                await tool.call_tool("echo")
                await tool.load_tools()
            except ToolException as error:
                said += [str(error), repr(error), repr(vars(error)), shown(error)]
            said += [repr(tool), repr(tool._link)]
            await tool.close()
        assert server.exchanges
    assert_no_secret(*said, *everything_said(), capfd.readouterr().err)


async def test_no_secret_of_a_url_that_cannot_be_reached_is_said(everything_said: Any) -> None:
    said = []
    for url in (
        f"http://{USER}:{PASSWORD}@127.0.0.1:{unused_port()}/mcp?key={QUERY}",
        f"http://{USER}:{PASSWORD}@name.invalid/mcp?key={QUERY}",
    ):
        tool = MCPStreamableHTTPTool("secret", url, connect_timeout=2)
        with pytest.raises(ToolException) as caught:
            await tool.connect()
        said += [str(caught.value), repr(caught.value), repr(vars(caught.value)), repr(tool)]
        await tool.close()
    assert_no_secret(*said, *everything_said())


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://{USER}:{PASSWORD}@127.0.0.1/mcp?key={QUERY}",
        f"http://{USER}:{PASSWORD}@[::bad/mcp?key={QUERY}",
        f"http://{USER}:{PASSWORD}@127.0.0.1:99999/mcp?key={QUERY}",
        f"http://{USER}:{PASSWORD}@/mcp?key={QUERY}",
        f"http://{USER}:{PASSWORD}@127.0.0.1/mcp?key= {QUERY}",
        f"{USER}:{PASSWORD}@127.0.0.1/mcp?key={QUERY}",
        f"{USER}:{PASSWORD}/@127.0.0.1/mcp?key={QUERY}",
    ],
)
def test_no_secret_of_a_url_that_is_refused_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="url") as caught:
        MCPStreamableHTTPTool("secret", url)
    assert_no_secret(str(caught.value), repr(caught.value))


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}\n", f"Bearer {TOKEN}\r\nx: y", f"Bearer {TOKEN}ü", f"{TOKEN}\0"])
@pytest.mark.parametrize("through", ["provider", "client"])
async def test_a_header_value_that_http_does_not_allow_is_not_quoted(
    value: str, through: str, everything_said: Any
) -> None:
    """A token that was read from a file with its line end is the classic."""
    with HttpServer(McpScript()) as server:
        async with httpx.AsyncClient() as client:
            provider = None
            if through == "provider":
                provider = lambda values: {"authorization": value}  # noqa: E731
            else:
                client.headers = httpx.Headers({"authorization": value}, encoding="utf-8")
            tool = MCPStreamableHTTPTool("secret", server.url, http_client=client, header_provider=provider)
            try:
                await asyncio.wait_for(tool.connect(), BOUND)
            except MCPError as error:
                assert_no_secret(str(error), repr(error), repr(vars(error)), repr(tool))
            await tool.close()
    assert_no_secret(*everything_said())


@pytest.mark.parametrize("value", [ENV, f"{'k' * 490}{ENV}", f"-----BEGIN KEY-----\n{ENV}\n-----END KEY-----"])
async def test_no_value_of_a_childs_environment_is_said(value: str, everything_said: Any) -> None:
    tool = stdio_tool(env={"PEER_SECRET": value, "OTHER": value[:5]})
    await tool.connect()
    with pytest.raises(MCPConnectionError, match="the key is") as caught:
        await tool.call_tool("whisper")
    assert "***" in str(caught.value)
    assert_no_secret(str(caught.value), shown(caught.value), repr(tool), repr(tool._link), *everything_said())
    await tool.close()
