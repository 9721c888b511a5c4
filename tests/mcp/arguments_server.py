# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An MCP server whose tools and prompts declare names that a client has a meaning of its own for.

arguments_server.py RECORD     speaks over stdio; appends each message it receives to RECORD
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from conversation_server import ConversationServer, StdioConversationServer, serve

OURS = ["_meta", "_run_context", "_timeout", "arguments", "context", "ctx", "kwargs", "tool_name"]
"""Names of parameters on the way from a model to a server; without `self`, which upstream's hosts cannot pass on."""

OF_THE_FRAMEWORK = [
    *("chat_options", "conversation_id", "options", "response_format", "session", "thread", "tool_choice", "tools")
]


def schema(*names: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {} for name in names}, **more}


TOOLS = [
    {"name": "delete_rows", "inputSchema": schema("where", "limit")},
    {"name": "take", "inputSchema": schema("x", "self", *OURS, *OF_THE_FRAMEWORK)},
    {"name": "take_options", "inputSchema": schema("x", "_timeout", "_meta")},
    {"name": "anything", "inputSchema": {"type": "object"}},
    {"name": "hang", "inputSchema": schema()},
    {"name": "hang_with_timeout", "inputSchema": schema("_timeout")},
]
PROMPTS = [
    {"name": "greet", "arguments": [{"name": "who"}]},
    {"name": "fill", "arguments": [{"name": name} for name in ("self", "prompt_name", *OURS, *OF_THE_FRAMEWORK)]},
    {"name": "fill_few", "arguments": [{"name": "self"}, {"name": "prompt_name"}]},
]


class ArgumentsServer(ConversationServer):
    """Its tools give their arguments back as JSON, but for those that hang; so do its prompts."""

    def __init__(self, **options: Any) -> None:
        super().__init__("ping", "prompts", **options)
        self.tools = list(TOOLS)
        self.handlers["prompts/get"] = self.get_prompt

    async def list_prompts(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"prompts": PROMPTS}

    async def get_prompt(self, params: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(params.get("arguments") or {}, sort_keys=True)
        return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["name"].startswith("hang"):
            await asyncio.Event().wait()
        return await super().call_tool(params)


class StdioArgumentsServer(ArgumentsServer, StdioConversationServer):
    """The same, on this process's standard input and output."""


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), StdioArgumentsServer()))
