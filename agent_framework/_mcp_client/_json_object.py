# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The arguments of a model's call, read strictly: a JSON object, or an error that says where they break.

A lenient reader makes something of a text that was cut off, and the tool then runs without what the text was to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

_KINDS = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
# Python's reader takes these constants, and JSON does not have them.
_STRING_OR_CONSTANT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|(NaN|-?Infinity)')


def read_arguments(given: Any) -> dict[str, Any]:
    """Read the arguments of a call.

    Args:
        given: A mapping, or the text of a JSON object. None, ``null`` and blank text are an empty object.

    Raises:
        ValueError: They are anything else; the message says what, and where.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str):
        raise ValueError(_expecting_an_object(given))  # noqa: TRY004  # of whatever kind, the model gave it
    value = _read(given) if given and not given.isspace() else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise json.JSONDecodeError(_expecting_an_object(value), given, len(given) - len(given.lstrip()))
    return value


def _expecting_an_object(found: Any) -> str:
    return f"Expecting an object, not {_KINDS.get(type(found), f'a Python {type(found).__name__}')}"


def _read(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # of our own, or for an integer that is longer than Python reads
        raise _reason_of_a_value(text) from None
    except RecursionError:
        raise ValueError("It is nested too deeply") from None


def _reason_of_a_value(text: str) -> ValueError:
    # The decoder does not tell where. All in front of the value has been read, so the strings there are whole.
    for match in _STRING_OR_CONSTANT.finditer(text):
        if match[1]:
            return json.JSONDecodeError(f"JSON has no {match[1]}", text, match.start(1))
    return ValueError("A number has too many digits")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
