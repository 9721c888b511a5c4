# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The server classes of the MCP SDK, whose majors name them differently: `MCPServer` in 2.x, `FastMCP` in 1.x."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

if find_spec("mcp.server.mcpserver") is not None:
    _home, _name = "mcp.server.mcpserver", "MCPServer"
else:
    _home, _name = "mcp.server.fastmcp", "FastMCP"

MCPServer: Any = getattr(import_module(_home), _name)
ToolError: Any = import_module(f"{_home}.exceptions").ToolError
