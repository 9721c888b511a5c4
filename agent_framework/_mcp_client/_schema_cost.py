# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""The cost of checking a value against a JSON schema, counted without checking anything. Pure functions.

A server writes both the schema and the value, so the cost must be known before a validator sees them: twenty lines of
schema can ask for hours of work. A schema is read as a graph of its subschemas, in which a reference is an edge. A
subschema applies either to the value its parent applies to (``allOf``, ``$ref``) or to the parts of that value
(``properties``, ``items``). The work for one part of a value is then at most the weights along the heaviest way from
the root of the graph, and the work for the value is that, times its parts. Subschemas that many ways lead to are
counted once and multiplied.

What cannot be counted this way, because it depends on more than the graph, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

SCHEMA_VALUES = 5000
"""How many JSON values a schema may consist of: compiling as many takes a validator about 30 ms."""

SCHEMA_CHARACTERS = 256 * 1024
"""How long the strings and keys of a schema may be together, in bytes of UTF-8 at most."""

SCHEMA_DEPTH = 100
"""How many levels of JSON a schema may have."""

RESULT_VALUES = 100_000
"""How many JSON values a structured result may consist of to be checked: counting as many takes about 20 ms."""

RESULT_CHARACTERS = 4 * 1024 * 1024
"""How long the strings and keys of a structured result may be together to be checked, in bytes of UTF-8 at most: a
validator reads each of them once in any case."""

NESTING = 128
"""How many subschemas may apply one inside the other, references included: a validator takes up to 2 KiB of the
thread's stack for each, and a stack that overflows ends the process."""

STATES = 1000
"""How many states all patterns of a schema may have together: compiling one takes a validator up to 40 µs, matching
it 10 ns for each character."""

PATTERN_LENGTH = 1000
"""How long a pattern of a schema may be, in characters."""

COUNTED = 10_000
"""How many ways from one subschema to another are followed to count the cost of a schema, at each level of the result
where a schema is recursive: following one takes about 2 µs."""

COMPARISON = 1000
"""How many steps comparing two numbers is counted for where one of them is not an integer: validators then compute with
fractions of any length."""

NUMBERS = (1e-15, 1e18)
"""The least and the greatest number, but for 0 and the sign, in a schema and in a result that is checked. Comparing
others takes a validator up to a second."""


class NotCountable(Exception):
    """A cost that is too high, or that cannot be known. The text says why, as a sentence about "it"."""


class Size(NamedTuple):
    """How large a JSON value is.

    Attributes:
        values: The JSON values in it, itself included.
        characters: The characters in its strings and keys, in bytes of UTF-8 at most.
        numbers: The numbers in it.
        depth: The levels of values; 1 for one that contains no other.
    """

    values: int
    characters: int
    numbers: int
    depth: int


class Cost(NamedTuple):
    """What checking takes at most, in steps of about 10 ns, and how deep it nests.

    Attributes:
        values: The steps for each value.
        characters: The steps for each character.
        numbers: The comparisons for each number.
        nesting: The subschemas that apply one inside the other.
    """

    values: int
    characters: int
    numbers: int
    nesting: int

    def steps(self, size: Size) -> int:
        """The steps that a value of this size takes."""
        parts = self.values * size.values + self.characters * size.characters
        return parts + self.numbers * size.numbers * COMPARISON


# Values ...


def measure_result(value: Any) -> Size:
    """The size of a structured result.

    Raises:
        NotCountable: It is too large to be checked, or has a number beyond bounds, or is not JSON.
    """
    return _measure(value, RESULT_VALUES, RESULT_CHARACTERS)


def _measure(value: Any, most_values: int, most_characters: int) -> Size:
    values = characters = numbers = depth = 0
    level = [value]
    while level:
        depth += 1
        values += len(level)
        if values > most_values:
            raise NotCountable(f"it has more than {most_values} values")
        level, more_characters, more_numbers = _look_at(level)
        characters += more_characters
        numbers += more_numbers
        if characters > most_characters:
            raise NotCountable(f"it has more than {most_characters} characters")
    return Size(values, characters, numbers, depth)


def _look_at(level: list[Any]) -> tuple[list[Any], int, int]:
    """What the values of one level contain: the values of the next, and how many characters and numbers."""
    least, greatest = NUMBERS
    below: list[Any] = []
    characters = numbers = 0
    for item in level:
        kind = type(item)
        if kind is str:
            characters += _bytes(item)
        elif kind is dict:
            characters += _bytes("".join(item))
            below += item.values()
        elif kind is list:
            below += item
        elif kind is int or kind is float:
            numbers += 1
            if item and not least <= abs(item) <= greatest:
                raise NotCountable(f"it has a number that is not 0 and not between {least:g} and {greatest:g}")
        elif not (kind is bool or item is None):
            raise NotCountable("it has a value that is not JSON")
    return below, characters, numbers


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)


# Schemas ...

_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "propertyNames")
_SAME_VALUE_BY_NAME = ("dependentSchemas", "dependencies")
_EVERY_PART = ("additionalProperties", "additionalItems", "contains")
_NOT_COUNTABLE = ("$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties")


@dataclass(eq=False)
class _Subschema:
    """A subschema in the graph.

    Attributes:
        own: The cost of its own keywords.
        same: What applies to the same value.
        every: What applies to every part of the value, as far as that can be told from here.
        one: What applies to one part each, and so at most one of them to any.
        costs: Its cost with all that it leads to, by the levels that the value has below the present one.
    """

    own: Cost = field(default_factory=lambda: Cost(1, 0, 0, 1))
    same: list[_Subschema] = field(default_factory=list)
    every: list[_Subschema] = field(default_factory=list)
    one: list[_Subschema] = field(default_factory=list)
    costs: dict[int | None, Cost | None] = field(default_factory=dict)


class _Recursive(Exception):
    """A subschema applies to the parts of what it applies to, and so on: the depth of the value decides."""


class SchemaCost:
    """The cost of a schema.

    Args:
        schema: The schema, as it came.

    Attributes:
        has_unions: Whether there is an ``anyOf`` or ``oneOf`` in it.

    Raises:
        NotCountable: It is too large or too deep, refers to what is not in it, or cannot be counted.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        if _measure(schema, SCHEMA_VALUES, SCHEMA_CHARACTERS).depth > SCHEMA_DEPTH:
            raise NotCountable(f"it has more than {SCHEMA_DEPTH} levels")
        self._counted = 0
        graph = _Graph(schema)
        self._root = graph.root
        self.has_unions = graph.has_unions
        self._recursive = False
        try:
            self._cost(self._root, None, 0)
        except _Recursive:
            self._recursive = True
            self.of(Size(1, 0, 0, 2))  # finds what applies to itself without any part in between

    def of(self, size: Size) -> Cost:
        """The cost for a value of this size.

        Raises:
            NotCountable: It has no bound.
        """
        return self._cost(self._root, size.depth - 1 if self._recursive else None, 0)

    def _cost(self, subschema: _Subschema, below: int | None, outer: int) -> Cost:
        """The cost of a subschema with all that it leads to.

        Args:
            subschema: The subschema.
            below: The levels of the value below the present one; None for as many as the schema speaks of.
            outer: The subschemas that this one is in.
        """
        known = subschema.costs.get(below, ...)
        if known is None:
            raise _Recursive if below is None else NotCountable("a subschema applies to itself without end")
        if known is ...:
            self._counted += 1 + len(subschema.same) + len(subschema.every) + len(subschema.one)
            if outer >= NESTING or self._counted > COUNTED:
                raise NotCountable("too many subschemas apply to one another")
            subschema.costs[below] = None  # under way
            try:
                known = self._counted_cost(subschema, below, outer + 1)
            except (NotCountable, _Recursive):
                del subschema.costs[below]
                raise
            subschema.costs[below] = known
        if outer + known.nesting > NESTING:
            raise NotCountable(f"more than {NESTING} subschemas apply one inside the other")
        return known

    def _counted_cost(self, subschema: _Subschema, below: int | None, outer: int) -> Cost:
        total = subschema.own
        for other in subschema.same:
            total = _both(total, self._cost(other, below, outer))
        if below == 0:
            return total
        parts = None if below is None else below - 1
        for other in subschema.every:
            total = _both(total, self._cost(other, parts, outer))
        heaviest = Cost(0, 0, 0, 0)
        for other in subschema.one:
            heaviest = Cost(*map(max, heaviest, self._cost(other, parts, outer)))
        return _both(total, heaviest)


def _both(first: Cost, second: Cost) -> Cost:
    """Two costs that come together; what ``second`` nests is inside of a subschema of its own."""
    nesting = max(first.nesting, second.nesting + 1)
    return Cost(first[0] + second[0], first[1] + second[1], first[2] + second[2], nesting)


class _Graph:
    """Reads a schema into a graph, once for each subschema.

    Attributes:
        root: The whole schema.
        has_unions: Whether there is an ``anyOf`` or ``oneOf`` in it.

    Raises:
        NotCountable: It has what cannot be counted.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._read: dict[int, _Subschema] = {}
        self._unread: list[tuple[dict[str, Any], _Subschema]] = []
        self._states = 0
        self._names_of_id = ("$id", "id") if "draft-04" in str(schema.get("$schema")) else ("$id",)
        self.has_unions = False
        self.root = self._at(schema)
        while self._unread:
            self._fill(*self._unread.pop())

    def _at(self, node: Any) -> _Subschema:
        if isinstance(node, bool):
            return _Subschema()
        if not isinstance(node, dict):
            raise NotCountable("it has something else in the place of a subschema")
        if id(node) not in self._read:
            self._read[id(node)] = _Subschema()
            self._unread.append((node, self._read[id(node)]))
        return self._read[id(node)]

    def _fill(self, node: dict[str, Any], subschema: _Subschema) -> None:
        refused = next((name for name in _NOT_COUNTABLE if name in node), None)
        if refused is not None:
            raise NotCountable(f"it uses {refused}")
        self._check_id(node)
        self.has_unions = self.has_unions or "anyOf" in node or "oneOf" in node
        subschema.own = self._own_cost(node)
        if "$ref" in node:
            subschema.same.append(self._at(self._target(node["$ref"])))
        subschema.same += self._listed(node, _SAME_VALUE)
        for name in _SAME_VALUE_BY_NAME:
            # The other form of ``dependencies`` lists names.
            subschema.same += [self._at(item) for item in _mapping(node, name).values() if not isinstance(item, list)]
        subschema.every += self._listed(node, _EVERY_PART)
        subschema.every += map(self._at, _mapping(node, "patternProperties").values())
        subschema.one += map(self._at, _mapping(node, "properties").values())
        subschema.one += self._listed(node, ("prefixItems",))
        of_items = subschema.one if isinstance(node.get("items"), list) else subschema.every
        of_items += self._listed(node, ("items",))

    def _listed(self, node: dict[str, Any], names: tuple[str, ...]) -> list[_Subschema]:
        """The subschemas under these names, alone or in lists."""
        given = [node[name] for name in names if name in node]
        return [self._at(item) for one in given for item in (one if isinstance(one, list) else [one])]

    def _check_id(self, node: dict[str, Any]) -> None:
        """A subschema with an id is a resource of its own, in which the same reference leads elsewhere."""
        if node is not self._schema and any(isinstance(node.get(name), str) for name in self._names_of_id):
            raise NotCountable("a subschema has an id of its own")

    def _target(self, reference: Any) -> Any:
        """What a reference within the schema refers to (RFC 6901)."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise NotCountable("it refers to something outside, or not by a JSON pointer")
        node: Any = self._schema
        for part in reference.split("/")[1:]:
            if "%2f" in part.lower():
                raise NotCountable("it has a reference with an escaped slash")
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isascii() and key.isdigit() and key == str(int(key)):
                node = node[int(key)] if int(key) < len(node) else None
            else:
                node = node.get(key) if isinstance(node, dict) else None
            if node is None:
                raise NotCountable("it refers to something that is not in it")
            if isinstance(node, dict):
                self._check_id(node)
        return node

    def _own_cost(self, node: dict[str, Any]) -> Cost:
        values, numbers = 1 + len(node), 0
        for name in ("enum", "const", "required", "dependentRequired", "dependencies"):
            if name in node:
                size = _measure(node[name], SCHEMA_VALUES, SCHEMA_CHARACTERS)
                values, numbers = values + size.values, numbers + size.numbers
        for name in _SAME_VALUE_BY_NAME:
            values += 5 * len(_mapping(node, name))  # each name is looked up
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            values += 50 * (name in node)
            numbers += isinstance(node.get(name), float)
        numbers += 4 * ("multipleOf" in node)
        characters = sum(map(self._states_of, [*_mapping(node, "patternProperties"), *_text(node, "pattern")]))
        if node.get("uniqueItems"):
            # Short lists are compared item by item, each with each; of longer ones hashes are compared.
            values, characters, numbers = values + 80, characters + 16, numbers + 16
        return Cost(values, characters, numbers, 1)

    def _states_of(self, pattern: str) -> int:
        states = pattern_states(pattern)
        self._states += states
        if self._states > STATES:
            raise NotCountable(f"its patterns have more than {STATES} states")
        return states


def _mapping(node: dict[str, Any], name: str) -> dict[str, Any]:
    given = node.get(name)
    return given if isinstance(given, dict) else {}


def _text(node: dict[str, Any], name: str) -> list[str]:
    given = node.get(name)
    return [given] if isinstance(given, str) else []


# Patterns ...

_TOKEN = re.compile(
    r"(?P<wide>\\[pP](?:\{[^}]*\}|.))|(?P<open>\((?:\?(?::|P?<(?=\w)))?)(?!\?)|(?P<close>\))"
    r"|\{[^0-9,}]*(?P<least>[0-9]+)[^0-9,}]*(?P<range>,[^0-9}]*(?:(?P<most>[0-9]+)[^0-9}]*)?)?\}"
    r"|(?P<one>\\.|\[\^?(?:\\.|[^\[\]\\])+\]|[^(\[])",
    re.DOTALL,
)
"""What a pattern is read as. Flags, lookarounds, and classes that engines end at different places are none of it."""

_WIDE = 25
"""The states of a class of Unicode characters, which is a tree of bytes."""


def pattern_states(pattern: str) -> int:
    """The states that a regular expression has at most, with its counted repetitions written out.

    Raises:
        NotCountable: It is too long, or written in a way that engines read differently.
    """
    if len(pattern) > PATTERN_LENGTH:
        raise NotCountable(f"it has a pattern of more than {PATTERN_LENGTH} characters")
    groups, last = [0], 0  # the states of the groups that are open, and of the latest part of the innermost
    for token in _tokens(pattern):
        if token["open"]:
            groups.append(0)
            continue
        if token["close"]:
            last = groups.pop() + 1
        elif token["least"] is not None:
            groups[-1] -= last
            last *= _times(token)
        else:
            last = _WIDE if token["wide"] else 1
        if not groups:
            break
        groups[-1] += last
    if len(groups) != 1:
        raise NotCountable("it has a pattern with parentheses that do not match")
    return groups[0] + 1


def _tokens(pattern: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise NotCountable("it has a pattern with flags, lookarounds or an unusual class")
        yield token
        position = token.end()


def _times(token: re.Match[str]) -> int:
    """How often a counted repetition stands for what it repeats; one without an upper end needs one more."""
    most = max(int(token["least"]), int(token["most"] or 0))
    return min(max(most + bool(token["range"]), 1), STATES + 1)
