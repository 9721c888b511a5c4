# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""One scripted MCP server for every wire: `McpScript` over HTTP, and the same over stdio as a child process.

    conversation_server.py RECORD [ping] [prompts]     speaks over stdio; appends each message it receives to RECORD

It has tools and nothing else: whatever it does not announce is an error, and so is a ping. Upstream 1.0.1 connects
only where there are `ping` and `prompts`: with them a test gets as far as the trap it is about.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fault_servers import Exchange, McpScript

X = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
ANYTHING = {"type": "object", "properties": {"user": {}, "x": {}}}
TOOLS = [
    {"name": "echo", "description": "Gives its arguments back.", "inputSchema": ANYTHING},
    {"name": "strict", "inputSchema": X},
    {"name": "change", "inputSchema": {"type": "object", "properties": {"announcements": {"type": "integer"}}}},
    *({"name": name, "inputSchema": {"type": "object", "properties": {}}} for name in ("hang", "die")),
]


class ConversationServer(McpScript):
    """Tools: `echo` and `strict` (the arguments back, as JSON), `change` (has other tools from now on, says so
    `announcements` times, and then answers), `hang` (never answers), `die` (ends the process).

    Args:
        offers: Of "ping" and "prompts", those that it has beside its tools.
    """

    def __init__(self, *offers: str, **options: Any) -> None:
        super().__init__(standing_stream=True, **options)
        self.offers = offers
        self.tools = list(TOOLS)
        if "ping" not in offers:
            del self.handlers["ping"]
        if "prompts" in offers:
            self.handlers["prompts/list"] = self.list_prompts

    async def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        answer = await super().initialize(params)
        return {
            **answer,
            "capabilities": {**answer["capabilities"], **({"prompts": {}} if "prompts" in self.offers else {})},
        }

    async def list_prompts(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": []}

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "change":
            self.tools = [*TOOLS[:2], {"name": "added", "inputSchema": X}]
            for _ in range((params.get("arguments") or {}).get("announcements", 0)):
                await self.push({"method": "notifications/tools/list_changed"})
        if params["name"] == "hang":
            await asyncio.Event().wait()
        if params["name"] == "die":
            os._exit(4)
        return await super().call_tool(params)


class StdioConversationServer(ConversationServer):
    """The same, on this process's standard input and output."""

    async def push(self, message: Mapping[str, Any]) -> None:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

    async def answer(self, line: bytes) -> None:
        exchange = Exchange("POST", "", {}, line, None)  # type: ignore[arg-type]
        print(json.dumps(await self._result(exchange)), flush=True)


async def serve(record: Path, server: StdioConversationServer) -> None:
    """Answers on standard output what comes on standard input, until that ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    answers: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        with record.open("ab") as file:
            file.write(line)
        message = json.loads(line)
        if "id" in message and "method" in message:
            answers.add(asyncio.create_task(server.answer(line)))
    os._exit(0)  # whatever hangs in here


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), StdioConversationServer(*sys.argv[2:])))
