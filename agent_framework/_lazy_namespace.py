# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Doors to provider packages: names that are imported from another distribution when somebody first asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_namespace(
    namespace: str,
    names: Sequence[str],
    distribution: str,
    of_other_distributions: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module whose names live elsewhere.

    Args:
        namespace: The module's own name.
        names: Its public names.
        distribution: What to install for them. Its package is called the same, with underscores.
        of_other_distributions: By distribution: those of the names for which another one is needed.

    Returns:
        The two functions. The first raises ModuleNotFoundError, naming the distribution, when it is not installed.
    """
    distributions = dict.fromkeys(names, distribution)
    for other, of_other in (of_other_distributions or {}).items():
        distributions.update(dict.fromkeys(of_other, other))

    def get(name: str) -> Any:
        if name not in distributions:
            raise AttributeError(f"module {namespace!r} has no attribute {name!r}")
        return getattr(_import_from(distributions[name], f"{namespace}.{name}"), name)

    def names_of_namespace() -> list[str]:
        return sorted(distributions)

    return get, names_of_namespace


def _import_from(distribution: str, wanted: str) -> Any:
    module_name = distribution.replace("-", "_")
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise  # the package is there; it is something of its own that it lacks
        raise ModuleNotFoundError(
            f"{wanted} is in a package of its own: pip install {distribution}", name=module_name
        ) from error
