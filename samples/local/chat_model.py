# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A stand-in for a chat model: an endpoint that speaks the OpenAI chat completions protocol on loopback.

It reads what a model would read and nothing else:

* a tool's result makes the answer;
* a question that has a word of a tool's name in it becomes a call of that tool; any other one a call of a tool that
  searches, if there is one;
* without such a tool it answers with what it has been told before, if that has a word in common with the question.

Whole answers and streamed ones are both served.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import Self

MODEL = "local-stand-in"
WHOLE_QUESTION = ("query", "question", "task")  # parameters for it; all others get its subject
POLL_SECONDS = 0.02  # how often the server looks whether it is to stop, which whoever stops it waits for
JsonObject = dict[str, Any]


class ChatModel:
    """A context manager: the endpoint, in a thread of its own. `url` is what a client takes as `base_url`."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[POLL_SECONDS], name="chat-model")

    @property
    def url(self) -> str:
        """For example "http://127.0.0.1:43210/v1"."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def reply_to(request: JsonObject) -> JsonObject:
    """The assistant message that answers a request."""
    *earlier, last = request["messages"]
    if last["role"] == "tool":
        return _say(_report(_text(last), _name_of_call(earlier, last["tool_call_id"])))
    question = _text(last)
    if (function := _choose_function(question, request.get("tools") or [])) is not None:
        return {"role": "assistant", "content": None, "tool_calls": [_call_of(function, question)]}
    if not question.endswith("?"):
        return _say("I will keep that in mind.")
    told = [_text(message) for message in earlier if message["role"] == "user" and not _text(message).endswith("?")]
    fitting = max(told, key=lambda text: len(_words(text) & _words(question)), default="")
    if _words(fitting) & _words(question):
        return _say(f'You told me: "{fitting}"')
    return _say("I do not know: you have not told me, and no tool of mine could find out.")


def _say(text: str) -> JsonObject:
    return {"role": "assistant", "content": text}


def _report(result: str, name: str) -> str:
    return f"That did not work. {name} said: {result}" if result.startswith("Error") else f"{name} says: {result}"


def _text(message: JsonObject) -> str:
    content = message["content"]
    return content if isinstance(content, str) else json.dumps(content)


def _words(text: str) -> set[str]:
    return set(re.findall("[a-z]{4,}", text.lower()))


def _name_of_call(messages: list[JsonObject], call_id: str) -> str:
    calls = (call for message in messages for call in message.get("tool_calls") or [])
    return next(str(call["function"]["name"]) for call in calls if call["id"] == call_id)


def _choose_function(question: str, tools: list[JsonObject]) -> JsonObject | None:
    functions = [tool["function"] for tool in tools if tool.get("type") == "function"]
    named = [function for function in functions if _words(function["name"]) & _words(question)]
    searching = [function for function in functions if function["name"].startswith("search")]
    return next(iter(named + searching), None)


def _call_of(function: JsonObject, question: str) -> JsonObject:
    required = (function.get("parameters") or {}).get("required", [])
    arguments = {name: question if name in WHOLE_QUESTION else _subject_of(question) for name in required}
    return {
        "id": f"call_{time.monotonic_ns()}",
        "type": "function",
        "function": {"name": function["name"], "arguments": json.dumps(arguments)},
    }


def _subject_of(question: str) -> str:
    """What a question is about: what stands in quotes, else a date, else the last name, else all of it."""
    for pattern in (r'"([^"]+)"', r"(\d{4}-\d\d-\d\d)", r"(?<=\s)([A-Z]\w+)"):
        if found := re.findall(pattern, question):
            return str(found[-1])
    return question


def _completion(request: JsonObject) -> JsonObject:
    message = reply_to(request)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(message)}
    return {**_envelope("chat.completion"), "choices": [choice], "usage": _usage(request, message)}


def _chunks(request: JsonObject) -> Iterator[JsonObject]:
    """The same answer in pieces."""
    message = reply_to(request)
    envelope = _envelope("chat.completion.chunk")
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}]
    for index, call in enumerate(message.get("tool_calls", [])):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        deltas.append({"tool_calls": [{**call, "index": index, "function": {"name": name, "arguments": ""}}]})
        deltas += ({"tool_calls": [{"index": index, "function": {"arguments": part}}]} for part in _parts(arguments))
    deltas += ({"content": part} for part in _parts(message["content"] or ""))
    for delta in deltas:
        yield {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish_reason(message)}]}
    if (request.get("stream_options") or {}).get("include_usage"):
        yield {**envelope, "choices": [], "usage": _usage(request, message)}


def _parts(text: str, size: int = 16) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


_numbers = itertools.count(1)


def _envelope(kind: str) -> JsonObject:
    return {"id": f"chatcmpl-{next(_numbers)}", "object": kind, "created": int(time.time()), "model": MODEL}


def _finish_reason(message: JsonObject) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _usage(request: JsonObject, message: JsonObject) -> JsonObject:
    """Words instead of tokens: it has no tokenizer."""
    prompt, completion = len(json.dumps(request["messages"]).split()), len(json.dumps(message).split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/chat/completions":
            self._send(404, "application/json", b'{"error": {"message": "no such path"}}')
        elif request.get("stream"):
            events = [*(json.dumps(chunk) for chunk in _chunks(request)), "[DONE]"]
            self._send(200, "text/event-stream", "".join(f"data: {event}\n\n" for event in events).encode())
        else:
            self._send(200, "application/json", json.dumps(_completion(request)).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the sample's output to the story."""
