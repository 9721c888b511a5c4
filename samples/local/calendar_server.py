# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A small MCP server over stdio, made with the SDK."""

from __future__ import annotations

from datetime import date

from mcp.server.fastmcp import FastMCP

server = FastMCP("calendar", log_level="CRITICAL")


@server.tool(structured_output=False)
def weekday_of(day: str) -> str:
    """The weekday of a date, which is given as YYYY-MM-DD."""
    return f"{day} is a {date.fromisoformat(day):%A}."


if __name__ == "__main__":
    server.run()
