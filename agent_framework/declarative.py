# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Upstream's door to declarative agents and workflows, which stand on workflows and are not here."""

from __future__ import annotations

from ._left_out import sentence_about

raise ImportError(sentence_about(__name__, of="declarative agents and workflows"), name=__name__)
