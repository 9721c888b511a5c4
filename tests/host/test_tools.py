# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import pytest
from pydantic import BaseModel, ValidationError

from agent_framework import Content, FunctionInvocationContext, FunctionTool, MCPStdioTool, normalize_tools, tool
from agent_framework.exceptions import ToolException

if TYPE_CHECKING:
    from somewhere_else import NotThereAtRunTime

OBJECT = {"type": "object", "properties": {}}


def texts(result: list[Content]) -> list[str | None]:
    return [item.text for item in result]


# The schema...


def test_the_schema_comes_from_the_signature() -> None:
    @tool
    def search(query: Annotated[str, "What to look for"], limit: int = 10, tags: list[str] | None = None) -> str:
        """Look something up."""
        return query

    assert (search.name, search.description) == ("search", "Look something up.")
    schema = search.parameters()
    assert schema["required"] == ["query"]
    assert schema["properties"]["query"] == {"title": "Query", "type": "string", "description": "What to look for"}
    assert schema["properties"]["limit"]["default"] == 10
    assert search.to_json_schema_spec()["function"] == {
        "name": "search",
        "description": "Look something up.",
        "parameters": schema,
    }


def test_a_parameter_without_annotation_is_a_string_and_variadic_ones_are_not_asked_for() -> None:
    @tool
    def note(text, *rest, **more):  # type: ignore[no-untyped-def]
        return text

    assert note.parameters()["properties"] == {"text": {"title": "Text", "type": "string"}}


def test_types_of_an_enclosing_function_are_found() -> None:
    class Colour(Enum):
        RED = "red"

    @tool
    def paint(colour: Colour) -> str:
        return f"{Colour(colour).name}"

    assert "$defs" in paint.parameters()


def test_an_annotation_that_means_nothing_is_named() -> None:
    def broken(where: NotThereAtRunTime) -> str:
        return ""

    with pytest.raises(NameError, match=r"'broken'.*NotThereAtRunTime"):
        tool(broken)


def test_no_annotation_is_resolved_when_a_schema_is_given() -> None:
    async def remote(context: FunctionInvocationContext, where: NotThereAtRunTime, **arguments: Any) -> str:
        return ""

    made = FunctionTool(name="remote", func=remote, input_model=OBJECT)
    assert made.input_model is None
    assert made.parameters() == OBJECT


def test_what_a_provider_adds_to_the_schema_stays_out_of_the_tool() -> None:
    made = FunctionTool(name="f", func=lambda: None, input_model=OBJECT)
    made.parameters()["additionalProperties"] = False
    assert made.parameters() == OBJECT


def test_input_model_has_to_be_a_model_class_or_a_mapping() -> None:
    with pytest.raises(TypeError, match="JSON schema"):
        FunctionTool(name="f", func=lambda: None, input_model=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", ["max_invocations", "max_invocation_exceptions"])
def test_a_limit_below_one_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match=limit):
        FunctionTool(name="f", func=lambda: None, **{limit: 0})


def test_a_tool_survives_its_dictionary() -> None:
    @tool(approval_mode="always_require")
    def search(query: str) -> str:
        """Look something up."""
        return query

    plain = search.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    again = FunctionTool.from_dict(plain, dependencies={"function_tool": {"func": search.func}})
    assert (again.name, again.approval_mode, again.parameters()) == ("search", "always_require", search.parameters())


# Arguments...


class Point(BaseModel):
    x: int
    y: int = 0


@pytest.mark.parametrize("arguments", [{"x": "3"}, Point(x=3)])
async def test_arguments_are_validated_by_the_model(arguments: Any) -> None:
    seen: list[dict[str, Any]] = []
    made = FunctionTool(name="f", func=lambda **values: seen.append(values), input_model=Point)
    await made.invoke(arguments=arguments)
    assert seen == [{"x": 3, "y": 0}]


async def test_arguments_that_do_not_fit_the_model_are_refused() -> None:
    made = FunctionTool(name="f", func=lambda **_: None, input_model=Point)
    with pytest.raises(ValidationError):
        await made.invoke(arguments={"x": "three"})


SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "either": {"type": ["string", "null"]},
        "list": {"type": "array"},
    },
    "required": ["count"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "lack required: count"),
        ({"count": 1, "other": 2}, "does not know: other"),
        ({"count": "1"}, "'count' of 'f' must be integer"),
        ({"count": True}, "'count' of 'f' must be integer"),
        ({"count": 1, "share": "half"}, "'share' of 'f' must be number"),
        ({"count": 1, "colour": "green"}, "must be one of"),
        ({"count": 1, "either": 5}, "must be string or null"),
        ({"count": 1, "list": {}}, "must be array"),
    ],
)
async def test_arguments_are_checked_against_the_top_of_a_schema(arguments: dict[str, Any], complaint: str) -> None:
    made = FunctionTool(name="f", func=lambda **_: "ran", input_model=SCHEMA)
    with pytest.raises(TypeError, match=complaint):
        await made.invoke(arguments=arguments)


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"required": [f"name-{number}" for number in range(5000)]}, {}),
        ({"properties": {}, "additionalProperties": False}, {f"name-{number}": 1 for number in range(5000)}),
        ({"properties": {"n": {"enum": ["x" * 5000] * 5000}}}, {"n": 1}),
        ({"properties": {"n": {"enum": [1]}}}, {"n": "x" * 100_000}),
        ({"properties": {"n": {"type": ["string"] * 5000}}}, {"n": 1}),
    ],
    ids=["required", "unknown", "options", "value", "types"],
)
async def test_an_error_about_arguments_is_short_however_long_the_schema(schema: Any, arguments: Any) -> None:
    made = FunctionTool(name="f", func=lambda **_: "ran", input_model=schema)
    with pytest.raises(TypeError) as caught:
        await made.invoke(arguments=arguments)
    assert len(str(caught.value)) < 5000


LOOP: dict[str, Any] = {"pattern": "^(a+)+$", "allOf": [{"$ref": "#/properties/n"}] * 2, "anyOf": [{"$ref": "#"}]}


@pytest.mark.parametrize(
    "schema",
    [{"enum": "abc"}, {"enum": 5}, {"type": 5}, {"type": [{}]}, {"type": {"string": 1}}, LOOP],
    ids=["enum of text", "enum of a number", "type of a number", "type of objects", "type of names", "loop"],
)
async def test_what_a_schema_says_beyond_the_light_check_is_left_to_the_function(schema: Any) -> None:
    made = FunctionTool(name="f", func=lambda **_: "ran", input_model={"properties": {"n": schema}})
    assert texts(await made.invoke(arguments={"n": "a" * 40 + "!"})) == ["ran"]


async def test_arguments_that_fit_the_schema_are_passed_on_as_they_are() -> None:
    made = FunctionTool(name="f", func=lambda **values: values, input_model=SCHEMA)
    given = {"count": 1, "share": 2, "colour": "red", "either": None, "list": [1, "a"]}
    assert json.loads(str(texts(await made.invoke(arguments=given))[0])) == given


async def test_arguments_may_be_keywords_but_only_known_ones() -> None:
    @tool
    def double(x: int) -> int:
        return 2 * x

    assert texts(await double.invoke(x=4)) == ["8"]
    with pytest.raises(TypeError, match="no parameters named y"):
        await double.invoke(x=4, y=5)


async def test_none_is_left_out_unless_the_function_needs_it() -> None:
    @tool
    def show(a: int | None, b: int | None = 7) -> str:
        return f"{a} {b}"

    assert texts(await show.invoke(arguments={"a": None, "b": None})) == ["None 7"]


# The context...


def with_class(x: int, context: FunctionInvocationContext) -> str:
    return f"{x} {context.kwargs}"


def with_optional(context: Optional[FunctionInvocationContext], x: int) -> str:  # noqa: UP045
    return with_class(x, context)  # type: ignore[arg-type]


def with_union(x: int, where: Union[FunctionInvocationContext, None] = None) -> str:  # noqa: UP007
    return with_class(x, where)  # type: ignore[arg-type]


@pytest.mark.parametrize("func", [with_class, with_optional, with_union])
@pytest.mark.parametrize("as_source_text", [True, False])
async def test_the_context_is_passed_and_is_not_in_the_schema(func: Any, as_source_text: bool) -> None:
    if not as_source_text:
        func.__annotations__ = {
            name: eval(hint) if isinstance(hint, str) else hint for name, hint in func.__annotations__.items()
        }
    made = tool(func)
    assert list(made.parameters()["properties"]) == ["x"]
    context = FunctionInvocationContext(made, {}, kwargs={"user": "u"})
    assert texts(await made.invoke(arguments={"x": 1}, context=context)) == ["1 {'user': 'u'}"]
    assert context.arguments == {"x": 1}
    assert texts(await made.invoke(arguments={"x": 1})) == ["1 {}"]


async def test_a_bare_ctx_is_the_context_only_beside_a_schema() -> None:
    def func(ctx, **arguments):  # type: ignore[no-untyped-def]
        return type(ctx).__name__

    assert texts(await FunctionTool(name="f", func=func, input_model=OBJECT).invoke()) == ["FunctionInvocationContext"]
    assert "ctx" in tool(func).parameters()["properties"]


def test_two_parameters_for_the_context_are_refused() -> None:
    def func(one: FunctionInvocationContext, two: FunctionInvocationContext) -> None: ...

    with pytest.raises(ValueError, match="one, two"):
        tool(func)


# Calls...


class Counter:
    def __init__(self) -> None:
        self.value = 0

    @tool
    def add(self, amount: int) -> int:
        """Add to the counter."""
        self.value += amount
        return self.value


async def test_a_method_can_be_a_tool() -> None:
    one, other = Counter(), Counter()
    assert list(one.add.parameters()["properties"]) == ["amount"]
    assert texts(await one.add.invoke(arguments={"amount": 2})) == ["2"]
    assert texts(await other.add.invoke(arguments={"amount": 5})) == ["5"]
    assert Counter.add.invocation_count == 2


async def test_a_tool_can_still_be_called_as_a_function() -> None:
    @tool
    async def double(x: int) -> int:
        return 2 * x

    assert await double(21) == 42


async def test_a_declared_tool_cannot_be_invoked() -> None:
    declared = FunctionTool(name="declared")
    assert declared.declaration_only
    with pytest.raises(ToolException, match="'declared' is only declared"):
        await declared.invoke()


async def test_calls_are_limited_in_number() -> None:
    made = FunctionTool(name="f", func=lambda: "ran", max_invocations=2)
    await made.invoke()
    await made.invoke()
    with pytest.raises(ToolException, match="maximum invocation limit"):
        await made.invoke()
    assert made.invocation_count == 2


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_failing_calls_are_limited_in_number(asynchronous: bool) -> None:
    def fail() -> None:
        raise LookupError("nothing there")

    async def fail_later() -> None:
        fail()

    made = FunctionTool(name="f", func=fail_later if asynchronous else fail, max_invocation_exceptions=1)
    with pytest.raises(LookupError):
        await made.invoke()
    with pytest.raises(ToolException, match="maximum exception limit"):
        await made.invoke()
    assert made.invocation_exception_count == 1


# Results...


class Named:
    def to_dict(self) -> dict[str, str]:
        return {"name": "n"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [""]),
        ("text", ["text"]),
        (3.5, ["3.5"]),
        ({"a": [Point(x=1)]}, ['{"a": [{"x": 1, "y": 0}]}']),
        ([Named()], ['[{"name": "n"}]']),
        (Content.from_text("as it is"), ["as it is"]),
        ([Content.from_text("one"), "two"], ["one", "two"]),
        ("Grüße", ["Grüße"]),
        ({"greeting": "Grüße"}, ['{"greeting": "Grüße"}']),
    ],
)
def test_a_result_becomes_content(value: Any, expected: list[str]) -> None:
    assert texts(FunctionTool.parse_result(value)) == expected


async def test_a_result_parser_has_the_last_word() -> None:
    made = FunctionTool(name="f", func=lambda: 3, result_parser=lambda value: f"<{value}>")
    assert texts(await made.invoke()) == ["<3>"]


async def test_a_result_parser_that_fails_does_not_make_the_call_fail() -> None:
    made = FunctionTool(name="f", func=lambda: 3, result_parser=lambda value: value.nonsense)
    assert texts(await made.invoke()) == ["3"]


# Lists of tools...


def test_tools_are_normalized() -> None:
    def plain() -> None: ...

    mcp_tool, mapping = MCPStdioTool("server", "no-such-command"), {"type": "web_search"}
    made = FunctionTool(name="f", func=lambda: None)
    assert normalize_tools(None) == normalize_tools([]) == []
    assert normalize_tools(made) == [made]
    first, *rest = normalize_tools([plain, mcp_tool, mapping, made])
    assert isinstance(first, FunctionTool)
    assert rest == [mcp_tool, mapping, made]


async def test_other_keywords_of_a_tool_become_attributes() -> None:
    made = FunctionTool(name="run", kind="shell", func=lambda: "ran", additional_properties={"a": 1}, owner="me")
    assert (made.kind, made.additional_properties, made.type) == ("shell", {"a": 1}, "function_tool")
    assert made.owner == "me"  # type: ignore[attr-defined]
    assert (made.approval_mode, made.declaration_only) == ("never_require", False)


async def test_without_arguments_those_of_the_context_are_taken() -> None:
    seen: list[FunctionInvocationContext] = []

    def look(x: int, ctx: FunctionInvocationContext) -> int:
        seen.append(ctx)
        return x + 1

    made = FunctionTool(name="look", func=look)
    values = {"user": "u"}
    context = FunctionInvocationContext(made, {"x": "2"}, kwargs=values, metadata=values)
    assert [item.text for item in await made.invoke(context=context)] == ["3"]
    assert (seen, context.arguments, context.function) == ([context], {"x": 2}, made)
    assert context.kwargs == values
    assert context.kwargs is not values
    assert context.metadata is not values
    assert [item.text for item in await made.invoke(x=4)] == ["5"]
    assert isinstance(seen[1], FunctionInvocationContext)
