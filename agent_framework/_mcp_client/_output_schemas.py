# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Checking structured results against the output schemas that tools declare (MCP, "Output Schema").

The server writes the schema and the result, so both are counted before a validator sees them (``_schema_cost``). The
validator is native code and matches patterns in linear time; what it does within the limits here takes some
microseconds as a rule and some tens of milliseconds at most. A worker thread would not help: native code that reads
Python objects holds the interpreter.

A result that does not match is delivered like any other, with a sentence that says so. A schema that is no schema, or
that would cost too much, is not used. That is logged once for each tool and catalogue.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ._printable import printable
from ._schema_cost import NotCountable, SchemaCost, Size, measure_result

logger = logging.getLogger("agent_framework._mcp")

CHECK_STEPS = 2_000_000
"""How many steps checking a structured result may take, of about 10 ns each."""

EXPLANATION_STEPS = 2500
"""How many steps finding the place of a mismatch may take, of up to 20 µs each: an error has a copy of what it is
about, and for a union that does not match a validator collects every error of every branch."""

REGEX_SIZE = 1024 * 1024
"""How large a compiled pattern of a schema may be, in bytes."""

NOTE_LENGTH = 300
"""How long the sentence about a result that is not what its tool declares may be, in characters."""

_PART_LENGTH = 80
"""How long a name, a place or a reason in it may be, in characters."""


class OutputSchemas:
    """The output schemas of one catalogue. Each is compiled when its tool first sends a structured result.

    Args:
        server: The server's name, for the log.
    """

    def __init__(self, server: object) -> None:
        self._server = server
        self._checks: dict[str, _Check | None] = {}
        self._logged: set[str] = set()

    async def note(self, tool: str, schema: Any, structured: Any) -> str | None:
        """A sentence about a result that is not what its tool declares; None for one that is, or cannot be checked.

        Args:
            tool: The server's own name of the tool.
            schema: The output schema that the tool was listed with; None for none.
            structured: The structured content of its result; None for none.
        """
        if not isinstance(schema, dict):
            return None
        note = await self._mismatch(tool, schema, structured)
        if note is not None:
            self._log_once(tool, note)
        return note

    async def _mismatch(self, tool: str, schema: dict[str, Any], structured: Any) -> str | None:
        if structured is None:
            return f"Tool '{_short(tool)}' ran, but sent no structured result, although it declares an output schema."
        if tool not in self._checks:
            self._checks[tool] = self._compiled(tool, schema)
            await asyncio.sleep(0)  # compiling took its time; others first
        check = self._checks[tool]
        if check is None:
            return None
        try:
            if check.is_met_by(structured):
                return None
        except NotCountable as error:
            self._log_once(tool, f"A structured result of tool '{_short(tool)}' is not checked: {error}.")
            return None
        except Exception as error:  # noqa: BLE001  # a validator's own failure must not cost the result
            self._log_once(tool, f"A structured result of tool '{_short(tool)}' cannot be checked: {_short(error)}.")
            return None
        await asyncio.sleep(0)  # as above
        sentence = f"Tool '{_short(tool)}' ran, but its structured result does not match the output schema it declares"
        where = check.explanation(structured)
        return printable(f"{sentence}: {where}." if where else f"{sentence}.", NOTE_LENGTH)

    def _compiled(self, tool: str, schema: dict[str, Any]) -> _Check | None:
        try:
            return _Check(schema)
        except Exception as error:  # noqa: BLE001  # whatever a schema does to the validator, the result is delivered
            why = getattr(error, "message", error)  # the text of a validator's error quotes the whole schema
            self._log_once(tool, f"The output schema of tool '{_short(tool)}' is not used: {_short(why)}.")
            return None

    def _log_once(self, tool: str, sentence: str) -> None:
        if tool not in self._logged:
            self._logged.add(tool)
            logger.warning("MCP server %s: %s", self._server, sentence)


class _Check:
    """Checks results against one schema.

    Raises:
        NotCountable: Checking may cost too much.
        ValueError: It is not a JSON schema, or not of a dialect that the validator knows.
        ImportError: The validator is not installed.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._cost = SchemaCost(schema)
        if self._cost.of(Size(1, 0, 0, 1)).values > CHECK_STEPS:
            raise NotCountable("it applies too many subschemas to one value")
        import jsonschema_rs

        self._validator = jsonschema_rs.validator_for(
            schema,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=REGEX_SIZE),
            validate_formats=False,  # "format" is an annotation in the default dialect
            offline=True,
            mask="the value",
        )
        self._mismatch = jsonschema_rs.ValidationError

    def is_met_by(self, value: Any) -> bool:
        """Whether a JSON value matches.

        Raises:
            NotCountable: Finding out may cost too much.
        """
        size = measure_result(value)
        if self._cost.of(size).steps(size) > CHECK_STEPS:
            raise NotCountable("it is too large for its schema")
        return self._validator.is_valid(value)

    def explanation(self, value: Any) -> str | None:
        """Where a value does not match, as a JSON pointer (RFC 6901), and why; None where that may cost too much."""
        size = measure_result(value)
        weight = self._cost.of(size).values if self._cost.has_unions else 1
        if weight * (size.values + size.characters // 100) > EXPLANATION_STEPS:
            return None
        try:
            self._validator.validate(value)
        except self._mismatch as error:
            return f"at {_short(_pointer(error.instance_path)) or 'the top'}, {_short(error.message)}"
        return None


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _short(text: object) -> str:
    return printable(text, _PART_LENGTH)
