# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What a child writes to its standard error, in a program whose own standard error takes nothing: nothing waits."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_framework import MCPStdioTool
from agent_framework._mcp import MCPConnectionError
from agent_framework._mcp_client import _stderr
from agent_framework._mcp_client._stderr import COPY_LIMIT, StderrCopy

HERE = Path(__file__).parent
PEER = str(HERE / "bad_peer.py")
BOUND = 20
PATIENCE = 1.0  # seconds for which the event loop of a busy machine may not turn

PROGRAM = """
import asyncio, errno, json, os, sys, time
from agent_framework import MCPStdioTool

async def main():
    gaps, last = [], time.monotonic()

    async def beat():
        nonlocal last
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    beating = asyncio.create_task(beat())
    async with MCPStdioTool("bad", sys.executable, args=["-SE", sys.argv[1]]) as tool:
        answer = await tool.call_tool("flood_stderr", megabytes=4)
        try:
            await tool.call_tool("exit")
        except Exception as error:
            said = str(error)
        await tool.call_tool("flood_stderr", megabytes=1)
        began = time.monotonic()
    closing = time.monotonic() - began
    beating.cancel()
    print(json.dumps([answer[0].text, said, max(gaps), closing]))

if "refuse" in sys.argv:
    opened = os.open

    def refuse(path, *args, **options):
        if path == "/dev/fd/2":
            raise PermissionError(errno.EACCES, "another user's")
        return opened(path, *args, **options)

    os.open = refuse
asyncio.run(main())
"""


@contextlib.contextmanager
def standard_error(kind: str) -> Iterator[tuple[int, int]]:
    """Both ends of something that takes a little and then nothing, unless it is read: the reader's and the writer's."""
    if kind == "pipe":
        ends = os.pipe()
    elif kind == "terminal":
        ends = pty.openpty()
    else:
        ends = tuple(end.detach() for end in socket.socketpair())  # type: ignore[assignment]
    try:
        yield ends
    finally:
        for end in ends:
            with contextlib.suppress(OSError):
                os.close(end)


def run(stderr: int, *arguments: str) -> list[Any]:
    """What the program prints, whose standard error is this one."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, PEER, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=BOUND,
        check=True,
        text=True,
    )
    result: list[Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("habit", ["", "refuse"], ids=["opened anew", "not to be opened anew"])
@pytest.mark.parametrize("kind", ["pipe", "terminal", "socket"])
def test_a_standard_error_of_ours_that_is_full_holds_up_nothing(kind: str, habit: str) -> None:
    with standard_error(kind) as (_, writer):
        answer, said, longest_gap, closing = run(writer, habit)
        assert os.get_blocking(writer), "it belongs to other processes too"
    assert answer == '{"megabytes": 4}'
    assert "exited with code 4; its last words: " in said
    assert "out of tokens" in said
    assert longest_gap < PATIENCE
    assert closing < PATIENCE


def test_a_standard_error_of_ours_that_nobody_holds_any_more_is_none() -> None:
    with standard_error("pipe") as (reader, writer):
        os.close(reader)
        assert "out of tokens" in run(writer)[1]


# In this process ...


@contextlib.contextmanager
def our_stderr(monkeypatch: pytest.MonkeyPatch, kind: str) -> Iterator[int]:
    """Makes one end of something ours; yields the other."""
    with standard_error(kind) as (reader, writer):
        with io.TextIOWrapper(os.fdopen(os.dup(writer), "wb", 0), write_through=True) as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            yield reader


class Reading(threading.Thread):
    """Reads from a descriptor until an end is in what was read."""

    def __init__(self, descriptor: int, end: bytes) -> None:
        super().__init__(daemon=True)
        self.descriptor, self.end = descriptor, end
        self.taken = b""
        self.start()

    def run(self) -> None:
        while self.end not in self.taken:
            self.taken += os.read(self.descriptor, 65536)

    async def all(self) -> str:
        await asyncio.to_thread(self.join, BOUND)
        assert not self.is_alive(), self.taken[-100:]
        return self.taken.decode().replace("\r\n", "\n")


@pytest.fixture(params=["opened anew", "not to be opened anew"])
def opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "not to be opened anew":

        def refuse(path: str, flags: int) -> int:
            raise PermissionError(path)

        monkeypatch.setattr(_stderr.os, "open", refuse)


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("kind", ["pipe", "terminal", "socket"])
async def test_what_does_not_fit_follows_when_there_is_room(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with our_stderr(monkeypatch, kind) as reader:
        copy = StderrCopy("server")
        lines = [f"line {number} {'x' * 50}\n" for number in range(2000)]
        for line in lines:
            copy.take(line)
        reading = Reading(reader, lines[-1].strip().encode())
        assert await reading.all() == "".join(lines)
        copy.close()


@pytest.mark.usefixtures("opening")
async def test_what_is_too_much_is_left_out_and_how_much_it_was_is_said_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with our_stderr(monkeypatch, "pipe") as reader:
        copy = StderrCopy("server")
        line = "x" * 1023 + "\n"
        for _ in range(2048):
            copy.take(line)
        reading = Reading(reader, b"left out here]\n")
        taken = await reading.all()
        kept, note = taken.count(line), taken.splitlines()[-1]
        assert note == f"[{(2048 - kept) * 1024} characters of the standard error of server are left out here]"
        assert COPY_LIMIT <= kept * 1024 < 2 * COPY_LIMIT
        copy.take("more\n")
        assert os.read(reader, 100) == b"more\n"
        copy.close()


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
async def test_closing_does_not_wait_for_a_reader_and_leaves_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with our_stderr(monkeypatch, kind):
        before = set(Path("/dev/fd").iterdir())
        copy = StderrCopy("server")
        copy.take("x" * COPY_LIMIT)
        copy.close()
        copy.close()
        assert set(Path("/dev/fd").iterdir()) == before


async def test_a_reader_that_goes_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with our_stderr(monkeypatch, "pipe") as reader:
        copy = StderrCopy("server")
        copy.take("x" * 100_000)  # a part of it waits
        os.close(reader)
        await asyncio.sleep(0)
        copy.take("more\n")
        copy.close()


class Notebook(io.TextIOBase):
    """A stream as notebooks have it: its descriptor is not where its text goes."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def fileno(self) -> int:
        return 2


async def test_a_stream_of_the_programs_own_is_written_to_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = StderrCopy("server")
    for stream in (Notebook(), io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        copy.take("said\n")
        shown: Callable[[], str] = getattr(stream, "getvalue", lambda stream=stream: getattr(stream, "text", "said\n"))
        assert shown() == "said\n"
    copy.close()


async def test_lines_are_passed_on_without_what_a_terminal_obeys_and_with_what_they_are_indented_by(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = r"""
import os
os.write(2, b"Traceback:\n\tat  x\r\n\n\x1b[31mred\x1b[0m \x9b \xe2\x80\xaeb \x1b]0;title\x07\rprogress\xc3")
os.write(2, b"\xa9\nno end")
os._exit(3)
"""
    with pytest.raises(MCPConnectionError, match=r"Traceback: \| at x \| red .* \| progress\u00e9 \| no end"):
        await MCPStdioTool("server", sys.executable, args=["-c", code]).connect()
    assert capfd.readouterr().err == "Traceback:\n\tat  x\n\nred \ufffd  b  ]0;title \nprogress\u00e9\nno end"


async def test_of_many_last_words_the_very_last_are_quoted() -> None:
    code = "import sys; print('\\n'.join(f'{n} ' + 'x' * 400 for n in range(100)), file=sys.stderr); sys.exit(3)"
    with pytest.raises(MCPConnectionError) as caught:
        await MCPStdioTool("server", sys.executable, args=["-c", code]).connect()
    assert str(caught.value).endswith("x.")
    assert " | 99 xxx" in str(caught.value)
    assert "96 xxx" not in str(caught.value)


def test_nothing_is_set_on_a_descriptor_that_others_share() -> None:
    with standard_error("pipe") as (_, writer):
        before = fcntl.fcntl(writer, fcntl.F_GETFL)

        async def write() -> None:
            own, send = _stderr._without_waiting(writer)
            assert own is not None
            send(memoryview(b"x"))
            os.close(own)

        asyncio.run(write())
        assert fcntl.fcntl(writer, fcntl.F_GETFL) == before
