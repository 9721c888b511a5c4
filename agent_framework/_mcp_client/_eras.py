# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Opening a session with a server of either protocol era.

Up to protocol 2025-11-25 a session begins with the ``initialize`` handshake (legacy). Since 2026-07-28 there is none: a
client may ask ``server/discover`` what the server is, and sends its version with each request (modern). A server may
speak either, or both, so the first connection asks for the modern era and falls back to the handshake.

Only an answer is evidence of an era. A server that cannot be reached is no legacy server: that failure is the outcome.
An era is remembered once a session in it is open.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from . import _sdk
from ._causes import AnswerMissing, DeadlinePassed, HTTPRefusal, NotMCP

PROBE_TIMEOUT = 5.0
"""How long a server may take to answer ``server/discover`` before the handshake is tried, in seconds. A legacy server
need not answer what it does not know."""

UNSUPPORTED_VERSION = -32022
"""The JSON-RPC error code for a protocol version that the server does not speak; ``data.supported`` names those it does
(MCP 2026-07-28, "Versioning")."""

METHOD_NOT_FOUND = -32601
_PROXY_AUTHENTICATION_REQUIRED = 407
_ATTEMPTS = 2  # a server that names a version, or turns out to be modern after all, is asked once more

Ask = Callable[[str, Callable[[], Awaitable[Any]], "float | None"], Awaitable[Any]]
"""Makes one request of the opening: its JSON-RPC method, what sends it, and how long it may take in seconds. Raises the
cause of its failure."""


class Era(enum.Enum):
    """How a session with a server begins."""

    LEGACY = "legacy"  # with the initialize handshake
    MODERN = "modern"  # without


class Negotiation:
    """What is known of a server's era, across its connections.

    Args:
        mode: ``"auto"``, ``"legacy"``, or a modern protocol version.

    Attributes:
        era: The era of the newest session, or None while none has been opened.
    """

    def __init__(self, mode: str = "auto") -> None:
        self.mode = mode
        self.era: Era | None = None

    async def open(self, session: Any, ask: Ask) -> Any:
        """Open a session: ask in the era that the server spoke last, or find out which it speaks.

        Returns:
            The SDK's ``InitializeResult`` or ``DiscoverResult``.

        Raises:
            UnsupportedProtocolVersion: The server speaks no version that the SDK speaks.
            Exception: Whatever ``ask`` raises.
        """
        modern = [self.mode] if self.mode not in ("auto", "legacy") else list(_sdk.MODERN_VERSIONS)
        if self.mode == "legacy" or not modern:
            return await self._shake_hands(session, ask)
        if self.mode == "auto" and self.era is Era.LEGACY:
            try:
                return await self._shake_hands(session, ask)
            except Exception as error:
                if not _names_versions(error):
                    raise
        return await self._find_out(session, ask, modern)

    async def _find_out(self, session: Any, ask: Ask, modern: Sequence[str]) -> Any:
        version = modern[-1]
        for attempt in range(_ATTEMPTS):
            is_last = attempt + 1 == _ATTEMPTS
            try:
                return await self._discover(session, ask, version)
            except Exception as error:
                common = [known for known in modern if known in supported_versions(error)]
                if common and not is_last:
                    version = common[-1]
                    continue
                if self.mode != "auto" or not _may_be_legacy(error):
                    raise
            try:
                return await self._shake_hands(session, ask)
            except Exception as error:
                common = [known for known in modern if known in supported_versions(error)]
                if is_last or not common:
                    raise
                version = common[-1]
        raise AssertionError("the last attempt returns or raises")

    async def _discover(self, session: Any, ask: Ask, version: str) -> Any:
        patience = PROBE_TIMEOUT if self.mode == "auto" and self.era is None else None
        raw = await ask("server/discover", lambda: _sdk.send_discover(session, version), patience)
        result = _sdk.adopt_discovery(session, raw)
        self.era = Era.MODERN
        return result

    async def _shake_hands(self, session: Any, ask: Ask) -> Any:
        try:
            result = await ask("initialize", lambda: _sdk.initialize(session), None)
        except Exception as error:
            self._explain(error)
            raise
        self.era = Era.LEGACY
        return result

    def _explain(self, error: Exception) -> None:
        """Raise a better error where a server does not know the handshake.

        Raises:
            UnsupportedProtocolVersion: It speaks newer versions than this program.
        """
        versions = [version for version in supported_versions(error) if version not in _sdk.HANDSHAKE_VERSIONS]
        if not versions and error_code(error) != METHOD_NOT_FOUND:
            return
        if versions and any(version in _sdk.MODERN_VERSIONS for version in versions) and self.mode == "auto":
            return  # the next attempt speaks one of them
        spoken = f"only protocol {', '.join(versions)}" if versions else "a protocol without the initialize handshake"
        cure = "allow it with protocol_mode='auto'" if _sdk.MODERN_VERSIONS else "install 'mcp>=2.2'"
        raise _sdk.UnsupportedProtocolVersion(f"the server speaks {spoken}; {cure} to use it") from error


def error_code(error: Exception) -> int | None:
    """The JSON-RPC error code in an answer, also in the body of an HTTP refusal; None where there is none."""
    if isinstance(error, HTTPRefusal):
        code = error.error.get("code")
        return code if isinstance(code, int) else None
    return error.error.code if isinstance(error, _sdk.McpError) else None


def supported_versions(error: Exception) -> list[str]:
    """The protocol versions that a server names because it does not speak ours."""
    if error_code(error) != UNSUPPORTED_VERSION:
        return []
    data = error.error.get("data") if isinstance(error, HTTPRefusal) else error.error.data  # type: ignore[attr-defined]
    versions = data.get("supported") if isinstance(data, dict) else None
    return [version for version in versions or () if isinstance(version, str) and version.isprintable()]


def _names_versions(error: Exception) -> bool:
    return bool(supported_versions(error))


def _may_be_legacy(error: Exception) -> bool:
    """Whether a server that failed so may be one of the legacy era."""
    if isinstance(error, HTTPRefusal):
        return bool(error.response.status_code != _PROXY_AUTHENTICATION_REQUIRED)
    versions = supported_versions(error)
    if versions:
        return any(version in _sdk.HANDSHAKE_VERSIONS for version in versions)
    return isinstance(error, (_sdk.McpError, _sdk.UnsupportedProtocolVersion, NotMCP, AnswerMissing, DeadlinePassed))
