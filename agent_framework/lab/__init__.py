# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Experiments: each distribution agent-framework-lab brings modules of its own into this namespace."""

from __future__ import annotations

import sys
from pathlib import Path

# Looked for along sys.path: they need not be installed into the folder that this package is in.
_folders = (str(Path(entry, "agent_framework", "lab")) for entry in sys.path)
__path__.extend(folder for folder in _folders if folder not in __path__ and Path(folder).is_dir())
