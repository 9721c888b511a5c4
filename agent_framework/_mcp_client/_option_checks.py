# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""One function for each kind of setting. Pure functions, except that a command is looked for on the disk.

Each takes the setting's name and the value that the user gave, and returns the value as it is kept. An error names the
setting, what it must be, and the type of what was given. It shows no value that may be secret: none of an environment,
of a header, or of the userinfo and query of a URL.
"""

from __future__ import annotations

import codecs
import inspect
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from ._server import public_url

Check = Callable[[str, Any], Any]

LONGEST_TIME = timedelta.max.days * 86_400
"""How long any time limit may be, in seconds: what the SDK's ``timedelta`` can hold."""

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, section 5.6.2)
_BEFORE_HOST = r"(?i)^(?:[a-z][a-z0-9+.-]*:(?=/)|(?:https?|wss?)(?=[:/]))?:?/*"


def wrong_type(setting: str, must: str, value: object, cure: str = "") -> TypeError:
    """The error for a value of a type that the setting does not take."""
    kind = "None" if value is None else type(value).__name__
    return TypeError(f"{setting} must be {must}, not {kind}{'; ' if cure else ''}{cure}.")


# For every setting ...


def optional(check: Check) -> Check:
    """None, or what another check takes."""
    return lambda setting, value: None if value is None else check(setting, value)


def text(setting: str, value: Any) -> str:
    """A string, also an empty one."""
    if not isinstance(value, str):
        raise wrong_type(setting, "a str", value)
    return value


def name(setting: str, value: Any) -> str:
    """A string that is not blank."""
    if not text(setting, value).strip():
        raise ValueError(f"{setting} must not be empty.")
    return str(value)


def flag(setting: str, value: Any) -> bool:
    """True or False. What merely counts as one of them, such as the string ``"no"``, is refused."""
    if not isinstance(value, bool):
        raise wrong_type(setting, "True or False", value)
    return value


def one_of(*choices: str) -> Check:
    """One of some words."""

    def check(setting: str, value: Any) -> Any:
        if not isinstance(value, str):
            raise wrong_type(setting, " or ".join(map(repr, choices)), value)
        if value not in choices:
            raise ValueError(f"{setting} must be one of {', '.join(map(repr, choices))}, not {value!r}.")
        return value

    return check


def protocol_mode(setting: str, value: Any) -> str:
    """``auto``, ``legacy``, or a protocol version, which is a date."""
    choices = "'auto', 'legacy' or a protocol version such as '2026-07-28'"
    if not isinstance(value, str):
        raise wrong_type(setting, choices, value)
    if value not in ("auto", "legacy") and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise ValueError(f"{setting} must be {choices}, not {value!r}.")
    return value


def seconds(setting: str, value: Any) -> float:
    """A number of seconds from 0 up, with an end."""
    if isinstance(value, timedelta):
        raise wrong_type(setting, "a number of seconds", value, "use its total_seconds()")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(setting, "a number of seconds, or None for no limit of its own", value)
    if not 0 <= value <= LONGEST_TIME:
        raise ValueError(f"{setting} must be a number of seconds, or None for no limit of its own, not {value!r}.")
    return value


def interval(setting: str, value: Any) -> float:
    """A number of seconds above 0."""
    number = seconds(setting, value)
    if number == 0:
        raise ValueError(f"{setting} must be a positive number of seconds, or None, not 0.")
    return number


def count(least: int) -> Check:
    """A whole number from some least one up."""

    def check(setting: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(setting, "an int, or None for no limit", value)
        if value < least:
            raise ValueError(f"{setting} must be at least {least}, or None for no limit, not {value!r}.")
        return value

    return check


def instance_of(kind: type, cure: str) -> Check:
    """An object of a type."""

    def check(setting: str, value: Any) -> Any:
        if not isinstance(value, kind):
            raise wrong_type(setting, f"a {kind.__name__}", value, cure)
        return value

    return check


def function(setting: str, value: Any) -> Any:
    """Something to call, whether it is a coroutine function or not."""
    if not callable(value):
        raise wrong_type(setting, "a function, or None", value)
    return value


def plain_function(setting: str, value: Any) -> Any:
    """Something to call whose result is needed at once."""
    if any(inspect.iscoroutinefunction(called) for called in (function(setting, value), type(value).__call__)):
        raise TypeError(f"{setting} is called where nothing can be awaited, and cannot be a coroutine function.")
    return value


def with_method(method: str, what: str) -> Check:
    """An object with a method, whatever its type: people put objects of their own, and mocks, into these places."""

    def check(setting: str, value: Any) -> Any:
        if isinstance(value, type):
            raise TypeError(f"{setting} must be {what}, not the class {value.__name__} itself.")
        if not callable(getattr(value, method, None)):
            raise wrong_type(setting, f"{what}, which has a method {method}()", value)
        return value

    return check


def names(setting: str, value: Any) -> Any:
    """A collection of names. A lone string is one of characters, and refused."""
    if isinstance(value, str):
        raise wrong_type(setting, "a list of names", value, f"write {setting}=[{value!r}]")
    if isinstance(value, bytes) or not isinstance(value, Collection):
        raise wrong_type(setting, "a list of names", value)
    for item in value:
        if not isinstance(item, str):
            raise wrong_type(f"each name in {setting}", "a str", item)
    return value


def names_by_tool(setting: str, value: Any) -> Any:
    """A name, several, or a mapping from tools to either."""
    if isinstance(value, Mapping):
        return {text(f"each tool in {setting}", tool): names_by_tool(setting, some) for tool, some in value.items()}
    if isinstance(value, str):
        return value
    if not isinstance(value, Iterable):
        raise wrong_type(setting, "a name, a list of names, or a mapping from tools to names", value)
    return names(setting, list(value))


def approval(setting: str, value: Any) -> Any:
    """A mode of approval, or a mapping from modes to names."""
    if not isinstance(value, Mapping):
        return one_of("always_require", "never_require")(setting, value)
    known = ("always_require_approval", "never_require_approval")
    for key, listed in value.items():
        if key not in known:
            raise ValueError(f"{setting} has the unknown key {key!r}; its keys are {' and '.join(map(repr, known))}.")
        optional(names)(key, listed)
    return value


# Of a child process ...


def command(setting: str, value: Any) -> str:
    """A program: its name, or its path. A whole command line is refused, with its parts."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and _is_all_text(value):
        raise wrong_type(setting, "the program alone", value, _written_apart(value))
    program = _path(setting, value)
    if any(character.isspace() for character in program) and not _is_program(program):
        words = _words(program)
        if _is_program(words[0]) or not _is_path(words[0]):
            raise ValueError(f"{setting} must be the program alone, not a whole command line; {_written_apart(words)}.")
    return program


def _is_all_text(words: Sequence[Any]) -> bool:
    return bool(words) and all(isinstance(word, str) for word in words)


def _written_apart(words: Sequence[str]) -> str:
    first, *others = words
    return f"write command={first!r}" + (f", args={others!r}" if others else "")


def _words(line: str) -> list[str]:
    import shlex  # here and below: needed for an error only

    try:
        return shlex.split(line, posix=os.sep == "/")
    except ValueError:  # a quotation mark without its partner
        return line.split()


def _is_path(word: str) -> bool:
    return os.path.basename(word) != word  # noqa: PTH119  # a Path would drop a trailing separator


def _is_program(word: str) -> bool:
    import shutil

    return shutil.which(word) is not None or os.path.exists(word)  # noqa: PTH110  # a bad path is False


def arguments(setting: str, value: Any) -> list[str]:
    """The arguments of a program. Paths and numbers become text."""
    if value is None:
        return []
    if isinstance(value, str):
        raise wrong_type(setting, "a list of arguments", value, f"write {setting}={_words(value)!r}")
    if isinstance(value, bytes) or not isinstance(value, Sequence):
        raise wrong_type(setting, "a list of arguments", value)
    return [_as_text(f"{setting}[{index}]", item) for index, item in enumerate(value)]


def environment(setting: str, value: Any) -> dict[str, str]:
    """Variables by name. Paths and numbers become text."""
    if not isinstance(value, Mapping):
        raise wrong_type(setting, "a mapping from names to text", value)
    return {_variable(setting, key): _as_text(f"{setting}[{key!r}]", item) for key, item in value.items()}


def _variable(setting: str, key: Any) -> str:
    if not isinstance(key, str):
        raise wrong_type(f"each name in {setting}", "a str", key)
    if not key or "=" in key or "\0" in key:
        raise ValueError(f"{setting} has the name {key!r}, which no variable of an environment can have.")
    return key


def _as_text(setting: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, os.PathLike, int, float)):
        cure = "leave it out, or give it a value" if value is None else "write the text that the program is to read"
        raise wrong_type(setting, "text, a path or a number", value, cure)
    return _without_nul(setting, format(value) if isinstance(value, (int, float)) else os.fsdecode(value))


def _path(setting: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise wrong_type(setting, "text or a path", value)
    return _without_nul(setting, name(setting, os.fsdecode(value)))


def _without_nul(setting: str, value: str) -> str:
    if "\0" in value:
        raise ValueError(f"{setting} has a NUL character in it, with which no program can be started.")
    return value


def folder(setting: str, value: Any) -> str:
    """The path of a folder."""
    return _path(setting, value)


def encoding(setting: str, value: Any) -> str:
    """A text encoding that Python knows."""
    try:
        codecs.lookup(text(setting, value))
        "".encode(value)  # raises for a codec that is none of text, such as base64
    except (LookupError, ValueError):
        raise ValueError(f"{setting} must be a text encoding of Python's, such as 'utf-8', not {value!r}.") from None
    return str(value)


# Of a server behind a URL ...


def url(*schemes: str, others: Mapping[str, str]) -> Check:
    """An absolute URL, as text or as the object of another package.

    Args:
        *schemes: The schemes that it may have, the usual one first.
        others: The cure for other schemes.
    """

    def check(setting: str, value: Any) -> str:
        given = _url_text(setting, value)
        _check_characters(setting, given)
        scheme = given.partition("://")[0].lower() if "://" in given else ""
        if scheme not in schemes:
            must = " or ".join(f"{one}://" for one in schemes)
            cure = others.get(scheme) or _rewritten(given, schemes[0])
            raise ValueError(f"{setting} must begin with {must}; {cure}.")
        if not _has_host(given):
            raise ValueError(f"{setting} must have a host, and a port from 0 to 65535 if any: {public_url(given)}.")
        return given

    return check


def _url_text(setting: str, value: Any) -> str:
    if isinstance(value, str):
        return name(setting, value)
    if isinstance(value, type) or not (hasattr(value, "scheme") and hasattr(value, "host")):
        raise wrong_type(setting, "text or a URL object", value)
    return str(value)


def _check_characters(setting: str, given: str) -> None:
    for index, character in enumerate(given):
        if character.isspace() or not character.isprintable():
            raise ValueError(
                f"{setting} has the character {character!a} at index {index}; a URL has neither white space nor "
                "control characters in it."
            )


def _rewritten(given: str, scheme: str) -> str:
    """What the caller may have meant; no part of a text that may have a password in it."""
    address = f"{scheme}://{re.sub(_BEFORE_HOST, '', given, count=1)}"
    parts = urlsplit(address if "@" not in address and _has_host(address) else "")
    if parts.hostname and (parts.port or parts.hostname == "localhost" or "." in parts.hostname):
        return f"write {public_url(address)!r} perhaps"
    return f"an example is {scheme}://localhost:8000/mcp"


def _has_host(given: str) -> bool:
    try:
        parts = urlsplit(given)
        parts.port  # noqa: B018  # raises, too
    except ValueError:
        return False
    return bool(parts.hostname)


def http_client(setting: str, value: Any) -> Any:
    """An asynchronous HTTP client, whatever its type, but none that blocks."""
    cure = "an httpx.AsyncClient"
    with_method("send", cure)(setting, value)
    if hasattr(value, "close") and not hasattr(value, "aclose"):
        raise wrong_type(setting, cure, value, "a client that blocks would hold the event loop")
    return value


def headers(setting: str, value: Any) -> dict[str, str]:
    """Header fields that can be sent (RFC 9110, section 5)."""
    if not isinstance(value, Mapping):
        raise wrong_type(setting, "a mapping from names to text", value)
    return {_field_name(setting, key): _field_value(f"{setting}[{key!r}]", item) for key, item in value.items()}


def additional_headers(setting: str, value: Any) -> Any:
    """Header fields as ``websockets`` takes them: a mapping, or pairs, which it looks at itself."""
    if isinstance(value, Mapping):
        return headers(setting, value)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise wrong_type(setting, "a mapping from names to text", value)
    return value


def _field_name(setting: str, key: Any) -> str:
    if not isinstance(key, str):
        raise wrong_type(f"each name in {setting}", "a str", key)
    if not _FIELD_NAME.fullmatch(key):
        raise ValueError(f"{setting} has the name {key!r}, which no header can have.")
    return key


def _field_value(setting: str, value: Any) -> str:
    if not isinstance(value, str):
        cure = "leave it out, or give it a value" if value is None else "write it as text"
        raise wrong_type(setting, "a str", value, cure)
    if value != value.strip():
        raise ValueError(f"{setting} has white space at its beginning or end; use the value's strip().")
    if not value.isascii() or not value.replace("\t", " ").isprintable():
        raise ValueError(f"{setting} has a character in it that no header can have: it takes printable ASCII.")
    return value
