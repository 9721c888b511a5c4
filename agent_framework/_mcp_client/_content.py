# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""MCP results as framework content. Pure functions."""

from __future__ import annotations

import base64
import json
from typing import Any

from mcp import types

from .._types import Content

_ANY_BYTES = "application/octet-stream"


def from_tool_result(result: types.CallToolResult) -> list[Content]:
    """What a tool returned, in its order; structured content comes last, as JSON text.

    Returns:
        At least one item: a result without any content is the text ``null``.
    """
    contents = [_from_block(block, result) for block in result.content or []]
    structured = getattr(result, "structuredContent", None)
    if isinstance(structured, dict):
        contents.append(Content.from_text(json.dumps(structured, default=str), raw_representation=result))
    return contents or [Content.from_text("null", raw_representation=result)]


def _from_block(block: Any, result: Any) -> Content:
    if isinstance(block, types.TextContent):
        return Content.from_text(block.text, raw_representation=result)
    if isinstance(block, (types.ImageContent, types.AudioContent)):
        return Content.from_data(base64.b64decode(block.data), block.mimeType, raw_representation=result)
    if isinstance(block, types.ResourceLink):
        return Content.from_uri(str(block.uri), media_type=block.mimeType, raw_representation=result)
    if isinstance(block, types.EmbeddedResource):
        return _from_resource(block.resource, result)
    return Content.from_text(str(block), raw_representation=result)


def _from_resource(resource: Any, result: Any) -> Content:
    if isinstance(resource, types.TextResourceContents):
        return Content.from_text(resource.text, raw_representation=result)
    media_type = resource.mimeType or _ANY_BYTES
    uri = resource.blob if resource.blob.startswith("data:") else f"data:{media_type};base64,{resource.blob}"
    return Content.from_uri(uri, media_type=media_type, raw_representation=result)


def text_of(contents: list[Content] | str) -> str:
    """The text in what a result was parsed to, one line for each item."""
    if isinstance(contents, str):
        return contents
    return "\n".join(item.text for item in contents if item.text) or str([str(item) for item in contents])


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
        return _as_json(content.type, content.data, content.mimeType)
    if isinstance(content, types.EmbeddedResource):
        resource = content.resource
        if isinstance(resource, types.TextResourceContents):
            return resource.text
        return _as_json("blob", resource.blob, resource.mimeType)
    return str(content)


def _as_json(kind: str, data: str, media_type: str | None) -> str:
    return json.dumps({"type": kind, "data": data, "mimeType": media_type})
