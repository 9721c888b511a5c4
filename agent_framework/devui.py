# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Upstream's door to DevUI, which stands on workflows and is not here."""

from __future__ import annotations

from ._left_out import sentence_about

raise ImportError(sentence_about(__name__, of="DevUI"), name=__name__)
