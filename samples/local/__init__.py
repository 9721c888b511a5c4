# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Stand-ins on loopback, so that the samples need no network: an MCP server and a chat model."""
