# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""MCP content as framework content, and back. Pure functions.

A server is a third party, so one item that cannot be read costs that item only: in its place stands a text that says
what it was and why it is missing. A model can work with that, and the other items are there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mcp import types
from pydantic import AnyUrl, ValidationError

from .._types import Content, Message
from ..exceptions import ContentError
from . import _json_object
from ._printable import printable
from .sdk import fields

_ANY_BYTES = "application/octet-stream"

_LINK_IN_SAMPLING = "application/json"
"""The type of a link in a sampling message that names none; chat clients refuse a reference without a type."""

_NO_URI = "af://binary"
"""Where an embedded resource comes from when nobody says so; MCP requires a URI."""


# What a server's tools and prompts return ...


def from_tool_result(result: types.CallToolResult) -> list[Content]:
    """What a tool returned, in its order; structured content comes last, as JSON text.

    Chat clients give a model the text of a result, so a result that has links and no text gets one that lists them.

    Returns:
        At least one item: a result without any content is the text ``null``. What JSON cannot hold is its ``str``.
    """
    contents = [_from_result_block(block, result) for block in result.content or []]
    structured = fields.structured_content(result)
    if structured is not None:
        contents.append(Content.from_text(json.dumps(structured, default=str), raw_representation=result))
    links = [block for block in result.content or [] if isinstance(block, types.ResourceLink)]
    if links and not any(item.text for item in contents):
        contents.append(Content.from_text("\n".join(map(_link_line, links)), raw_representation=result))
    return contents or [Content.from_text("null", raw_representation=result)]


def _link_line(link: types.ResourceLink) -> str:
    description = f" ({link.description})" if link.description else ""
    return printable(f"{link.title or link.name}: {link.uri}{description}")


def _from_result_block(block: Any, result: Any) -> Content:
    content = _from_block(block, result)
    return Content.from_text(str(block), raw_representation=result) if content is None else content


def from_prompt_result(result: types.GetPromptResult) -> str:
    """The messages of a prompt as text: one as it is, several as a JSON list, none as nothing."""
    parts = [_prompt_part(message.content) for message in result.messages]
    if len(parts) > 1:
        return json.dumps(parts)
    return parts[0] if parts else ""


def _prompt_part(content: Any) -> str:
    if isinstance(content, types.TextContent):
        return content.text
    if isinstance(content, (types.ImageContent, types.AudioContent)):
        return _as_json(content.type, content.data, fields.mime_type(content))
    if isinstance(content, types.EmbeddedResource):
        resource = content.resource
        if isinstance(resource, types.TextResourceContents):
            return resource.text
        return _as_json("blob", resource.blob, fields.mime_type(resource))
    return str(content)


def _as_json(kind: str, data: str, media_type: str | None) -> str:
    return json.dumps({"type": kind, "data": data, "mimeType": media_type})


# What a server says to a model (sampling) ...


def message_from_mcp(message: types.SamplingMessage | types.PromptMessage) -> Message:
    """A message of a server."""
    return Message(message.role, from_mcp(message.content), raw_representation=message)


def from_mcp(blocks: Any) -> list[Content]:
    """The content of a message: one block or a sequence of them. Blocks of an unknown kind are left out."""
    given = blocks if isinstance(blocks, Sequence) else [blocks]
    return [content for block in given if (content := _from_message_block(block)) is not None]


def _from_message_block(block: Any) -> Content | None:
    if isinstance(block, types.ToolUseContent):
        return Content.from_function_call(block.id, block.name, arguments=block.input, raw_representation=block)
    if isinstance(block, types.ToolResultContent):
        return Content.from_function_result(
            fields.tool_use_id(block),
            result=from_mcp(block.content) if block.content else fields.structured_content(block),
            # The text of the error is in the result; what counts here is that this is not None.
            exception="" if fields.is_error(block) else None,
            raw_representation=block,
        )
    content = _from_block(block, block, link_type=_LINK_IN_SAMPLING)
    if content is not None and isinstance(block, types.EmbeddedResource) and block.annotations is not None:
        content.additional_properties.update(block.annotations.model_dump())
    return content


# One block, wherever it stands ...


def _from_block(block: Any, raw: Any, *, link_type: str | None = None) -> Content | None:
    """A content block as content, or as a text that says why it cannot be; None for a kind that nobody knows."""
    try:
        return _read_block(block, raw, link_type)
    except (ContentError, ValueError) as error:
        return Content.from_text(f"[{block.type} left out: {error}]", raw_representation=raw)


def _read_block(block: Any, raw: Any, link_type: str | None) -> Content | None:
    if isinstance(block, types.TextContent):
        return Content.from_text(block.text, raw_representation=raw)
    if isinstance(block, (types.ImageContent, types.AudioContent)):
        return _read_data(block.data, fields.mime_type(block), raw)
    if isinstance(block, types.ResourceLink):
        return Content.from_uri(str(block.uri), media_type=fields.mime_type(block) or link_type, raw_representation=raw)
    if isinstance(block, types.EmbeddedResource):
        resource = block.resource
        if isinstance(resource, types.TextResourceContents):
            return Content.from_text(resource.text, raw_representation=raw)
        return _read_data(resource.blob, fields.mime_type(resource), raw)
    return None


def _read_data(data: str, media_type: str | None, raw: Any) -> Content:
    """Data in base64, or in the data URI that some servers send instead.

    Raises:
        ValueError: It is neither.
        ContentError: It is a data URI that is not in base64.
    """
    if data.startswith("data:"):
        return Content.from_uri(data, media_type=media_type, raw_representation=raw)
    try:
        # Encoders for mail break the lines. Anything else outside the alphabet is refused: the decoder would skip it
        # and make other bytes of the rest.
        decoded = base64.b64decode("".join(data.split()), validate=True)
    except ValueError as error:
        raise ValueError(f"its data, of type {media_type or _ANY_BYTES}, is not valid base64 ({error})") from error
    return Content.from_data(decoded, media_type or _ANY_BYTES, raw_representation=raw)


# What we say to a server ...


def message_to_mcp(message: Message) -> list[types.ContentBlock]:
    """The content of a message as far as MCP has a form for it."""
    return [block for content in message.contents if (block := to_mcp(content)) is not None]


def to_mcp(content: Content) -> types.ContentBlock | None:
    """One item as a content block; None where MCP has no form for it, also when a URI in it is not one.

    The ``data`` of an image or audio block and the ``blob`` of a resource are the whole data URI, as upstream has it;
    see :func:`with_plain_data`.
    """
    write = _WRITERS.get(content.type)
    try:
        return None if write is None else write(content)
    except ValidationError:
        return None


def _write_text(content: Content) -> types.ContentBlock:
    return types.TextContent(type="text", text=content.text or "")


def _write_data(content: Content) -> types.ContentBlock | None:
    uri, media_type = content.uri or "", content.media_type or ""
    if media_type.startswith("image/"):
        return types.ImageContent(type="image", data=uri, mimeType=media_type)
    if media_type.startswith("audio/"):
        return types.AudioContent(type="audio", data=uri, mimeType=media_type)
    if not media_type.startswith("application/"):
        return None
    source: Any = str(AnyUrl(content.additional_properties.get("uri", _NO_URI)))
    resource = types.BlobResourceContents(uri=source, blob=uri, mimeType=media_type)
    return types.EmbeddedResource(type="resource", resource=resource)


def _write_link(content: Content) -> types.ContentBlock:
    name = content.additional_properties.get("name", "Unknown")
    target: Any = str(AnyUrl(content.uri or ""))
    return types.ResourceLink(type="resource_link", uri=target, mimeType=content.media_type, name=name)


_WRITERS: dict[str, Callable[[Content], types.ContentBlock | None]] = {
    "text": _write_text,
    "data": _write_data,
    "uri": _write_link,
}


def with_plain_data(block: types.TextContent | types.ImageContent) -> types.TextContent | types.ImageContent:
    """An image whose ``data`` is bare base64, as MCP defines it; text as it is."""
    if isinstance(block, types.TextContent):
        return block
    return block.model_copy(update={"data": block.data.rpartition(",")[2]})


def open_calls(messages: Iterable[Message]) -> list[Content]:
    """The function calls in a model's answer that wait for a result; a client may have carried out others itself."""
    contents = [content for message in messages for content in message.contents]
    done = {content.call_id for content in contents if content.type == "function_result"}
    return [content for content in contents if content.type == "function_call" and content.call_id not in done]


def tool_use(call: Content) -> types.ToolUseContent:
    """A function call of a model, for the server whose tool it is.

    Raises:
        ValueError: Its arguments are no JSON object.
    """
    arguments = _json_object.read_arguments(call.arguments)
    return types.ToolUseContent(type="tool_use", id=call.call_id or "", name=call.name or "", input=arguments)
