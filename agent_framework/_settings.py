# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Settings from arguments, a ``.env`` file and the environment, described by a TypedDict."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .exceptions import SettingNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SettingsT = TypeVar("SettingsT", bound="Mapping[str, Any]")

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


class SecretString(str):
    """Text that does not show itself in a ``repr``, so not in a log of a settings dictionary or a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretString('**********')"

    def get_secret_value(self) -> str:
        """The text itself."""
        return str(self)


def load_settings(
    settings_type: type[SettingsT],
    *,
    env_prefix: str = "",
    env_file_path: str | None = None,
    env_file_encoding: str | None = None,
    required_fields: Sequence[str | tuple[str, ...]] | None = None,
    **overrides: Any,
) -> SettingsT:
    """Look up every field of a settings type: in the overrides, then in the file, then in the environment.

    Args:
        settings_type: A TypedDict; the variable of field ``key`` is ``<env_prefix>KEY``.
        env_prefix: What the variables begin with.
        env_file_path: A ``.env`` file; without one, none is read.
        env_file_encoding: Its encoding, UTF-8 unless given.
        required_fields: Names of fields that must have a value; a tuple stands for fields of which exactly one must.
        overrides: Values of fields. None counts as not given; names that are no field are left alone, so that one set
            of arguments can serve several settings types.

    Returns:
        A dictionary with every field, None where there is no value.

    Raises:
        FileNotFoundError: env_file_path does not exist.
        SettingNotFoundError: A required field has no value, or several of a tuple have one.
        ValueError: A value does not fit the type of its field.
    """
    variables = _read_variables(env_file_path, env_file_encoding)
    settings: dict[str, Any] = {}
    for name, hint in get_type_hints(settings_type).items():
        override = overrides.get(name)
        variable = f"{env_prefix}{name.upper()}"
        if override is not None:
            settings[name] = _check_override(name, override, hint)
        else:
            text = variables.get(variable, os.environ.get(variable))
            settings[name] = None if text is None else _parse_variable(variable, text, hint)
    for required in required_fields or ():
        _check_required(settings, required, env_prefix)
    return cast("SettingsT", settings)


def _read_variables(path: str | None, encoding: str | None) -> dict[str, str]:
    if path is None:
        return {}
    if not Path(path).is_file():
        raise FileNotFoundError(f"The file with settings does not exist: {path}")
    from dotenv import dotenv_values

    values = dotenv_values(path, encoding=encoding or "utf-8")
    return {name: value for name, value in values.items() if value is not None}


def _members(hint: Any) -> tuple[Any, ...]:
    """The types that a field may have, without None."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return tuple(member for member in members if member is not type(None))


def _parse_variable(variable: str, text: str, hint: Any) -> Any:
    """The text of a variable as the first type of the field that a text can be turned into."""
    members = _members(hint)
    if SecretString in members:
        return SecretString(text)
    parser = None if str in members else next((_PARSERS[member] for member in members if member in _PARSERS), None)
    if parser is None:
        return text
    if not text.strip():
        return None
    try:
        return parser(text)
    except ValueError as error:
        # Neither the text nor the error that repeats it: a variable may hold a secret that was put in the wrong place.
        raise ValueError(f"The value of {variable} is not a valid {_describe(members)}.") from error


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("not a boolean")
    return word in _TRUE


_PARSERS: dict[Any, Callable[[str], Any]] = {bool: _parse_bool, int: int, float: float}


def _check_override(name: str, value: Any, hint: Any) -> Any:
    members = _members(hint)
    if SecretString in members and isinstance(value, str):
        return SecretString(value)
    # A callable may stand for any value: whoever uses the setting calls it.
    if not callable(value) and not any(_fits(value, member) for member in members):
        raise ValueError(f"Setting {name!r} must be {_describe(members)}, not {type(value).__name__}.")
    return value


def _fits(value: Any, member: Any) -> bool:
    origin = get_origin(member)
    if origin is Literal:
        return value in get_args(member)
    expected = origin or member
    if expected is float:
        return isinstance(value, (int, float))
    # What is no class, such as Any, cannot be checked.
    return not isinstance(expected, type) or isinstance(value, expected)


def _describe(members: tuple[Any, ...]) -> str:
    return " or ".join(member.__name__ if isinstance(member, type) else str(member) for member in members)


def _check_required(settings: Mapping[str, Any], required: str | tuple[str, ...], env_prefix: str) -> None:
    names = (required,) if isinstance(required, str) else required
    present = [name for name in names if settings.get(name) is not None]
    if len(present) == 1:
        return
    if len(names) == 1:
        raise SettingNotFoundError(
            f"The setting {names[0]!r} is required: pass it as {names[0]!r} or set {env_prefix}{names[0].upper()}."
        )
    listed = ", ".join(repr(name) for name in names)
    variables = ", ".join(f"{env_prefix}{name.upper()}" for name in names)
    found = f"but {len(present)} are set" if present else "and none is set"
    raise SettingNotFoundError(f"Exactly one of the settings {listed} must be given, {found} (variables: {variables}).")
