# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An answer as it comes: pieces of text, and the calls of tools between them.

python samples/streaming.py
"""

from __future__ import annotations

import asyncio

from local.client import chat_client
from local.weather import get_weather

from agent_framework import Agent


async def main() -> None:
    """Prints each piece of text followed by a bar, then what the whole amounts to."""
    async with chat_client() as client:
        agent = Agent(client=client, instructions="Answer with the tools.", tools=[get_weather])
        stream = agent.run("What is the weather in Oslo?", stream=True)  # nothing happens before it is read
        async for update in stream:
            for content in update.contents:
                if content.type == "function_call" and content.name:
                    print(f"[the model calls {content.name}]")
                elif content.type == "function_result":
                    print(f"[the result is: {content.result}]")
            if update.text:
                print(update.text, end="|", flush=True)
        print()

        response = await stream.get_final_response()  # the same that run() without stream=True returns
        print("All of it:", response.text)
        print("Messages:", ", ".join(message.role for message in response.messages))
        print("Tokens:", (response.usage_details or {}).get("total_token_count"))


if __name__ == "__main__":
    asyncio.run(main())
