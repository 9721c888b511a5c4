# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What travels with a call through the caller's own task; the tasks of a transport, made earlier, see none of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

call_headers: ContextVar[dict[str, str]] = ContextVar("call_headers")
"""The HTTP headers that the requests of the current call are to carry; not set where it has none of its own."""

run_values: ContextVar[frozenset[str] | None] = ContextVar("run_values", default=None)
"""The names of the current call's values that come from the run, and not from the model; None where a program calls."""

run_arguments: ContextVar[Mapping[str, Any] | None] = ContextVar("run_arguments", default=None)
"""The values of the run that the current call belongs to; None where a program calls, and no model."""
