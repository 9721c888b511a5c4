# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What the MCP tools stand on: one connection, its transports, its errors. Private; ``_mcp`` is the face."""
