# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The fields of MCP objects whose names differ between the majors of the SDK.

SDK 1.x names a field as it stands on the wire (``isError``), 2.x by Python's convention (``is_error``). What a class
declares decides: objects of 1.x also carry whatever else a server has sent, under the name that the server chose.
An object that has a field by neither name raises ``AttributeError``. Constructors need none of this, both majors take
the names on the wire.

This module does not import ``mcp``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


@lru_cache(maxsize=512)
def _declared(kind: Any, wire: str) -> str | None:
    """The name that a pydantic class declares for a field; None for a class of another kind.

    Raises:
        AttributeError: It declares neither.
    """
    declared = getattr(kind, "model_fields", None)
    if not isinstance(declared, dict):
        return None
    for name in (wire, _pythonic(wire)):
        if name in declared:
            return name
    raise AttributeError(f"{kind.__name__} has neither {wire!r} nor {_pythonic(wire)!r}; which MCP SDK is this?")


def _pythonic(wire: str) -> str:
    return re.sub("[A-Z]", lambda capital: "_" + capital.group().lower(), wire)


def _read(item: Any, wire: str) -> Any:
    kind: Any = type(item)
    name = _declared(kind, wire)
    if name is None:
        # What plays an object's part, as in tests of applications, may go by either convention.
        name = wire if hasattr(item, wire) else _pythonic(wire)
    return getattr(item, name)


def _field(wire: str) -> Callable[[Any], Any]:
    def accessor(item: Any) -> Any:
        return _read(item, wire)

    accessor.__name__ = accessor.__qualname__ = _pythonic(wire)
    accessor.__doc__ = f"The field ``{wire}``. Raises ``AttributeError`` where there is none."
    return accessor


input_schema = _field("inputSchema")
output_schema = _field("outputSchema")
task_support = _field("taskSupport")

is_error = _field("isError")
structured_content = _field("structuredContent")
mime_type = _field("mimeType")
tool_use_id = _field("toolUseId")

next_cursor = _field("nextCursor")
protocol_version = _field("protocolVersion")
server_info = _field("serverInfo")

max_tokens = _field("maxTokens")
system_prompt = _field("systemPrompt")
tool_choice = _field("toolChoice")
stop_sequences = _field("stopSequences")
requested_schema = _field("requestedSchema")


def if_there(answer: Any, wire: str) -> Any:
    """A field of an answer of any kind, typed or as it stands on the wire; None where that kind has no such field."""
    if isinstance(answer, dict):
        return answer.get(wire)
    try:
        return _read(answer, wire)
    except AttributeError:
        return None


def replaced(item: T, **values: Any) -> T:
    """A copy of an MCP object with other values in some fields, which are named as on the wire."""
    model: Any = item
    kind: Any = type(item)
    updates = {_declared(kind, name) or name: value for name, value in values.items()}
    copy: T = model.model_copy(update=updates)
    return copy
