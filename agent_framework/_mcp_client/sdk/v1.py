# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Sessions of SDK 1.x. ``v2`` has the same names for those of 2.x; ``sessions`` knows which of the two is installed."""

from __future__ import annotations

import math
from datetime import timedelta
from functools import lru_cache
from typing import Any

from mcp import types
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS
from pydantic import RootModel

from .requests import OnProgress, OwnSession, Requests

_Raw = RootModel[dict[str, Any]]

_types: Any = types  # some of the names are of this major only


def make_session(
    kind: Any,
    read_stream: Any,
    write_stream: Any,
    *,
    read_timeout: float | None,
    log_level: str | None = None,  # noqa: ARG001  # for protocol versions that this major does not speak
    **callbacks: Any,
) -> Any:
    """A session of ours, of a class that is the SDK's or made of it.

    The log level is for protocol versions that this major does not speak.
    """
    requests = Requests(write_stream)
    session = _own(kind)(
        read_stream=requests.reading(read_stream),
        write_stream=write_stream,
        read_timeout_seconds=None if read_timeout is None else timedelta(seconds=read_timeout),
        **callbacks,
    )
    session.requests = requests
    session.own_timeout = read_timeout
    return session


@lru_cache(maxsize=8)
def _own(kind: Any) -> Any:
    """A class of sessions whose requests go by ``Requests``."""

    class Session(kind, OwnSession):  # type: ignore[misc]  # the class in use is known when it is used
        own_timeout: float | None = None

        async def send_request(
            self,
            request: Any,
            result_type: Any,
            request_read_timeout_seconds: timedelta | None = None,
            metadata: Any = None,
            progress_callback: Any = None,
        ) -> Any:
            asked = request.model_dump(by_alias=True, mode="json", exclude_none=True)
            timeout = self.own_timeout
            if request_read_timeout_seconds is not None:
                timeout = request_read_timeout_seconds.total_seconds()
            result = await self.requests.send(
                asked["method"],
                asked.get("params"),
                metadata=metadata,
                timeout=timeout,
                on_progress=progress_callback,
            )
            return result_type.model_validate(result)

        async def ask(
            self, method: str, params: dict[str, Any] | None, timeout: float | None, on_progress: OnProgress | None
        ) -> dict[str, Any]:
            return await self.requests.send(
                method, params, timeout=self.own_timeout if timeout is None else timeout, on_progress=on_progress
            )

    return Session


async def ask(
    session: Any, method: str, params: dict[str, Any] | None, timeout: float | None, on_progress: OnProgress | None
) -> dict[str, Any]:
    """Send a request on a session that is not ours, and return the result as it stands on the wire."""
    answer = await session.send_request(
        _Request(method, params or {}, reports=on_progress is not None),
        _Raw,
        request_read_timeout_seconds=None if timeout is None else read_timeout(timeout),
        progress_callback=on_progress or _no_report,
    )
    result: dict[str, Any] = answer.root
    return result


class _Request:
    """A request of the session's that notes on the current call which id it gets.

    The session makes a request's id its progress token too, where there is a progress callback.

    Args:
        method: The JSON-RPC method.
        params: Its params.
        reports: Whether the server is to report on it.
    """

    def __init__(self, method: str, params: dict[str, Any], *, reports: bool) -> None:
        self._method = method
        self._params = params
        self._reports = reports

    def model_dump(self, **_: Any) -> dict[str, Any]:
        meta = _Meta(self._params.get("_meta") or {})
        meta.reports = self._reports
        return {"method": self._method, "params": {**self._params, "_meta": meta}}


class _Meta(dict[str, Any]):
    reports = False

    def __setitem__(self, key: str, value: Any) -> None:
        from .._streams import current_call

        if key == "progressToken":
            call = current_call.get()
            if call is not None and call.request_id is None:
                call.request_id = value
        if key != "progressToken" or self.reports:
            super().__setitem__(key, value)


async def _no_report(progress: float, total: float | None, message: str | None) -> None:
    pass


def capabilities(session: Any) -> Any:
    """The ``ServerCapabilities`` that the handshake brought, or None before it."""
    return session.get_server_capabilities()


def negotiated_version(session: Any) -> str | None:
    """The version that the handshake agreed on; a session of SDK 1.x does not tell."""
    del session
    return None


def read_timeout(seconds: float) -> Any:
    """How long one request may take, infinite for ever, as a session's methods want it."""
    return timedelta.max if math.isinf(seconds) else timedelta(seconds=seconds)


def meta(values: dict[str, Any]) -> Any:
    """The ``_meta`` of a request's params."""
    return _types.RequestParams.Meta(**values)


def notification(made: Any) -> Any:
    """A client's notification as ``send_notification`` wants it."""
    return _types.ClientNotification(made)


def incoming_method(message: Any) -> str | None:
    """The JSON-RPC method of what a ``message_handler`` gets; None for an exception."""
    inside = getattr(message, "root", None)  # an exception has none, nor has the responder of a request
    return None if inside is None else str(inside.method)


# Eras ...

MODERN_VERSIONS: tuple[str, ...] = ()
"""The protocol versions without handshake that the SDK speaks, the oldest first."""

HANDSHAKE_VERSIONS: tuple[str, ...] = tuple(SUPPORTED_PROTOCOL_VERSIONS)
"""The protocol versions with a handshake that it speaks."""


async def send_discover(_session: Any, _version: str) -> dict[str, Any]:
    """Not called: there are no versions to ask for."""
    raise AssertionError("SDK 1.x speaks no version without handshake")


def adopt_discovery(_session: Any, _answer: dict[str, Any]) -> Any:
    """Not called, as above."""
    raise AssertionError("SDK 1.x speaks no version without handshake")


def why_not_mirrored(_schema: Any) -> str | None:
    """Nothing is mirrored in headers."""
    return None
