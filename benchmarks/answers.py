# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the peers answer: results that are made once and sent as they are, so that a server costs next to nothing.

Which results, a query string says, the same for both peers: `kind=echo&tools=50&pages=1` and so on; see `Profile`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

ROWS = 20
ROW_TYPES = {"day": "string", "low": "number", "high": "number", "rain": "integer", "warnings": "array"}
ROW = {"day": "2026-03-01", "low": -1.5, "high": 7.25, "rain": 40, "warnings": ["frost", "fog"]}


@dataclass(frozen=True)
class Profile:
    """One server out of many.

    Attributes:
        kind: The name of its first tool, which is the one that is called: "echo" answers a word, "structured" a table
            with a schema, "blob" a text of `size`.
        tools: How many tools it lists; the others are there to be listed.
        pages: On how many pages.
        size: Of the text of "blob", in bytes.
        delay: How long a call takes, in milliseconds.
        events: 1 to answer with event streams instead of JSON (HTTP only).
        session: 1 to hand out a session id and to hold a standing stream open (HTTP only).
    """

    kind: str = "echo"
    tools: int = 1
    pages: int = 1
    size: int = 0
    delay: int = 0
    events: int = 0
    session: int = 0

    @classmethod
    def parse(cls, query: str) -> Profile:
        return cls(**{key: value if key == "kind" else int(value) for key, value in parse_qsl(query)})  # type: ignore[arg-type]

    @property
    def query(self) -> str:
        return urlencode(vars(self))


@cache
def listing(profile: Profile, page: int) -> bytes:
    """The result of tools/list."""
    bounds = [profile.tools * edge // profile.pages for edge in (page, page + 1)]
    result: dict[str, Any] = {"tools": [_tool(profile.kind if i == 0 else f"tool_{i:04}") for i in range(*bounds)]}
    if page + 1 < profile.pages:
        result["nextCursor"] = str(page + 1)
    return json.dumps(result).encode()


@cache
def call_result(profile: Profile) -> bytes:
    """The result of tools/call."""
    if profile.kind == "structured":
        table = {"place": "Tromsø", "days": [ROW] * ROWS}
        return json.dumps(
            {"content": [_text(json.dumps(table))], "structuredContent": table, "isError": False}
        ).encode()
    text = "x" * profile.size if profile.kind == "blob" else "hello"
    return json.dumps({"content": [_text(text)], "isError": False}).encode()


def initialize_result(params: dict[str, Any]) -> bytes:
    """The result of initialize."""
    return json.dumps(
        {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "bench", "version": "1"},
        }
    ).encode()


def answer(profile: Profile, message: dict[str, Any]) -> bytes:
    """The whole JSON-RPC response to a request."""
    method, params = message["method"], message.get("params") or {}
    if method == "tools/call":
        result = call_result(profile)
    elif method == "tools/list":
        result = listing(profile, int(params.get("cursor") or 0))
    else:
        result = initialize_result(params) if method == "initialize" else b"{}"
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (json.dumps(message["id"]).encode(), result)


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _tool(name: str) -> dict[str, Any]:
    """A tool as large servers describe them: properties with a sentence each, enumerations, objects inside; 2 KB."""
    filters = {f"filter_{i}": _property(f"Only records whose field {i} begins with this.") for i in range(10)}
    tool = {
        "name": name,
        "title": name.replace("_", " ").title(),
        "description": f"Looks up what {name} is for, and returns the first few records that fit what was asked.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "text": _property("What to look for, in words; quotes keep words together."),
                "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
                "order": {"type": "string", "enum": ["newest", "oldest", "best", "nearest"], "default": "best"},
                **filters,
                "where": _object(place=_property("A town or a region."), radius=_property("In kilometres.", "number")),
                "when": _object(since=_property("The first day."), until=_property("The last day.")),
                "fields": {"type": "array", "items": _property("The name of a field to return."), "maxItems": 20},
            },
            "required": ["text"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }
    return {**tool, "outputSchema": _table_schema()} if name == "structured" else tool


def _property(description: str, kind: str = "string") -> dict[str, Any]:
    return {"type": kind, "description": description}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _table_schema() -> dict[str, Any]:
    row: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in ROW_TYPES.items()},
        "required": list(ROW_TYPES),
    }
    row["properties"]["warnings"]["items"] = {"type": "string"}
    return {
        "type": "object",
        "properties": {"place": {"type": "string"}, "days": {"type": "array", "items": row}},
        "required": ["place", "days"],
    }
