# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import base64
import copy
import sys
from typing import Any

import pytest

from agent_framework._types import (
    Content,
    UsageDetails,
    _coalesce_text_content,
    _get_data_bytes,
    _get_data_bytes_as_str,
    _parse_content_list,
    _validate_uri,
    add_usage_details,
    detect_media_type_from_base64,
)
from agent_framework.exceptions import AdditionItemMismatch, ContentError

CALL = Content.from_function_call("c1", "add", arguments={"a": 1})

EXAMPLES = [
    Content.from_text("hi", annotations=[{"type": "citation", "title": "t"}]),
    Content.from_text_reasoning(id="r", text="hm", protected_data="sealed"),
    Content.from_data(b"abc", "image/png"),
    Content.from_uri("https://example.test/a.png", media_type="image/png"),
    Content.from_error(message="bad", error_code="7", error_details="very"),
    CALL,
    Content.from_function_result("c1", result=[Content.from_text("3"), Content.from_data(b"x", "audio/wav")]),
    Content.from_usage({"input_token_count": 3}),
    Content.from_hosted_file("f", media_type="text/csv", name="a.csv"),
    Content.from_hosted_vector_store("v"),
    Content.from_code_interpreter_tool_call(call_id="c", inputs=[Content.from_text("print()")]),
    Content.from_code_interpreter_tool_result(call_id="c", outputs=[Content.from_text("3")]),
    Content.from_image_generation_tool_call(image_id="i"),
    Content.from_image_generation_tool_result(image_id="i", outputs=Content.from_data(b"x", "image/png")),
    Content.from_mcp_server_tool_call("c", "search", server_name="s", arguments={"q": 1}),
    Content.from_mcp_server_tool_result("c", output=[Content.from_text("found")]),
    Content.from_shell_tool_call(call_id="c", commands=["ls"], timeout_ms=10, max_output_length=5, status="done"),
    Content.from_shell_tool_result(
        call_id="c", outputs=[Content.from_shell_command_output(stdout="a", stderr="", exit_code=0, timed_out=False)]
    ),
    Content.from_function_approval_request("a1", CALL),
    Content.from_function_approval_response(True, "a1", CALL),
    Content.from_oauth_consent_request("https://example.test/consent"),
]


@pytest.mark.parametrize("content", EXAMPLES, ids=lambda content: content.type)
def test_content_of_every_type_comes_back_from_its_dictionary(content: Content) -> None:
    restored = Content.from_dict(content.to_dict())

    assert restored == content
    assert restored.type == content.type
    assert restored.additional_properties == {}


def test_nested_content_comes_back_as_content() -> None:
    for content in EXAMPLES:
        restored = Content.from_dict(content.to_dict())
        for name in ("items", "inputs", "outputs", "output", "function_call"):
            assert type(getattr(restored, name)) is type(getattr(content, name))
    result = Content.from_dict(EXAMPLES[6].to_dict())
    assert result.items is not None
    assert result.items[0].text == "3"


def test_an_output_that_only_looks_like_content_is_kept_as_it_is() -> None:
    output: list[Any] = [{"type": "text", "colour": "red"}, {"x": 1}, "plain"]

    assert Content.from_dict({"type": "mcp_server_tool_result", "call_id": "c", "output": output}).output == output


def test_fields_that_do_not_belong_to_a_type_are_none() -> None:
    content = Content.from_text("hi")

    assert (content.uri, content.call_id, content.items, content.exception) == (None, None, None, None)
    assert content.additional_properties == {}
    assert content.to_dict() == {"type": "text", "text": "hi", "additional_properties": {}}


def test_none_fields_are_written_on_request_and_fields_can_be_left_out() -> None:
    content = Content.from_text("hi", raw_representation=object())

    assert content.to_dict(exclude_none=False)["uri"] is None
    assert "raw_representation" not in content.to_dict(exclude_none=False)
    assert content.to_dict(exclude={"text", "type"}) == {"type": "text", "additional_properties": {}}


def test_two_items_do_not_share_their_additional_properties() -> None:
    first, second = Content("text"), Content("text", additional_properties=None)  # type: ignore[arg-type]

    first.additional_properties["a"] = 1

    assert second.additional_properties == {}


def test_content_equals_content_with_the_same_dictionary() -> None:
    assert Content.from_text("a", raw_representation=1) == Content.from_text("a", raw_representation=2)
    assert Content.from_text("a") != Content.from_text("b")
    assert Content.from_text("a") != "a"


def test_the_text_and_the_repr_of_content_say_what_it_is() -> None:
    assert str(Content.from_text("hi")) == "hi"
    assert str(Content.from_error(message="bad", error_code="7")) == "Error 7: bad"
    assert str(Content.from_error(message="bad")) == "bad"
    assert str(Content.from_error()) == "Unknown error"
    assert str(CALL) == "Content(type=function_call)"
    assert repr(CALL) == "Content('function_call', call_id='c1', name='add', arguments={'a': 1})"


def test_a_deep_copy_shares_only_the_providers_own_object() -> None:
    raw = object()
    content = Content.from_function_result("c", result=[Content.from_text("a")], raw_representation=raw)

    duplicate = copy.deepcopy(content)

    assert duplicate == content
    assert duplicate.raw_representation is raw
    assert duplicate.items is not content.items


def test_a_mapping_without_type_or_with_a_strange_key_is_no_content() -> None:
    with pytest.raises(ValueError, match="type"):
        Content.from_dict({"text": "hi"})
    with pytest.raises(TypeError, match="colour"):
        Content.from_dict({"type": "text", "colour": "red"})


# URIs and data.


def test_data_is_kept_as_a_base64_data_uri() -> None:
    content = Content.from_data(b"hello", "text/plain")

    assert content.uri == "data:text/plain;base64,aGVsbG8="
    assert _get_data_bytes_as_str(content) == "aGVsbG8="
    assert _get_data_bytes(content) == b"hello"


def test_data_must_be_bytes() -> None:
    with pytest.raises(TypeError, match="must be bytes, got str"):
        Content.from_data("hello", "text/plain")  # type: ignore[arg-type]


def test_a_mapping_may_bring_data_as_bytes() -> None:
    content = Content.from_dict({"type": "data", "data": b"hello", "media_type": "text/plain"})

    assert content == Content.from_data(b"hello", "text/plain")


def test_other_content_has_no_data() -> None:
    assert _get_data_bytes(Content.from_text("hi")) is None
    assert _get_data_bytes_as_str(Content.from_uri("https://example.test", media_type="text/html")) is None


def test_damaged_data_is_a_content_error() -> None:
    with pytest.raises(ContentError, match="damaged"):
        _get_data_bytes(Content("data", uri="data:text/plain;base64,a*b"))
    with pytest.raises(ContentError, match="base64"):
        _get_data_bytes(Content("data", uri="data:text/plain,hello"))


@pytest.mark.parametrize(
    ("uri", "media_type", "expected"),
    [
        ("data:text/plain;base64,aGk=", None, ("data", "text/plain")),
        ("data:text/plain;charset=utf-8;base64,aGk=", None, ("data", "text/plain")),
        ("DATA:image/png;BASE64,aGk=", None, ("data", "image/png")),
        ("data:text/plain;base64,aGk=", "image/png", ("data", "image/png")),
        ("data:;base64,aGk=", None, ("data", None)),
        ("https://example.test/a", "text/html", ("uri", "text/html")),
        ("ui://widget/1", "text/html", ("uri", "text/html")),
    ],
)
def test_a_uri_is_data_or_a_reference(uri: str, media_type: str | None, expected: tuple[str, str | None]) -> None:
    content = Content.from_uri(uri, media_type=media_type)

    assert (content.type, content.media_type) == expected
    assert content.uri == uri
    assert _validate_uri(uri, media_type) == {"type": expected[0], "uri": uri, "media_type": expected[1]}


@pytest.mark.parametrize("uri", ["", "no-scheme", "/path", "data:text/plain,hi", "data:text/plain;base64"])
def test_what_is_no_usable_uri_is_a_content_error(uri: str) -> None:
    with pytest.raises(ContentError):
        Content.from_uri(uri, media_type="text/plain")


def test_a_reference_without_a_media_type_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    Content.from_uri("https://example.test/a?key=secret")

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "secret" not in caplog.text


def test_the_top_level_media_type_is_compared_without_case() -> None:
    assert Content.from_data(b"", "Image/PNG").has_top_level_media_type("image")
    assert not Content.from_data(b"", "audio/wav").has_top_level_media_type("image")
    with pytest.raises(ContentError, match="no media type"):
        Content.from_text("hi").has_top_level_media_type("text")


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00AVI ", None),
        (b"%PDF-1.7", "application/pdf"),
        (b"ID3", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_the_kind_of_data_is_told_from_its_first_bytes(head: bytes, media_type: str | None) -> None:
    data = head + b"\x00" * 200 if head else b""
    text = base64.b64encode(data).decode()

    assert detect_media_type_from_base64(data_bytes=data) == media_type
    assert detect_media_type_from_base64(data_str=text) == media_type
    assert detect_media_type_from_base64(data_uri=f"data:x/y;base64,{text}") == media_type


def test_detection_wants_exactly_one_source_and_knows_nothing_of_what_is_no_base64() -> None:
    assert detect_media_type_from_base64(data_str="***") is None
    assert detect_media_type_from_base64(data_str="a") is None
    with pytest.raises(ValueError, match="exactly one"):
        detect_media_type_from_base64()
    with pytest.raises(ValueError, match="exactly one"):
        detect_media_type_from_base64(data_bytes=b"", data_str="")
    with pytest.raises(ContentError):
        detect_media_type_from_base64(data_uri="nonsense")


# Calls, results, approvals.

LIMITS_DIGITS = pytest.mark.skipif(
    not hasattr(sys, "set_int_max_str_digits"), reason="this Python reads any number of digits"
)


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (None, None),
        ("", {}),
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"raw": [1]}),
        ("null", {"raw": None}),
        ("{broken", {"raw": "{broken"}),
        pytest.param("[" * 100_000, {"raw": "[" * 100_000}, id="nested too deeply"),
        pytest.param("1" * 5000, {"raw": "1" * 5000}, id="too many digits", marks=LIMITS_DIGITS),
    ],
)
def test_arguments_are_parsed_into_a_mapping(arguments: Any, parsed: dict[str, Any] | None) -> None:
    assert Content.from_function_call("c", "f", arguments=arguments).parse_arguments() == parsed


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, ""),
        ("é", "é"),
        ([1, 2], "[1, 2]"),
        ({"a": 1}, '{"a": 1}'),
        (3, "3"),
        (True, "true"),
    ],
)
def test_a_plain_result_becomes_one_text_item(result: Any, text: str) -> None:
    content = Content.from_function_result("c", result=result)

    assert content.items == [Content.from_text(text)]
    assert content.result == text
    assert content.exception is None


def test_a_result_of_content_becomes_its_items_and_its_text() -> None:
    items = [Content.from_text("a"), Content.from_data(b"x", "image/png"), Content.from_text("b")]

    content = Content.from_function_result("c", result=items, exception="")

    assert content.items == items
    assert content.items is not items
    assert content.result == "a\nb"
    assert content.exception == ""


def test_a_list_that_holds_more_than_content_becomes_text() -> None:
    content = Content.from_function_result("c", result=[Content.from_text("a"), "b"])

    assert content.result == "[Content('text', text='a'), 'b']"


def test_an_approval_request_is_answered_for_the_same_call() -> None:
    request = Content.from_function_approval_request("a1", CALL, additional_properties={"k": 1})

    response = request.to_function_approval_response(False)

    assert request.user_input_request is True
    assert (response.type, response.id, response.approved) == ("function_approval_response", "a1", False)
    assert response.function_call is CALL
    assert response.additional_properties == {"k": 1}


def test_only_an_approval_request_can_be_answered() -> None:
    with pytest.raises(ContentError, match="not a text"):
        Content.from_text("hi").to_function_approval_response(True)


# Adding pieces.


def test_text_pieces_add_up_with_all_that_they_carry() -> None:
    first = Content.from_text("a", annotations=[{"title": "1"}], additional_properties={"k": 1}, raw_representation=1)
    second = Content.from_text("b", annotations=[{"title": "2"}], additional_properties={"k": 2, "z": 3})

    total = first + second

    assert total.text == "ab"
    assert total.annotations == [{"title": "1"}, {"title": "2"}]
    assert total.additional_properties == {"k": 1, "z": 3}
    assert total.raw_representation == 1
    assert first.text == "a"
    assert (total + Content.from_text("", raw_representation=2)).raw_representation == [1, 2]


def test_reasoning_pieces_add_up_unless_their_ids_differ() -> None:
    first = Content.from_text_reasoning(id="r", text="a", protected_data="p")

    total = first + Content.from_text_reasoning(text="b", protected_data="q")

    assert (total.id, total.text, total.protected_data) == ("r", "ab", "q")
    assert (Content.from_text_reasoning(protected_data="p") + Content.from_text_reasoning()).text is None
    with pytest.raises(AdditionItemMismatch):
        first + Content.from_text_reasoning(id="s", text="b")


def test_pieces_of_a_call_add_up_in_text_and_as_mappings() -> None:
    text = Content.from_function_call("c", "f", arguments='{"a"') + Content.from_function_call("", "", arguments=":1}")
    mapping = Content.from_function_call("c", "f", arguments={"a": 1}) + Content.from_function_call(
        "c", "", arguments={"b": 2}
    )

    assert (text.call_id, text.name, text.arguments) == ("c", "f", '{"a":1}')
    assert mapping.arguments == {"a": 1, "b": 2}
    assert (Content.from_function_call("c", "f") + Content.from_function_call("c", "f", arguments="x")).arguments == "x"
    assert (Content.from_function_call("c", "f") + Content.from_function_call("c", "f")).arguments is None
    assert (Content.from_function_call("c", "f", arguments="") + Content.from_function_call("", "")).arguments == ""


def test_pieces_of_different_calls_or_of_different_argument_forms_cannot_be_added() -> None:
    with pytest.raises(ContentError, match="call ids differ"):
        Content.from_function_call("c", "f") + Content.from_function_call("d", "f")
    with pytest.raises(TypeError, match="mapping"):
        Content.from_function_call("c", "f", arguments="x") + Content.from_function_call("c", "f", arguments={"a": 1})


def test_usage_adds_up_key_by_key() -> None:
    total = Content.from_usage({"input_token_count": 1}) + Content.from_usage({"input_token_count": 2})

    assert total.usage_details == {"input_token_count": 3}


def test_other_additions_are_refused() -> None:
    with pytest.raises(TypeError, match="text and of type function_call"):
        Content.from_text("a") + CALL
    with pytest.raises(TypeError, match="Content and str"):
        Content.from_text("a") + "b"  # type: ignore[operator]
    with pytest.raises(ContentError, match="error"):
        Content.from_error() + Content.from_error()


def test_usage_details_are_summed_with_unknown_keys_and_without_what_is_no_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first: Any = {"input_token_count": 1, "prompt/cached_tokens": 5, "output_token_count": None, "note": "x"}
    second: UsageDetails = {"input_token_count": 2, "total_token_count": 7}

    assert add_usage_details(first, second) == {
        "input_token_count": 3,
        "prompt/cached_tokens": 5,
        "output_token_count": 0,
        "total_token_count": 7,
    }
    assert "note" in caplog.text
    assert add_usage_details(None, None) == {}
    assert add_usage_details(None, second) == second
    assert add_usage_details(second, None) is not second


def test_neighbouring_text_is_joined_and_other_content_keeps_its_place() -> None:
    image = Content.from_data(b"x", "image/png")
    contents = [Content.from_text("a"), Content.from_text("b"), image, Content.from_text("c")]

    _coalesce_text_content(contents, "text")

    assert contents == [Content.from_text("ab"), image, Content.from_text("c")]


def test_reasoning_is_joined_within_one_id() -> None:
    pieces = [("1", "a"), (None, "b"), ("1", "c"), ("2", "d"), ("2", "e")]
    contents = [Content.from_text_reasoning(id=id_, text=text) for id_, text in pieces]

    _coalesce_text_content(contents, "text_reasoning")

    assert [(content.id, content.text) for content in contents] == [("1", "abc"), ("2", "de")]


def test_a_list_of_contents_takes_content_text_and_mappings(caplog: pytest.LogCaptureFixture) -> None:
    contents = _parse_content_list([CALL, "a", {"type": "text", "text": "b"}, {"x": 1}])

    assert contents == [CALL, Content.from_text("a"), Content.from_text("b")]
    assert "'x'" in caplog.text
    with pytest.raises(TypeError, match="not int"):
        _parse_content_list([3])
