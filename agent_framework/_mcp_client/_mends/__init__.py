# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What the SDK, or the HTTP client below it, does dearly, done cheaply from outside. One file a mend.

Each file says in its first lines what is mended, what that gains, and when the file can go. A mend looks whether what
it mends is as it expects; where it is not, it leaves the SDK's own way alone.

``AGENT_FRAMEWORK_MCP_MENDS`` rules mends out: ``off`` all of them, a list of names (``tls,draining``) those. It is read
once, when the first connection is opened.
"""

from __future__ import annotations

import logging
import os

SWITCH = "AGENT_FRAMEWORK_MCP_MENDS"
"""The environment variable that rules mends out."""

NAMES = frozenset(["answers", "connections", "draining", "tls"])
"""The mends there are; each is a module of this package."""

logger = logging.getLogger("agent_framework._mcp")


def ruled_out(setting: str) -> frozenset[str]:
    """The mends that a value of the switch rules out."""
    words = {word.strip().lower() for word in setting.split(",")} - {"", "on"}
    if words & {"off", "0", "all"}:
        return NAMES
    if words - NAMES:
        logger.warning("%s names what is no mend: %s.", SWITCH, ", ".join(sorted(words - NAMES)))
    return frozenset(words & NAMES)


_RULED_OUT = ruled_out(os.environ.get(SWITCH, ""))


def is_on(name: str) -> bool:
    """Whether a mend is to be used."""
    return name not in _RULED_OUT
