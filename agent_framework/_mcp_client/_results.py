# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What of a tool's result goes to the model, and what goes past it to the program that shows the conversation.

Some hosts (agent-framework-core 1.18 and later) carry the whole result beside the model's part of it, for front ends
that render MCP results themselves. Hosts that do not are served the same way, without that.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from .sdk import fields

if TYPE_CHECKING:
    from mcp import types

    from .._types import Content

logger = logging.getLogger("agent_framework._mcp")

ToolResultContent = Literal["both", "content_first", "content_only", "structured_first", "structured_only"]
"""Which part of a result the model reads where a server sends content and structured content: both, one if it is there
and the other if not, or only the one.

Servers send structured content as text too, for clients that know no other (MCP, "Structured Content"), so with
``structured_first`` the text is left out where there is structured content. What is not text stays: it cannot be in
there."""

HOST_PAYLOAD_SIZE = 1024 * 1024
"""How large a result may be, in bytes of JSON, to be carried whole beside the model's part unless the user says
otherwise: every later turn of the conversation carries it too."""

HOST_PAYLOAD_KEY = "_mcp_tool_result_host_payload"
"""Where front ends look for the whole result, in the additional properties of a function's result."""

_KINDS_SHOWN = 5
"""How many items of a failure without a text are named by their kinds."""

META_KEY = "_meta"
"""Where a result's ``_meta`` stands in the additional properties of the content made from it."""


# The model's part ...


def model_part(result: types.CallToolResult, mode: ToolResultContent) -> types.CallToolResult:
    """A result with only what the model is to read. The result itself is not changed.

    Of a failure it is all that there is, but for an ``..._only``: what went wrong stands in the one or in the other.
    """
    if fields.is_error(result):
        mode = mode if mode.endswith("_only") and _has(result, mode) else "both"
    has_structured = fields.structured_content(result) is not None
    if mode == "content_only" or (mode == "content_first" and result.content):
        return fields.replaced(result, structuredContent=None)
    if mode == "structured_only":
        return fields.replaced(result, content=[])
    if mode == "structured_first" and has_structured:
        return _structured_first(result)
    return result


def _has(result: types.CallToolResult, mode: ToolResultContent) -> bool:
    return bool(result.content) if mode == "content_only" else fields.structured_content(result) is not None


def _structured_first(result: types.CallToolResult) -> types.CallToolResult:
    texts = [block.text for block in result.content if block.type == "text"]
    if len(texts) == 1 and fields.structured_content(result) == {"result": texts[0]}:
        # A function's string, which a server puts into an object for the schema's sake. As JSON it would cost the model
        # every line break.
        return fields.replaced(result, structuredContent=None)
    return fields.replaced(result, content=[block for block in result.content if block.type != "text"])


def with_meta(contents: list[Content], result: types.CallToolResult) -> list[Content]:
    """Note the ``_meta`` of a result on each content made from it; hosts read security labels there."""
    meta = getattr(result, "meta", None)
    if isinstance(meta, Mapping) and meta:
        for content in contents:
            content.additional_properties = {**(content.additional_properties or {}), META_KEY: dict(meta)}
    return contents


def with_note(parsed: str | list[Content], note: str, result: types.CallToolResult) -> str | list[Content]:
    """A parsed result with a sentence of ours about it at its end."""
    if isinstance(parsed, str):
        return f"{parsed}\n{note}"
    from .._types import Content

    return [*parsed, *with_meta([Content.from_text(note, raw_representation=result)], result)]


def failure(parsed: str | list[Content], result: types.CallToolResult, who: str) -> str:
    """What a result that is an error says.

    Args:
        parsed: What it was parsed to.
        result: The result.
        who: The tool and its server, for a sentence where the result has no text.

    Returns:
        Its text, a line for each item; without any, a sentence that tells what it has instead.
    """
    text = parsed if isinstance(parsed, str) else "\n".join(item.text for item in parsed if item.text)
    if text and (text != "null" or result.content):
        return text
    return f"{who} reports a failure without a text.{_what_it_has(result)}"


def _what_it_has(result: types.CallToolResult) -> str:
    kinds: list[str] = [block.type for block in result.content]
    if fields.structured_content(result) is not None:
        kinds.append("structured content")
    more = len(kinds) - _KINDS_SHOWN
    shown = ", ".join(kinds[:_KINDS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f" Its result holds: {shown}." if kinds else ""


# The rest ...


class _Kept:
    """Takes the result of one call."""

    def __init__(self) -> None:
        self.result: Any = None


_keeper: ContextVar[_Kept | None] = ContextVar("mcp_result_keeper", default=None)


def keep(result: types.CallToolResult) -> None:
    """Remember a result for the host, if it waits for one."""
    keeper = _keeper.get()
    if keeper is not None:
        keeper.result = result


def host_carries_results() -> bool:
    """Whether the host takes whole results."""
    from .. import _tools

    return hasattr(_tools, "_FunctionResultCarrier")


@contextmanager
def kept_for_host(context: Any, limit: int | None) -> Iterator[None]:
    """Hand the result of the call inside to the host, whole, if the host takes it and it is not too large.

    Args:
        context: The ``FunctionInvocationContext`` of the call.
        limit: How large it may be, in bytes of JSON; None for no limit.
    """
    if not host_carries_results():
        yield
        return
    kept = _Kept()
    token = _keeper.set(kept)
    try:
        yield
    finally:
        # Also after an error: a result that says ``isError`` is one that front ends show.
        _keeper.reset(token)
        _hand_over(context, kept.result, limit)


def _hand_over(context: Any, result: Any, limit: int | None) -> None:
    from .. import _tools

    host: Any = _tools
    budget = context.metadata.get(getattr(host, "_FUNCTION_RESULT_PAYLOAD_BUDGET_CONTEXT_KEY", None))
    whole = None if result is None else _as_json(result)
    parts = {} if whole is None else {META_KEY: whole.get(META_KEY), HOST_PAYLOAD_KEY: whole}
    carried = {key: part for key, part in parts.items() if part and _fits(part, limit, budget)}
    # Exclusive: what a server or a parser writes under that name must not pass for the whole result.
    context.metadata[host._FUNCTION_RESULT_CARRIER_CONTEXT_KEY] = host._FunctionResultCarrier(
        carried, {}, frozenset([HOST_PAYLOAD_KEY])
    )


def _as_json(result: Any) -> dict[str, Any] | None:
    dumped = json.loads(result.model_dump_json(by_alias=True, exclude_none=True, fallback=str))
    return dumped if isinstance(dumped, dict) else None


def _fits(value: Any, limit: int | None, budget: Any) -> bool:
    size = len(json.dumps(value).encode())
    fits = (limit is None or size <= limit) and (budget is None or budget.reserve(size, limit))
    if not fits:
        logger.warning(
            "A result of %d bytes is not carried to the host: more than max_host_payload_size_bytes=%s, "
            "or than what is left of it in this run.",
            size,
            limit,
        )
    return bool(fits)
