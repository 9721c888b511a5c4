# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Transports: async context managers of a stream of messages in and a stream of messages out."""
