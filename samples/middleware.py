# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Middleware of the three kinds: around a run, around each model call in it, and around each function call.

python samples/middleware.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from local.client import chat_client
from local.weather import get_weather

from agent_framework import (
    Agent,
    AgentContext,
    AgentResponse,
    ChatContext,
    FunctionInvocationContext,
    agent_middleware,
    chat_middleware,
    function_middleware,
)

CallNext = Callable[[], Awaitable[None]]


@agent_middleware
async def sign_the_answer(context: AgentContext, call_next: CallNext) -> None:
    """Sees the input and the answer, and may change both."""
    print(f"run begins: {context.messages[-1].text}")
    await call_next()
    if isinstance(context.result, AgentResponse):  # a ResponseStream when the run is streamed
        print(f"run ends, with {len(context.result.messages)} messages")


@chat_middleware
async def count_messages(context: ChatContext, call_next: CallNext) -> None:
    """Sees what goes to the model."""
    print(f"  model is asked, with {len(context.messages)} messages")
    await call_next()


@function_middleware
async def answer_for_oslo(context: FunctionInvocationContext, call_next: CallNext) -> None:
    """Sees the arguments; without `call_next` the function does not run and the result is what is put there."""
    print(f"    {context.function.name} is called, with {context.arguments}")
    if context.arguments["city"] == "Oslo":
        context.result = "Oslo closed for maintenance."
        print("    answered by the middleware")
    else:
        await call_next()


async def main() -> None:
    """Two questions, of which the middleware answers the second."""
    async with chat_client() as client:
        agent = Agent(client=client, tools=[get_weather], middleware=[sign_the_answer, count_messages, answer_for_oslo])
        for city in ("Lima", "Oslo"):
            print(f"agent: {await agent.run(f'What is the weather in {city}?')}")


if __name__ == "__main__":
    asyncio.run(main())
