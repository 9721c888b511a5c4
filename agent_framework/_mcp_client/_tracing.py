# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Spans, metrics and trace context of MCP requests, by OpenTelemetry's semantic conventions for MCP.

Whether anything is recorded is the host's decision (``observability.OBSERVABILITY_SETTINGS``). When it says no, or when
nobody has set up a provider, a request costs a look at that switch. Trace context that is there already travels with a
request either way.

Traces leave the process and are read by many, so nothing secret goes into them: of a URL only host and port, of a
command nothing; no header, no argument and no result. What a server wrote (an error's message, a progress message) may
repeat any of these, and is recorded only where the host allows sensitive data. The convention's ``mcp.session.id`` is
left out for the same reason: over HTTP the id is all it takes to speak in somebody's session (MCP, "Security Best
Practices", session hijacking).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._exceptions import MCPError, MCPServerError, MCPToolError
from ._printable import NAME_LIMIT, printable
from ._server import Server
from .sdk import fields

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Span
    from typing_extensions import Self

    from ._state import State
    from ._streams import Call

DURATION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""The bounds that the convention asks for in both histograms, in seconds."""

OPERATION_DURATION = "mcp.client.operation.duration"
SESSION_DURATION = "mcp.client.session.duration"
PROGRESS_EVENT = "mcp progress"
STATE_EVENT = "mcp connection state"

_DESCRIPTIONS = {
    OPERATION_DURATION: "How long a request to an MCP server took, from sending it to its answer.",
    SESSION_DURATION: "How long a session with an MCP server lasted, from the end of its handshake.",
}
_TARGETS = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


# Requests ...


class RequestSpan:
    """The span of one request; this one records nothing.

    A context manager for one task: what runs inside sees the span as the current one. An exception that passes is the
    outcome. A cancellation is none: whoever cancels does not learn how the request would have ended.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        return None

    def answered(self, answer: Any) -> None:
        """Take what the answer says: a tool's failure, and the protocol version that a handshake agreed on."""

    def failed(self, error: BaseException | None) -> None:
        """Take this error, if it is one, as the outcome: a cancellation may have a reason that is an error."""


_UNRECORDED = RequestSpan()


class _RecordedSpan(RequestSpan):
    """A CLIENT span, and the measurement of how long it took.

    Args:
        server: To whom.
        name: The span's name.
        attributes: What is known before the request is sent; becomes the measurement's attributes too.
        call: Learns the request's id while it is sent, or None.
    """

    __slots__ = ("_attributes", "_call", "_error", "_name", "_server", "_span", "_started", "_token")

    def __init__(self, server: Server, name: str, attributes: dict[str, Any], call: Call | None) -> None:
        self._server = server
        self._name = name
        self._attributes = attributes
        self._call = call
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        from opentelemetry import context, trace

        from .. import observability

        self._span: Span = observability.get_tracer().start_span(
            self._name, kind=trace.SpanKind.CLIENT, attributes=self._attributes
        )
        self._token = context.attach(trace.set_span_in_context(self._span))
        self._started = perf_counter()
        return self

    def answered(self, answer: Any) -> None:
        if fields.if_there(answer, "isError") is True:
            self._attributes["error.type"] = "tool_error"
        version = fields.if_there(answer, "protocolVersion")
        if isinstance(version, (str, int)):
            self._attributes["mcp.protocol.version"] = str(version)

    def failed(self, error: BaseException | None) -> None:
        self._error = error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        from opentelemetry import context

        took = perf_counter() - self._started
        context.detach(self._token)
        outcome = error if self._error is None else self._error
        try:
            if outcome is None or isinstance(outcome, Exception):
                self._settle(outcome)
                _histogram(OPERATION_DURATION).record(took, self._attributes)
            self._note_request_id()
        finally:
            self._span.end()

    def _settle(self, error: Exception | None) -> None:
        from opentelemetry.trace import StatusCode

        description = None
        if error is not None:
            failure = _as_ours(error, self._server)
            self._attributes.update(_error_attributes(failure, error))
            description = _describe(failure)
        self._span.set_attributes(self._attributes)
        if "error.type" in self._attributes:
            self._span.set_status(StatusCode.ERROR, description)

    def _note_request_id(self) -> None:
        # Only on the span: in a measurement every request would be a series of its own.
        if self._call is not None and self._call.request_id is not None:
            self._span.set_attribute("jsonrpc.request.id", str(self._call.request_id))


def request_span(
    method: str,
    server: Server,
    *,
    target: str | None = None,
    protocol_version: str | int | None = None,
    call: Call | None = None,
) -> RequestSpan:
    """The span of one request, to be entered around it in the task that makes it.

    Args:
        method: The JSON-RPC method, such as ``"tools/call"``.
        server: To whom.
        target: The server's own name of the tool or prompt, for the methods that have one.
        protocol_version: What the handshake agreed on, where that is known.
        call: The call, whose request id is read when the span ends.
    """
    if not is_recorded():
        return _UNRECORDED
    attributes = {"mcp.method.name": method, **_peer(server.url, is_process=server.command is not None)}
    if protocol_version is not None:
        attributes["mcp.protocol.version"] = str(protocol_version)
    name = method
    if target is not None and method in _TARGETS:
        attributes[_TARGETS[method]] = target = printable(target, NAME_LIMIT)
        name = f"{method} {target}"
    if method == "tools/call":
        attributes["gen_ai.operation.name"] = "execute_tool"
    return _RecordedSpan(server, name, attributes, call)


# Events and sessions ...


def progress_recorder() -> Callable[[float, float | None, str | None], None] | None:
    """A function that notes progress, total and message on what is the current span now; None where none is recorded.

    Notifications arrive in the session's task, where another span is current, or none.
    """
    span = _current_span()
    if span is None:
        return None

    def record(progress: float, total: float | None = None, message: str | None = None) -> None:
        if not span.is_recording():
            return  # it came after the answer
        attributes: dict[str, Any] = {"progress": progress}
        if total is not None:
            attributes["total"] = total
        if message is not None and _may_record_texts():
            attributes["message"] = printable(message)
        span.add_event(PROGRESS_EVENT, attributes)

    return record


def record_state_change(server: Server, before: State, after: State, cause: BaseException | None = None) -> None:
    """Note on the current span that a connection changed its state.

    Args:
        server: Whose connection.
        before: The old state.
        after: The new one.
        cause: What ended the connection, when something did.
    """
    span = _current_span()
    if span is None:
        return
    attributes = {
        "agent_framework.mcp.server": server.name,
        "agent_framework.mcp.state.before": before.value,
        "agent_framework.mcp.state.after": after.value,
    }
    span.add_event(STATE_EVENT, {**attributes, **_ending(cause, server)})


def record_session(
    server: Server,
    seconds: float,
    *,
    protocol_version: str | int | None = None,
    cause: BaseException | None = None,
) -> None:
    """Measure a session that has ended.

    Args:
        server: With whom.
        seconds: How long it was ready.
        protocol_version: What the handshake agreed on.
        cause: What ended it, or None for a plain close.
    """
    if not is_recorded():
        return
    attributes = dict(_peer(server.url, is_process=server.command is not None))
    if protocol_version is not None:
        attributes["mcp.protocol.version"] = str(protocol_version)
    attributes.update(_ending(cause, server))
    _histogram(SESSION_DURATION).record(seconds, attributes)


# What all of them stand on ...


def is_recorded() -> bool:
    """Whether the host wants spans and somebody has set up a provider to take them."""
    from .. import observability

    if not observability.OBSERVABILITY_SETTINGS.ENABLED:
        return False
    from opentelemetry import metrics, trace

    return _is_real(trace.get_tracer_provider()) or _is_real(metrics.get_meter_provider())


def _is_real(provider: object) -> bool:
    """Whether a provider is somebody's; the API's own ones only hold the place."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def _may_record_texts() -> bool:
    from .. import observability

    return observability.OBSERVABILITY_SETTINGS.SENSITIVE_DATA_ENABLED


def _current_span() -> Span | None:
    """The current span if there is one that is recorded and the host wants it."""
    from .. import observability

    if not observability.OBSERVABILITY_SETTINGS.ENABLED:
        return None
    from opentelemetry import trace

    span = trace.get_current_span()
    return span if span.is_recording() else None


@cache
def _histogram(name: str) -> Histogram:
    from .. import observability

    return observability.get_meter().create_histogram(
        name, unit="s", description=_DESCRIPTIONS[name], explicit_bucket_boundaries_advisory=DURATION_BUCKETS
    )


@lru_cache(maxsize=128)
def _peer(url: str | None, *, is_process: bool) -> dict[str, Any]:
    """Where the server is and how it is reached. Shared by all callers: to be copied, never changed."""
    if url is None:
        return {"network.transport": "pipe"} if is_process else {}
    parts = urlsplit(url)
    attributes: dict[str, Any] = {
        "network.transport": "tcp",
        "network.protocol.name": "websocket" if parts.scheme in ("ws", "wss") else "http",
    }
    if parts.hostname:
        attributes["server.address"] = parts.hostname
        port = _port(parts.netloc) or _PORTS.get(parts.scheme)
        if port is not None:
            attributes["server.port"] = port
    return attributes


def _port(netloc: str) -> int | None:
    digits = netloc.rpartition(":")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _as_ours(error: BaseException, server: Server) -> MCPError:
    """An error as the caller will see it; the handshake and the end of a session meet the foreign ones."""
    if isinstance(error, MCPError):
        return error
    from ._errors import connect_error

    return connect_error(error, server, "initialize")


def _error_attributes(failure: MCPError, error: BaseException) -> dict[str, str]:
    if isinstance(failure, MCPToolError):
        return {"error.type": "tool_error"}
    if isinstance(failure, MCPServerError) and failure.code is not None:
        return {"error.type": str(failure.code), "rpc.response.status_code": str(failure.code)}
    if failure.status_code is not None:
        return {"error.type": str(failure.status_code)}
    # An MCPError without a finer class is of a kind nobody foresaw; then the original says more.
    return {"error.type": type(error if type(failure) is MCPError else failure).__name__}


def _ending(cause: BaseException | None, server: Server) -> dict[str, str]:
    return {} if cause is None else {"error.type": _error_attributes(_as_ours(cause, server), cause)["error.type"]}


def _describe(failure: MCPError) -> str | None:
    """The status description: the sentence, or, since a server's words may be in it, only what kinds of errors met."""
    if _may_record_texts():
        return str(failure)
    cause = failure.__cause__
    return None if cause is None else f"{type(failure).__name__} because of {type(cause).__name__}"
