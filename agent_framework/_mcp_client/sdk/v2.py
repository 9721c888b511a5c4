# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Sessions of SDK 2.x. ``v1`` has the same names for those of 1.x; ``sessions`` knows which of the two is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from typing import Any

from mcp import types
from mcp.shared.message import ClientMessageMetadata
from pydantic import TypeAdapter, ValidationError

from .._causes import NotMCP, OtherEra
from .._input_required import asked_to_the_end
from .requests import OnProgress, OwnSession, Requests

_VERSION_HEADER = "mcp-protocol-version"
_FOR_EVER = 1e9  # seconds; event loops do not take infinity
_Request: Any = types.Request[dict[str, Any], str]
_Metadata: Any = ClientMessageMetadata
_types: Any = types  # some names are of this major only
_RAW: Any = TypeAdapter(dict[str, Any])


_seen: ContextVar[list[dict[str, Any]] | None] = ContextVar("seen", default=None)
"""Where the answers to the requests of this context are put before the session looks at them."""


@cache
def _inbound() -> Any:
    """The SDK's module about HTTP headers that mirror a request; of this major only."""
    return importlib.import_module("mcp.shared.inbound")


@cache
def _dispatcher() -> Any:
    """The SDK's class of dispatchers, with requests that go by ``Requests``."""
    jsonrpc: Any = importlib.import_module("mcp.shared.jsonrpc_dispatcher")  # of this major only

    class Dispatcher(jsonrpc.JSONRPCDispatcher):  # type: ignore[misc]
        def __init__(self, requests: Requests, read_stream: Any, write_stream: Any) -> None:
            super().__init__(requests.reading(read_stream), write_stream)
            self._own_requests = requests

            self.header_maps: Mapping[str, Any] = {}  # by tool: which arguments are mirrored in which headers

        async def send_raw_request(self, method: str, params: Any, opts: Any = None, **_: Any) -> dict[str, Any]:
            options = opts or {}
            if method == "tools/call" and params["name"] in self.header_maps:
                mirrored = _inbound().mcp_param_headers(self.header_maps[params["name"]], params.get("arguments") or {})
                options = {**options, "headers": {**(options.get("headers") or {}), **mirrored}}
            answer = await self._own_requests.send(
                method,
                params,
                metadata=_metadata(options),
                timeout=options.get("timeout"),
                on_progress=options.get("on_progress"),
                id=options.get("request_id"),
            )
            seen = _seen.get()
            if seen is not None:
                seen.append(answer)
            return answer

    return Dispatcher


def _metadata(options: Any) -> Any:
    given = {
        "resumption_token": options.get("resumption_token"),
        "on_resumption_token_update": options.get("on_resumption_token"),
        "headers": options.get("headers") or None,
    }
    return _Metadata(**given) if any(value is not None for value in given.values()) else None


def make_session(
    kind: Any,
    read_stream: Any,
    write_stream: Any,
    *,
    read_timeout: float | None,
    log_level: str | None = None,
    **callbacks: Any,
) -> Any:
    """A session of ours, of a class that is the SDK's or made of it."""
    requests = Requests(write_stream)
    dispatcher = _dispatcher()(requests, read_stream, write_stream)
    options = {} if log_level is None else {"log_level": log_level}
    session = _own(kind)(dispatcher=dispatcher, read_timeout_seconds=read_timeout, **options, **callbacks)
    session.requests = requests
    session.own_timeout = read_timeout
    session.own_dispatcher = dispatcher
    return session


@lru_cache(maxsize=8)
def _own(kind: Any) -> Any:
    """A class of sessions that know their ``Requests``."""

    class Session(kind, OwnSession):  # type: ignore[misc]  # the class in use is known when it is used
        own_timeout: float | None = None
        own_dispatcher: Any = None

        async def ask(
            self, method: str, params: dict[str, Any] | None, timeout: float | None, on_progress: OnProgress | None
        ) -> dict[str, Any]:
            if self.discover_result is not None:
                # Since protocol 2026-07-28 each request says who asks, and the session knows how.
                one = partial(_ask_unseen, self, method, timeout=timeout, on_progress=on_progress)
                return await asked_to_the_end(one, params or {}, self.answer_input)
            headers = {} if self.protocol_version is None else {_VERSION_HEADER: self.protocol_version}
            return await self.requests.send(
                method,
                params,
                metadata=_metadata({"headers": headers}),  # what the session would put on an HTTP request
                timeout=self.own_timeout if timeout is None else timeout,
                on_progress=on_progress,
            )

        def note_tools(self, schemas: Mapping[str, Any]) -> None:
            maps = {
                name: _inbound().x_mcp_header_map(schema) for name, schema in schemas.items() if is_mirrored(schema)
            }
            self.own_dispatcher.header_maps = {name: found for name, found in maps.items() if found}

    return Session


def is_mirrored(schema: Any) -> bool:
    """Whether a tool's schema may want arguments in HTTP headers (MCP 2026-07-28, "Streamable HTTP")."""
    return _inbound().X_MCP_HEADER_KEY in str(schema)


def why_not_mirrored(schema: Any) -> str | None:
    """Why the arguments that a schema wants in headers cannot be there; None where they can."""
    reason: str | None = _inbound().find_invalid_x_mcp_header(schema) if is_mirrored(schema) else None
    return reason


async def _ask_unseen(session: Any, method: str, params: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Send a request, and return the result as it stands on the wire even if the session finds fault with it."""
    seen: list[dict[str, Any]] = []
    token = _seen.set(seen)
    try:
        return await ask(session, method, params, options["timeout"], options["on_progress"])
    except ValidationError:
        if not seen:
            raise
        return seen[-1]
    finally:
        _seen.reset(token)


async def ask(
    session: Any, method: str, params: dict[str, Any] | None, timeout: float | None, on_progress: OnProgress | None
) -> dict[str, Any]:
    """Send a request on a session that is not ours, and return the result as it stands on the wire.

    Raises:
        pydantic.ValidationError: Some part of the result is not what the negotiated protocol version asks for.
    """
    result: dict[str, Any] = await session.send_request(
        _Request(method=method, params=params or {}),
        _RAW,
        request_read_timeout_seconds=None if timeout is None else read_timeout(timeout),
        progress_callback=on_progress,
    )
    return result


def capabilities(session: Any) -> Any:
    """The ``ServerCapabilities`` that the handshake brought, or None before it."""
    return session.server_capabilities


def negotiated_version(session: Any) -> str | None:
    """The version that the handshake agreed on, or None before it."""
    version: str | None = session.protocol_version
    return version


def read_timeout(seconds: float) -> Any:
    """How long one request may take, infinite for ever, as a session's methods want it."""
    return min(float(seconds), _FOR_EVER)


def meta(values: dict[str, Any]) -> Any:
    """The ``_meta`` of a request's params."""
    return values


def notification(made: Any) -> Any:
    """A client's notification as ``send_notification`` wants it."""
    return made


def incoming_method(message: Any) -> str | None:
    """The JSON-RPC method of what a ``message_handler`` gets; None for an exception."""
    return None if isinstance(message, Exception) else str(message.method)


# Eras ...

_IS_HERE = find_spec("mcp.shared.jsonrpc_dispatcher") is not None  # documents look at this module with either major
_version: Any = importlib.import_module("mcp.types.version") if _IS_HERE else None

MODERN_VERSIONS: tuple[str, ...] = tuple(_version.MODERN_PROTOCOL_VERSIONS) if _IS_HERE else ()
"""The protocol versions without handshake that the SDK speaks, the oldest first."""

HANDSHAKE_VERSIONS: tuple[str, ...] = tuple(_version.HANDSHAKE_PROTOCOL_VERSIONS) if _IS_HERE else ()
"""The protocol versions with a handshake that it speaks."""


async def send_discover(session: Any, protocol_version: str) -> dict[str, Any]:
    """Ask a server what it is, in a version without handshake."""
    answer: dict[str, Any] = await session.send_discover(protocol_version)
    return answer


def adopt_discovery(session: Any, answer: dict[str, Any]) -> Any:
    """Let a session go on as the server has described itself.

    Raises:
        NotMCP: It has not described itself.
        OtherEra: It speaks no version without handshake that the SDK speaks.
    """
    try:
        result = _types.DiscoverResult.model_validate(answer)
    except ValidationError as error:
        raise NotMCP("the server's description of itself cannot be read") from error
    if not set(result.supported_versions) & set(MODERN_VERSIONS):
        raise OtherEra(result.supported_versions)
    session.adopt(result)
    return result
