# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""JSON-RPC messages of a transport that parses them itself (JSON-RPC 2.0, sections 4 and 5)."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from .._causes import NotMCP
from .._json_text import MAX_VALUES, holds_too_much


def parse(text: bytes) -> list[dict[str, Any]]:
    """The messages in a text: one, or those of a batch (protocol 2025-03-26).

    Raises:
        NotMCP: It is no JSON-RPC, or too much of it.
    """
    if holds_too_much(text):
        raise NotMCP(f"the server sent a message of more than {MAX_VALUES:,} values")
    try:
        parsed = from_json(text, cache_strings="keys")
    except ValueError:
        raise NotMCP("the answer is not JSON-RPC, although it says that it is JSON") from None
    messages = parsed if isinstance(parsed, list) else [parsed]
    if not messages or not all(map(is_message, messages)):
        raise NotMCP("the answer is not a JSON-RPC response to the request")
    return messages


def is_message(message: Any) -> bool:
    """Whether a JSON value is a well-formed request, notification or response."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    if "method" in message:
        return isinstance(message["method"], str)
    error = message.get("error")
    if isinstance(error, dict):
        return isinstance(error.get("code"), int) and isinstance(error.get("message"), str)
    return isinstance(message.get("result"), dict)


def is_answer(message: dict[str, Any], request_id: int | str) -> bool:
    """Whether a message answers a request. An id may come back as text or as a float, and with an error as null."""
    if "method" in message:
        return False
    answered = message.get("id")
    if answered is None:
        return "error" in message
    if isinstance(answered, float) and answered.is_integer():
        answered = int(answered)
    return str(answered) == str(request_id)
