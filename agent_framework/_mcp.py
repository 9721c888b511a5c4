# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Tools that live on an MCP (Model Context Protocol) server, as an agent uses them.

Each tool object stands for one server: it lists what the server offers as ``FunctionTool`` objects and calls it. All
its callers share one connection, which a task of its own opens and closes (``_mcp_client/_connection.py``), so that
any task may connect, call and close. The promises:

* a ``CancelledError`` reaches a caller only if that caller was cancelled; every other failure is a ``ToolException``
  whose message names the server and the root cause;
* nothing waits for ever: whatever ends a connection wakes everybody who depends on it;
* a call that may have reached the server is never sent a second time.

Importing this module imports neither ``mcp`` nor ``anyio``; opening the first connection does.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import math
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, TypeVar, Union, cast

from opentelemetry import propagate

from ._mcp_client import _arguments, _keywords, _naming, _options, _results, _tracing
from ._mcp_client._arguments import Declared, Given
from ._mcp_client._context import call_headers, run_arguments, run_values
from ._mcp_client._exceptions import (
    MCPAuthenticationError,
    MCPConnectionError,
    MCPError,
    MCPProtocolError,
    MCPServerError,
    MCPTimeoutError,
    MCPToolError,
)
from ._mcp_client._identity import InUse, SessionIdentity
from ._mcp_client._optional import Absence, is_absence
from ._mcp_client._outage import Outage
from ._mcp_client._output_schemas import OutputSchemas
from ._mcp_client._printable import NAME_LIMIT, printable, printable_json
from ._mcp_client._progress import ProgressReports
from ._mcp_client._results import HOST_PAYLOAD_KEY, HOST_PAYLOAD_SIZE, ToolResultContent
from ._mcp_client._sampling import (
    SAMPLING_MAX_REQUESTS,
    SAMPLING_MAX_TOKENS,
    ElicitationCallback,
    Roots,
    Sampling,
    SamplingApproval,
    elicit,
    list_roots,
)
from ._mcp_client._server import Server, public_url
from ._mcp_client._state import MCPStateChange, State
from ._mcp_client._tasks import MCPTaskOptions, TaskCalls, is_required
from ._mcp_client.sdk import fields
from ._tools import FunctionTool
from .exceptions import ToolException, ToolExecutionException

if TYPE_CHECKING:
    import httpx
    from mcp import types
    from mcp.client.session import ClientSession
    from typing_extensions import Self

    from ._clients import SupportsChatGetResponse
    from ._mcp_client._disclosure import Disclosure
    from ._mcp_client._eras import Negotiation
    from ._mcp_client._link import Link
    from ._middleware import FunctionInvocationContext
    from ._types import Content, Message

# The exceptions have this address in every package that takes this layer in, whatever its own modules show.
__all__ = [
    "MCPAuthenticationError",
    "MCPConnectionError",
    "MCPError",
    "MCPProtocolError",
    "MCPServerError",
    "MCPSpecificApproval",
    "MCPStateChange",
    "MCPStdioTool",
    "MCPStreamableHTTPTool",
    "MCPTaskOptions",
    "MCPTimeoutError",
    "MCPTool",
    "MCPToolError",
    "MCPWebsocketTool",
]

T = TypeVar("T")
P = TypeVar("P")

SamplingApprovalCallback = SamplingApproval
MCPToolResultContentMode = ToolResultContent

ArgumentNames = Union[str, Iterable[str], Mapping[str, Union[str, Iterable[str]]]]  # noqa: UP007  # evaluated on 3.10
ProgressCallback = Callable[[str, float, Union[float, None], Union[str, None]], Any]  # noqa: UP007  # as above

logger = logging.getLogger(__name__)

LOG_LEVEL_MAPPING: dict[str, int] = {
    name: level
    for level, names in (
        (logging.DEBUG, ("debug",)),
        (logging.INFO, ("info", "notice")),
        (logging.WARNING, ("warning",)),
        (logging.ERROR, ("error",)),
        (logging.CRITICAL, ("critical", "alert", "emergency")),
    )
    for name in names
}
"""MCP's log levels (those of RFC 5424) as those of ``logging``."""

MCP_DEFAULT_TIMEOUT = 30
"""How long opening a connection or a listing request may take, in seconds, unless the user says otherwise."""

HEADER_MISMATCH = -32020
"""The JSON-RPC error code for a request whose HTTP headers do not mirror it (MCP 2026-07-28, "Streamable HTTP")."""

MCP_DEFAULT_SSE_READ_TIMEOUT = 300
"""How long an HTTP event stream may be silent, in seconds; the SDK's default client has it built in."""

_MCP_REMOTE_NAME_KEY = "_mcp_remote_name"
_MCP_NORMALIZED_NAME_KEY = "_mcp_normalized_name"
_MCP_KIND_KEY = "_mcp_kind"
_MCP_TOOL_RESULT_HOST_PAYLOAD_KEY = HOST_PAYLOAD_KEY
_ORDER: dict[str | None, int] = {"tools": 0, "prompts": 1}

_mcp_call_headers = call_headers

_TAKEN_BY_CALL_TOOL = frozenset(["self", "tool_name", *_arguments.OPTIONS])
"""Names that a tool's argument may have, and that ``call_tool`` cannot take for one as a keyword."""

_TAKEN_BY_GET_PROMPT = frozenset(["self", "prompt_name"])
"""The same for prompts."""


class MCPSpecificApproval(TypedDict, total=False):
    """Approval by name, where one mode for all functions of a server is too coarse; the first key wins."""

    always_require_approval: Collection[str] | None
    never_require_approval: Collection[str] | None


def streamable_http_client(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Any]:
    """The SDK's streamable HTTP transport, imported when it is used."""
    from mcp.client import streamable_http

    return streamable_http.streamable_http_client(*args, **kwargs)


def _normalize_mcp_name(name: str) -> str:
    return _naming.normalize(name)


def _build_prefixed_mcp_name(normalized_name: str, tool_name_prefix: str | None) -> str:
    return _naming.exposed_name(normalized_name, tool_name_prefix)


def _get_input_model_from_mcp_prompt(prompt: types.Prompt) -> dict[str, Any]:
    return _naming.prompt_schema(prompt)


def _inject_otel_into_mcp_meta(meta: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The trace context to send in a request's ``_meta``; what is there already is not overwritten."""
    carrier: dict[str, Any] = {}
    propagate.inject(carrier)
    merged = {**carrier, **(meta or {})}
    return merged or None


class MCPTool:
    """A server's tools and prompts; the base of the three transports.

    Args:
        name: What this server is called here.
        description: For humans and for agents that are told about the tool as a whole.
        approval_mode: Which functions need approval before they run: a mode for all, or by name.
        allowed_tools: The only functions to expose, by exposed or remote name; None exposes all, an empty one none.
        tool_name_prefix: Put before every name, so that functions of several servers do not collide.
        load_tools: Whether to list the server's tools when connecting.
        parse_tool_results: Turns a ``CallToolResult`` into content, instead of the built-in parser.
        load_prompts: Whether to list the server's prompts when connecting.
        parse_prompt_results: Turns a ``GetPromptResult`` into text, instead of the built-in parser.
        session: A session of your own to use. It is initialised if need be, never closed and never replaced.
        request_timeout: How long the server may take to answer a request, in seconds; None for ever.
        client: The chat client for sampling requests of the server.
        additional_properties: Anything of yours; kept as given.
        connect_timeout: How long opening a connection may take, in seconds; None for 30.
        additional_tool_argument_names: Names of values that reach the server although a tool does not declare them: for
            every tool, or by tool with ``"*"`` for every one.
        progress_callback: Called with tool name, progress, total and message (the last two may be None) whenever the
            server reports on a call; sync or async.
        sampling_approval_callback: Says whether a request of the server may go to ``client``; without one, none may.
        sampling_max_tokens: How long a sampled answer may be, in tokens; None for no limit.
        sampling_max_requests: How many sampling requests the server may make in one session; None for no limit.
        elicitation_callback: Asks the person when the server wants to know something; without one, it is refused.
        roots: The paths or ``file:`` URIs that the server is told to work in, or a function that returns them.
        task_options: How tools are called that the server runs as tasks.
        use_progressive_disclosure: Whether models see three loaders instead of all functions, and load what they need.
        always_load: The functions that they see from the beginning all the same, by exposed or remote name.
        max_host_payload_size_bytes: How large a result may be, as JSON, for a host to carry it whole beside what the
            model reads; None for no limit. Hosts before agent-framework-core 1.18 carry none.
        tool_result_content: Which part of a result models read: ``both``, or of content and structured content the
            ``..._first`` that is there, or the ``..._only``. ``structured_first`` leaves out only text.
        ping_interval: How long the server may be silent while calls wait, in seconds. Then it is pinged, and if it is
            silent for as long again, the connection counts as lost and the calls end. None never pings: a server that
            works on one thing at a time cannot answer meanwhile.
        on_state_change: Called with an ``MCPStateChange`` whenever a connection of this tool changes its state, in the
            event loop, in the middle of the change: it must be quick, and must not be a coroutine function.
        optional: Whether whoever enters the tool, an agent for one, goes on without it when its server is away. That is
            logged once, the tool has no functions meanwhile, and the server is tried again each time the tool is
            entered, so at each run of an agent. ``connect()`` is strict in any case.
        protocol_mode: The protocol era to speak with the server: ``"auto"`` finds out, once for a server, whether it
            speaks 2026-07-28 or later (which needs mcp 2.x), and otherwise does the ``initialize`` handshake;
            ``"legacy"`` never asks; a version such as ``"2026-07-28"`` is the only one spoken.

    A parameter that is wrong is an error of the constructor; an attribute that was assigned a wrong value is one when
    the next connection is opened.

    Raises:
        TypeError: A parameter is of another type than it takes.
        ValueError: It is of the right type and cannot be meant: a negative time, a mode that does not exist, a command
            with its arguments in it, a URL without scheme.
        NotImplementedError: The host lacks what ``use_progressive_disclosure`` needs.
    """

    _settings: ClassVar[_options.Table] = _options.SHARED

    def __init__(
        self,
        name: str,
        description: str | None = None,
        approval_mode: Literal["always_require", "never_require"] | MCPSpecificApproval | None = None,
        allowed_tools: Collection[str] | None = None,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        session: ClientSession | None = None,
        request_timeout: float | None = None,
        client: SupportsChatGetResponse | None = None,
        additional_properties: dict[str, Any] | None = None,
        *,
        connect_timeout: float | None = None,
        additional_tool_argument_names: ArgumentNames | None = None,
        progress_callback: ProgressCallback | None = None,
        sampling_approval_callback: SamplingApproval | None = None,
        sampling_max_tokens: int | None = SAMPLING_MAX_TOKENS,
        sampling_max_requests: int | None = SAMPLING_MAX_REQUESTS,
        elicitation_callback: ElicitationCallback | None = None,
        roots: Roots | None = None,
        task_options: MCPTaskOptions | None = None,
        use_progressive_disclosure: bool = False,
        always_load: Collection[str] | None = None,
        max_host_payload_size_bytes: int | None = HOST_PAYLOAD_SIZE,
        tool_result_content: MCPToolResultContentMode = "structured_first",
        ping_interval: float | None = None,
        on_state_change: Callable[[MCPStateChange], None] | None = None,
        optional: bool = False,
        protocol_mode: str = "auto",
    ) -> None:
        check = _options.Checks(name, self._settings)
        self.name = check("name", name)
        self.description = check("description", description) or ""
        self.approval_mode = check("approval_mode", approval_mode)
        self.allowed_tools = check("allowed_tools", allowed_tools)
        self.tool_name_prefix = _naming.normalize_prefix(check("tool_name_prefix", tool_name_prefix))
        self.load_tools_flag = check("load_tools", load_tools)
        self.parse_tool_results = check("parse_tool_results", parse_tool_results)
        self.load_prompts_flag = check("load_prompts", load_prompts)
        self.parse_prompt_results = check("parse_prompt_results", parse_prompt_results)
        self.request_timeout = check("request_timeout", request_timeout)
        self.connect_timeout = check("connect_timeout", connect_timeout)
        self.client = check("client", client)
        self.additional_properties = check("additional_properties", additional_properties)
        self.progress_callback = check("progress_callback", progress_callback)
        self.sampling_approval_callback = check("sampling_approval_callback", sampling_approval_callback)
        self.sampling_max_tokens = check("sampling_max_tokens", sampling_max_tokens)
        self.sampling_max_requests = check("sampling_max_requests", sampling_max_requests)
        self.elicitation_callback = check("elicitation_callback", elicitation_callback)
        self.roots = check("roots", roots)
        self.task_options = check("task_options", task_options) or MCPTaskOptions()
        self.tool_result_content = check("tool_result_content", tool_result_content)
        self.max_host_payload_size_bytes = check("max_host_payload_size_bytes", max_host_payload_size_bytes)
        self.use_progressive_disclosure = check("use_progressive_disclosure", use_progressive_disclosure)
        self.always_load = check("always_load", always_load)
        self._disclosure = self._make_disclosure()
        self._function_load_callback: Callable[[FunctionTool, Any], None] | None = None
        self.ping_interval = check("ping_interval", ping_interval)
        self.on_state_change = check("on_state_change", on_state_change)
        self.optional = check("optional", optional)
        self.protocol_mode = check("protocol_mode", protocol_mode)
        self._negotiation: Negotiation | None = None
        self._absence = Absence()
        self._outage = Outage()
        self._sampling = Sampling()
        extra = check("additional_tool_argument_names", additional_tool_argument_names)
        self._extra_arguments = _arguments.by_tool(extra)
        self._functions: list[FunctionTool] = []
        self._listed: dict[str, dict[str, Any]] = {"tools": {}, "prompts": {}}
        self._output_schemas = OutputSchemas(name)
        self._catalogue_version = 0
        self._stale: set[str] = set()
        self._reloading_on: Link | None = None
        self._link: Link | None = None
        self._listed_on: Link | None = None  # the connection that brought the catalogue
        self._unwanted: Link | None = None  # what close() was called on: no call opens another one in its place
        self._closings = 0
        self.session = check("session", session)

    def __str__(self) -> str:
        return f"MCPTool(name={self.name}, description={self.description})"

    def __repr__(self) -> str:
        link = self._link
        state, generation = ("new", 0) if link is None else (link.state.value, link.generation)
        return f"<{type(self).__name__} {self._server} {state} generation={generation}>"

    @property
    def _server(self) -> Server:
        return Server(self.name)

    # State ...

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent now. Assigning False drops the session; True vouches for an assigned one."""
        return self._link is not None and self._link.state is State.READY

    @is_connected.setter
    def is_connected(self, value: bool) -> None:
        if value:
            if not self.is_connected:
                self._borrow(None if self._link is None else self._link.session, State.READY)
        elif self._link is not None:
            self._link.drop()

    @property
    def session(self) -> ClientSession | None:
        """The session in use. Assigning one makes the tool use it without owning it; assigning None drops it."""
        link = self._link
        return None if link is None or link.is_over else link.session

    @session.setter
    def session(self, value: ClientSession | None) -> None:
        if value is not None:
            self._borrow(value, State.READY if self.is_connected else State.NEW)
        elif self._link is not None:
            self._link.drop()

    def _borrow(self, session: Any, state: State) -> None:
        from ._mcp_client._borrowed import BorrowedSession

        if self._link is not None:
            self._link.drop()
        timeout = self.connect_timeout or MCP_DEFAULT_TIMEOUT
        self._link = BorrowedSession(self._server, session, state, connect_timeout=timeout)

    @property
    def _lifecycle_owner_task(self) -> asyncio.Task[Any] | None:
        return getattr(self._link, "owner", None)

    # Opening and closing ...

    async def connect(self, *, reset: bool = False) -> None:
        """Open the connection and list what the server offers.

        Callers at the same time share one handshake and one listing. A caller that is cancelled leaves the others
        alone; when the last one leaves, the attempt is taken down before its ``CancelledError`` goes on.

        Args:
            reset: Replace a connection that is there by a new one.

        Raises:
            ToolException: The server cannot be reached, refuses, or does not answer properly; nothing is left behind.
            TypeError: An attribute was assigned what the constructor would not have taken.
            ValueError: Likewise.
        """
        seen = self._catalogue_version

        async def finish(link: Link) -> None:
            async with link.loading:
                # Somebody who connected at the same time may have listed everything meanwhile.
                if self._catalogue_version == seen:
                    await self._load_configured(link)

        await self._load_sdk()
        link = self._link
        if link is None or link.is_over or (reset and link.state is State.READY and link.generation):
            link = self._replace(link)
        looked_ready = link.state is State.READY
        try:
            await link.open(finish)
        except MCPError:
            if not looked_ready or not link.is_over or link.cause is None:
                raise
            # Listing has shown that the connection was gone. Somebody else may have replaced it meanwhile.
            successor = self._link if self._link is not None and self._link is not link else self._replace(link)
            await successor.open(finish)
        self._note_presence()

    def _replace(self, link: Link | None) -> Link:
        """A new connection in the place of one that is over. No await: whoever comes next finds it and joins it."""
        connection = self._new_connection(link)
        self._link = connection
        return connection

    async def _load_sdk(self) -> None:
        """Import the SDK if need be.

        Raises:
            ToolException: It is not installed.
            MCPConnectionError: The tool was closed meanwhile.
        """
        from ._mcp_client import _loading

        closings = self._closings
        try:
            await _loading.load()
        except ModuleNotFoundError as error:
            raise ToolException(f"MCP support requires `mcp`. Install it with `pip install mcp`. ({error})") from error
        self._require_not_closed_since(closings)

    def _require_not_closed_since(self, closings: int) -> None:
        if self._closings != closings:
            sentence = f"Failed to connect to MCP server: {self._server}: the connection was closed."
            raise MCPConnectionError(sentence, server=str(self._server), phase="connect", sent=False)

    def _new_connection(self, predecessor: Link | None) -> Link:
        from ._mcp_client._connection import CONNECT_TIMEOUT, Connection

        _options.check_again(self, self._settings)
        return Connection(
            self._server,
            generation=1 if predecessor is None else predecessor.generation + 1,
            open_transport=self._open_transport,
            make_session=self._make_session,
            connect_timeout=self.connect_timeout or CONNECT_TIMEOUT,
            request_timeout=self.request_timeout or None,
            handlers=self._request_handlers,
            ping_interval=self.ping_interval,
            on_change=self._note_change,
            predecessor=predecessor if isinstance(predecessor, Connection) else None,
            negotiation=self._negotiation_with_server(),
            on_missed_changes=lambda: self._reload_soon("tools", "prompts"),
        )

    def _negotiation_with_server(self) -> Negotiation:
        from ._mcp_client._eras import Negotiation

        if self._negotiation is None or self._negotiation.mode != self.protocol_mode:
            self._negotiation = Negotiation(self.protocol_mode)
        return self._negotiation

    @property
    def protocol_version(self) -> str | None:
        """The MCP version that the present connection speaks, such as ``"2025-11-25"``; None without one."""
        link = self._link
        return link.protocol_version if link is not None and self.is_connected else None

    @property
    def server_info(self) -> types.Implementation | None:
        """The connected server's name and version; None without a connection, or where it does not say."""
        link = self._link
        return link.server_info if link is not None and self.is_connected else None

    def _note_change(self, change: MCPStateChange) -> None:
        if change.after == State.READY.value:
            self._outage.note_return()
        elif change.before == State.CONNECTING.value and change.error is not None:
            self._outage.note_failure(time.monotonic(), unanswered=isinstance(change.error, MCPTimeoutError))
        if self.on_state_change is not None:
            try:
                self.on_state_change(change)
            except Exception:  # the user's own code, which must not end the connection
                logger.exception("The on_state_change of MCP server %s failed.", self._server)

    def _make_session(self, read_stream: Any, write_stream: Any) -> AbstractAsyncContextManager[Any]:
        from ._mcp_client import _sdk

        self._sampling.start_session()
        # The connection answers these requests beside the session; the session needs them for the capabilities that it
        # tells the server.
        handlers = self._request_handlers
        return _sdk.make_session(
            read_stream,
            write_stream,
            read_timeout=self.request_timeout,
            message_handler=self.message_handler,
            logging_callback=self.logging_callback,
            sampling_callback=handlers.get("sampling/createMessage"),
            sampling_capabilities=None if self.client is None else _sdk.sampling_with_tools(),
            elicitation_callback=handlers.get("elicitation/create"),
            list_roots_callback=handlers.get("roots/list"),
            log_level=self._log_level,
        )

    @property
    def _request_handlers(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """What answers the server's requests. Sampling always does, be it by a refusal; a subclass may do better."""
        handlers: dict[str, Callable[..., Awaitable[Any]]] = {"sampling/createMessage": self.sampling_callback}
        if self.elicitation_callback is not None:
            handlers["elicitation/create"] = self._answer_elicitation
        if self.roots is not None:
            handlers["roots/list"] = self._answer_roots
        return handlers

    async def close(self) -> None:
        """Close the connection, from any task, at any time, as often as you like.

        Calls in flight get an ``MCPConnectionError``. What the server listed stays listed. Takes a few seconds at most.
        """
        self._closings += 1
        self._unwanted = self._link
        if self._link is not None:
            await self._link.close()
        await self._absence.give_up()

    async def __aenter__(self) -> Self:
        """Connect; without success too, if the tool is ``optional`` and its server is away.

        Raises:
            ToolException: See :meth:`connect`; nothing is left behind.
        """
        _options.check_again(self, self._settings)
        try:
            await self._connect_on_entering()
        except ToolException as error:
            if not (self.optional and is_absence(error)):
                await self.close()
                raise
            if not self._absence.is_redialling:
                await self.close()
                self._unwanted = None  # it is away, and a call may find that it is back
            self._absence.announce(self._server, error)
        except Exception as error:  # a subclass may connect in a way of its own and raise what it likes
            await self.close()
            raise ToolExecutionException("Failed to enter context manager.") from error
        else:
            self._note_presence()  # here too, for a subclass that connects in a way of its own
        return self

    async def _connect_on_entering(self) -> None:
        if self.optional:
            await self._absence.connect(self.connect, self._server, self.connect_timeout or MCP_DEFAULT_TIMEOUT)
        else:
            await self.connect()

    def _note_presence(self) -> None:
        if self._absence.announced:
            self._absence.end(self._server)

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The transport: an async context manager that yields a stream to read from and one to write to.

        For subclasses to override; what they return is entered and left by the connection's own task.
        """
        raise ToolException(f"{type(self).__name__} has no transport; use a subclass, or pass a session.")

    async def _prepare_for_run(self, kwargs: Mapping[str, Any]) -> None:
        """Take note of a run's values before it begins; hosts from agent-framework-core 1.19 on call this."""

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        """What the connection enters: the transports' own, unless somebody has overridden ``get_mcp_client``."""
        return self.get_mcp_client()

    # The catalogue ...

    @property
    def functions(self) -> list[FunctionTool]:
        """What the server offers and ``allowed_tools`` lets through; nothing while an optional server is away."""
        if self._absence.announced and not self.is_connected:
            return []
        return self._offered if self._disclosure is None else self._disclosure.functions()

    def _make_disclosure(self) -> Disclosure | None:
        if not self.use_progressive_disclosure:
            return None
        if not self.load_tools_flag:
            raise ValueError("use_progressive_disclosure needs load_tools.")
        from ._mcp_client import _disclosure

        _disclosure.check_host()
        return _disclosure.Disclosure(
            lambda: self._offered, lambda: self.tool_name_prefix, self.always_load or (), _remote_name
        )

    @property
    def _offered(self) -> list[FunctionTool]:
        if self.allowed_tools is None:
            return list(self._functions)
        allowed = frozenset(self.allowed_tools)  # looked up twice for each function
        return [
            function for function in self._functions if function.name in allowed or _remote_name(function) in allowed
        ]

    async def load_tools(self) -> None:
        """List the server's tools anew: changed ones change, vanished ones vanish. Connects first if need be.

        Raises:
            ToolException: The listing failed; the tools listed before are kept.
        """
        await self._load("tools")

    async def load_prompts(self) -> None:
        """List the server's prompts anew, as :meth:`load_tools` does the tools.

        Raises:
            ToolException: The listing failed; the prompts listed before are kept.
        """
        await self._load("prompts")

    async def _load(self, kind: str) -> None:
        link = await self._ready_link(dial=True)
        try:
            async with link.loading:
                await self._load_on(link, kind)
        except MCPError:
            if not link.is_over or link.cause is None:
                raise
            successor = await self._ready_link()  # asking again does no harm
            async with successor.loading:
                await self._load_on(successor, kind)

    async def _load_configured(self, link: Link) -> None:
        for kind, wanted in (("tools", self.load_tools_flag), ("prompts", self.load_prompts_flag)):
            if wanted and _offers(link, kind):
                await self._load_on(link, kind)
        self._catalogue_version += 1
        self._listed_on = link
        await self._send_log_level(link)

    async def _load_on(self, link: Link, kind: str) -> None:
        from ._mcp_client import _listing, _sdk

        timeout = self.request_timeout or MCP_DEFAULT_TIMEOUT
        entries = await _listing.list_all(link, kind, timeout=timeout, setting="request_timeout")
        if kind == "tools":
            await self._prepare_output_schemas(entries)
        make = self._tool_function if kind == "tools" else self._prompt_function
        made = [make(entry) for entry in entries]
        if self._function_load_callback is not None:
            for function, entry in zip(made, entries, strict=True):
                self._function_load_callback(function, getattr(entry, "annotations", None))
        self._swap(kind, self._keep_unchanged(kind, made, entries))
        self._listed[kind] = {entry.name: entry for entry in entries}
        if kind == "tools":
            _sdk.note_tools(link.session, entries)

    @property
    def _log_level(self) -> str | None:
        """The level of the messages that our logger would show, by MCP's name; None where it has none of its own."""
        if logger.level == logging.NOTSET:
            return None
        return next((name for name, value in LOG_LEVEL_MAPPING.items() if value >= logger.level), "emergency")

    async def _prepare_output_schemas(self, tools: list[types.Tool]) -> None:
        from ._mcp_client import _loading

        if any(fields.output_schema(tool) is not None for tool in tools):
            with suppress(ImportError):  # without the validator results are delivered unchecked, which is logged then
                await _loading.load(_loading.VALIDATOR)
        self._output_schemas = OutputSchemas(self._server)

    async def _send_log_level(self, link: Link) -> None:
        """Ask the server for the log messages that our logger would show (MCP, "Logging")."""
        from ._mcp_client import _sdk

        level = self._log_level
        if level is None or not _offers(link, "logging") or link.protocol_version in _sdk.MODERN_VERSIONS:
            return  # since protocol 2026-07-28 the session says it with each request
        try:
            await link.request(
                lambda session: _sdk.set_log_level(session, level),
                method="logging/setLevel",
                phase="connect",
                what="Setting the log level",
                timeout=self.request_timeout or MCP_DEFAULT_TIMEOUT,
                setting="request_timeout",
            )
        except MCPError as error:
            logger.warning("Failed to set log level to %s on MCP server %s: %s", level, self._server, error)

    def _swap(self, kind: str, fresh: list[FunctionTool]) -> None:
        """Put what was listed in the place of what was there, in one step. Prompts yield to tools of the same name."""
        named: dict[str, FunctionTool] = {}
        for function in fresh:
            holder = named.setdefault(function.name, function)
            if _remote_name(holder) != _remote_name(function):
                raise MCPProtocolError(
                    f"MCP server {self._server} offers '{_remote_name(holder)}' and '{_remote_name(function)}', "
                    f"which would both be called '{function.name}' here; ask the server's author to rename one.",
                    server=str(self._server),
                    phase="list",
                )
        merged = [*named.values(), *(item for item in self._functions if _kind(item) != kind)]
        tools = {item.name for item in merged if _kind(item) == "tools"}
        kept = [item for item in merged if _kind(item) != "prompts" or item.name not in tools]
        self._functions = sorted(kept, key=lambda item: _ORDER.get(_kind(item), len(_ORDER)))

    def _keep_unchanged(self, kind: str, made: list[FunctionTool], entries: list[Any]) -> list[FunctionTool]:
        """Those of the functions there are that the server lists as before, and new ones for the rest.

        Hosts and users put things on a function, such as security labels; a listing must not take them off.
        """
        if self._function_load_callback is not None:
            return made  # the host has put its things on the new ones
        there = {(item.name, _remote_name(item)): item for item in self._functions if _kind(item) == kind}

        def merge(function: FunctionTool, entry: Any) -> FunctionTool:
            old = there.get((function.name, entry.name))
            if old is None:
                return function
            if entry == self._listed[kind].get(entry.name) and old.approval_mode == function.approval_mode:
                return old
            function.additional_properties = {
                **(old.additional_properties or {}),
                **(function.additional_properties or {}),
            }
            return function

        return [merge(function, entry) for function, entry in zip(made, entries, strict=True)]

    def _tool_function(self, tool: types.Tool) -> FunctionTool:
        async def call(_run_context: FunctionInvocationContext, **arguments: Any) -> Any:
            with _results.kept_for_host(_run_context, self.max_host_payload_size_bytes):
                return await self._call_for_model(
                    tool.name, _arguments_of_model(_run_context, arguments), _run_context.kwargs
                )

        return self._function(tool, "tools", call, _naming.input_schema(fields.input_schema(tool)))

    def _prompt_function(self, prompt: types.Prompt) -> FunctionTool:
        async def get(_run_context: FunctionInvocationContext, **arguments: Any) -> str:
            return await self._call_prompt_with_runtime_kwargs(
                prompt.name, _arguments_of_model(_run_context, arguments), _run_context.kwargs
            )

        return self._function(prompt, "prompts", get, _get_input_model_from_mcp_prompt(prompt))

    def _function(self, item: Any, kind: str, call: Callable[..., Any], schema: dict[str, Any]) -> FunctionTool:
        normalized = _normalize_mcp_name(item.name)
        name = _build_prefixed_mcp_name(normalized, self.tool_name_prefix)
        return FunctionTool(
            func=call,
            name=name,
            description=item.description or "",
            approval_mode=self._determine_approval_mode(name, item.name),
            input_model=schema,
            additional_properties={
                _MCP_REMOTE_NAME_KEY: item.name,
                _MCP_NORMALIZED_NAME_KEY: normalized,
                _MCP_KIND_KEY: kind,
            },
        )

    def _determine_approval_mode(self, *names: str) -> Literal["always_require", "never_require"] | None:
        return _naming.approval_for(names, self.approval_mode)

    # Calls ...

    async def call_tool(self, tool_name: str, *arguments: Any, **kwargs: Any) -> str | list[Content]:
        """Call a tool of the server.

        A connection that was lost is opened anew. The call is repeated by itself only if it certainly never ran.

        Args:
            tool_name: The server's own name of the tool.
            *arguments: Its arguments in one mapping, instead of keywords or besides them.
            **kwargs: Its arguments, or the mapping as ``arguments=`` where the tool declares no parameter of that name.
                Only what the tool declares, or ``additional_tool_argument_names`` names, is sent. Two keywords, but
                not two names in the mapping, are no arguments: ``_meta``, a mapping for the request's ``_meta``, and
                ``_timeout``, how long this call may take in seconds, instead of ``request_timeout``.

        Returns:
            What ``parse_tool_results`` makes of the result, by default a list of content.

        Raises:
            MCPToolError: The tool ran and says that it failed.
            MCPTimeoutError: No answer in time.
            MCPConnectionError: The server is gone; ``sent`` tells whether the call may have run.
            ToolExecutionException: Anything else, such as a JSON-RPC error of the server.
            TypeError: The arguments are no mapping, there are two of them, or they repeat a keyword.
        """
        return await self._call(tool_name, self._given(tool_name, arguments, kwargs))

    async def call_tool_as_task(self, tool_name: str, *arguments: Any, **kwargs: Any) -> str | list[Content]:
        """Call a tool as a task even where the server would take a plain call; otherwise as :meth:`call_tool` does.

        A server that refuses tasks is called plainly.

        Args:
            tool_name: The server's own name of the tool.
            *arguments: As for :meth:`call_tool`.
            **kwargs: As for :meth:`call_tool`.

        Returns:
            What ``parse_tool_results`` makes of the result, by default a list of content.

        Raises:
            MCPToolError: The task failed, was cancelled, or wants input.
            MCPTimeoutError: It took longer than ``task_options.max_task_wait``.
            MCPError: What became of it is unknown.
            TypeError: As for :meth:`call_tool`.
        """
        return await self._call(tool_name, self._given(tool_name, arguments, kwargs), as_task=True)

    def _given(self, tool_name: str, positional: tuple[Any, ...], keywords: Mapping[str, Any]) -> Given:
        declared = self._declared_by_tool(tool_name)
        return _arguments.gather(f"Tool '{tool_name}'", positional, keywords, declared, _arguments.OPTIONS)

    async def _call_for_model(self, tool_name: str, arguments: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        """Call a tool with a model's arguments over the run's values, which may serve ``header_provider``."""
        declared = self._declared_by_tool(tool_name)
        _arguments.require_an_object(f"Tool '{tool_name}'", arguments, declared, self._extra_for(tool_name))
        positional, keywords = _arguments.spread(arguments, values, _TAKEN_BY_CALL_TOOL, declared)
        token = run_values.set(frozenset(values) - frozenset(arguments))
        run_token = run_arguments.set(dict(values))
        try:
            return await self.call_tool(tool_name, *positional, **keywords)
        finally:
            run_arguments.reset(run_token)
            run_values.reset(token)

    async def _call(self, tool_name: str, given: Given, *, as_task: bool = False) -> str | list[Content]:
        if not self.load_tools_flag:
            raise ToolExecutionException(
                "Tools are not loaded for this server, please set load_tools=True in the constructor."
            )
        what = f"Tool '{tool_name}'"
        timeout, setting, own_limit = self.request_timeout, "request_timeout", None
        if "_timeout" in given.options:
            timeout, setting = given.options["_timeout"], "_timeout"
            _require_seconds(setting, timeout)
            # The session was told request_timeout, and would end the wait by itself.
            own_limit = timeout or math.inf
        arguments = self._arguments_for(tool_name, given)

        def meta() -> dict[str, Any] | None:
            return self._meta_for(tool_name, given.options.get("_meta"))

        async def send(session: Any) -> types.CallToolResult:
            from ._mcp_client import _sdk

            # In here the request's own span is the current one.
            return await _sdk.call_tool(
                session,
                tool_name,
                arguments,
                meta=meta(),
                read_timeout=own_limit,
                progress_callback=self._progress_for(tool_name),
            )

        with self._headers_for(given.arguments):
            if as_task or is_required(self._listed["tools"].get(tool_name)):
                result = await self._task_calls(tool_name).call(
                    tool_name, arguments, meta, plainly=send, timeout=timeout or None
                )
            else:
                request = partial(
                    self._request,
                    send,
                    method="tools/call",
                    target=tool_name,
                    phase="call",
                    what=what,
                    timeout=timeout or None,
                    setting=setting,
                )
                try:
                    result = await request()
                except MCPServerError as error:
                    if error.code != HEADER_MISMATCH or not self._listed["tools"]:
                        raise
                    # The tool's schema, which says what goes in headers, has changed, and nothing has run.
                    await self._load("tools")
                    result = await request()
        _results.keep(result)
        parsed = self._parsed(self.parse_tool_results or self._parse_tool_result_from_mcp, result, what)
        if fields.is_error(result):
            said = _results.failure(parsed, result, f"{what} on MCP server {self._server}")
            raise MCPToolError(said, server=str(self._server), phase="call", sent=True)
        tool = self._listed["tools"].get(tool_name)
        schema = None if tool is None else fields.output_schema(tool)
        note = await self._output_schemas.note(tool_name, schema, fields.structured_content(result))
        return parsed if note is None else _results.with_note(parsed, note, result)

    def _task_calls(self, tool_name: str) -> TaskCalls:
        return TaskCalls(
            self._server,
            self.task_options,
            request=partial(self._request, target=tool_name, phase="call"),
            in_background=self._start_beside,
            timeout=self.request_timeout or MCP_DEFAULT_TIMEOUT,
        )

    def _declared_by_tool(self, tool_name: str) -> Declared:
        tool = self._listed["tools"].get(tool_name)
        return _arguments.declared_by_schema(None if tool is None else fields.input_schema(tool))

    def _extra_for(self, tool_name: str) -> frozenset[str]:
        everywhere = self._extra_arguments.get(_arguments.EVERY_TOOL, frozenset())
        return everywhere | self._extra_arguments.get(tool_name, frozenset())

    def _arguments_for(self, tool_name: str, given: Given) -> dict[str, Any]:
        arguments, held_back = _arguments.select(given, self._extra_for(tool_name))
        _arguments.require_numbers_of_json(f"Tool '{tool_name}'", arguments)
        if held_back:
            logger.warning(
                "Tool %r of MCP server %s does not declare %s: not sent (see additional_tool_argument_names).",
                tool_name,
                self._server,
                ", ".join(map(repr, sorted(held_back))),
            )
        return arguments

    def _meta_for(self, tool_name: str, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """A request's ``_meta``: what the tool was listed with wins, then the trace context, then the caller's."""
        bad = _arguments.bad_meta_keys(given) if given else None
        if bad:
            raise ToolExecutionException(f"_meta has keys that MCP does not allow: {', '.join(map(repr, bad))}.")
        tool = self._listed["tools"].get(tool_name)
        listed = getattr(tool, "meta", None)
        traced = {**(given or {}), **(_inject_otel_into_mcp_meta() or {})}
        return {**traced, **(listed if isinstance(listed, Mapping) else {})} or None

    def _headers_for(self, values: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Where a call's requests get headers of their own."""
        return nullcontext()

    def _progress_for(self, tool_name: str) -> Callable[..., Awaitable[None]] | None:
        """What the server's reports on a call go to, if there is any use for them: a callback, or a recorded span."""
        record = _tracing.progress_recorder()
        if self.progress_callback is None and record is None:
            return None
        reports = None
        if self.progress_callback is not None:
            reports = ProgressReports(self._server, self.progress_callback, self._start_beside)

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if record is not None:
                record(progress, total, message)
            if reports is not None:
                reports.add(tool_name, progress, total, message)

        return on_progress

    def _start_beside(self, function: Callable[..., Any], *args: Any) -> bool:
        """Run something beside the calls of the current link, and say whether it will."""
        return self._link is not None and self._link.start_soon(function, *args)

    async def get_prompt(self, prompt_name: str, *arguments: Any, **kwargs: Any) -> str:
        """Get a prompt from the server, filled in.

        Args:
            prompt_name: The server's own name of the prompt.
            *arguments: Its arguments in one mapping, instead of keywords or besides them.
            **kwargs: Its arguments, or the mapping as ``arguments=`` where the prompt declares no parameter of that
                name. Only those that it declares are sent, as strings.

        Returns:
            What ``parse_prompt_results`` makes of the result, by default its text.

        Raises:
            ToolExecutionException: It failed; see :meth:`call_tool` for the kinds.
            TypeError: The arguments are no mapping, there are two of them, or they repeat a keyword.
        """
        declared = self._declared_by_prompt(prompt_name)
        return await self._get_prompt(
            prompt_name, _arguments.gather(f"Prompt '{prompt_name}'", arguments, kwargs, declared)
        )

    def _declared_by_prompt(self, prompt_name: str) -> Declared:
        prompt = self._listed["prompts"].get(prompt_name)
        return Declared() if prompt is None else Declared({item.name for item in prompt.arguments or []}, False)

    async def _get_prompt(self, prompt_name: str, given: Given) -> str:
        if not self.load_prompts_flag:
            raise ToolExecutionException(
                "Prompts are not loaded for this server, please set load_prompts=True in the constructor."
            )
        taken = {name: value for name, value in given.arguments.items() if given.declared.takes(name)}
        arguments = _arguments.as_prompt_arguments(taken)
        what = f"Prompt '{prompt_name}'"
        with self._headers_for(given.arguments):
            result: types.GetPromptResult = await self._request(
                partial(_get_prompt, name=prompt_name, arguments=arguments),
                method="prompts/get",
                target=prompt_name,
                phase="prompt",
                what=what,
                timeout=self.request_timeout or None,
            )
        return self._parsed(self.parse_prompt_results or self._parse_prompt_result_from_mcp, result, what)

    async def _call_prompt_with_runtime_kwargs(
        self, prompt_name: str, prompt_arguments: Mapping[str, Any], runtime_kwargs: Mapping[str, Any]
    ) -> str:
        """Get a prompt with a model's arguments; the run's values serve ``header_provider`` alone.

        Packages beside the host override this.
        """
        declared = self._declared_by_prompt(prompt_name)
        _arguments.require_an_object(f"Prompt '{prompt_name}'", prompt_arguments, declared)
        positional, keywords = _arguments.spread(prompt_arguments, {}, _TAKEN_BY_GET_PROMPT, declared)
        token = run_arguments.set(dict(runtime_kwargs))
        try:
            return await self.get_prompt(prompt_name, *positional, **keywords)
        finally:
            run_arguments.reset(token)

    async def _request(
        self,
        send: Callable[[Any], Awaitable[T]],
        *,
        method: str,
        target: str,
        phase: str,
        what: str,
        timeout: float | None,
        setting: str = "request_timeout",
    ) -> T:
        """Send a request; once more on a new connection if the first one is gone and the request provably never ran."""

        async def attempt(link: Link) -> T:
            return await link.request(
                send,
                method=method,
                target=target,
                phase=phase,
                what=what,
                timeout=timeout,
                setting=setting,
            )

        link = await self._ready_link()
        try:
            return await attempt(link)
        except MCPConnectionError as error:
            if error.sent is not False or not link.is_over:
                raise
        return await attempt(await self._ready_link())

    async def _ready_link(self, *, dial: bool = False) -> Link:
        """The link to send through; one that was lost is replaced first, by one caller for all.

        Args:
            dial: Open a connection also where there never was one.

        Raises:
            MCPConnectionError: There is none, or it was closed on purpose.
        """
        link = self._link
        if link is None or not link.is_open_here:
            await self._load_sdk()
            link = await self._opened_for_call(dial)
        if self._absence.announced:
            self._note_presence()
        if link.generation > 1 and link is not self._listed_on:
            self._listed_on = link
            self._reload_soon("tools", "prompts")  # what comes back may offer something else
        return link

    async def _opened_for_call(self, dial: bool) -> Link:
        link = self._link
        if not dial and (link is None or (link.is_over and (link.cause is None or link is self._unwanted))):
            raise MCPConnectionError(
                f"MCP server {self._server} is not connected; call connect() first, or use 'async with'.",
                server=str(self._server),
                sent=False,
            )
        try:
            return await self._open_for_call(link)
        except MCPError as error:
            error.sent = False
            raise

    async def _open_for_call(self, link: Link | None) -> Link:
        """This link, ready, or one that replaces it where it is over.

        Raises:
            MCPError: It did not become ready.
        """
        if link is None or link.is_over:
            link = await self._redial(link)
        patience = self._outage.patience
        goes_on_by_itself = patience is not None and link.state is State.CONNECTING
        try:
            await link.open(patience=patience)
        except MCPError:
            # A dial that was begun long before this call says nothing about the server as it is now.
            over = link.is_over and link.cause is not None and link is not self._unwanted
            if not goes_on_by_itself or not over:
                raise
            link = await self._redial(link)
            await link.open(patience=patience)
        return link

    async def _redial(self, link: Link | None) -> Link:
        """A new connection in the place of one that is over; during an outage after a pause, and one for all.

        Raises:
            MCPConnectionError: The tool was closed meanwhile.
        """
        closings = self._closings
        pause = self._outage.pause(time.monotonic())
        if pause:
            await asyncio.sleep(pause)
            self._require_not_closed_since(closings)
        # Who finds another one here shares its fate, also if that is known by now.
        return self._replace(link) if self._link is link or self._link is None else self._link

    def _parsed(self, parse: Callable[[T], P], result: T, what: str) -> P:
        try:
            return parse(result)
        except Exception as error:  # the parser may be the user's; the tool has run, which the model must learn
            raise MCPError(
                f"{what} ran on MCP server {self._server}, but its result could not be parsed: {error}",
                server=str(self._server),
                sent=True,
            ) from error

    def _parse_tool_result_from_mcp(self, result: types.CallToolResult) -> list[Content]:
        from ._mcp_client import _content

        part = _results.model_part(result, self.tool_result_content)
        return _results.with_meta(_content.from_tool_result(part), result)

    def _parse_prompt_result_from_mcp(self, result: types.GetPromptResult) -> str:
        from ._mcp_client import _content

        return _content.from_prompt_result(result)

    def _parse_content_from_mcp(self, mcp_type: Any) -> list[Content]:
        from ._mcp_client import _content

        return _content.from_mcp(mcp_type)

    def _parse_message_from_mcp(self, mcp_type: types.PromptMessage | types.SamplingMessage) -> Message:
        from ._mcp_client import _content

        return _content.message_from_mcp(mcp_type)

    def _prepare_content_for_mcp(self, content: Content) -> types.ContentBlock | None:
        from ._mcp_client import _content

        return _content.to_mcp(content)

    def _prepare_message_for_mcp(self, content: Message) -> list[types.ContentBlock]:
        from ._mcp_client import _content

        return _content.message_to_mcp(content)

    # What the server asks and says ...

    async def sampling_callback(
        self, context: Any, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.CreateMessageResultWithTools | types.ErrorData:
        """Answer a sampling request with ``client``, if ``sampling_approval_callback`` approves.

        Args:
            context: Which request it is.
            params: What the server wants a model to say.
        """
        return await self._sampling.answer(
            params,
            server=self._server,
            client=self.client,
            approval_callback=self.sampling_approval_callback,
            max_tokens=self.sampling_max_tokens,
            max_requests=self.sampling_max_requests,
        )

    async def _answer_elicitation(self, context: Any, params: Any) -> Any:
        return await elicit(params, self.elicitation_callback)

    async def _answer_roots(self, context: Any) -> Any:
        return await list_roots(self.roots or ())

    async def logging_callback(self, params: types.LoggingMessageNotificationParams) -> None:
        """Log a message of the server at its level, on one line that names the server."""
        level = LOG_LEVEL_MAPPING.get(params.level, logging.INFO)
        if logger.isEnabledFor(level):
            source = f" ({printable(params.logger, NAME_LIMIT)})" if params.logger else ""
            logger.log(level, "MCP server %s%s: %s", self._server, source, printable_json(params.data))

    async def message_handler(self, message: Any) -> None:
        """Take a notification, or an exception that stands for something unreadable.

        Called in the session's receive loop, the one that must deliver every answer: it schedules and never waits.
        """
        if isinstance(message, Exception):
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("MCP server %s sent something unreadable: %s", self._server, printable(message))
            return
        from ._mcp_client import _sdk

        method = _sdk.incoming_method(message)
        if method == "notifications/tools/list_changed":
            self._reload_soon("tools")
        elif method == "notifications/prompts/list_changed":
            self._reload_soon("prompts")

    def _reload_soon(self, *kinds: str) -> None:
        """List something anew, beside everything else; however often asked for, one listing runs and one waits."""
        wanted = {"tools": self.load_tools_flag, "prompts": self.load_prompts_flag}
        link = self._link
        if link is None:
            return
        self._stale.update(kind for kind in kinds if wanted[kind] and _offers(link, kind))
        if self._stale and self._reloading_on is not link and link.start_soon(self._reload, link):
            self._reloading_on = link

    async def _reload(self, link: Link) -> None:
        from ._mcp_client._listing import RELOAD_PAUSE

        try:
            while self._stale and self._link is link:
                kinds, self._stale = sorted(self._stale), set()
                for kind in kinds:
                    await self._reload_kind(link, kind)
                await asyncio.sleep(RELOAD_PAUSE)
        finally:
            if self._reloading_on is link:
                self._reloading_on = None

    async def _reload_kind(self, link: Link, kind: str) -> None:
        try:
            # On this link and no other: a background task of a connection must not open its successor.
            async with link.loading:
                await self._load_on(link, kind)
        except Exception as error:  # no caller waits for a reload; the old list stays in use
            if link.is_over:
                return  # the connection has ended, and those who wait for it are told so
            kept = "Background MCP reload failed: the %s of %s stay as they were. %s"
            # The traceback of an MCPError says nothing more, and shows its causes as the server wrote them.
            unforeseen = not isinstance(error, MCPError)
            logger.warning(kept, kind, self._server, printable(error), exc_info=unforeseen)


class MCPStdioTool(MCPTool):
    """An MCP server that runs as a child process and speaks over its standard input and output.

    Args:
        name: What this server is called here.
        command: The program to run, as text or a path, without its arguments.
        args: Its arguments. Paths and numbers become text.
        env: Environment variables for it, beside a few harmless ones of our own. Paths and numbers become text.
        encoding: The text encoding of the messages; None for UTF-8.
        **kwargs: What the SDK's ``StdioServerParameters`` takes besides: ``cwd``, ``encoding_error_handler``. Any other
            is ignored, with a warning.

    The other parameters are those of :class:`MCPTool`.
    """

    _settings = _options.STDIO

    def __init__(
        self,
        name: str,
        command: str | PathLike[str],
        *,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        request_timeout: float | None = None,
        session: ClientSession | None = None,
        description: str | None = None,
        approval_mode: Literal["always_require", "never_require"] | MCPSpecificApproval | None = None,
        allowed_tools: Collection[str] | None = None,
        args: Sequence[_options.Text] | None = None,
        env: Mapping[str, _options.Text] | None = None,
        encoding: str | None = None,
        client: SupportsChatGetResponse | None = None,
        additional_properties: dict[str, Any] | None = None,
        connect_timeout: float | None = None,
        additional_tool_argument_names: ArgumentNames | None = None,
        progress_callback: ProgressCallback | None = None,
        sampling_approval_callback: SamplingApproval | None = None,
        sampling_max_tokens: int | None = SAMPLING_MAX_TOKENS,
        sampling_max_requests: int | None = SAMPLING_MAX_REQUESTS,
        elicitation_callback: ElicitationCallback | None = None,
        roots: Roots | None = None,
        task_options: MCPTaskOptions | None = None,
        use_progressive_disclosure: bool = False,
        always_load: Collection[str] | None = None,
        max_host_payload_size_bytes: int | None = HOST_PAYLOAD_SIZE,
        tool_result_content: MCPToolResultContentMode = "structured_first",
        ping_interval: float | None = None,
        on_state_change: Callable[[MCPStateChange], None] | None = None,
        optional: bool = False,
        protocol_mode: str = "auto",
        **kwargs: Any,
    ) -> None:
        check = _options.Checks(name, self._settings)
        _keywords.STDIO.warn_of_unknown(MCPStdioTool, kwargs)
        self.command = cast("str", check("command", command))
        self.args = cast("list[str]", check("args", args))
        self.env = cast("dict[str, str] | None", check("env", env))
        self.encoding = check("encoding", encoding)
        self._client_kwargs = check.known(kwargs)
        super().__init__(
            name,
            description,
            approval_mode,
            allowed_tools,
            tool_name_prefix,
            load_tools,
            parse_tool_results,
            load_prompts,
            parse_prompt_results,
            session,
            request_timeout,
            client,
            additional_properties,
            connect_timeout=connect_timeout,
            additional_tool_argument_names=additional_tool_argument_names,
            progress_callback=progress_callback,
            sampling_approval_callback=sampling_approval_callback,
            sampling_max_tokens=sampling_max_tokens,
            sampling_max_requests=sampling_max_requests,
            elicitation_callback=elicitation_callback,
            roots=roots,
            task_options=task_options,
            use_progressive_disclosure=use_progressive_disclosure,
            always_load=always_load,
            max_host_payload_size_bytes=max_host_payload_size_bytes,
            tool_result_content=tool_result_content,
            ping_interval=ping_interval,
            on_state_change=on_state_change,
            optional=optional,
            protocol_mode=protocol_mode,
        )

    @property
    def _server(self) -> Server:
        return Server(self.name, command=self.command, args=tuple(self.args))

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The SDK's stdio transport.

        Raises:
            ModuleNotFoundError: ``mcp`` is not installed.
        """
        with _needs_mcp(self):
            from mcp.client import stdio
        return stdio.stdio_client(server=self._parameters())

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        # The SDK's transport keeps neither exit code nor standard error, and a cancelled shutdown leaves
        # grandchildren. On Windows it has the process handling that ours lacks.
        if _is_overridden(self, MCPStdioTool) or sys.platform == "win32":
            return self.get_mcp_client()
        from ._mcp_client import _stdio

        return _stdio.stdio(self._parameters())

    def _parameters(self) -> Any:
        from mcp.client import stdio

        given: dict[str, Any] = {"command": self.command, "args": self.args, "env": self.env, **self._client_kwargs}
        if self.encoding is not None:
            given["encoding"] = self.encoding
        return stdio.StdioServerParameters(**given)


class MCPStreamableHTTPTool(MCPTool):
    """An MCP server behind a URL, over the streamable HTTP transport.

    Args:
        name: What this server is called here.
        url: Its endpoint, ``http://`` or ``https://``, as text or a URL object.
        terminate_on_close: Whether to end the session on the server when closing (HTTP DELETE); None means yes.
        http_client: An ``httpx.AsyncClient`` with your headers, time limits, proxies and credentials. It stays yours:
            it is neither changed nor closed.
        header_provider: Called for each call with its arguments, and those of the run, which win; returns headers for
            that call.
        static_headers: Headers for every request to this URL's origin; those of ``header_provider`` win.
        **kwargs: ``headers``, another name of ``static_headers``. Any other is ignored, with a warning.

    The other parameters are those of :class:`MCPTool`.
    """

    _settings = _options.STREAMABLE_HTTP

    def __init__(
        self,
        name: str,
        url: str | _options.URLObject,
        *,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        request_timeout: float | None = None,
        session: ClientSession | None = None,
        description: str | None = None,
        approval_mode: Literal["always_require", "never_require"] | MCPSpecificApproval | None = None,
        allowed_tools: Collection[str] | None = None,
        terminate_on_close: bool | None = None,
        client: SupportsChatGetResponse | None = None,
        additional_properties: dict[str, Any] | None = None,
        http_client: httpx.AsyncClient | None = None,
        header_provider: Callable[[dict[str, Any]], dict[str, str]] | None = None,
        static_headers: Mapping[str, str] | None = None,
        connect_timeout: float | None = None,
        additional_tool_argument_names: ArgumentNames | None = None,
        progress_callback: ProgressCallback | None = None,
        sampling_approval_callback: SamplingApproval | None = None,
        sampling_max_tokens: int | None = SAMPLING_MAX_TOKENS,
        sampling_max_requests: int | None = SAMPLING_MAX_REQUESTS,
        elicitation_callback: ElicitationCallback | None = None,
        roots: Roots | None = None,
        task_options: MCPTaskOptions | None = None,
        use_progressive_disclosure: bool = False,
        always_load: Collection[str] | None = None,
        max_host_payload_size_bytes: int | None = HOST_PAYLOAD_SIZE,
        tool_result_content: MCPToolResultContentMode = "structured_first",
        ping_interval: float | None = None,
        on_state_change: Callable[[MCPStateChange], None] | None = None,
        optional: bool = False,
        protocol_mode: str = "auto",
        **kwargs: Any,
    ) -> None:
        check = _options.Checks(name, self._settings)
        self.url = cast("str", check("url", url))
        self.terminate_on_close = check("terminate_on_close", terminate_on_close)
        self._httpx_client = check("http_client", http_client)
        self._header_provider = check("header_provider", header_provider)
        self._static_headers = check.either("static_headers", static_headers, "headers", kwargs) or {}
        _keywords.STREAMABLE_HTTP.warn_of_unknown(MCPStreamableHTTPTool, kwargs)
        # What the run brought along that opens the connection; None where no run has said so.
        self._connection_kwargs: dict[str, Any] | None = None
        self._identity = SessionIdentity()
        # For packages beside the host, which send requests of their own on the session, one at a time.
        self._call_headers_lock = asyncio.Lock()
        self._active_call_headers: dict[str, str] | None = None
        super().__init__(
            name,
            description,
            approval_mode,
            allowed_tools,
            tool_name_prefix,
            load_tools,
            parse_tool_results,
            load_prompts,
            parse_prompt_results,
            session,
            request_timeout,
            client,
            additional_properties,
            connect_timeout=connect_timeout,
            additional_tool_argument_names=additional_tool_argument_names,
            progress_callback=progress_callback,
            sampling_approval_callback=sampling_approval_callback,
            sampling_max_tokens=sampling_max_tokens,
            sampling_max_requests=sampling_max_requests,
            elicitation_callback=elicitation_callback,
            roots=roots,
            task_options=task_options,
            use_progressive_disclosure=use_progressive_disclosure,
            always_load=always_load,
            max_host_payload_size_bytes=max_host_payload_size_bytes,
            tool_result_content=tool_result_content,
            ping_interval=ping_interval,
            on_state_change=on_state_change,
            optional=optional,
            protocol_mode=protocol_mode,
        )

    @property
    def _server(self) -> Server:
        return Server(self.name, url=public_url(self.url))

    @property
    def _terminates(self) -> bool:
        return True if self.terminate_on_close is None else self.terminate_on_close

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The SDK's streamable HTTP transport; one of our own where requests have headers.

        Raises:
            ModuleNotFoundError: ``mcp`` is not installed.
        """
        if self._header_provider is not None or self._static_headers:
            return self._own_transport()
        with _needs_mcp(self):
            return streamable_http_client(
                url=self.url, http_client=self._httpx_client, terminate_on_close=self._terminates
            )

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        if _is_overridden(self, MCPStreamableHTTPTool):
            return self.get_mcp_client()
        from ._mcp_client import _replaced

        # What was put in the place of the SDK's function is what the user wants to be used.
        if _replaced.is_replaced(streamable_http_client, __name__) or _replaced.is_sdk_transport_replaced():
            return self.get_mcp_client()
        return self._own_transport()

    def _own_transport(self) -> AbstractAsyncContextManager[Any]:
        with _needs_mcp(self):
            from ._mcp_client.transports import streamable_http

        return streamable_http.streamable_http(
            self.url,
            http_client=self._httpx_client,
            terminate_on_close=self._terminates,
            ambient_headers=self._ambient_headers_of_a_connection(),
        )

    def _headers_for(self, values: Mapping[str, Any]) -> AbstractContextManager[None]:
        if self._header_provider is None:
            return nullcontext()
        return _CallHeaders(self._provided_headers(self._known(values)))

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values for ``header_provider``. A model must not be able to speak for the user.

        What the run says comes last; where the host speaks for the run, nothing else counts.
        """
        run = run_arguments.get()
        if run is None:
            return dict(values)
        return dict(run) if self._identity.is_watched else {**values, **run}

    def _provided_headers(self, values: Mapping[str, Any]) -> dict[str, str]:
        try:
            return self._effective_headers(values)
        except Exception as error:  # the user's own code; nothing has been sent yet
            sentence = f"The header_provider of MCP server {self._server} failed: {type(error).__name__}: {error}."
            raise MCPError(sentence, server=str(self._server), sent=False) from error

    def _effective_headers(self, kwargs: Mapping[str, Any]) -> dict[str, str]:
        provided = {} if self._header_provider is None else self._header_provider(dict(kwargs))
        return {**self._static_headers, **provided}

    async def _prepare_for_run(self, kwargs: Mapping[str, Any]) -> None:
        if self._header_provider is None:
            return
        self._identity.is_watched = True
        # A connection that is being opened keeps the values of the run that opens it.
        if self._link is None or self._link.is_over:
            self._connection_kwargs = dict(kwargs)
            self._identity.forget()
        elif self.is_connected:
            try:
                headers = self._effective_headers(kwargs)
            except KeyError as error:  # middleware may add it before the call
                logger.debug("The header_provider of MCP server %s has no headers without %s.", self._server, error)
            else:
                await self._ensure_session_identity(headers, kwargs)

    async def _ensure_session_identity(self, headers: Mapping[str, str], kwargs: Mapping[str, Any]) -> None:
        """See to it that the session is one that was opened with these headers, unless it is the user's own."""
        if self._link is None or not self._link.generation:
            return
        async with self._session_for(headers, kwargs):
            return

    @asynccontextmanager
    async def _session_for(self, headers: Mapping[str, str], kwargs: Mapping[str, Any]) -> AsyncIterator[None]:
        async def switch() -> None:
            self._connection_kwargs = dict(kwargs)
            if self.is_connected:
                await self.connect(reset=True)

        patience = self.connect_timeout or MCP_DEFAULT_TIMEOUT
        try:
            async with self._identity.used_by(headers, switch, patience=patience):
                yield
        except InUse as error:
            raise MCPTimeoutError(
                f"MCP server {self._server} was in use with other headers for {patience:g} s (connect_timeout).",
                server=str(self._server),
                sent=False,
                timeout=patience,
            ) from error

    async def _call(self, tool_name: str, given: Given, *, as_task: bool = False) -> str | list[Content]:
        if not self._changes_identity:
            return await super()._call(tool_name, given, as_task=as_task)
        known = self._known(given.arguments)
        async with self._session_for(self._provided_headers(known), known):
            return await super()._call(tool_name, given, as_task=as_task)

    async def _get_prompt(self, prompt_name: str, given: Given) -> str:
        if not self._changes_identity:
            return await super()._get_prompt(prompt_name, given)
        known = self._known(given.arguments)
        async with self._session_for(self._provided_headers(known), known):
            return await super()._get_prompt(prompt_name, given)

    @property
    def _changes_identity(self) -> bool:
        """Whether a call may need another session than the last one; a session of the user's is never replaced."""
        return (
            self._identity.is_watched
            and self._header_provider is not None
            and self._link is not None
            and self._link.generation > 0
        )

    def _ambient_headers_of_a_connection(self) -> Callable[[], dict[str, str]]:
        opened_with: dict[str, str] | None = None

        def ambient_headers() -> dict[str, str]:
            # A session says goodbye with the headers that opened it, also when the next one is somebody else's.
            nonlocal opened_with
            if self._active_call_headers is not None:
                return dict(self._active_call_headers)
            if opened_with is None or not self._identity.is_watched:
                opened_with = self._ambient_headers()
            return opened_with

        return ambient_headers

    def _ambient_headers(self) -> dict[str, str]:
        """Headers for requests that belong to no call. A provider that needs a call's values has none for them."""
        try:
            headers = self._effective_headers(self._connection_kwargs or {})
        except KeyError as error:
            if self._connection_kwargs is not None:
                raise  # a run has said all there is to say
            logger.debug("The header_provider of MCP server %s has no headers without %s.", self._server, error)
            headers = dict(self._static_headers)
        self._identity.bind(headers)
        return headers

    async def close(self) -> None:
        await super().close()
        # Whoever connects next may be somebody else.
        self._connection_kwargs = None
        self._identity.forget()


class MCPWebsocketTool(MCPTool):
    """An MCP server behind a websocket URL. Websockets are not part of the MCP specification.

    Args:
        name: What this server is called here.
        url: Its endpoint, ``ws://`` or ``wss://``, as text or a URL object.
        **kwargs: What ``websockets.asyncio.client.connect`` takes, such as ``max_size`` or ``additional_headers``
            (also called ``headers``). Any other is passed on to it all the same, with a warning.

    The other parameters are those of :class:`MCPTool`.
    """

    _settings = _options.WEBSOCKET

    def __init__(
        self,
        name: str,
        url: str | _options.URLObject,
        *,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        request_timeout: float | None = None,
        session: ClientSession | None = None,
        description: str | None = None,
        approval_mode: Literal["always_require", "never_require"] | MCPSpecificApproval | None = None,
        allowed_tools: Collection[str] | None = None,
        client: SupportsChatGetResponse | None = None,
        additional_properties: dict[str, Any] | None = None,
        connect_timeout: float | None = None,
        additional_tool_argument_names: ArgumentNames | None = None,
        progress_callback: ProgressCallback | None = None,
        sampling_approval_callback: SamplingApproval | None = None,
        sampling_max_tokens: int | None = SAMPLING_MAX_TOKENS,
        sampling_max_requests: int | None = SAMPLING_MAX_REQUESTS,
        elicitation_callback: ElicitationCallback | None = None,
        roots: Roots | None = None,
        task_options: MCPTaskOptions | None = None,
        use_progressive_disclosure: bool = False,
        always_load: Collection[str] | None = None,
        max_host_payload_size_bytes: int | None = HOST_PAYLOAD_SIZE,
        tool_result_content: MCPToolResultContentMode = "structured_first",
        ping_interval: float | None = None,
        on_state_change: Callable[[MCPStateChange], None] | None = None,
        optional: bool = False,
        protocol_mode: str = "auto",
        **kwargs: Any,
    ) -> None:
        check = _options.Checks(name, self._settings)
        self.url = cast("str", check("url", url))
        headers = check.either("additional_headers", kwargs.pop("additional_headers", None), "headers", kwargs)
        _keywords.WEBSOCKET.warn_of_unknown(MCPWebsocketTool, kwargs)
        self._client_kwargs = kwargs if headers is None else {**kwargs, "additional_headers": headers}
        super().__init__(
            name,
            description,
            approval_mode,
            allowed_tools,
            tool_name_prefix,
            load_tools,
            parse_tool_results,
            load_prompts,
            parse_prompt_results,
            session,
            request_timeout,
            client,
            additional_properties,
            connect_timeout=connect_timeout,
            additional_tool_argument_names=additional_tool_argument_names,
            progress_callback=progress_callback,
            sampling_approval_callback=sampling_approval_callback,
            sampling_max_tokens=sampling_max_tokens,
            sampling_max_requests=sampling_max_requests,
            elicitation_callback=elicitation_callback,
            roots=roots,
            task_options=task_options,
            use_progressive_disclosure=use_progressive_disclosure,
            always_load=always_load,
            max_host_payload_size_bytes=max_host_payload_size_bytes,
            tool_result_content=tool_result_content,
            ping_interval=ping_interval,
            on_state_change=on_state_change,
            optional=optional,
            protocol_mode=protocol_mode,
        )

    @property
    def _server(self) -> Server:
        return Server(self.name, url=public_url(self.url))

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The SDK's websocket transport, or, as releases 2.x have none, the one that tools use by themselves.

        Raises:
            ModuleNotFoundError: ``mcp`` or ``websockets`` is not installed.
        """
        with _needs_mcp(self, extra="ws"):
            from ._mcp_client import _sdk

            open_transport = _sdk.websocket_client()
        return self._own_transport() if open_transport is None else open_transport(url=self.url, **self._client_kwargs)

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        return self.get_mcp_client() if _is_overridden(self, MCPWebsocketTool) else self._own_transport()

    def _own_transport(self) -> AbstractAsyncContextManager[Any]:
        with _needs_mcp(self, extra="ws"):
            import websockets  # noqa: F401  # before the transport is entered, so that the error says what to install
        from ._mcp_client import _transports

        return _transports.websocket(self.url, **self._client_kwargs)


class _CallHeaders:
    """Sets the headers of the requests that are made inside."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __enter__(self) -> None:
        self._token = call_headers.set(self._headers)

    def __exit__(self, *exc_info: object) -> None:
        call_headers.reset(self._token)


class _needs_mcp:  # noqa: N801  # reads as a phrase: with _needs_mcp(self)
    """Says what to install when an import inside fails."""

    def __init__(self, tool: MCPTool, *, extra: str = "") -> None:
        self._who = type(tool).__name__
        self._what = f"mcp[{extra}]" if extra else "mcp"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ModuleNotFoundError):
            what = self._what
            if error.name == "websockets" and importlib.util.find_spec("mcp.client.websocket") is None:
                what = "websockets"  # releases 2.x of mcp have no extra for it
            raise ModuleNotFoundError(
                f"{self._who} requires `{what}`. Install it with `pip install '{what}'`.", name=error.name
            ) from error


def _is_overridden(tool: MCPTool, owner: type[MCPTool]) -> bool:
    """Whether somebody put their own ``get_mcp_client`` on a subclass or on the object."""
    return getattr(tool.get_mcp_client, "__func__", None) is not owner.get_mcp_client


def _require_seconds(name: str, value: float | None) -> None:
    _options.SHARED["request_timeout"](name, value)


def _arguments_of_model(context: FunctionInvocationContext, arguments: dict[str, Any]) -> dict[str, Any]:
    """All that a model gives: an argument with the name of the functions' own parameter is in the context alone."""
    given: Any = context.arguments
    if isinstance(given, Mapping) and "_run_context" in given:
        return {**arguments, "_run_context": given["_run_context"]}
    return arguments


def _remote_name(function: FunctionTool) -> str:
    properties = function.additional_properties or {}
    return str(properties.get(_MCP_REMOTE_NAME_KEY, function.name))


def _kind(function: FunctionTool) -> str | None:
    return (function.additional_properties or {}).get(_MCP_KIND_KEY)


def _offers(link: Link, kind: str) -> bool:
    """Whether the server said that it has tools or prompts. A session of the user's may not know; then it is asked."""
    capabilities = link.capabilities
    if capabilities is None:
        return link.generation == 0
    return getattr(capabilities, kind, None) is not None


async def _get_prompt(session: Any, *, name: str, arguments: dict[str, str]) -> types.GetPromptResult:
    from ._mcp_client import _sdk

    return await _sdk.get_prompt(session, name, arguments)
