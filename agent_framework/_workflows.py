# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Where upstream has its workflows, which are not here. Packages that need them import this module."""

from __future__ import annotations

from ._left_out import sentence_about

raise ImportError(sentence_about(__name__, of="workflows"), name=__name__)
