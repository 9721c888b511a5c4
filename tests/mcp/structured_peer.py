# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An MCP server whose tools declare output schemas: good ones, and ones made to keep a client busy.

    structured_peer.py     speaks over stdio

`TOOLS` and `call` are for other transports too: each tool answers with what `RESULTS` has under its name.
"""

from __future__ import annotations

import json
import sys
from typing import Any

ITEM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DOUBLINGS = 18


def doubling(keyword: str = "allOf", levels: int = DOUBLINGS) -> dict[str, Any]:
    """A schema of some lines that applies its last subschema two to the power of `levels` times."""
    chain = {f"a{level}": {keyword: [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)}
    return {"$defs": {**chain, f"a{levels}": {"type": "object"}}, "$ref": "#/$defs/a0"}


def nested(keyword: str, levels: int = 14) -> dict[str, Any]:
    """A schema for whose `keyword` everything below is looked at again, at each level."""
    schema: dict[str, Any] = {"type": "object", "properties": {"a": True}, keyword: False}
    for _ in range(levels):
        schema = {"anyOf": [schema, {"type": "integer"}], keyword: False}
    return schema


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


RECURSIVE = {"allOf": [{"items": {"$ref": "#/$defs/list"}}] * 2}
HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pattern": ({"properties": {"s": {"pattern": "^(a+)+$"}}}, {"s": "a" * 27 + "!"}),
    "doubling": (doubling(), {}),
    "unions": (doubling("anyOf"), {"a": 1}),
    "unevaluated": (nested("unevaluatedProperties"), {"a": 1}),
    "recursive": ({"properties": {"l": {"$ref": "#/$defs/list"}}, "$defs": {"list": RECURSIVE}}, {"l": deep(20)}),
    "enum": ({"properties": {"l": {"items": {"enum": [[n] for n in range(2000)]}}}}, {"l": [[1999]] * 400}),
    "numbers": ({"properties": {"l": {"items": {"multipleOf": 1e-300}}}}, {"l": [1.7e308] * 2000}),
    "unique": ({"properties": {"l": {"uniqueItems": True}}}, {"l": [{"n": n + 0.5} for n in range(2500)]}),
    "names": ({"properties": {"l": {"items": {"dependentRequired": {f"n{n}": ["a"] for n in range(1500)}}}}}, {}),
}
"""Schemas and results that hold a validator for seconds if nobody counts first."""
HOSTILE["names"][1]["l"] = [{}] * 5000

RESULTS: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "plain": (None, None),
    "fits": (ITEM, {"n": 1}),
    "wrong": (ITEM, {"n": "one"}),
    "missing": (ITEM, None),
    **HOSTILE,
}
TOOLS = [
    {"name": name, "inputSchema": {"type": "object"}, **({} if schema is None else {"outputSchema": schema})}
    for name, (schema, _) in RESULTS.items()
]


def call(name: str) -> dict[str, Any]:
    """The result of one tool."""
    structured = RESULTS[name][1]
    words = {"content": [{"type": "text", "text": f"words of {name}"}]}
    return words if structured is None else {**words, "structuredContent": structured}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of one request."""
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "structured", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    return call(params["name"]) if method == "tools/call" else {}


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = answer(message["method"], message.get("params") or {})
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


if __name__ == "__main__":
    main()
