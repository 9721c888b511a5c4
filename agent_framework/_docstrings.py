# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""One docstring for a method that several layers of a client override."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECTION = re.compile(r"(Args|Keyword Args|Attributes|Returns|Yields|Raises|Examples?|Notes?|Warnings?):\s*")
_KEYWORD_ARGS = "Keyword Args:"
_ARGUMENT_SECTIONS = ("Args:", _KEYWORD_ARGS)


def apply_layered_docstring(
    target: Callable[..., Any],
    source: Callable[..., Any],
    *,
    extra_keyword_args: Mapping[str, str] | None = None,
) -> None:
    """Give target the docstring of source, with descriptions of the keyword arguments that only target has.

    Args:
        target: The function whose ``__doc__`` is set; None when source has none.
        source: A function with a Google-style docstring.
        extra_keyword_args: Descriptions by name, added at the end of the section of keyword arguments.
    """
    docstring = inspect.getdoc(source)
    if docstring is not None and extra_keyword_args:
        docstring = _add_keyword_args(docstring, extra_keyword_args)
    target.__doc__ = docstring


def _add_keyword_args(docstring: str, extra: Mapping[str, str]) -> str:
    """Split into sections, extend or make the one of keyword arguments, and put all together again."""
    sections = _split_sections(docstring)
    titles = [section.partition("\n")[0].strip() for section in sections]
    entries = "\n".join(_format_entry(name, description) for name, description in extra.items())
    if _KEYWORD_ARGS in titles:
        sections[titles.index(_KEYWORD_ARGS)] += f"\n{entries}"
    else:
        # After the positional arguments, or else after the opening text.
        place = 1 + max((titles.index(title) for title in _ARGUMENT_SECTIONS if title in titles), default=0)
        sections.insert(place, f"{_KEYWORD_ARGS}\n{entries}")
    return "\n\n".join(sections)


def _split_sections(docstring: str) -> list[str]:
    """The opening text, which may be empty, and each section with its heading."""
    sections: list[list[str]] = [[]]
    for line in docstring.splitlines():
        if _SECTION.fullmatch(line):
            sections.append([])
        sections[-1].append(line)
    return ["\n".join(lines).strip("\n") for lines in sections]


def _format_entry(name: str, description: str) -> str:
    text = inspect.cleandoc(description)
    first, _, rest = text.partition("\n")
    lines = [f"    {name}: {first}"]
    if rest:
        lines.append(textwrap.indent(rest, " " * 8))
    return "\n".join(lines)
