# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the samples share: stand-ins on loopback, so that they need no network, and the client that talks to a model."""
