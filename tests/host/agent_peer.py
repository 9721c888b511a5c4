# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A child process: an agent as an MCP server over stdio. Its model repeats what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mcp.server.stdio import stdio_server

from agent_framework import Agent, BaseChatClient, ChatResponse, ChatResponseUpdate, Message


class EchoClient(BaseChatClient):
    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
        text = f"You said: {messages[-1].text}"
        return self._build_response_stream(self._updates(text)) if stream else self._response(text)

    async def _response(self, text: str) -> ChatResponse:
        return ChatResponse(messages=[Message("assistant", [text])])

    async def _updates(self, text: str) -> AsyncIterator[ChatResponseUpdate]:
        yield ChatResponseUpdate(contents=[text], role="assistant")


async def main() -> None:
    server = Agent(EchoClient(), name="Echo Agent").as_mcp_server()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
