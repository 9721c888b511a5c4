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

if TYPE_CHECKING:
    from mcp import types

    from .._types import Content

logger = logging.getLogger("agent_framework._mcp")

ToolResultContent = Literal["both", "content_first", "content_only", "structured_first", "structured_only"]
"""Which part of a result the model reads where a server sends content and structured content: both, one if it is there
and the other if not, or only the one."""

HOST_PAYLOAD_SIZE = 1024 * 1024
"""How large a result may be, in bytes of JSON, to be carried whole beside the model's part unless the user says
otherwise: every later turn of the conversation carries it too."""

HOST_PAYLOAD_KEY = "_mcp_tool_result_host_payload"
"""Where front ends look for the whole result, in the additional properties of a function's result."""

META_KEY = "_meta"
"""Where a result's ``_meta`` stands in the additional properties of the content made from it."""


# The model's part ...


def model_part(result: types.CallToolResult, mode: ToolResultContent) -> types.CallToolResult:
    """A result with only what the model is to read. The result itself is not changed."""
    has_structured = getattr(result, "structuredContent", None) is not None
    if mode == "content_only" or (mode == "content_first" and result.content):
        return result.model_copy(update={"structuredContent": None})
    if mode == "structured_only" or (mode == "structured_first" and has_structured):
        return result.model_copy(update={"content": []})
    return result


def with_meta(contents: list[Content], result: types.CallToolResult) -> list[Content]:
    """Note the ``_meta`` of a result on each content made from it; hosts read security labels there."""
    meta = getattr(result, "meta", None)
    if isinstance(meta, Mapping) and meta:
        for content in contents:
            content.additional_properties = {**(content.additional_properties or {}), META_KEY: dict(meta)}
    return contents


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
