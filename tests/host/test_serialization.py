# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import copy
from typing import Any, ClassVar

import pytest

from agent_framework._serialization import SerializationMixin


class Leaf(SerializationMixin):
    def __init__(self, size: int = 1) -> None:
        self.size = size


class BigTree(SerializationMixin):
    DEFAULT_EXCLUDE: ClassVar[set[str]] = {"shade"}
    INJECTABLE: ClassVar[set[str]] = {"gardener"}

    def __init__(self, name: str, *, leaf: Any = None, gardener: Any = None, **extra: Any) -> None:
        self.name = name
        self.leaf = Leaf.from_dict(leaf) if isinstance(leaf, dict) else leaf
        self.gardener = gardener
        self.shade = "cool"
        self.raw_representation = extra.get("raw_representation")
        self.extra = extra.get("extra")
        self._age = 100


def test_a_dictionary_has_the_type_in_snake_case_and_the_attributes_that_are_set() -> None:
    assert BigTree("oak").to_dict() == {"type": "big_tree", "name": "oak"}


def test_none_is_kept_on_request() -> None:
    assert BigTree("oak").to_dict(exclude_none=False) == {
        "type": "big_tree",
        "name": "oak",
        "leaf": None,
        "raw_representation": None,
        "extra": None,
    }


def test_private_excluded_and_injected_attributes_are_left_out() -> None:
    tree = BigTree("oak", gardener="Bob")

    assert tree.to_dict().keys() == {"type", "name"}
    assert tree.to_dict(exclude={"name", "type"}) == {}


def test_nested_objects_lists_and_mappings_are_written_too() -> None:
    tree = BigTree("oak", leaf=Leaf(2), extra={"list": [Leaf(3), 4], "pair": (Leaf(5), None)})

    assert tree.to_dict() == {
        "type": "big_tree",
        "name": "oak",
        "leaf": {"type": "leaf", "size": 2},
        "extra": {"list": [{"type": "leaf", "size": 3}, 4], "pair": [{"type": "leaf", "size": 5}, None]},
    }


def test_what_json_cannot_hold_is_left_out_with_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="agent_framework"):
        result = BigTree("oak", leaf=object(), extra={"a": object(), "b": [object(), 1]}).to_dict()

    assert result == {"type": "big_tree", "name": "oak", "extra": {"b": [1]}}
    assert len(caplog.records) == 3


def test_an_object_comes_back_from_its_dictionary_and_its_json() -> None:
    tree = BigTree("oak", leaf=Leaf(2))

    assert BigTree.from_dict(tree.to_dict()).to_dict() == tree.to_dict()
    assert BigTree.from_json(tree.to_json(indent=2)).leaf.size == 2


def test_dependencies_are_given_back_by_type_and_by_instance() -> None:
    plain = {"type": "big_tree", "name": "oak"}

    assert BigTree.from_dict(plain, dependencies={"big_tree": {"gardener": "Bob"}}).gardener == "Bob"
    assert BigTree.from_dict(plain, dependencies={"big_tree": {"name:oak": {"gardener": "Eve"}}}).gardener == "Eve"
    assert BigTree.from_dict(plain, dependencies={"big_tree": {"name:elm": {"gardener": "Eve"}}}).gardener is None


def test_what_is_no_object_or_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a mapping, got list"):
        Leaf.from_json("[1]")
    with pytest.raises(TypeError, match="colour"):
        Leaf.from_dict({"colour": "green"})


def test_a_deep_copy_shares_the_providers_own_object_and_nothing_else() -> None:
    raw = object()
    tree = BigTree("oak", leaf=Leaf(2), raw_representation=raw)

    duplicate = copy.deepcopy(tree)

    assert duplicate.raw_representation is raw
    assert duplicate.leaf is not tree.leaf
    assert duplicate.to_dict(exclude={"raw_representation"}) == tree.to_dict(exclude={"raw_representation"})
