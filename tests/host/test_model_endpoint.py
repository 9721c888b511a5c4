# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Model endpoints that cannot be reached, or refuse: what comes out, over real sockets, and what is left."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fault_servers import BOUND, HttpServer, McpScript, cut_in_header, never, respond, unused_port

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionTool,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    Message,
)
from agent_framework._middleware import ChatMiddlewareLayer
from agent_framework._tools import FunctionInvocationLayer
from agent_framework.exceptions import (
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ContentError,
    ToolException,
)
from agent_framework.observability import ChatTelemetryLayer

STDIO_PEER = Path(__file__).parents[1] / "mcp" / "stdio_peer.py"
SECRETS = ("user-name", "pass-word", "query-value", "api-key-value")
STATUSES = (401, 429, 500, 503)
SILENCE = 0.2  # seconds that a client waits for a silent endpoint

# Each fault: how to serve it, None to serve nothing; the scheme; and what the message has to name.
FAULTS: dict[str, tuple[Any, str, str]] = {
    "refused": (None, "http", "ConnectionRefusedError"),
    "tls to a plain port": (partial(respond, status=400), "https", "SSLError"),
    "silent": (never, "http", "TimeoutError|ReadTimeout"),
    "cut in mid-header": (cut_in_header, "http", "RemoteProtocolError|ReadError|Reset"),
    **{str(status): (partial(respond, status=status, body="no"), "http", f"HTTP {status}") for status in STATUSES},
}


@pytest.fixture(params=FAULTS)
def faulty(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The base URL of an endpoint with a fault, secrets in it, and a pattern for what the message has to name."""
    behaviour, scheme, named = FAULTS[request.param]
    if behaviour is None:
        yield address(unused_port(), scheme), named
        return
    with HttpServer(behaviour) as server:
        yield address(server.port, scheme), named


def address(port: int, scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://user-name:pass-word@{host}:{port}/v1"


class RawHttpClient(BaseChatClient):
    """A client as users write them: it asks with httpx and lets all errors through."""

    def __init__(self, *, url: str, key: str = "api-key-value", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.url, self.key = url, key

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
        body = {"text": messages[-1].contents[0].text, "seed": options["seeds"]["one"] if "seeds" in options else None}
        return self._build_response_stream(self._stream(body)) if stream else self._ask(body)

    async def _ask(self, body: Any) -> ChatResponse:
        async with httpx.AsyncClient(timeout=SILENCE, trust_env=False) as http:
            answer = await http.post(
                f"{self.url}/ask", params={"q": "query-value"}, headers={"x-key": self.key}, json=body
            )
            answer.raise_for_status()
        return ChatResponse(messages=[Message("assistant", [answer.json()["text"]])])

    async def _stream(self, body: Any) -> AsyncIterator[ChatResponseUpdate]:
        yield ChatResponseUpdate(contents=(await self._ask(body)).messages[0].contents, role="assistant")


class HttpClient(FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, RawHttpClient):
    """The same with all layers."""


@asynccontextmanager
async def made(kind: str, url: str, key: str = "api-key-value") -> AsyncIterator[Any]:
    """A chat client of one kind."""
    if kind == "own":
        yield HttpClient(url=url, key=key)
        return
    pytest.importorskip("agent_framework_openai", reason="the extra 'openai' is not installed")
    import openai

    import agent_framework.openai

    query = {"q": "query-value"}
    async with openai.AsyncOpenAI(
        api_key=key, base_url=url, default_query=query, max_retries=0, timeout=SILENCE
    ) as service:
        yield getattr(agent_framework.openai, kind)(model="local-1", async_client=service)


KINDS = ("own", "OpenAIChatCompletionClient", "OpenAIChatClient")


async def ask(target: Any, stream: bool, **kwargs: Any) -> Any:
    """Asks an agent or a chat client, in a bounded time."""
    call = target.run if isinstance(target, Agent) else target.get_response
    with anyio.fail_after(BOUND):
        answer = call([Message("user", ["Hello?"])], stream=stream, **kwargs)
        return await (answer.get_final_response() if stream else answer)


def check(error: BaseException, host: str) -> None:
    """The promises for every failure."""
    text = str(error)
    assert host in text
    assert not [secret for secret in SECRETS if secret in text]
    assert isinstance(error.__cause__, Exception)
    assert not isinstance(error.__cause__, ChatClientException)
    assert not hasattr(error, "exceptions")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_failure_names_the_endpoint_and_what_it_died_of(
    faulty: tuple[str, str], kind: str, stream: bool
) -> None:
    url, named = faulty
    async with made(kind, url) as client:
        for target in (client, Agent(client)):
            with pytest.raises(ChatClientException, match=named) as caught:
                await ask(target, stream)
            check(caught.value, url.rpartition("@")[2])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_that_means_nothing_is_a_failure_like_the_others(
    kind: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def unknown(host: Any, *args: Any, **kwargs: Any) -> Any:
        # No question leaves the machine; the answer is the one that a resolver gives.
        if host in {"nobody.invalid", b"nobody.invalid"}:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with made(kind, address(80, host="nobody.invalid")) as client:
        with pytest.raises(ChatClientException, match=r"gaierror: .*Name or service not known") as caught:
            await ask(client, stream)
        check(caught.value, "http://nobody.invalid")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
async def test_the_status_decides_what_a_failure_is_that_has_no_class_yet(status: int, stream: bool) -> None:
    wanted = {
        400: ChatClientInvalidRequestException,
        401: ChatClientInvalidAuthException,
        403: ChatClientInvalidAuthException,
        404: ChatClientInvalidRequestException,
        500: ChatClientException,
    }
    with HttpServer(partial(respond, status=status)) as server:
        async with made("own", address(server.port)) as client:
            with pytest.raises(ChatClientException) as caught:
                await ask(client, stream)
    assert type(caught.value) is wanted[status]
    assert isinstance(caught.value.__cause__, httpx.HTTPStatusError)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_s_own_exception_stays_what_it_is(stream: bool) -> None:
    openai = pytest.importorskip("openai")
    body = '{"error": {"message": "filtered", "code": "content_filter", "param": "prompt"}}'
    with HttpServer(partial(respond, status=400, body=body, kind="application/json")) as server:
        async with made("OpenAIChatCompletionClient", address(server.port)) as client:
            from agent_framework.openai import OpenAIContentFilterException

            with pytest.raises(OpenAIContentFilterException, match=r"HTTP 400") as caught:
                await ask(client, stream)
    assert caught.value.param == "prompt"
    assert isinstance(caught.value.__cause__, openai.BadRequestError)
    check(caught.value, f"127.0.0.1:{server.port}")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_that_no_header_can_hold_is_not_shown(stream: bool) -> None:
    with HttpServer(never) as server:
        async with made("own", address(server.port), key="api-key-value\nwith a line break") as client:
            with pytest.raises(ChatClientInvalidRequestException, match="LocalProtocolError") as caught:
                await ask(client, stream)
            check(caught.value, f"127.0.0.1:{server.port}")
    assert server.exchanges == []


# Together with MCP servers...


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[list[Any], McpScript]]:
    """Two MCP tools, not connected: one over stdio and one over HTTP."""
    script = McpScript()
    with HttpServer(script) as server:
        yield (
            [
                MCPStdioTool("local", sys.executable, args=[str(STDIO_PEER), "good"], tool_name_prefix="local"),
                MCPStreamableHTTPTool("remote", server.url, tool_name_prefix="remote"),
            ],
            script,
        )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_open_mcp_tools_do_not_suffer_from_a_model_that_is_gone(kind: str, stream: bool) -> None:
    async with two_servers() as (tools, _), made(kind, address(unused_port())) as client:
        async with Agent(client, tools=tools) as agent:
            for _ in range(2):
                with pytest.raises(ChatClientException, match="ConnectionRefusedError"):
                    await ask(agent, stream)
            assert [tool.is_connected for tool in tools] == [True, True]
            assert [bool(await tool.call_tool("echo", text="still here")) for tool in tools] == [True, True]
        assert [tool.is_connected for tool in tools] == [False, False]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_that_fails_closes_the_mcp_tools_it_opened(stream: bool) -> None:
    async with two_servers() as (tools, _), made("own", address(unused_port())) as client:
        with pytest.raises(ChatClientException):
            await ask(Agent(client), stream, tools=tools)
        assert [tool.is_connected for tool in tools] == [False, False]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_no_cancellation_is_left_in_the_task_that_asked(kind: str, stream: bool) -> None:
    async with two_servers() as (tools, _), made(kind, address(unused_port())) as client:
        async with anyio.create_task_group() as group:
            with pytest.raises(ChatClientException):
                await ask(Agent(client), stream, tools=tools)
            assert not group.cancel_scope.cancel_called
        task = asyncio.current_task()
        assert task is not None
        if sys.version_info >= (3, 11):
            assert task.cancelling() == 0
        await asyncio.sleep(0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller_that_gives_up_gets_its_own_cancellation(kind: str, stream: bool) -> None:
    with HttpServer(never) as server:
        async with made(kind, f"http://127.0.0.1:{server.port}/v1") as client:
            task = asyncio.create_task(ask(client, stream))
            await wait_for_request(server)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def wait_for_request(server: HttpServer) -> None:
    with anyio.fail_after(BOUND):
        while not server.exchanges:
            await anyio.sleep(0.005)  # the server's thread cannot wake this loop


# Requests that cannot be built...


async def test_what_the_caller_did_wrong_stays_a_value_error(scripted: Any) -> None:
    pytest.importorskip("agent_framework_openai", reason="the extra 'openai' is not installed")
    async with made("OpenAIChatClient", address(unused_port())) as client:
        with pytest.raises(ValueError, match="temperature"):
            await ask(client, False, options={"temperature": 7})


@pytest.mark.parametrize("kind", ["OpenAIChatCompletionClient", "OpenAIChatClient"])
async def test_a_conversation_that_cannot_be_sent_is_an_invalid_request(kind: str) -> None:
    async with made(kind, address(unused_port())) as client:
        with pytest.raises(ChatClientInvalidRequestException, match="Messages are required") as caught:
            await client.get_response([])
        assert "endpoint" not in str(caught.value)
        tool = FunctionTool(name="t", func=lambda: None)
        with pytest.raises(ChatClientInvalidRequestException, match="cannot be built: tool_choice") as caught:
            await ask(client, False, options={"tool_choice": "perhaps", "tools": [tool]})
        assert isinstance(caught.value.__cause__, ContentError)


@pytest.mark.parametrize("stream", [False, True])
async def test_data_of_an_unexpected_shape_is_an_invalid_request(stream: bool) -> None:
    client = RawHttpClient(url=address(unused_port()))
    with pytest.raises(ChatClientInvalidRequestException, match="cannot be built: KeyError: 'one'"):
        await ask(client, stream, options={"seeds": {"two": 2}})


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_of_an_unexpected_shape_is_a_chat_client_exception(stream: bool) -> None:
    with HttpServer(partial(respond, status=200, body="{}", kind="application/json")) as server:
        async with made("own", f"http://127.0.0.1:{server.port}") as client:
            with pytest.raises(ChatClientException, match="KeyError: 'text'"):
                await ask(client, stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", [ToolException("tool"), ValueError("value"), RuntimeError("closed"), TypeError("t")])
async def test_what_is_not_about_the_endpoint_comes_out_as_it_is(scripted: Any, stream: bool, error: Exception) -> None:
    try:
        raise ConnectionRefusedError("what the caller is dealing with")
    except ConnectionRefusedError:
        with pytest.raises(type(error)) as caught:
            await ask(scripted([error]), stream)
    assert caught.value is error


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hook_s_own_error_is_not_taken_for_the_endpoint_s(raw_scripted: Any, stream: bool) -> None:
    def fail(_: Any) -> None:
        raise ConnectionError("the hook's")

    answer = raw_scripted(script=["Hi."]).get_response("Hello?", stream=True)
    hooked = answer.with_transform_hook(fail) if stream else answer.with_result_hook(fail)
    with pytest.raises(ConnectionError, match="the hook's"):
        await hooked.get_final_response()


async def test_a_message_is_completed_once(raw_scripted: Any) -> None:
    class Outer(raw_scripted):  # type: ignore[misc]
        def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
            return inner.get_response(messages, options=options)

    inner = RawHttpClient(url=address(unused_port()))
    with pytest.raises(ChatClientException) as caught:
        await Outer(script=[]).get_response([Message("user", [Content.from_text("?")])])
    assert str(caught.value).count("endpoint http") == 1
