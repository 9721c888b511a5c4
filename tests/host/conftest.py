# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Two honest models for the host's tests: one in process, one behind OpenAI's HTTP interface on loopback.

Both say what a script tells them to, one answer for each request, and remember what they were asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent_framework import BaseChatClient, ChatResponse, ChatResponseUpdate, Content, Message
from agent_framework._middleware import ChatMiddlewareLayer
from agent_framework._tools import FunctionInvocationLayer
from agent_framework.observability import ChatTelemetryLayer

Answer = str | Sequence[Content] | Exception


def call(name: str, call_id: str = "call-1", /, **arguments: Any) -> Content:
    return Content.from_function_call(call_id, name, arguments=json.dumps(arguments))


class RawScriptedClient(BaseChatClient):
    """Answers each request with the next entry of a script: text, contents, or an exception to raise."""

    model = "scripted-1"

    def __init__(self, *, script: Sequence[Answer], conversation_ids: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.script = list(script)
        self.conversation_ids = list(conversation_ids)
        self.requests: list[list[Message]] = []
        self.options: list[Mapping[str, Any]] = []
        self.kwargs: list[dict[str, Any]] = []

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
        self.requests.append(list(messages))
        self.options.append(options)
        self.kwargs.append(kwargs)
        if stream:
            return self._build_response_stream(self._updates(), response_format=options.get("response_format"))
        return self._response(options.get("response_format"))

    def _next(self) -> tuple[list[Content], str | None]:
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        contents = [Content.from_text(answer)] if isinstance(answer, str) else list(answer)
        return contents, self.conversation_ids.pop(0) if self.conversation_ids else None

    async def _response(self, response_format: Any) -> ChatResponse:
        contents, conversation_id = self._next()
        return ChatResponse(
            messages=[Message("assistant", contents)],
            response_id=f"response-{len(self.requests)}",
            conversation_id=conversation_id,
            model=self.model,
            finish_reason="stop",
            usage_details={"input_token_count": 10, "output_token_count": 5, "total_token_count": 15},
            response_format=response_format,
        )

    async def _updates(self) -> Any:
        contents, conversation_id = self._next()
        message_id = f"message-{len(self.requests)}"
        for content in contents:
            for piece in _pieces(content):
                yield ChatResponseUpdate(
                    contents=[piece], role="assistant", message_id=message_id, conversation_id=conversation_id
                )
        usage = Content.from_usage({"input_token_count": 10, "output_token_count": 5, "total_token_count": 15})
        yield ChatResponseUpdate(contents=[usage], role="assistant", message_id=message_id, model=self.model)


def _pieces(content: Content) -> list[Content]:
    """Text comes word by word, and arguments in two halves, as models send them."""
    if content.type == "text" and content.text:
        words = content.text.split(" ")
        return [Content.from_text(word if index == 0 else f" {word}") for index, word in enumerate(words)]
    if content.type == "function_call" and isinstance(content.arguments, str):
        half = len(content.arguments) // 2
        first = Content.from_function_call(content.call_id, content.name, arguments=content.arguments[:half])
        return [first, Content.from_function_call("", "", arguments=content.arguments[half:])]
    return [content]


class ScriptedClient(FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, RawScriptedClient):
    """The raw client with all layers, stacked and with a constructor of its own as a provider's are."""

    def __init__(self, script: Sequence[Answer], **kwargs: Any) -> None:
        super().__init__(script=script, **kwargs)


@pytest.fixture
def scripted() -> type[ScriptedClient]:
    return ScriptedClient


@pytest.fixture
def raw_scripted() -> type[RawScriptedClient]:
    return RawScriptedClient


@pytest.fixture
def function_call() -> Callable[..., Content]:
    return call


# A model endpoint...


class ModelEndpoint:
    """OpenAI's chat completions and responses, over HTTP on loopback.

    The script holds texts, lists of (call id, function name, arguments), and HTTP error codes.
    """

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1/"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append(body)
                endpoint.headers.append(dict(self.headers))
                answer = endpoint.script.pop(0)
                if isinstance(answer, int):
                    self._send(answer, "application/json", json.dumps({"error": {"message": "scripted refusal"}}))
                    return
                number = len(endpoint.requests)
                shape = completion if "chat/completions" in self.path else model_response
                if body.get("stream"):
                    events = "".join(f"data: {json.dumps(event)}\n\n" for event in shape(number, answer, stream=True))
                    self._send(200, "text/event-stream", f"{events}data: [DONE]\n\n")
                else:
                    self._send(200, "application/json", json.dumps(shape(number, answer, stream=False)[0]))

            def _send(self, status: int, content_type: str, text: str) -> None:
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay quiet."""

        return Handler


USAGE = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}


def completion(number: int, answer: Any, *, stream: bool) -> list[dict[str, Any]]:
    """A chat completion, or its chunks."""
    base = {"id": f"chatcmpl-{number}", "created": 1_700_000_000, "model": "local-1"}
    if isinstance(answer, str):
        finish_reason, message = "stop", {"role": "assistant", "content": answer}
        deltas = [{"role": "assistant", "content": answer[:3]}, {"content": answer[3:]}]
    else:
        finish_reason = "tool_calls"
        tool_calls = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for call_id, name, arguments in answer
        ]
        message = {"role": "assistant", "content": None, "tool_calls": tool_calls}
        deltas = [piece for index, one in enumerate(tool_calls) for piece in _call_deltas(index, one)]
    if not stream:
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        return [{**base, "object": "chat.completion", "choices": [choice], "usage": USAGE}]
    chunks = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    chunks.append([{"index": 0, "delta": {}, "finish_reason": finish_reason}])
    kind = {**base, "object": "chat.completion.chunk"}
    return [*({**kind, "choices": choices} for choices in chunks), {**kind, "choices": [], "usage": USAGE}]


def _call_deltas(index: int, tool_call: dict[str, Any]) -> list[dict[str, Any]]:
    arguments = tool_call["function"]["arguments"]
    opening = {**tool_call, "index": index, "function": {**tool_call["function"], "arguments": arguments[:4]}}
    rest = {"index": index, "function": {"arguments": arguments[4:]}}
    return [{"role": "assistant", "tool_calls": [opening]}, {"tool_calls": [rest]}]


def model_response(number: int, answer: Any, *, stream: bool) -> list[dict[str, Any]]:
    """A response of the responses interface, or its events."""
    if isinstance(answer, str):
        content = {"type": "output_text", "text": answer, "annotations": []}
        output = [
            {"type": "message", "id": f"msg-{number}", "role": "assistant", "status": "completed", "content": [content]}
        ]
    else:
        output = [
            {
                "type": "function_call",
                "id": f"fc-{call_id}",
                "call_id": call_id,
                "name": name,
                "arguments": json.dumps(arguments),
                "status": "completed",
            }
            for call_id, name, arguments in answer
        ]
    response = {
        "id": f"resp-{number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "local-1",
        "status": "completed",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 20,
            "output_tokens": 7,
            "total_tokens": 27,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    if not stream:
        return [response]
    opening = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": opening}]
    for index, item in enumerate(output):
        events.extend(_item_events(index, item))
    events.append({"type": "response.completed", "response": response})
    return [{**event, "sequence_number": place} for place, event in enumerate(events)]


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "function_call":
        empty = {**item, "arguments": "", "status": "in_progress"}
        delta = {**place, "type": "response.function_call_arguments.delta", "delta": item["arguments"]}
        middle = [delta, {**delta, "type": "response.function_call_arguments.done", "arguments": item["arguments"]}]
    else:
        empty = {**item, "content": [], "status": "in_progress"}
        text = item["content"][0]["text"]
        place = {**place, "content_index": 0}
        delta = {**place, "type": "response.output_text.delta", "logprobs": []}
        part = item["content"][0]
        middle = [
            {**place, "type": "response.content_part.added", "part": {**part, "text": ""}},
            {**delta, "delta": text[:3]},
            {**delta, "delta": text[3:]},
            {**place, "type": "response.output_text.done", "text": text, "logprobs": []},
            {**place, "type": "response.content_part.done", "part": part},
        ]
    return [
        {"type": "response.output_item.added", "output_index": index, "item": empty},
        *middle,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


@pytest.fixture
def endpoint() -> Iterator[ModelEndpoint]:
    model = ModelEndpoint()
    yield model
    model.close()


@pytest.fixture
def completion_parts() -> Callable[..., list[dict[str, Any]]]:
    return completion


@pytest.fixture
def model_response_parts() -> Callable[..., list[dict[str, Any]]]:
    return model_response
