# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A tool function for the samples that are about something else; tool_function.py shows how one is written."""

from __future__ import annotations

from typing import Annotated

from agent_framework import tool


@tool
def get_weather(city: Annotated[str, "Name of the city"]) -> str:
    """The weather in a city right now."""
    return {"Oslo": "6 degrees and rain", "Lima": "24 degrees and sun"}.get(
        city, "12 degrees and clouds"
    ) + f" in {city}."
