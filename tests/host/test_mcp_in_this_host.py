# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""MCP tools where they lean on what this host does and upstream's does not; all other tests of them travel."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from fault_servers import HttpServer, McpScript
from mcp import types

from agent_framework import MCPStreamableHTTPTool, observability
from agent_framework._mcp_client import _content, _tracing


async def test_a_model_may_fill_an_argument_called_self() -> None:
    # Upstream's FunctionTool takes its own `self` by keyword too, so there the model's never gets past it.
    schema = {"type": "object", "properties": {"self": {}}}
    script = McpScript(tools=[{"name": "echo", "inputSchema": schema}])
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("script", server.url) as tool:
            await tool.functions[0].invoke(arguments={"self": "b"})
        (call,) = [exchange for exchange in server.exchanges if exchange.name == "tools/call"]
        assert call.message["params"]["arguments"] == {"self": "b"}


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (types.ImageContent(type="image", data="data:image/png,plain", mimeType="image/png"), "image"),
        (types.ResourceLink(type="resource_link", name="x", uri="data:text/plain,hello"), "resource_link"),
    ],
    ids=["image", "link"],
)
def test_a_data_uri_that_is_not_base64_becomes_a_text_that_says_so(bad: Any, kind: str) -> None:
    # Upstream's Content takes any data URI, so there it goes on to the model's client as it is.
    (item,) = _content.from_tool_result(types.CallToolResult(content=[bad]))
    assert item.type == "text"
    assert item.text.startswith(f"[{kind} left out: ")


@pytest.mark.parametrize("name", [_tracing.OPERATION_DURATION, _tracing.SESSION_DURATION])
def test_the_default_views_keep_the_metrics_of_mcp(name: str) -> None:
    # Upstream's views keep its own metrics and drop all others: there, who wants these gives views of their own.
    *kept, _ = observability.create_metric_views()
    assert any(fnmatch.fnmatch(name, view._instrument_name) for view in kept)
