# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The same client on the bare SDK: tells which failures of client.py are the SDK's.

python tests/conformance/sdk_client.py http://127.0.0.1:1234/mcp
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import sign_in
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.context import RequestContext

SECONDS = 25  # as in client.py


async def main(scenario: str, url: str, context: Mapping[str, Any]) -> None:
    """Connects and calls what the server offers."""
    async with AsyncExitStack() as stack:
        client = await sign_in.http_client(scenario, url, context)
        if client is not None:
            await stack.enter_async_context(client)
        read, write, _ = await stack.enter_async_context(streamable_http_client(url, http_client=client))
        session = await stack.enter_async_context(ClientSession(read, write, elicitation_callback=agree))
        await session.initialize()
        tools = (await session.list_tools()).tools
        print("offered:", ", ".join(tool.name for tool in tools))
        for name, arguments in calls(scenario, tools):
            print(f"{name}:", await session.call_tool(name, arguments))


async def agree(context: RequestContext[ClientSession, Any], params: types.ElicitRequestParams) -> types.ElicitResult:
    """As the person of client.py, who changes nothing."""
    return types.ElicitResult(action="accept", content={})


def calls(scenario: str, tools: list[types.Tool]) -> list[tuple[str, dict[str, Any]]]:
    """As in client.py."""
    schemas = {tool.name: tool.inputSchema for tool in tools}
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
    asyncio.run(asyncio.wait_for(program, SECONDS))
