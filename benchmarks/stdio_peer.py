# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An MCP server over stdio that is much cheaper than its clients. Its argument says what it serves (see answers.py)."""

from __future__ import annotations

import json
import sys

import answers


def serve(profile: answers.Profile) -> None:
    """Answers until the input ends."""
    output = sys.stdout.buffer
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" in message and "method" in message:
            output.write(answers.answer(profile, message) + b"\n")
            output.flush()


if __name__ == "__main__":
    serve(answers.Profile.parse(sys.argv[1]))
