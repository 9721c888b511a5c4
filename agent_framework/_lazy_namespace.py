# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Doors to provider packages: names that are imported from another distribution when somebody first asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_namespace(
    namespace: str, names: Mapping[str, tuple[str, str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module whose names live elsewhere.

    Args:
        namespace: The module's own name.
        names: By public name: the module that has it, and the distribution to install for it.

    Returns:
        The two functions. The first raises ModuleNotFoundError, naming the distribution, when it is not installed.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {namespace!r} has no attribute {name!r}")
        module_name, distribution = names[name]
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise  # the package is there; it is something of its own that it lacks
            raise ModuleNotFoundError(
                f"{namespace}.{name} is in a package of its own: pip install {distribution}", name=module_name
            ) from error
        return getattr(module, name)

    def names_of_namespace() -> list[str]:
        return sorted(names)

    return get, names_of_namespace
