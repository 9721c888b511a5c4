# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The parts of scripts/upstream are modules beside it; here they can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
