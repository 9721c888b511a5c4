# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""How the framework names itself in the headers of requests to model providers.

``version_info``, ``APP_INFO`` and ``AGENT_FRAMEWORK_USER_AGENT`` are made at the first look: reading the metadata of an
installed distribution takes longer than importing this package does.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

USER_AGENT_TELEMETRY_DISABLED_ENV_VAR: Final = "AGENT_FRAMEWORK_USER_AGENT_DISABLED"
IS_TELEMETRY_ENABLED = os.environ.get(USER_AGENT_TELEMETRY_DISABLED_ENV_VAR, "false").lower() not in ("true", "1")

USER_AGENT_KEY: Final = "User-Agent"
HTTP_USER_AGENT: Final = "agent-framework-python"

# The import package is called agent_framework, the distribution is not.
_DISTRIBUTION: Final = "agent-framework-core"

version_info: str
"""The version of the installed distribution; "0.0.0" when the package runs from a folder that is not installed."""
APP_INFO: dict[str, str] | None
"""A header with the version; None when the user agent is disabled."""
AGENT_FRAMEWORK_USER_AGENT: str
"""The product token with the version."""


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "0.0.0"


def prepend_agent_framework_to_user_agent(headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Headers in which the user agent begins with this framework; the ones given when that is disabled.

    Args:
        headers: Is not changed.
    """
    merged = dict(headers or {})
    if not IS_TELEMETRY_ENABLED:
        return merged
    # Header names do not depend on case, and two user agents in one request would.
    existing = next((name for name in merged if name.lower() == USER_AGENT_KEY.lower()), None)
    agents = [f"{HTTP_USER_AGENT}/{_version()}"]
    if existing is not None and merged[existing]:
        agents.append(merged[existing])
    merged[existing or USER_AGENT_KEY] = " ".join(agents)
    return merged


def __getattr__(name: str) -> Any:
    if name == "version_info":
        return _version()
    if name == "AGENT_FRAMEWORK_USER_AGENT":
        return f"{HTTP_USER_AGENT}/{_version()}"
    if name == "APP_INFO":
        return {"agent-framework-version": f"python/{_version()}"} if IS_TELEMETRY_ENABLED else None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
