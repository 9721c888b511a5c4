# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A small MCP server over stdio, made with the SDK."""

from __future__ import annotations

from datetime import date

from sdk_server import MCPServer, ToolError  # type: ignore[import-not-found]  # beside this program

server = MCPServer("calendar", log_level="CRITICAL")


def weekday_of(day: str) -> str:
    """The weekday of a date, which is given as YYYY-MM-DD."""
    try:
        return f"{day} is a {date.fromisoformat(day):%A}."
    except ValueError as error:
        raise ToolError(str(error)) from error


server.add_tool(weekday_of, structured_output=False)

if __name__ == "__main__":
    server.run()
