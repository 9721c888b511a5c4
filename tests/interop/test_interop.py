# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Our tools against MCP servers that others wrote; `scripts/interop` installs them and says where they are."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_servers import freeze

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPTool
from agent_framework.exceptions import MCPConnectionError, MCPError, MCPServerError, MCPToolError

if "MCP_INTEROP_SERVERS" not in os.environ:
    pytest.skip("scripts/interop installs the servers and runs these tests", allow_module_level=True)

SERVERS: dict[str, list[str] | str] = json.loads(os.environ["MCP_INTEROP_SERVERS"])
BOUND = 15.0  # seconds; starting node or Python takes one of them, and more on a busy machine
INPUT = 9  # the descriptor of a server's input that stays the pipe from us

Make = Callable[..., MCPTool]


def command_of(server: str) -> list[str]:
    command = SERVERS[server]
    if isinstance(command, str):
        pytest.skip(command)
    return command


def stdio_tool(server: str, *args: str, pids: Path | None = None, **options: Any) -> MCPStdioTool:
    """A tool over stdio.

    Keyword Args:
        pids: A file to which each process of the server adds its id, one a line.
    """
    program, *given = [*command_of(server), *args]
    if pids is not None:
        # Some servers put something else in the place of their standard input, so it is kept under another number too.
        given = ["-c", f'exec {INPUT}<&0; echo $$ >> "$0"; exec "$@"', str(pids), program, *given]
        program = "sh"
    return MCPStdioTool(server, program, args=given, request_timeout=int(BOUND), **options)


class HttpProcess:
    """server-everything over streamable HTTP, as a process on a port of its own."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*command_of("everything"), "streamableHttp"],
            env={**os.environ, "PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + BOUND
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "the server does not listen"
                assert self.process.poll() is None, "the server has exited"
                time.sleep(0.02)  # a port that will be listened on cannot be waited for
            else:
                return

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(BOUND)


@pytest.fixture
def http_process() -> Iterator[HttpProcess]:
    process = HttpProcess()
    process.start()
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture(params=["stdio", "http"])
def everything(request: pytest.FixtureRequest) -> Make:
    """Makes tools for server-everything, over each of its transports."""
    if request.param == "stdio":
        return lambda **options: stdio_tool("everything", "stdio", **options)
    process: HttpProcess = request.getfixturevalue("http_process")
    return lambda **options: MCPStreamableHTTPTool("everything", process.url, request_timeout=int(BOUND), **options)


def names(tool: MCPTool, kind: str = "tools") -> set[str]:
    return {function.name for function in tool.functions if function.additional_properties["_mcp_kind"] == kind}


def assert_usable_schemas(tool: MCPTool) -> None:
    """What a model's provider asks of every function: a name it takes, and an object with properties."""
    for function in tool.functions:
        schema = function.parameters()
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function.name)
        assert schema["type"] == "object"
        assert isinstance(schema["properties"], dict)
        assert set(schema.get("required", [])) <= schema["properties"].keys()
        json.dumps(function.to_json_schema_spec())


async def contents(tool: MCPTool, tool_name: str, **arguments: Any) -> list[Any]:
    result = await asyncio.wait_for(tool.call_tool(tool_name, **arguments), BOUND)
    assert isinstance(result, list)
    return result


# server-everything: what it lists ...


async def test_everything_lists_tools_and_prompts_with_usable_schemas(everything: Make) -> None:
    async with everything() as tool:
        assert {"echo", "get-sum", "get-tiny-image", "get-structured-content", "get-resource-links"} <= names(tool)
        assert names(tool, "prompts") == {"simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"}
        assert_usable_schemas(tool)


async def test_everything_is_called_by_its_own_names_behind_a_prefix(everything: Make) -> None:
    async with everything(tool_name_prefix="demo", allowed_tools=["echo"]) as tool:
        (function,) = tool.functions
        assert function.name == "demo_echo"
        (content,) = await function.invoke(arguments={"message": "hello"})
        assert content.text == "Echo: hello"


# ... every type of content ...


async def test_text(everything: Make) -> None:
    async with everything() as tool:
        assert [item.text for item in await contents(tool, "echo", message="grüß Gott")] == ["Echo: grüß Gott"]
        assert [item.text for item in await contents(tool, "get-sum", a=2, b=3)] == ["The sum of 2 and 3 is 5."]


async def test_an_image_between_texts(everything: Make) -> None:
    async with everything() as tool:
        before, image, after = await contents(tool, "get-tiny-image")
        assert (before.type, image.type, after.type) == ("text", "data", "text")
        assert image.media_type == "image/png"
        assert image.uri.startswith("data:image/png;base64,iVBOR")


async def test_text_with_annotations_and_an_image(everything: Make) -> None:
    async with everything() as tool:
        text, image = await contents(tool, "get-annotated-message", messageType="error", includeImage=True)
        assert text.text.startswith("Error")
        assert image.media_type == "image/png"


async def test_resource_links(everything: Make) -> None:
    async with everything() as tool:
        _, *links = await contents(tool, "get-resource-links", count=3)
        assert [link.type for link in links] == ["uri"] * 3
        assert all(link.uri.startswith("demo://resource/") for link in links)


async def test_embedded_resources_of_text_and_of_bytes(everything: Make) -> None:
    async with everything() as tool:
        _, text, _ = await contents(tool, "get-resource-reference", resourceType="Text", resourceId=1)
        assert text.text.startswith("Resource 1: This is a plaintext resource")
        _, blob, _ = await contents(tool, "get-resource-reference", resourceType="Blob", resourceId=2)
        assert (blob.type, blob.media_type) == ("data", "text/plain")
        (archive,) = await contents(
            tool, "gzip-file-as-resource", name="a.gz", data="data:text/plain,hello", outputType="resource"
        )
        assert archive.media_type == "application/gzip"
        assert archive.uri.startswith("data:application/gzip;base64,H4sI")


async def test_structured_content_is_read_once(everything: Make) -> None:
    async with everything() as tool:
        (structured,) = await contents(tool, "get-structured-content", location="Chicago")
        assert json.loads(structured.text).keys() == {"temperature", "conditions", "humidity"}


async def test_prompts_with_and_without_arguments(everything: Make) -> None:
    async with everything() as tool:
        assert await tool.get_prompt("simple-prompt") == "This is a simple prompt without arguments."
        assert await tool.get_prompt("args-prompt", city="Paris", state="TX") == "What's weather in Paris, TX?"
        question, resource = json.loads(await tool.get_prompt("resource-prompt", resourceType="Text", resourceId="1"))
        assert "Text resource with id: 1" in question
        assert resource.startswith("Resource 1: This is a plaintext resource")


# ... how it fails ...


async def test_errors_of_tools_and_prompts(everything: Make) -> None:
    async with everything() as tool:
        with pytest.raises(MCPToolError, match="expected number"):
            await contents(tool, "get-sum", a="two", b=3)
        with pytest.raises(MCPError, match="nonsense"):
            await contents(tool, "nonsense")
        with pytest.raises(MCPServerError, match="city") as caught:
            await tool.get_prompt("args-prompt")
        assert (caught.value.code, caught.value.phase) == (-32602, "prompt")
        assert [item.text for item in await contents(tool, "echo", message="still there")] == ["Echo: still there"]


# ... and how it takes its time.


async def test_a_tool_that_runs_only_as_a_task_is_called_as_one(everything: Make) -> None:
    async with everything() as tool:
        (report,) = await contents(tool, "simulate-research-query", topic="whales")
        assert report.text.startswith("# Research Report: whales")


async def test_progress_of_a_long_operation_is_reported(everything: Make) -> None:
    reports: list[tuple[str, float, float | None, str | None]] = []
    async with everything(progress_callback=lambda *report: reports.append(report)) as tool:
        (content,) = await contents(tool, "trigger-long-running-operation", duration=1, steps=4)
        assert "completed" in content.text
    assert [report[:3] for report in reports] == [("trigger-long-running-operation", n, 4) for n in (1, 2, 3, 4)]


async def test_calls_at_the_same_time_get_their_own_answers(everything: Make) -> None:
    async with everything() as tool:
        slow = asyncio.create_task(contents(tool, "trigger-long-running-operation", duration=1, steps=2))
        answers = await asyncio.gather(*(contents(tool, "echo", message=str(n)) for n in range(20)))
        assert [answer[0].text for answer in answers] == [f"Echo: {n}" for n in range(20)]
        assert not slow.done()
        assert "completed" in (await slow)[0].text


async def test_a_cancelled_call_costs_nothing_else(everything: Make) -> None:
    begun = asyncio.Event()
    async with everything(progress_callback=lambda *report: begun.set()) as tool:
        call = asyncio.create_task(contents(tool, "trigger-long-running-operation", duration=60, steps=120))
        await asyncio.wait_for(begun.wait(), BOUND)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert [item.text for item in await contents(tool, "echo", message="on")] == ["Echo: on"]
        assert "generation=1" in repr(tool)


async def test_close_ends_a_call_in_flight(everything: Make) -> None:
    begun = asyncio.Event()
    tool = everything(progress_callback=lambda *report: begun.set())
    await tool.connect()
    call = asyncio.create_task(contents(tool, "trigger-long-running-operation", duration=60, steps=120))
    await asyncio.wait_for(begun.wait(), BOUND)
    await asyncio.wait_for(tool.close(), BOUND)
    with pytest.raises(MCPConnectionError, match="the connection was closed"):
        await call


async def test_a_tool_can_be_opened_again(everything: Make) -> None:
    tool = everything()
    for _ in range(2):
        async with tool:
            assert [item.text for item in await contents(tool, "echo", message="hi")] == ["Echo: hi"]


async def test_a_process_gets_only_the_harmless_part_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    async with stdio_tool("everything", "stdio", env={"GREETING": "hello"}) as tool:
        (content,) = await contents(tool, "get-env")
        assert json.loads(content.text)["GREETING"] == "hello"
        assert "hunter2" not in content.text


# Being killed ...


def unread(pid: int) -> int:
    """How many bytes wait in the pipe that a process of ``stdio_tool(pids=...)`` reads from."""
    with Path(f"/proc/{pid}/fd/{INPUT}").open("rb", buffering=0) as pipe:
        waiting = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0]


async def until_written(pid: int, before: int) -> None:
    """Waits until more than that waits to be read by a process that stands still."""
    while unread(pid) == before:
        await asyncio.sleep(0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("server", "args", "call"),
    [
        ("everything", ["stdio"], ("echo", {"message": "hi"})),
        ("time", [], ("get_current_time", {"timezone": "Etc/UTC"})),
        ("git", [], ("git_status", {"repo_path": "."})),
    ],
    ids=["everything", "time", "git"],
)
async def test_a_process_that_is_killed_in_a_call_is_named_and_the_next_call_starts_a_new_one(
    server: str, args: list[str], call: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    async with stdio_tool(server, *args, pids=pids) as tool:
        first = int(pids.read_text())
        freeze(first)  # whatever is called now is in flight until the end
        calls: list[asyncio.Task[Any]] = []
        for _ in range(3):
            before = unread(first)
            calls.append(asyncio.create_task(contents(tool, call[0], **call[1])))
            await asyncio.wait_for(until_written(first, before), BOUND)
        os.kill(first, signal.SIGKILL)
        for outcome in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), BOUND):
            assert isinstance(outcome, MCPConnectionError)
            assert outcome.sent is True
            assert "ended by signal 9" in str(outcome)
        assert not tool.is_connected
        with contextlib.suppress(MCPToolError):  # what git says of this folder does not matter
            await asyncio.gather(*(contents(tool, call[0], **call[1]) for _ in range(3)))
        assert tool.is_connected
        assert len(pids.read_text().split()) == 2


async def test_an_http_server_that_is_killed_in_a_call_is_named_and_its_successor_is_found(
    http_process: HttpProcess,
) -> None:
    begun = asyncio.Event()
    tool = MCPStreamableHTTPTool("everything", http_process.url, progress_callback=lambda *report: begun.set())
    async with tool:
        call = asyncio.create_task(contents(tool, "trigger-long-running-operation", duration=60, steps=120))
        await asyncio.wait_for(begun.wait(), BOUND)
        await asyncio.to_thread(http_process.kill)
        with pytest.raises(MCPConnectionError) as caught:
            await call
        assert caught.value.sent is True
        with pytest.raises(MCPConnectionError, match="refused") as caught:
            await contents(tool, "echo", message="anybody there?")
        assert caught.value.sent is False
        await asyncio.to_thread(http_process.start)
        assert [item.text for item in await contents(tool, "echo", message="hi")] == ["Echo: hi"]


async def test_an_http_server_that_was_restarted_costs_one_call_at_most(http_process: HttpProcess) -> None:
    # This one answers 400 to a session that it does not know; the specification says 404.
    async with MCPStreamableHTTPTool("everything", http_process.url) as tool:
        await asyncio.to_thread(http_process.kill)
        await asyncio.to_thread(http_process.start)
        with contextlib.suppress(MCPError):
            await contents(tool, "echo", message="hi")
        assert [item.text for item in await contents(tool, "echo", message="hi")] == ["Echo: hi"]


# mcp-server-time and mcp-server-git ...


async def test_time_tells_and_converts() -> None:
    async with stdio_tool("time") as tool:
        assert names(tool) == {"get_current_time", "convert_time"}
        assert_usable_schemas(tool)
        current = (await contents(tool, "get_current_time", timezone="Asia/Tokyo"))[0]
        assert json.loads(current.text)["timezone"] == "Asia/Tokyo"
        assert json.loads(current.text)["datetime"].endswith("+09:00")
        converted = await contents(
            tool, "convert_time", source_timezone="Etc/UTC", time="16:30", target_timezone="Asia/Tokyo"
        )
        assert "T01:30:00+09:00" in converted[0].text
        with pytest.raises(MCPToolError, match="timezone"):
            await contents(tool, "get_current_time", timezone="Middle/Earth")
        with pytest.raises(MCPToolError, match="time"):
            await contents(tool, "convert_time", source_timezone="Etc/UTC", time="late", target_timezone="Asia/Tokyo")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
async def test_git_changes_a_repository(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for command in (
        ["init", "--quiet", str(repository)],
        ["-C", str(repository), "config", "user.name", "Somebody"],
        ["-C", str(repository), "config", "user.email", "somebody@example.org"],
    ):
        subprocess.run(["git", *command], check=True)
    (repository / "a.txt").write_text("one\n")
    where = {"repo_path": str(repository)}
    async with stdio_tool("git", "--repository", str(repository)) as tool:
        assert {"git_status", "git_add", "git_commit", "git_log", "git_diff"} <= names(tool)
        assert_usable_schemas(tool)
        assert "a.txt" in (await contents(tool, "git_status", **where))[0].text
        await contents(tool, "git_add", files=["a.txt"], **where)
        await contents(tool, "git_commit", message="Begin", **where)
        assert "Begin" in (await contents(tool, "git_log", max_count=1, **where))[0].text
        (repository / "a.txt").write_text("two\n")
        assert "+two" in (await contents(tool, "git_diff_unstaged", **where))[0].text
        with pytest.raises(MCPToolError):
            await contents(tool, "git_show", revision="no-such-revision", **where)
        with pytest.raises(MCPToolError):
            await contents(tool, "git_status", repo_path=str(tmp_path))
        answers = await asyncio.gather(*(contents(tool, "git_log", **where) for _ in range(8)))
        assert all("Begin" in answer[0].text for answer in answers)
