# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Upstream's door to orchestrations, which stand on workflows and are not here."""

from __future__ import annotations

from ._left_out import sentence_about

raise ImportError(sentence_about(__name__, of="orchestrations"), name=__name__)
