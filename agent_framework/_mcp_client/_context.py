# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What travels with a call through the caller's own task; the tasks of a transport, made earlier, see none of it."""

from __future__ import annotations

from contextvars import ContextVar

call_headers: ContextVar[dict[str, str]] = ContextVar("call_headers")
"""The HTTP headers that the requests of the current call are to carry; not set where it has none of its own."""

run_values: ContextVar[frozenset[str]] = ContextVar("run_values", default=frozenset())
"""The names of the current call's values that come from the run, and not from the model or the caller."""
