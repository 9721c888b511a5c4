# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The client that the conformance suite drives: our HTTP tool, used as a user does.

python tests/conformance/client.py http://127.0.0.1:1234/mcp

The suite names its scenario in MCP_CONFORMANCE_SCENARIO; `scripts/conformance` runs it all.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import sign_in

from agent_framework import FunctionTool, MCPStreamableHTTPTool
from agent_framework.exceptions import ToolException

SECONDS = 25  # a client that hangs ends by itself, before the suite has to kill it


async def main(scenario: str, url: str, context: Mapping[str, Any]) -> None:
    """Connects and calls what the server offers."""
    async with connected_tool(scenario, url, context) as tool:
        print("offered:", ", ".join(function.name for function in tool.functions))
        for name, arguments in calls(scenario, tool.functions):
            print(f"{name}:", await tool.call_tool(name, **arguments))


@asynccontextmanager
async def connected_tool(scenario: str, url: str, context: Mapping[str, Any]) -> AsyncIterator[MCPStreamableHTTPTool]:
    client = await sign_in.http_client(scenario, url, context)
    try:
        async with MCPStreamableHTTPTool(
            "conformance",
            url,
            http_client=client,
            # A person who agrees and changes nothing: the form's defaults are what the server is to get.
            elicitation_callback=lambda request: {},
        ) as tool:
            yield tool
    finally:
        if client is not None:
            await client.aclose()


def calls(scenario: str, functions: list[FunctionTool]) -> list[tuple[str, dict[str, Any]]]:
    """What to call, with which arguments: unless the scenario wants otherwise, whatever needs none."""
    schemas = {function.name: function.parameters() for function in functions}
    if scenario == "tools_call":
        return [("add_numbers", {"a": 5, "b": 3})]
    if scenario == "json-schema-2020-12-preservation":
        return [("json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})]
    return [(name, {}) for name, schema in schemas.items() if not schema.get("required")]


if __name__ == "__main__":
    program = main(
        os.environ["MCP_CONFORMANCE_SCENARIO"],
        sys.argv[1],
        json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")),
    )
    try:
        asyncio.run(asyncio.wait_for(program, SECONDS))
    except ToolException as error:  # some scenarios are passed by refusing; the suite knows which
        sys.exit(f"{type(error).__name__}: {error}")
