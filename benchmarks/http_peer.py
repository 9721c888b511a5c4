# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An MCP server over streamable HTTP that is much cheaper than its clients, so that measuring it measures them.

A program: prints its port, then answers each line on its standard input with what it has counted since the last one,
and leaves at the end of its input. The query of a request's URL says what it serves (see answers.py).
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections import Counter
from dataclasses import dataclass, field

import answers

CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n"
)
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
NOT_ALLOWED = b"HTTP/1.1 405 Method Not Allowed\r\nallow: POST\r\ncontent-length: 0\r\n\r\n"
SESSION = b"mcp-session-id: 5e55104\r\n"
BACKLOG = 2048


@dataclass
class Counts:
    """What has arrived.

    Attributes:
        messages: JSON-RPC messages by method.
        requests: HTTP requests by method.
        openings: TCP connections by the JSON-RPC (else HTTP) method that they were opened for.
    """

    messages: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    openings: Counter[str] = field(default_factory=Counter)

    def take(self) -> str:
        """All of it as a line of JSON; counting begins anew."""
        line = json.dumps(vars(self))
        for counter in vars(self).values():
            counter.clear()
        return line


class Conversation(asyncio.Protocol):
    """One TCP connection. Requests on it come one after the other, as clients of HTTP/1.1 send them."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._received = bytearray()
        self._awaited = 0  # how much must have been received before looking again is of use
        self._is_new = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=1 << 26)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= self._awaited:
            self._look()

    def _look(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        self._awaited = end + 4 + _content_length(head)
        if len(self._received) >= self._awaited:
            body = bytes(self._received[end + 4 : self._awaited])
            del self._received[: self._awaited]
            self._awaited = 0
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        profile = answers.Profile.parse(target.partition("?")[2])
        message = json.loads(body) if body else None
        name = method if message is None else message.get("method", "response")
        self._count(method, message, name)
        if message is None:
            self._serve_bare(method, profile)
        elif "id" not in message or "method" not in message:
            self._transport.write(ACCEPTED)
        elif profile.delay and name == "tools/call":
            self._loop.call_later(profile.delay / 1000, self._answer, profile, message)
        else:
            self._answer(profile, message)

    def _count(self, method: str, message: object, name: str) -> None:
        self._counts.requests[method] += 1
        if message is not None:
            self._counts.messages[name] += 1
        if self._is_new:
            self._is_new = False
            self._counts.openings[name] += 1

    def _serve_bare(self, method: str, profile: answers.Profile) -> None:
        if method == "DELETE":
            self._transport.write(EMPTY)
        elif method == "GET" and profile.session:
            self._transport.write(CHUNKED + b"\r\n")  # and nothing more: there is never any news
        else:
            self._transport.write(NOT_ALLOWED)

    def _answer(self, profile: answers.Profile, message: dict[str, object]) -> None:
        response = answers.answer(profile, message)
        session = SESSION if profile.session and message["method"] == "initialize" else b""
        if profile.events:
            event = b"event: message\r\ndata: %s\r\n\r\n" % response
            self._transport.write(b"%s%s\r\n%x\r\n%s\r\n" % (CHUNKED, session, len(event), event))
            # On its own, as servers send it: what ends the stream comes after the handler has returned.
            self._loop.call_soon(self._transport.write, b"0\r\n\r\n")
        else:
            self._transport.write(b"%s%scontent-length: %d\r\n\r\n%s" % (JSON, session, len(response), response))


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve() -> None:
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(counts), "127.0.0.1", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(counts.take(), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
