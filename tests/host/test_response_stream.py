# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_framework._types import ResponseStream

WAIT_SECONDS = 5


async def numbers(count: int = 3) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def failing(error: Exception) -> AsyncIterator[int]:
    yield 1
    raise error


def recorded(log: list[str], name: str, source: Any = None) -> ResponseStream[int, str]:
    """A stream that writes down what happens to it, and in which order."""

    def finalize(updates: Any) -> str:
        log.append(f"{name} finalizer")
        return f"{name} {list(updates)}"

    return ResponseStream(
        numbers() if source is None else source,
        finalizer=finalize,
        cleanup_hooks=[lambda: log.append(f"{name} cleanup")],
        result_hooks=[lambda _: log.append(f"{name} result")],
    )


async def test_a_stream_is_iterated_once_and_remembers_its_updates() -> None:
    stream: ResponseStream[int, list[int]] = ResponseStream(numbers())

    assert [update async for update in stream] == [0, 1, 2]
    assert [update async for update in stream] == []
    assert stream.updates == [0, 1, 2]
    assert await stream.get_final_response() == [0, 1, 2]


async def test_the_final_response_drains_what_is_left() -> None:
    stream = ResponseStream(numbers(), finalizer=sum)

    first = await anext(aiter(stream))

    assert first == 0
    assert await stream.get_final_response() == 3


async def test_hooks_and_finalizer_run_once_and_in_order_at_the_end() -> None:
    log: list[str] = []
    stream = recorded(log, "s")

    async for _ in stream:
        assert log == []

    assert log == ["s cleanup", "s finalizer", "s result"]
    assert await stream.get_final_response() == "s [0, 1, 2]"
    assert await stream.get_final_response() == "s [0, 1, 2]"
    assert log == ["s cleanup", "s finalizer", "s result"]


async def test_hooks_and_finalizer_may_be_asynchronous() -> None:
    async def double(update: int) -> int:
        return update * 2

    async def total(updates: Any) -> int:
        return sum(updates)

    async def next_number(result: int) -> int:
        return result + 1

    cleaned = asyncio.Event()

    async def clean() -> None:
        cleaned.set()

    stream = (
        ResponseStream(numbers(), finalizer=total)
        .with_transform_hook(double)
        .with_result_hook(next_number)
        .with_cleanup_hook(clean)
    )

    assert await stream.get_final_response() == 7
    assert cleaned.is_set()


async def test_a_hook_that_returns_none_leaves_the_value() -> None:
    stream = ResponseStream(
        numbers(),
        finalizer=sum,
        transform_hooks=[lambda _: None, lambda update: update + 1],
        result_hooks=[lambda _: None, lambda result: result * 10],
    )

    assert [update async for update in stream] == [1, 2, 3]
    assert await stream.get_final_response() == 60


async def test_the_final_response_is_made_from_what_the_transform_hooks_let_through() -> None:
    stream = ResponseStream(numbers(), finalizer=list, transform_hooks=[lambda update: -update])

    assert await stream.get_final_response() == [0, -1, -2]


async def test_a_result_hook_that_comes_late_runs_at_the_next_look() -> None:
    stream = ResponseStream(numbers(), finalizer=sum)
    assert await stream.get_final_response() == 3

    stream.with_result_hook(lambda result: result + 1)

    assert await stream.get_final_response() == 4
    assert await stream.get_final_response() == 4


async def test_a_mapped_stream_finishes_the_inner_one_first() -> None:
    log: list[str] = []
    inner = recorded(log, "inner")
    outer = inner.map(lambda update: f"<{update}>", "".join).with_result_hook(lambda _: log.append("outer result"))

    assert [update async for update in outer] == ["<0>", "<1>", "<2>"]
    assert await outer.get_final_response() == "<0><1><2>"
    assert log == ["inner cleanup", "inner finalizer", "inner result", "outer result"]
    assert outer._inner_stream is inner
    assert await inner.get_final_response() == "inner [0, 1, 2]"


async def test_another_finalizer_replaces_the_final_response_and_not_the_inner_hooks() -> None:
    log: list[str] = []
    outer = recorded(log, "inner").with_finalizer(sum)

    assert await outer.get_final_response() == 3
    assert log == ["inner cleanup", "inner finalizer", "inner result"]


async def test_a_stream_may_stand_for_one_that_does_not_exist_yet() -> None:
    log: list[str] = []

    async def make() -> ResponseStream[int, str]:
        log.append("made")
        return recorded(log, "inner")

    stream = ResponseStream.from_awaitable(make()).with_result_hook(lambda result: result.upper())
    assert log == []

    assert [update async for update in stream] == [0, 1, 2]
    assert await stream.get_final_response() == "INNER [0, 1, 2]"
    assert log == ["made", "inner cleanup", "inner finalizer", "inner result"]


async def test_awaiting_a_stream_resolves_its_source_and_reads_nothing() -> None:
    log: list[str] = []

    async def make() -> AsyncIterator[int]:
        log.append("made")
        return numbers()

    inner: ResponseStream[int, str] = recorded(log, "inner", make())
    outer = inner.map(str, "".join)

    assert await outer is outer
    assert log == ["made"]
    assert await (await outer).get_final_response() == "012"


async def test_a_source_that_cannot_be_iterated_is_a_type_error() -> None:
    stream: ResponseStream[int, Any] = ResponseStream(asyncio.sleep(0, result=[1, 2]))  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="async iterable, not list"):
        await stream


async def test_a_failing_source_cleans_up_and_never_becomes_a_final_response() -> None:
    log: list[str] = []
    error = ValueError("broken")
    stream = recorded(log, "s", failing(error))

    with pytest.raises(ValueError, match="broken") as caught:
        async for _ in stream:
            pass

    assert caught.value is error
    assert log == ["s cleanup"]
    with pytest.raises(ValueError, match="broken"):
        await stream.get_final_response()
    assert [update async for update in stream] == []
    assert log == ["s cleanup"]


async def test_a_source_that_never_comes_cleans_up_inner_and_outer_stream() -> None:
    log: list[str] = []

    async def make() -> AsyncIterator[int]:
        raise ValueError("refused")

    stream = recorded(log, "inner", make()).map(str, "".join).with_cleanup_hook(lambda: log.append("outer cleanup"))

    for look in (stream.get_final_response, stream._opened, stream.get_final_response):
        with pytest.raises(ValueError, match="refused"):
            await look()
    assert log == ["inner cleanup", "outer cleanup"]


async def test_awaiting_a_source_that_never_comes_cleans_up_too() -> None:
    log: list[str] = []

    async def make() -> AsyncIterator[int]:
        raise ValueError("refused")

    stream: ResponseStream[int, str] = recorded(log, "s", make())

    for _ in range(2):
        with pytest.raises(ValueError, match="refused"):
            await stream
    assert log == ["s cleanup"]


async def test_a_failing_transform_hook_ends_the_stream_like_a_failing_source() -> None:
    log: list[str] = []

    def refuse(_: int) -> int:
        raise ValueError("not allowed")

    stream = recorded(log, "s").with_transform_hook(refuse)

    with pytest.raises(ValueError, match="not allowed"):
        await stream.get_final_response()
    assert log == ["s cleanup"]


async def test_a_failing_finalizer_comes_out_at_the_end() -> None:
    def refuse(_: Any) -> int:
        raise ValueError("no sum")

    stream = ResponseStream(numbers(), finalizer=refuse)

    with pytest.raises(ValueError, match="no sum"):
        async for _ in stream:
            pass
    with pytest.raises(ValueError, match="no sum"):
        await stream.get_final_response()


async def test_all_cleanup_hooks_run_also_when_one_fails() -> None:
    log: list[str] = []

    def refuse() -> None:
        log.append("first")
        raise ValueError("not clean")

    stream = ResponseStream(numbers(), cleanup_hooks=[refuse, lambda: log.append("second")])

    with pytest.raises(ValueError, match="not clean"):
        await stream.get_final_response()
    assert log == ["first", "second"]


async def test_a_cleanup_hook_may_ask_for_the_final_response() -> None:
    seen: list[Any] = []
    stream = ResponseStream(numbers(), finalizer=sum)

    async def look() -> None:
        seen.append(await stream.get_final_response())

    stream.with_cleanup_hook(look)

    assert await stream.get_final_response() == 3
    assert seen == [3]


async def test_leaving_early_runs_no_hook_and_reading_may_go_on_later() -> None:
    log: list[str] = []
    stream = recorded(log, "s")

    async for _ in stream:
        break

    assert log == []
    assert [update async for update in stream] == [1, 2]
    assert log == ["s cleanup", "s finalizer", "s result"]


async def test_a_cancelled_reader_gets_its_cancellation_and_runs_no_hook() -> None:
    log: list[str] = []
    waiting = asyncio.Event()

    async def stuck() -> AsyncIterator[int]:
        yield 1
        waiting.set()
        await asyncio.Event().wait()

    stream = recorded(log, "s", stuck())
    reader = asyncio.create_task(stream.get_final_response())
    await asyncio.wait_for(waiting.wait(), WAIT_SECONDS)

    reader.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reader, WAIT_SECONDS)
    assert log == []


async def test_closing_a_half_read_stream_closes_its_source_and_runs_the_cleanup_hooks_once() -> None:
    events: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            events.append("source closed")

    stream: ResponseStream[int, Any] = ResponseStream(source(), cleanup_hooks=[lambda: events.append("cleaned up")])
    assert await anext(stream) == 1
    await stream.aclose()
    await stream.aclose()
    assert events == ["source closed", "cleaned up"]
    assert [update async for update in stream] == []
