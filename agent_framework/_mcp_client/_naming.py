# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""How a server's tools and prompts are called here, which are allowed, and which need approval. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

ApprovalMode = Literal["always_require", "never_require"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_JOINERS = "_.-"


def normalize(name: str) -> str:
    """A name that model providers accept: every character but letters, digits, ``_``, ``.`` and ``-`` becomes ``-``."""
    return _NOT_IN_A_NAME.sub("-", name)


def normalize_prefix(prefix: str | None) -> str | None:
    """A prefix without trailing joiners, or None when nothing is left of it."""
    return normalize(prefix).rstrip(_JOINERS) or None if prefix else None


def exposed_name(normalized: str, prefix: str | None) -> str:
    """The name that a model sees: the prefix, ``_``, and the normalised name without leading joiners."""
    prefix = normalize_prefix(prefix)
    if prefix is None:
        return normalized
    rest = normalized.lstrip(_JOINERS)
    return f"{prefix}_{rest}" if rest else prefix


def approval_for(names: Collection[str], mode: ApprovalMode | Mapping[str, Any] | None) -> ApprovalMode | None:
    """The approval that a function with these names needs; None where nothing says so."""
    if mode is None or isinstance(mode, str):
        return mode
    for key, answer in (("always_require_approval", "always_require"), ("never_require_approval", "never_require")):
        listed = mode.get(key) or ()
        if any(name in listed for name in names):
            return answer  # type: ignore[return-value]
    return None


def input_schema(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """A tool's input schema as a model provider needs it: an object type has ``properties``, be they empty."""
    completed = dict(schema or {})
    if completed.get("type") == "object" and completed.get("properties") is None:
        completed["properties"] = {}
    return completed


def why_unusable(schema: Mapping[str, Any]) -> str | None:
    """Why a schema would make a model provider refuse the whole request; None for one that looks fine.

    A light check of the parts that every provider reads, because it runs for each of possibly many hundred tools.
    """
    if schema.get("type", "object") != "object":
        return "its input schema is not of type object"
    properties = schema.get("properties") or {}
    if not isinstance(properties, Mapping):
        return "the properties of its input schema are not an object"
    if not all(isinstance(item, (Mapping, bool)) for item in properties.values()):
        return "a property of its input schema is not a schema"
    required = schema.get("required") or []
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return "what its input schema requires is not a list of names"
    return None


def prompt_schema(prompt: Any) -> dict[str, Any]:
    """The arguments of an MCP ``Prompt`` as a JSON schema: strings, all of them (MCP, "Prompts", data types)."""
    arguments = prompt.arguments or []
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {item.name: {"type": "string", "description": item.description} for item in arguments},
    }
    required = [item.name for item in arguments if item.required]
    if required:
        schema["required"] = required
    return schema
