# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A Python function as a tool: the model calls it, the agent carries the call out.

python samples/tool_function.py
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from local.client import chat_client

from agent_framework import Agent, tool
from agent_framework.exceptions import ToolException

TEMPERATURES = {"Oslo": 6, "Lima": 24}  # in degrees Celsius


@tool
def get_weather(city: Annotated[str, "Name of the city"]) -> str:
    """The weather in a city right now."""  # this is what the model is told about the tool
    print(f"  (get_weather runs, for {city})")
    if city not in TEMPERATURES:
        # The model is told what a ToolException says; of any other exception only that there was one.
        raise ToolException(f"There is no weather station in {city}.")
    return f"{TEMPERATURES[city]} degrees in {city}."


async def main() -> None:
    """Asks for a city that the function knows, and for one that it does not."""
    print("What the model is told about the arguments:", get_weather.parameters()["properties"])
    async with chat_client() as client:
        # A function as it is does too: tools=[some_function].
        agent = Agent(client=client, instructions="Answer with the tools.", tools=[get_weather])
        for question in ("What is the weather in Oslo?", "What is the weather in Atlantis?"):
            print(f"user:  {question}")
            print(f"agent: {await agent.run(question)}")


if __name__ == "__main__":
    asyncio.run(main())
