# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""MCP content as framework content, and back: which field becomes which, and what cannot be read costs one item."""

from __future__ import annotations

import base64
import json
from datetime import date
from typing import Any

import pytest
from mcp import types
from sdk_names import field

from agent_framework import Content, Message
from agent_framework._mcp_client import _content

DATA = b"\x89PNG\r\n\x1a\n and so on"
BASE64 = base64.b64encode(DATA).decode()


def text(value: str = "hello") -> types.TextContent:
    return types.TextContent(type="text", text=value)


def image(data: str = BASE64, media_type: str = "image/png") -> types.ImageContent:
    return types.ImageContent(type="image", data=data, mimeType=media_type)


def audio(data: str = BASE64) -> types.AudioContent:
    return types.AudioContent(type="audio", data=data, mimeType="audio/wav")


def link(uri: str = "https://example.com/a", media_type: str | None = "text/plain") -> types.ResourceLink:
    return types.ResourceLink(type="resource_link", uri=uri, name="a", mimeType=media_type)


def embedded(
    *, text: str | None = None, blob: str = BASE64, media_type: str | None = None, **fields: Any
) -> types.EmbeddedResource:
    where: dict[str, Any] = {"uri": "file:///a", "mimeType": media_type}
    resource = (
        types.BlobResourceContents(blob=blob, **where)
        if text is None
        else types.TextResourceContents(text=text, **where)
    )
    return types.EmbeddedResource(type="resource", resource=resource, **fields)


def result(*blocks: Any, **fields: Any) -> types.CallToolResult:
    return types.CallToolResult(content=list(blocks), **fields)


# Tool results ...


def test_each_kind_of_block_in_a_result_becomes_content_in_its_order() -> None:
    given = result(text(), image(), audio(), link(), embedded(text="inside"), embedded(media_type="application/pdf"))
    contents = _content.from_tool_result(given)
    assert [(item.type, item.text or item.uri, item.media_type) for item in contents] == [
        ("text", "hello", None),
        ("data", f"data:image/png;base64,{BASE64}", "image/png"),
        ("data", f"data:audio/wav;base64,{BASE64}", "audio/wav"),
        ("uri", "https://example.com/a", "text/plain"),
        ("text", "inside", None),
        ("data", f"data:application/pdf;base64,{BASE64}", "application/pdf"),
    ]
    assert all(item.raw_representation is given for item in contents)


def test_a_link_without_a_media_type_keeps_none() -> None:
    assert _content.from_tool_result(result(link(media_type=None)))[0].media_type is None


def test_a_blob_is_bytes_unless_it_says_what_it_is() -> None:
    (plain,) = _content.from_tool_result(result(embedded()))
    (uri,) = _content.from_tool_result(result(embedded(blob=f"data:image/gif;base64,{BASE64}")))
    assert (plain.media_type, plain.uri) == (
        "application/octet-stream",
        f"data:application/octet-stream;base64,{BASE64}",
    )
    assert (uri.media_type, uri.uri) == ("image/gif", f"data:image/gif;base64,{BASE64}")


def test_a_block_of_an_unknown_kind_becomes_its_text() -> None:
    odd = types.CallToolResult.model_construct(content=[42], isError=False)
    assert [item.text for item in _content.from_tool_result(odd)] == ["42"]


def test_a_result_without_content_is_null() -> None:
    assert [item.text for item in _content.from_tool_result(result())] == ["null"]


def test_structured_content_alone_is_one_json_text() -> None:
    (item,) = _content.from_tool_result(result(structuredContent={"sum": 3}))
    assert json.loads(item.text) == {"sum": 3}


def test_structured_content_beside_others_comes_last() -> None:
    contents = _content.from_tool_result(result(text(), structuredContent={"sum": 3}))
    assert [item.text for item in contents] == ["hello", '{"sum": 3}']


def test_empty_structured_content_is_content() -> None:
    assert [item.text for item in _content.from_tool_result(result(structuredContent={}))] == ["{}"]


def test_values_that_json_cannot_hold_become_strings() -> None:
    (item,) = _content.from_tool_result(result(structuredContent={"day": date(2026, 5, 1)}))
    assert json.loads(item.text) == {"day": "2026-05-01"}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (image("not base64!"), "image"),
        (image("abc"), "image"),
        (image("äöü"), "image"),
        (audio(BASE64.replace("=", "") + "-_"), "audio"),
        (embedded(blob="%%%"), "resource"),
    ],
    ids=["a sentence", "bad padding", "not ASCII", "URL-safe alphabet", "blob"],
)
def test_an_item_that_cannot_be_read_becomes_a_text_that_says_so(bad: Any, kind: str) -> None:
    contents = _content.from_tool_result(result(text("before"), bad, text("after")))
    assert [item.type for item in contents] == ["text"] * 3
    assert [contents[0].text, contents[2].text] == ["before", "after"]
    assert contents[1].text.startswith(f"[{kind} left out: ")


def test_the_text_for_unreadable_data_names_its_type_and_not_the_data() -> None:
    (item,) = _content.from_tool_result(result(image("secret!")))
    assert "image/png" in item.text
    assert "base64" in item.text
    assert "secret" not in item.text


def test_base64_with_line_breaks_is_read() -> None:
    (item,) = _content.from_tool_result(result(image(base64.encodebytes(DATA * 20).decode())))
    assert item.uri == f"data:image/png;base64,{base64.b64encode(DATA * 20).decode()}"


def test_data_that_is_a_data_uri_already_is_taken_as_it_is() -> None:
    (item,) = _content.from_tool_result(result(image(f"data:image/png;base64,{BASE64}")))
    assert (item.type, item.uri) == ("data", f"data:image/png;base64,{BASE64}")


# Prompts ...


def prompt(*contents: Any) -> types.GetPromptResult:
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=item) for item in contents])


def test_a_prompt_is_nothing_one_text_or_a_json_list() -> None:
    assert _content.from_prompt_result(prompt()) == ""
    assert _content.from_prompt_result(prompt(text("one"))) == "one"
    assert json.loads(_content.from_prompt_result(prompt(text("one"), embedded(text="two")))) == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (image(), {"type": "image", "data": BASE64, "mimeType": "image/png"}),
        (audio(), {"type": "audio", "data": BASE64, "mimeType": "audio/wav"}),
        (embedded(media_type="image/png"), {"type": "blob", "data": BASE64, "mimeType": "image/png"}),
    ],
    ids=["image", "audio", "blob"],
)
def test_data_in_a_prompt_is_a_json_object(content: Any, expected: dict[str, str]) -> None:
    assert json.loads(_content.from_prompt_result(prompt(content))) == expected


def test_anything_else_in_a_prompt_is_its_text() -> None:
    assert "https://example.com/a" in _content.from_prompt_result(prompt(link()))


# Messages from a server ...


def test_each_kind_of_block_in_a_message_becomes_content_that_remembers_its_block() -> None:
    blocks = [text(), image(), link(media_type=None), embedded(text="inside"), embedded(media_type="image/png")]
    contents = _content.from_mcp(blocks)
    assert [item.type for item in contents] == ["text", "data", "uri", "text", "data"]
    assert contents[2].media_type == "application/json"
    assert [item.raw_representation for item in contents] == blocks


def test_one_block_need_not_be_in_a_list() -> None:
    assert [item.text for item in _content.from_mcp(text())] == ["hello"]


def test_annotations_of_a_resource_are_kept() -> None:
    (item,) = _content.from_mcp(embedded(text="inside", annotations=types.Annotations(priority=0.5)))
    assert item.additional_properties["priority"] == 0.5


def test_tool_uses_and_results_become_function_calls_and_results() -> None:
    use = types.ToolUseContent(type="tool_use", id="1", name="add", input={"a": 1})
    good = types.ToolResultContent(type="tool_result", toolUseId="1", content=[text("3"), image()])
    call, answer = _content.from_mcp([use, good])
    assert (call.type, call.call_id, call.name, call.arguments) == ("function_call", "1", "add", {"a": 1})
    assert (answer.type, answer.call_id, answer.result, answer.exception) == ("function_result", "1", "3", None)
    assert [item.type for item in answer.items] == ["text", "data"]


def test_a_tool_result_may_be_structured_and_may_be_an_error() -> None:
    block = types.ToolResultContent(type="tool_result", toolUseId="1", structuredContent={"a": 1}, isError=True)
    (answer,) = _content.from_mcp(block)
    assert json.loads(answer.result) == {"a": 1}
    assert answer.exception == ""


def test_blocks_of_an_unknown_kind_are_left_out_of_a_message() -> None:
    assert [item.text for item in _content.from_mcp([text("one"), object(), text("two")])] == ["one", "two"]


def test_an_unreadable_image_does_not_cost_the_message() -> None:
    message = types.SamplingMessage(role="user", content=[text("look:"), image("broken!")])
    parsed = _content.message_from_mcp(message)
    assert (parsed.role, parsed.raw_representation) == ("user", message)
    assert [item.type for item in parsed.contents] == ["text", "text"]


# Content for a server ...


def test_text_and_data_go_out_by_their_media_type() -> None:
    uri = f"base64,{BASE64}"
    message = Message(
        "assistant",
        [
            "hello",
            Content.from_data(DATA, "image/png"),
            Content.from_data(DATA, "audio/wav"),
            Content.from_data(DATA, "application/pdf"),
            Content.from_data(DATA, "application/pdf", additional_properties={"uri": "file:///a.pdf"}),
        ],
    )
    spoken, picture, sound, file, known_file = _content.message_to_mcp(message)
    assert isinstance(spoken, types.TextContent)
    assert spoken.text == "hello"
    assert isinstance(picture, types.ImageContent)
    assert (picture.data, field(picture, "mimeType")) == (f"data:image/png;{uri}", "image/png")
    assert isinstance(sound, types.AudioContent)
    assert isinstance(file, types.EmbeddedResource)
    assert (str(file.resource.uri), file.resource.blob) == ("af://binary", f"data:application/pdf;{uri}")
    assert str(known_file.resource.uri) == "file:///a.pdf"


def test_a_reference_goes_out_as_a_link_with_its_name() -> None:
    named = Content.from_uri("https://example.com/a", media_type="text/html", additional_properties={"name": "A"})
    unnamed = Content.from_uri("https://example.com/b", media_type="text/html")
    first, second = _content.message_to_mcp(Message("user", [named, unnamed]))
    assert (first.type, str(first.uri), field(first, "mimeType"), first.name) == (
        "resource_link",
        "https://example.com/a",
        "text/html",
        "A",
    )
    assert second.name == "Unknown"


@pytest.mark.parametrize(
    "content",
    [
        Content.from_data(b"a,b", "text/csv"),
        Content.from_function_call("1", "add"),
        Content.from_text_reasoning(text="hm"),
        Content.from_uri("https://", media_type="text/html"),
    ],
    ids=["other data", "function call", "reasoning", "no URI after all"],
)
def test_what_mcp_has_no_form_for_is_left_out(content: Content) -> None:
    assert _content.to_mcp(content) is None
    assert [block.text for block in _content.message_to_mcp(Message("user", ["one", content, "two"]))] == ["one", "two"]


def test_an_image_on_the_wire_is_bare_base64() -> None:
    block = _content.to_mcp(Content.from_data(DATA, "image/png"))
    assert _content.with_plain_data(block).data == BASE64
    assert _content.with_plain_data(text()) == text()


def test_only_calls_without_a_result_are_open() -> None:
    messages = [
        Message("assistant", [Content.from_function_call("1", "mine"), Content.from_function_call("2", "yours")]),
        Message("tool", [Content.from_function_result("1", result="done")]),
        Message("assistant", ["now you", Content.from_function_call("3", "yours")]),
    ]
    assert [call.call_id for call in _content.open_calls(messages)] == ["2", "3"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), (None, {}), ("", {}), ("null", {})],
)
def test_a_function_call_becomes_a_tool_use(arguments: Any, expected: dict[str, Any]) -> None:
    use = _content.tool_use(Content.from_function_call("1", "add", arguments=arguments))
    assert (use.id, use.name, use.input) == ("1", "add", expected)
