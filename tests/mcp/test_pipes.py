# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Pipes to and from a child as callbacks of the event loop: real pipes, real children."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from mcp import StdioServerParameters

from agent_framework import MCPStdioTool
from agent_framework._mcp import MCPConnectionError
from agent_framework._mcp_client import _process
from agent_framework._mcp_client._pipes import PipeReader, PipeWriter, call_on_exit
from agent_framework._mcp_client._process import ServerProcess

BOUND = 5
PEER = str(Path(__file__).parent / "stdio_peer.py")
LARGE = bytes(range(256)) * 4096  # 1 MiB: no pipe holds as much


@pytest.fixture
def ends() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A pipe: the end to read from and the end to write to."""
    numbers = os.pipe()
    with os.fdopen(numbers[0], "rb", 0) as source, os.fdopen(numbers[1], "wb", 0) as sink:
        yield source, sink


@pytest.fixture(params=["pidfd", "no pidfd in this Python", "no pidfd allowed"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the ways to learn of an exit."""
    if request.param == "no pidfd in this Python":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif request.param == "no pidfd allowed":

        def refuse(pid: int, flags: int = 0) -> int:
            raise PermissionError(errno.EPERM, "sandboxed")

        monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    elif not hasattr(os, "pidfd_open"):
        pytest.skip("this system has no pidfd")


def child(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-SEc", code], stdin=subprocess.PIPE, bufsize=0)


async def whole(source: IO[bytes]) -> bytes:
    """All that comes out of a pipe until its end."""
    pieces: list[bytes] = []
    ended = asyncio.Event()
    PipeReader(source, pieces.append, ended.set)
    await asyncio.wait_for(ended.wait(), BOUND)
    return b"".join(pieces)


def unexpected() -> None:
    raise AssertionError("called")


# Pipes ...


async def test_a_piece_that_no_pipe_holds_arrives_whole_and_then_there_is_room_again(ends: Any) -> None:
    source, sink = ends
    writer = PipeWriter(sink, unexpected)
    writer.write(LARGE)
    assert not writer.room.is_set()
    arriving = asyncio.create_task(whole(source))
    await asyncio.wait_for(writer.room.wait(), BOUND)
    writer.write(b"more")
    writer.close()
    assert await arriving == LARGE + b"more"


async def test_a_pipe_is_closed_behind_its_last_piece(ends: Any) -> None:
    source, sink = ends
    writer = PipeWriter(sink, unexpected)
    writer.write(LARGE)
    writer.close()
    assert writer.is_closed
    assert not sink.closed
    assert await whole(source) == LARGE
    await asyncio.wait_for(writer.room.wait(), BOUND)
    assert sink.closed


async def test_a_pipe_is_closed_at_once_where_nobody_waits_for_the_rest(ends: Any) -> None:
    source, sink = ends
    writer = PipeWriter(sink, unexpected)
    writer.write(LARGE)
    writer.abort()
    assert writer.room.is_set()
    assert sink.closed
    assert LARGE.startswith(await whole(source))


async def test_a_reader_that_has_gone_is_an_error_of_the_piece_of_which_it_got_nothing(ends: Any) -> None:
    source, sink = ends
    writer = PipeWriter(sink, unexpected)
    source.close()
    with pytest.raises(BrokenPipeError):
        writer.write(b"lost")
    assert writer.is_closed
    assert writer.room.is_set()


async def test_a_reader_that_goes_in_the_middle_of_a_piece_is_reported(ends: Any) -> None:
    source, sink = ends
    broken = asyncio.Event()
    writer = PipeWriter(sink, broken.set)
    writer.write(LARGE)
    source.close()
    await asyncio.wait_for(broken.wait(), BOUND)
    assert writer.is_closed
    assert writer.room.is_set()


async def test_what_comes_while_reading_pauses_stays_in_the_pipe(ends: Any) -> None:
    source, sink = ends
    pieces: list[bytes] = []
    news, ended = asyncio.Event(), asyncio.Event()

    def take(data: bytes) -> None:
        pieces.append(data)
        news.set()

    reader = PipeReader(source, take, ended.set)
    reader.pause()
    sink.write(b"later")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not pieces
    reader.resume()
    await asyncio.wait_for(news.wait(), BOUND)
    assert pieces == [b"later"]
    reader.close()
    reader.close()
    assert ended.is_set()
    assert source.closed


async def test_what_is_in_a_pipe_is_taken_before_it_is_closed(ends: Any) -> None:
    source, sink = ends
    pieces: list[bytes] = []
    ended = asyncio.Event()
    reader = PipeReader(source, pieces.append, ended.set)
    reader.pause()
    sink.write(b"last words")
    reader.finish()
    assert pieces == [b"last words"]
    assert ended.is_set()
    assert source.closed


# Exits ...


@pytest.mark.usefixtures("kernel")
async def test_an_exit_is_told_with_its_code() -> None:
    process = child("import sys; sys.stdin.read(); sys.exit(3)")
    exited = asyncio.Event()
    call_on_exit(process, exited.set)
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.wait_for(exited.wait(), BOUND)
    assert process.returncode == 3


@pytest.mark.usefixtures("kernel")
async def test_a_child_that_has_exited_already_is_told_too() -> None:
    process = child("")
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.to_thread(process.wait, BOUND)
    exited = asyncio.Event()
    call_on_exit(process, exited.set)
    await asyncio.wait_for(exited.wait(), BOUND)
    assert process.returncode == 0


async def test_nothing_is_told_and_nothing_held_once_nobody_is_interested() -> None:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this system has no pidfd")
    process = child("import sys; sys.stdin.read()")
    before = set(Path("/proc/self/fd").iterdir())
    forget = call_on_exit(process, unexpected)
    forget()
    forget()
    assert set(Path("/proc/self/fd").iterdir()) == before
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.to_thread(process.wait, BOUND)


def test_a_child_that_outlives_its_event_loop_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = child("import sys; sys.stdin.read()")

    async def watch() -> None:
        call_on_exit(process, unexpected)

    asyncio.run(watch())
    watcher = next(thread for thread in threading.enumerate() if thread.name == f"mcp-child-{process.pid}")
    assert process.stdin is not None
    process.stdin.close()
    watcher.join(BOUND)
    assert not watcher.is_alive()
    assert process.returncode == 0


# All of it ...


async def test_answers_that_were_there_before_a_message_broke_off_are_not_lost() -> None:
    # More than is read ahead, by less than a pipe holds: the rest is in the pipe when the message breaks off.
    answers = 230 * 1024
    code = f"import os; os.read(0, 1); os.write(1, b'a' * {answers})"
    process = ServerProcess.start(StdioServerParameters(command=sys.executable, args=["-SEc", code]))
    try:
        await asyncio.wait_for(process.send(LARGE), BOUND)
        await asyncio.wait_for(process._input.room.wait(), BOUND)
        received = 0
        while chunk := await asyncio.wait_for(process.receive(), BOUND):
            received += len(chunk)
        assert received == answers
    finally:
        await process.stop()


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("server", ["good", "stubborn"])
async def test_a_child_is_gone_after_close_however_its_exit_is_learned(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(_process, "STDIN_CLOSE_GRACE", 0.2)
    monkeypatch.setattr(_process, "TERMINATE_GRACE", 0.2)
    started: list[subprocess.Popen[bytes]] = []
    _note_starts(monkeypatch, started.append)
    tool = MCPStdioTool(
        "peer", sys.executable, args=["-SE", PEER, server], connect_timeout=1 if server != "good" else 30
    )
    if server == "good":
        await asyncio.wait_for(tool.connect(), BOUND)
        assert (await tool.call_tool("echo"))[0].text == "{}"  # type: ignore[union-attr]
    else:
        with pytest.raises(Exception, match="connect_timeout"):
            await asyncio.wait_for(tool.connect(), BOUND)
    await asyncio.wait_for(tool.close(), BOUND)
    assert [process.returncode for process in started] == [0 if server == "good" else -9]


@pytest.mark.usefixtures("kernel")
async def test_the_code_of_a_child_that_dies_is_told_however_its_exit_is_learned() -> None:
    async with MCPStdioTool("peer", sys.executable, args=["-SE", PEER, "good"]) as tool:
        with pytest.raises(MCPConnectionError, match="exited with code 4"):
            await asyncio.wait_for(tool.call_tool("die"), BOUND)


def _note_starts(monkeypatch: pytest.MonkeyPatch, note: Callable[[Any], None]) -> None:
    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            note(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
