# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Objects to dictionaries and JSON, and back through their constructors."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from typing_extensions import Self

logger = logging.getLogger("agent_framework")

SerializableT = TypeVar("SerializableT", bound="SerializationMixin")
ProtocolT = TypeVar("ProtocolT", bound="SerializationProtocol")

_BEFORE_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_OMIT = object()


@runtime_checkable
class SerializationProtocol(Protocol):
    """Whatever can become a dictionary and come back from one."""

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return the object as JSON-compatible values."""
        ...

    @classmethod
    def from_dict(cls, value: Any, /, **kwargs: Any) -> Self:
        """Make an object from what ``to_dict`` returned."""
        ...


def is_serializable(value: Any) -> bool:
    """Whether ``json.dumps`` takes the value itself; what is inside a list or dict is not looked at."""
    return value is None or isinstance(value, (str, int, float, bool, list, dict))


class SerializationMixin:
    """Adds ``to_dict``, ``to_json``, ``from_dict`` and ``from_json`` to a class.

    The dictionary has a ``type`` (the class name in snake case, or the class attribute ``type``) and every instance
    attribute that is JSON-compatible, or can be turned into a dictionary, or is a list, tuple or mapping of such.
    What is neither is left out, with a line in the debug log. ``from_dict`` passes the keys to the constructor, so a
    subclass takes nested objects in its constructor as mappings too.
    """

    DEFAULT_EXCLUDE: ClassVar[set[str]] = set()
    """Attributes that are never written."""

    INJECTABLE: ClassVar[set[str]] = set()
    """Attributes that are never written and come back through ``dependencies``."""

    _SHALLOW_COPY_FIELDS: ClassVar[set[str]] = {"raw_representation"}
    """Attributes that ``copy.deepcopy`` shares: a provider's own objects often cannot be copied."""

    def __copy__(self) -> Self:
        # What copy.copy() does by itself, in a third of the time: each run copies messages.
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy_sharing(self, memo, self._SHALLOW_COPY_FIELDS)

    def to_dict(self, *, exclude: set[str] | None = None, exclude_none: bool = True) -> dict[str, Any]:
        """Return the object as a dictionary of JSON-compatible values.

        Args:
            exclude: Further keys to leave out, here and in nested objects; ``type`` may be one.
            exclude_none: Leave out attributes that are None.
        """
        skipped = self.DEFAULT_EXCLUDE | self.INJECTABLE | (exclude or set())
        result: dict[str, Any] = {} if "type" in skipped else {"type": self._get_type_identifier()}
        for name, value in vars(self).items():
            if name.startswith("_") or name in skipped or (exclude_none and value is None):
                continue
            plain = _plain(value, exclude, exclude_none)
            if plain is not _OMIT:
                result[name] = plain
        return result

    def to_json(self, *, exclude: set[str] | None = None, exclude_none: bool = True, **kwargs: Any) -> str:
        """Return ``to_dict`` as JSON text; other keyword arguments go to ``json.dumps``."""
        return json.dumps(self.to_dict(exclude=exclude, exclude_none=exclude_none), **kwargs)

    @classmethod
    def from_dict(
        cls,
        value: Mapping[str, Any],
        /,
        *,
        dependencies: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make an object from what ``to_dict`` returned.

        Args:
            value: Constructor arguments; ``type`` is not passed on.
            dependencies: What is not in the dictionary, by type identifier: ``{"agent": {"client": client}}``, or for
                one instance only, by the value of one of its fields: ``{"agent": {"name:Bob": {"client": client}}}``.

        Raises:
            TypeError: value is no mapping, or its keys do not fit the constructor.
        """
        if not isinstance(value, Mapping):
            raise TypeError(f"{cls.__name__}.from_dict needs a mapping, got {type(value).__name__}")
        arguments = {key: item for key, item in value.items() if key != "type"}
        arguments.update(_injected((dependencies or {}).get(cls._get_type_identifier(value), {}), value))
        return cls(**arguments)

    @classmethod
    def from_json(cls, value: str, /, *, dependencies: Mapping[str, Any] | None = None) -> Self:
        """Make an object from JSON text; see ``from_dict``."""
        return cls.from_dict(json.loads(value), dependencies=dependencies)

    @classmethod
    def _get_type_identifier(cls, value: Mapping[str, Any] | None = None) -> str:
        """The ``type`` in the mapping, else the class attribute, else the class name in snake case."""
        for candidate in ((value or {}).get("type"), getattr(cls, "type", None)):
            if isinstance(candidate, str):
                return candidate
        return _BEFORE_CAPITAL.sub("_", cls.__name__).lower()


ObjectT = TypeVar("ObjectT")


def copy_sharing(source: ObjectT, memo: dict[int, Any], shared: set[str]) -> ObjectT:
    """Deep-copy an object's attributes, except the shared ones, which the copy refers to as well."""
    duplicate = object.__new__(type(source))
    memo[id(source)] = duplicate
    for name, value in vars(source).items():
        object.__setattr__(duplicate, name, value if name in shared else deepcopy(value, memo))
    return duplicate


def _plain(value: Any, exclude: set[str] | None, exclude_none: bool) -> Any:
    """The value for a dictionary, or _OMIT."""
    if isinstance(value, SerializationProtocol) and not isinstance(value, type):
        return value.to_dict(exclude=exclude, exclude_none=exclude_none)
    if isinstance(value, Mapping):
        entries = {str(key): _plain(item, exclude, exclude_none) for key, item in value.items()}
        return {key: item for key, item in entries.items() if item is not _OMIT}
    if isinstance(value, (list, tuple)):
        return [item for item in (_plain(entry, exclude, exclude_none) for entry in value) if item is not _OMIT]
    if is_serializable(value):
        return value
    logger.debug("A value of type %s is left out of a dictionary: JSON has no such thing.", type(value).__name__)
    return _OMIT


def _injected(dependencies: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """The dependencies for one instance; a key ``field:text`` holds those of the instance with that field."""
    result: dict[str, Any] = {}
    for key, item in dependencies.items():
        field, colon, wanted = key.partition(":")
        if not colon:
            result[key] = item
        elif str(value.get(field)) == wanted:
            result.update(item)
    return result
