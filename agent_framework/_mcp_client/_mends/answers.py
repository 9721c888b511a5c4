# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Long answers parsed once, and cheaply.

Reason: ``JSONRPCMessage`` is a union, and validating JSON text against it reads the text for every member: 59 ms for a
list of 500 tools, where reading the JSON first and looking at its keys takes 8. Over HTTP we have read it by then
anyway, to know that it is an answer.

Gain: connecting to a server with 500 tools costs half, and so does a result of 1 MiB.

Can go when: the SDK reads JSON before it decides what kind of message it is.

Over HTTP the SDK's transport is given an answer with an empty result to carry, and the true one is put in behind it.
The answer to ``initialize`` is left whole: the transport itself wants to know what is in it.
"""

from __future__ import annotations

import json
from typing import Any

from anyio.abc import ObjectReceiveStream
from mcp import types
from pydantic_core import from_json

WORTHWHILE = 4096
"""From which length of the text on the detour is cheaper than the way, in bytes."""

_KEYS = frozenset(["jsonrpc", "id", "result"])


def parse(text: str | bytes) -> types.JSONRPCMessage:
    """A JSON-RPC message.

    Raises:
        pydantic.ValidationError: It is not JSON, or not JSON-RPC.
    """
    if len(text) >= WORTHWHILE:
        try:
            message = from_json(text)
        except (TypeError, ValueError):  # the former for text that cannot be encoded
            message = None  # the SDK says what is wrong
        if _is_response(message):
            return types.JSONRPCMessage(types.JSONRPCResponse.model_construct(**message))
    return types.JSONRPCMessage.model_validate_json(text)


def _is_response(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and message.keys() == _KEYS
        and message["jsonrpc"] == "2.0"
        and type(message["id"]) in (int, str)
        and isinstance(message["result"], dict)
    )


class Results:
    """The true results of answers that are under way without them, by the ids of the requests."""

    def __init__(self) -> None:
        self._results: dict[int | str, dict[str, Any]] = {}

    def take_out(self, message: dict[str, Any]) -> bytes | None:
        """The text of an answer without its result, which is kept; None for what is no plain answer."""
        if not _is_response(message):
            return None
        self._results[message["id"]] = message["result"]
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}).encode()

    def put_back(self, item: Any) -> None:
        """Give an answer its result. An error that comes in its place is the answer, and nobody will ask again."""
        if not self._results:
            return
        answer = getattr(getattr(item, "message", None), "root", None)
        if isinstance(answer, (types.JSONRPCResponse, types.JSONRPCError)):
            result = self._results.pop(answer.id, None)
            if result is not None and isinstance(answer, types.JSONRPCResponse):
                answer.result = result


class Completed(ObjectReceiveStream[Any]):
    """A transport's read stream whose answers have their results.

    Args:
        stream: The transport's own.
        results: What was taken out.
    """

    def __init__(self, stream: Any, results: Results) -> None:
        self._stream = stream
        self._results = results

    async def receive(self) -> Any:
        """The next message.

        Raises:
            anyio.EndOfStream: There is none.
        """
        item = await self._stream.receive()
        self._results.put_back(item)
        return item

    async def aclose(self) -> None:
        """Close the transport's stream."""
        await self._stream.aclose()

    def close(self) -> None:
        """Close the transport's stream."""
        self._stream.close()
