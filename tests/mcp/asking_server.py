# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An MCP server that asks its client for things, made with the SDK's FastMCP; a child process of the tests.

    asking_server.py stdio      speaks over its standard input and output
    asking_server.py http       prints its port, then serves streamable HTTP at /mcp

Each tool asks for one thing and returns what came back as JSON, be it a result or an error's code and message.
"""

from __future__ import annotations

import json
import socket
import sys
import warnings
from collections.abc import Awaitable
from typing import Any

import anyio
import uvicorn
from mcp import types
from sdk_names import IS_1, SdkError

try:
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver import MCPServer as FastMCP
except ModuleNotFoundError:
    from mcp.server.fastmcp import Context, FastMCP

warnings.simplefilter("ignore")  # SDK 2.x warns a server that asks: servers of protocol 2026-07-28 do it otherwise

server = FastMCP("asking", log_level="ERROR")

BOOKING = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "seat": {"type": "string", "default": "window"},
        "meal": {"type": "boolean", "default": False},
    },
    "required": ["people"],
}
ADD = types.Tool(
    name="add", description="Adds.", inputSchema={"type": "object", "properties": {"a": {"type": "number"}}}
)


async def what_comes_back(request: Awaitable[Any]) -> str:
    try:
        return (await request).model_dump_json(by_alias=True, exclude_none=True)
    except SdkError as error:
        return json.dumps({"code": error.error.code, "message": error.error.message})


def said(*content: Any) -> list[types.SamplingMessage]:
    return [types.SamplingMessage(role="user", content=item) for item in content]


def text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


@server.tool()
async def echo(value: str) -> str:
    return value


@server.tool()
async def client_capabilities(ctx: Context) -> str:
    parameters = ctx.session.client_params
    assert parameters is not None
    return parameters.capabilities.model_dump_json(by_alias=True, exclude_none=True)


@server.tool()
async def sample(ctx: Context, question: str = "why?", max_tokens: int = 50) -> str:
    return await what_comes_back(
        ctx.session.create_message(
            messages=said(text(question)),
            max_tokens=max_tokens,
            system_prompt="Be brief.",
            temperature=0.5,
            stop_sequences=["END"],
            related_request_id=ctx.request_id,
        )
    )


@server.tool()
async def sample_with_tools(ctx: Context) -> str:
    use = types.ToolUseContent(type="tool_use", id="old", name="add", input={"a": 1})
    result = types.ToolResultContent(type="tool_result", toolUseId="old", content=[text("1")])
    messages = [*said(text("add")), types.SamplingMessage(role="assistant", content=use), *said(result)]
    choice = types.ToolChoice(mode="required")
    return await what_comes_back(
        ctx.session.create_message(
            messages=messages, max_tokens=50, tools=[ADD], tool_choice=choice, related_request_id=ctx.request_id
        )
    )


@server.tool()
async def sample_many(ctx: Context, count: int) -> str:
    answers: list[str] = []

    async def one(number: int) -> None:
        answers.append(await sample(ctx, f"question {number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    return json.dumps([json.loads(answer) for answer in answers])


@server.tool()
async def give_up(ctx: Context, method: str) -> str:
    """Asks, says at once that nobody waits any more, and asks for something else."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon({"sample": sample, "ask": ask}[method], ctx)
        await anyio.wait_all_tasks_blocked()
        if IS_1:  # a session of SDK 2.x says so by itself
            last = ctx.session._request_id - 1
            cancelled = types.CancelledNotification(params=types.CancelledNotificationParams(requestId=last))
            await ctx.session.send_notification(types.ServerNotification(cancelled), related_request_id=ctx.request_id)
        tasks.cancel_scope.cancel()
    return "gave up"


@server.tool()
async def ask(ctx: Context) -> str:
    return await what_comes_back(ctx.session.elicit("How many?", BOOKING, related_request_id=ctx.request_id))


@server.tool()
async def ask_by_url(ctx: Context) -> str:
    asked = ctx.session.elicit_url("Sign in.", "https://example.com/in", "e-1", related_request_id=ctx.request_id)
    return await what_comes_back(asked)


@server.tool()
async def roots(ctx: Context) -> str:
    return await what_comes_back(ctx.session.list_roots())


def http() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(server.streamable_http_app(), log_level="error")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    {"stdio": lambda: server.run("stdio"), "http": http}[sys.argv[1]]()
