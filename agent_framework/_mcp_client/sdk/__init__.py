# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Everything that differs between the majors of the MCP SDK; what stands on it asks ``_sdk``."""
