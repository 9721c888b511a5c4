# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import inspect

from agent_framework._docstrings import apply_layered_docstring


def full() -> None:
    """Ask the model.

    Args:
        messages: The conversation.

    Keyword Args:
        stream: Whether in pieces.

    Returns:
        The answer.
    """


def without_keywords() -> None:
    """Ask the model.

    Args:
        messages: The conversation.

    Raises:
        ValueError: Never.
    """


def plain() -> None:
    """Ask the model."""


def undocumented() -> None:
    pass


def target() -> None:
    """This goes away."""


def test_the_docstring_is_taken_over() -> None:
    apply_layered_docstring(target, full)

    assert target.__doc__ == inspect.getdoc(full)


def test_further_keyword_arguments_are_added_to_their_section() -> None:
    description = """
        What wraps the call.
        The first is the outermost.
    """

    apply_layered_docstring(target, full, extra_keyword_args={"middleware": description, "extra": "More."})

    assert target.__doc__ == inspect.cleandoc("""
        Ask the model.

        Args:
            messages: The conversation.

        Keyword Args:
            stream: Whether in pieces.
            middleware: What wraps the call.
                The first is the outermost.
            extra: More.

        Returns:
            The answer.
    """)


def test_a_missing_section_is_made_behind_the_arguments() -> None:
    apply_layered_docstring(target, without_keywords, extra_keyword_args={"extra": "More."})

    assert target.__doc__ == inspect.cleandoc("""
        Ask the model.

        Args:
            messages: The conversation.

        Keyword Args:
            extra: More.

        Raises:
            ValueError: Never.
    """)


def test_a_docstring_of_one_line_gets_the_section_at_its_end() -> None:
    apply_layered_docstring(target, plain, extra_keyword_args={"extra": "More."})

    assert target.__doc__ == "Ask the model.\n\nKeyword Args:\n    extra: More."


def test_without_a_docstring_there_is_none() -> None:
    apply_layered_docstring(target, undocumented, extra_keyword_args={"extra": "More."})

    assert target.__doc__ is None
