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
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Union, cast

from opentelemetry import propagate

from ._mcp_client import _arguments, _naming
from ._mcp_client._context import call_headers, run_values
from ._mcp_client._exceptions import MCPConnectionError, MCPError, MCPProtocolError, MCPToolError
from ._mcp_client._sampling import (
    SAMPLING_MAX_REQUESTS,
    SAMPLING_MAX_TOKENS,
    ElicitationCallback,
    Roots,
    Sampling,
    SamplingApproval,
    check_roots,
    check_sampling_limits,
    elicit,
    list_roots,
)
from ._mcp_client._server import Server, public_url
from ._mcp_client._state import State
from ._tools import FunctionTool
from .exceptions import ToolException, ToolExecutionException

if TYPE_CHECKING:
    import httpx
    from mcp import types
    from mcp.client.session import ClientSession
    from typing_extensions import Self

    from ._clients import SupportsChatGetResponse
    from ._mcp_client._link import Link
    from ._middleware import FunctionInvocationContext
    from ._types import Content, Message

T = TypeVar("T")
P = TypeVar("P")

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

MCP_DEFAULT_SSE_READ_TIMEOUT = 300
"""How long an HTTP event stream may be silent, in seconds; the SDK's default client has it built in."""

_MCP_REMOTE_NAME_KEY = "_mcp_remote_name"
_MCP_NORMALIZED_NAME_KEY = "_mcp_normalized_name"
_MCP_KIND_KEY = "_mcp_kind"
_ORDER: dict[str | None, int] = {"tools": 0, "prompts": 1}

_mcp_call_headers = call_headers

_TAKEN_BY_CALL_TOOL = frozenset(["self", "tool_name"])
"""Names that a tool's argument may have, and that ``call_tool`` could not take as a keyword."""


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

    Raises:
        ValueError: A time or a limit is negative, or a root has another scheme than ``file``.
        TypeError: A root is neither a path nor a URI.
    """

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
        request_timeout: int | None = None,
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
    ) -> None:
        _require_seconds("request_timeout", request_timeout)
        _require_seconds("connect_timeout", connect_timeout)
        self.name = name
        self.description = description or ""
        self.approval_mode = approval_mode
        self.allowed_tools = allowed_tools
        self.tool_name_prefix = _naming.normalize_prefix(tool_name_prefix)
        self.load_tools_flag = load_tools
        self.parse_tool_results = parse_tool_results
        self.load_prompts_flag = load_prompts
        self.parse_prompt_results = parse_prompt_results
        self.request_timeout = request_timeout
        self.connect_timeout = connect_timeout
        self.client = client
        self.additional_properties = additional_properties
        check_roots(roots)
        check_sampling_limits(sampling_max_tokens, sampling_max_requests)
        self.progress_callback = progress_callback
        self.sampling_approval_callback = sampling_approval_callback
        self.sampling_max_tokens = sampling_max_tokens
        self.sampling_max_requests = sampling_max_requests
        self.elicitation_callback = elicitation_callback
        self.roots = roots
        self._sampling = Sampling()
        self._extra_arguments = _arguments.by_tool(additional_tool_argument_names)
        self._functions: list[FunctionTool] = []
        self._listed: dict[str, dict[str, Any]] = {"tools": {}, "prompts": {}}
        self._catalogue_version = 0
        self._stale: set[str] = set()
        self._reloading_on: Link | None = None
        self._link: Link | None = None
        self._closings = 0
        self.session = session

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
        except MCPConnectionError:
            if not looked_ready or not link.is_over or link.cause is None:
                raise
            # Listing has shown that the connection was gone. Somebody else may have replaced it meanwhile.
            successor = self._link if self._link is not None and self._link is not link else self._replace(link)
            await successor.open(finish)

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
        if self._closings != closings:
            sentence = f"Failed to connect to MCP server: {self._server}: the connection was closed."
            raise MCPConnectionError(sentence, server=str(self._server), phase="connect", sent=False)

    def _new_connection(self, predecessor: Link | None) -> Link:
        from ._mcp_client._connection import CONNECT_TIMEOUT, Connection

        return Connection(
            self._server,
            generation=1 if predecessor is None else predecessor.generation + 1,
            open_transport=self._open_transport,
            make_session=self._make_session,
            connect_timeout=self.connect_timeout or CONNECT_TIMEOUT,
            request_timeout=self.request_timeout or None,
            handlers=self._request_handlers,
            predecessor=predecessor if isinstance(predecessor, Connection) else None,
        )

    def _make_session(self, read_stream: Any, write_stream: Any) -> AbstractAsyncContextManager[Any]:
        from ._mcp_client import _sdk

        self._sampling.start_session()
        # The connection answers these requests beside the session; the session needs them for the capabilities that it
        # tells the server.
        handlers = self._request_handlers
        session = _sdk.make_session(
            read_stream,
            write_stream,
            read_timeout=self.request_timeout,
            message_handler=self.message_handler,
            logging_callback=self.logging_callback,
            sampling_callback=handlers.get("sampling/createMessage"),
            sampling_capabilities=None if self.client is None else _sdk.sampling_with_tools(),
            elicitation_callback=handlers.get("elicitation/create"),
            list_roots_callback=handlers.get("roots/list"),
        )
        _sdk.remember_output_schemas(session, self._output_schemas)
        return session

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
        if self._link is not None:
            await self._link.close()

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ToolException: See :meth:`connect`; nothing is left behind.
        """
        try:
            await self.connect()
        except ToolException:
            await self.close()
            raise
        except Exception as error:  # a subclass may connect in a way of its own and raise what it likes
            await self.close()
            raise ToolExecutionException("Failed to enter context manager.") from error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The transport: an async context manager that yields a stream to read from and one to write to.

        For subclasses to override; what they return is entered and left by the connection's own task.
        """
        raise ToolException(f"{type(self).__name__} has no transport; use a subclass, or pass a session.")

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        """What the connection enters: the transports' own, unless somebody has overridden ``get_mcp_client``."""
        return self.get_mcp_client()

    # The catalogue ...

    @property
    def functions(self) -> list[FunctionTool]:
        """What the server offers and ``allowed_tools`` lets through."""
        return [
            function
            for function in self._functions
            if _naming.is_allowed((function.name, _remote_name(function)), self.allowed_tools)
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
        except MCPConnectionError:
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
        await self._send_log_level(link)

    async def _load_on(self, link: Link, kind: str) -> None:
        from ._mcp_client import _listing, _sdk

        timeout = self.request_timeout or MCP_DEFAULT_TIMEOUT
        entries = await _listing.list_all(link, kind, timeout=timeout, setting="request_timeout")
        make = self._tool_function if kind == "tools" else self._prompt_function
        self._swap(kind, [make(entry) for entry in entries])
        self._listed[kind] = {entry.name: entry for entry in entries}
        _sdk.remember_output_schemas(link.session, self._output_schemas)

    @property
    def _output_schemas(self) -> dict[str, dict[str, Any] | None]:
        return {name: tool.outputSchema for name, tool in self._listed["tools"].items()}

    async def _send_log_level(self, link: Link) -> None:
        """Ask the server for the log messages that our logger would show (MCP, "Logging")."""
        if logger.level == logging.NOTSET or not _offers(link, "logging"):
            return
        level = next((name for name, value in LOG_LEVEL_MAPPING.items() if value >= logger.level), "emergency")
        try:
            await link.request(
                lambda session: session.set_logging_level(level),
                method="logging/setLevel",
                phase="connect",
                what="Setting the log level",
                timeout=self.request_timeout or MCP_DEFAULT_TIMEOUT,
                setting="request_timeout",
            )
        except MCPError as error:
            logger.warning("Failed to set log level to %s: %s", level, error)

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

    def _tool_function(self, tool: types.Tool) -> FunctionTool:
        # The framework passes the context by name, so it has one that no tool gives to an argument.
        async def call(_run_context: FunctionInvocationContext, **arguments: Any) -> Any:
            return await self._call_for_model(tool.name, arguments, _run_context.kwargs)

        return self._function(tool, "tools", call, _naming.input_schema(tool.inputSchema))

    def _prompt_function(self, prompt: types.Prompt) -> FunctionTool:
        return self._function(
            prompt, "prompts", partial(self._prompt_for_model, prompt.name), _get_input_model_from_mcp_prompt(prompt)
        )

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

    async def call_tool(self, tool_name: str, **kwargs: Any) -> str | list[Content]:
        """Call a tool of the server.

        A connection that was lost is opened anew. The call is repeated by itself only if it certainly never ran.

        Args:
            tool_name: The server's own name of the tool.
            **kwargs: Its arguments; only those that it declares, or that ``additional_tool_argument_names`` names, are
                sent. Two names are not arguments: ``_meta``, a mapping for the request's ``_meta``, and ``_timeout``,
                how long this call may take in seconds, instead of ``request_timeout``.

        Returns:
            What ``parse_tool_results`` makes of the result, by default a list of content.

        Raises:
            MCPToolError: The tool ran and says that it failed.
            MCPTimeoutError: No answer in time.
            MCPConnectionError: The server is gone; ``sent`` tells whether the call may have run.
            ToolExecutionException: Anything else, such as a JSON-RPC error of the server.
        """
        return await self._call(tool_name, kwargs)

    async def _call_for_model(self, tool_name: str, arguments: dict[str, Any], values: Mapping[str, Any]) -> Any:
        """Call a tool with a model's arguments over the run's values, which may serve ``header_provider``."""
        arguments.pop("_meta", None)  # a model does not get to write what servers take for the host's word
        merged = {**values, **arguments}
        token = run_values.set(frozenset(values) - frozenset(arguments))
        try:
            if _TAKEN_BY_CALL_TOOL & merged.keys():
                return await self._call(tool_name, merged)
            return await self.call_tool(tool_name, **merged)
        finally:
            run_values.reset(token)

    async def _call(self, tool_name: str, values: dict[str, Any]) -> str | list[Content]:
        if not self.load_tools_flag:
            raise ToolExecutionException(
                "Tools are not loaded for this server, please set load_tools=True in the constructor."
            )
        what = f"Tool '{tool_name}'"
        timeout = values.get("_timeout", self.request_timeout)
        _require_seconds("_timeout", timeout)
        arguments = self._arguments_for(tool_name, values)

        async def send(session: Any) -> types.CallToolResult:
            # In here the request's own span is the current one.
            meta = self._meta_for(tool_name, values.get("_meta"))
            result = await session.call_tool(tool_name, arguments=arguments, meta=meta, **self._progress_for(tool_name))
            return cast("types.CallToolResult", result)

        with self._headers_for(values):
            result = await self._request(
                send, method="tools/call", target=tool_name, phase="call", what=what, timeout=timeout or None
            )
        parsed = self._parsed(self.parse_tool_results or self._parse_tool_result_from_mcp, result, what)
        if result.isError:
            from ._mcp_client._content import text_of

            raise MCPToolError(text_of(parsed), server=str(self._server), phase="call", sent=True)
        return parsed

    def _arguments_for(self, tool_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        tool = self._listed["tools"].get(tool_name)
        everywhere = self._extra_arguments.get(_arguments.EVERY_TOOL, frozenset())
        extra = everywhere | self._extra_arguments.get(tool_name, frozenset())
        given = {name: value for name, value in values.items() if name not in ("_meta", "_timeout")}
        arguments, held_back = _arguments.select(given, None if tool is None else tool.inputSchema, extra)
        if held_back:
            logger.warning(
                "Tool %r of MCP server %s does not declare %s: not sent (see additional_tool_argument_names).",
                tool_name,
                self._server,
                ", ".join(sorted(held_back)),
            )
        return arguments

    def _meta_for(self, tool_name: str, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """A request's ``_meta``: what the tool was listed with wins, then the trace context, then the caller's."""
        bad = _arguments.bad_meta_keys(given or {})
        if bad:
            raise ToolExecutionException(f"_meta has keys that MCP does not allow: {', '.join(map(repr, bad))}.")
        tool = self._listed["tools"].get(tool_name)
        listed = getattr(tool, "meta", None)
        traced = {**(given or {}), **(_inject_otel_into_mcp_meta() or {})}
        return {**traced, **(listed if isinstance(listed, Mapping) else {})} or None

    def _headers_for(self, values: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Where a call's requests get headers of their own."""
        return nullcontext()

    def _progress_for(self, tool_name: str) -> dict[str, Any]:
        """What asks the server to report on a call, if anybody wants to know: a callback, or a recorded span."""
        from ._mcp_client import _tracing

        record = _tracing.progress_recorder()
        if self.progress_callback is None and record is None:
            return {}

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if record is not None:
                record(progress, total, message)
            self._report_progress(tool_name, progress, total, message)

        return {"progress_callback": on_progress}

    def _report_progress(self, tool_name: str, progress: float, total: float | None, message: str | None) -> None:
        # Called in the session's receive loop, which must go on: what has to be awaited runs beside it.
        outcome = self.progress_callback(tool_name, progress, total, message) if self.progress_callback else None
        if inspect.isawaitable(outcome) and self._link is not None:
            self._link.start_soon(_finish, outcome, "progress_callback")

    async def get_prompt(self, prompt_name: str, **kwargs: Any) -> str:
        """Get a prompt from the server, filled in.

        Args:
            prompt_name: The server's own name of the prompt.
            **kwargs: Its arguments; only those that it declares are sent, as strings.

        Returns:
            What ``parse_prompt_results`` makes of the result, by default its text.

        Raises:
            ToolExecutionException: It failed; see :meth:`call_tool` for the kinds.
        """
        if not self.load_prompts_flag:
            raise ToolExecutionException(
                "Prompts are not loaded for this server, please set load_prompts=True in the constructor."
            )
        prompt = self._listed["prompts"].get(prompt_name)
        declared = kwargs if prompt is None else {argument.name for argument in prompt.arguments or []}
        arguments = _arguments.as_prompt_arguments({name: kwargs[name] for name in kwargs if name in declared})
        what = f"Prompt '{prompt_name}'"
        with self._headers_for(kwargs):
            result: types.GetPromptResult = await self._request(
                lambda session: session.get_prompt(prompt_name, arguments=arguments),
                method="prompts/get",
                target=prompt_name,
                phase="prompt",
                what=what,
                timeout=self.request_timeout or None,
            )
        return self._parsed(self.parse_prompt_results or self._parse_prompt_result_from_mcp, result, what)

    async def _prompt_for_model(self, prompt_name: str, **arguments: Any) -> str:
        return await self.get_prompt(prompt_name, **arguments)

    async def _request(
        self,
        send: Callable[[Any], Awaitable[T]],
        *,
        method: str,
        target: str,
        phase: str,
        what: str,
        timeout: float | None,
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
                setting="request_timeout",
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
        await self._load_sdk()
        link = self._link
        if not dial and (link is None or (link.is_over and link.cause is None)):
            raise MCPConnectionError(
                f"MCP server {self._server} is not connected; call connect() first, or use 'async with'.",
                server=str(self._server),
                sent=False,
            )
        lost = link is not None and link.is_over
        if link is None or link.is_over:
            link = self._replace(link)
        try:
            await link.open()
        except MCPError as error:
            error.sent = False
            raise
        if lost:
            self._reload_soon("tools", "prompts")  # what comes back may offer something else
        return link

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

        return _content.from_tool_result(result)

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
        """Log a message of the server at its level."""
        logger.log(LOG_LEVEL_MAPPING[params.level], params.data)

    async def message_handler(self, message: Any) -> None:
        """Take a notification, or an exception that stands for something unreadable.

        Called in the session's receive loop, the one that must deliver every answer: it schedules and never waits.
        """
        if isinstance(message, Exception):
            logger.debug("MCP server %s sent something unreadable.", self._server, exc_info=message)
            return
        method = getattr(getattr(message, "root", None), "method", None)
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
        try:
            while self._stale and self._link is link:
                kind = self._stale.pop()
                try:
                    # On this link and no other: a background task of a connection must not open its successor.
                    async with link.loading:
                        await self._load_on(link, kind)
                except Exception:  # nobody waits for a reload; the old list stays in use
                    if link.is_over:
                        return  # the connection has ended, and whoever is concerned is told so
                    kept = "Background MCP reload failed: the %s of %s stay as they were."
                    logger.warning(kept, kind, self._server, exc_info=True)
        finally:
            if self._reloading_on is link:
                self._reloading_on = None


class MCPStdioTool(MCPTool):
    """An MCP server that runs as a child process and speaks over its standard input and output.

    Args:
        name: What this server is called here.
        command: The program to run.
        args: Its arguments.
        env: Environment variables for it, beside a few harmless ones of our own.
        encoding: The text encoding of the messages; None for UTF-8.
        **kwargs: What the SDK's ``StdioServerParameters`` takes besides, such as ``cwd``.

    The other parameters are those of :class:`MCPTool`.
    """

    def __init__(
        self,
        name: str,
        command: str,
        *,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        request_timeout: int | None = None,
        session: ClientSession | None = None,
        description: str | None = None,
        approval_mode: Literal["always_require", "never_require"] | MCPSpecificApproval | None = None,
        allowed_tools: Collection[str] | None = None,
        args: list[str] | None = None,
        env: dict[str, str] | None = None,
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
        **kwargs: Any,
    ) -> None:
        self.command = command
        self.args = args or []
        self.env = env
        self.encoding = encoding
        self._client_kwargs = kwargs
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
        from ._mcp_client import _transports

        return _transports.stdio(self._parameters())

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
        url: Its endpoint.
        terminate_on_close: Whether to end the session on the server when closing (HTTP DELETE); None means yes.
        http_client: An ``httpx.AsyncClient`` with your headers, time limits, proxies and credentials. It stays yours:
            it is neither changed nor closed.
        header_provider: Called for each call with its arguments; returns headers for that call.
        **kwargs: Accepted for compatibility, and ignored.

    The other parameters are those of :class:`MCPTool`.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        request_timeout: int | None = None,
        session: ClientSession | None = None,
        description: str | None = None,
        approval_mode: Literal["always_require", "never_require"] | MCPSpecificApproval | None = None,
        allowed_tools: Collection[str] | None = None,
        terminate_on_close: bool | None = None,
        client: SupportsChatGetResponse | None = None,
        additional_properties: dict[str, Any] | None = None,
        http_client: httpx.AsyncClient | None = None,
        header_provider: Callable[[dict[str, Any]], dict[str, str]] | None = None,
        connect_timeout: float | None = None,
        additional_tool_argument_names: ArgumentNames | None = None,
        progress_callback: ProgressCallback | None = None,
        sampling_approval_callback: SamplingApproval | None = None,
        sampling_max_tokens: int | None = SAMPLING_MAX_TOKENS,
        sampling_max_requests: int | None = SAMPLING_MAX_REQUESTS,
        elicitation_callback: ElicitationCallback | None = None,
        roots: Roots | None = None,
        **kwargs: Any,
    ) -> None:
        self.url = url
        self.terminate_on_close = terminate_on_close
        self._httpx_client = http_client
        self._header_provider = header_provider
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
        )

    @property
    def _server(self) -> Server:
        return Server(self.name, url=public_url(self.url))

    @property
    def _terminates(self) -> bool:
        return True if self.terminate_on_close is None else self.terminate_on_close

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The SDK's streamable HTTP transport.

        With a ``header_provider`` it yields a third item, without which calls get no headers of their own.

        Raises:
            ModuleNotFoundError: ``mcp`` is not installed.
        """
        if self._header_provider is not None:
            return self._guarded_transport()
        with _needs_mcp(self):
            return streamable_http_client(
                url=self.url, http_client=self._httpx_client, terminate_on_close=self._terminates
            )

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        return self.get_mcp_client() if _is_overridden(self, MCPStreamableHTTPTool) else self._guarded_transport()

    def _guarded_transport(self) -> AbstractAsyncContextManager[Any]:
        with _needs_mcp(self):
            from ._mcp_client import _transports

        return _transports.streamable_http(
            streamable_http_client,
            url=self.url,
            http_client=self._httpx_client,
            terminate_on_close=self._terminates,
            ambient_headers=None if self._header_provider is None else self._ambient_headers,
        )

    def _headers_for(self, values: Mapping[str, Any]) -> AbstractContextManager[None]:
        if self._header_provider is None:
            return nullcontext()
        try:
            return _CallHeaders(dict(self._header_provider(dict(values))))
        except Exception as error:  # the user's own code; nothing has been sent yet
            sentence = f"The header_provider of MCP server {self._server} failed: {type(error).__name__}: {error}."
            raise MCPError(sentence, server=str(self._server), sent=False) from error

    def _ambient_headers(self) -> dict[str, str]:
        """Headers for requests that belong to no call. A provider that needs a call's values has none for them."""
        if self._header_provider is None:
            return {}
        try:
            return dict(self._header_provider({}))
        except KeyError as error:
            logger.debug("The header_provider of MCP server %s has no headers without %s.", self._server, error)
            return {}


class MCPWebsocketTool(MCPTool):
    """An MCP server behind a websocket URL. Websockets are not part of the MCP specification.

    Args:
        name: What this server is called here.
        url: Its endpoint, ``ws://`` or ``wss://``.
        **kwargs: What ``websockets.asyncio.client.connect`` takes, such as ``max_size`` or ``additional_headers``.

    The other parameters are those of :class:`MCPTool`.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        tool_name_prefix: str | None = None,
        load_tools: bool = True,
        parse_tool_results: Callable[[types.CallToolResult], str | list[Content]] | None = None,
        load_prompts: bool = True,
        parse_prompt_results: Callable[[types.GetPromptResult], str] | None = None,
        request_timeout: int | None = None,
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
        **kwargs: Any,
    ) -> None:
        self.url = url
        self._client_kwargs = kwargs
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
        )

    @property
    def _server(self) -> Server:
        return Server(self.name, url=public_url(self.url))

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The SDK's websocket transport, which SDK 1.28 and later deprecate.

        Raises:
            ModuleNotFoundError: ``mcp`` or ``websockets`` is not installed.
        """
        with _needs_mcp(self, extra="ws"):
            from mcp.client import websocket
        return websocket.websocket_client(url=self.url, **self._client_kwargs)

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        if _is_overridden(self, MCPWebsocketTool):
            return self.get_mcp_client()
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
            raise ModuleNotFoundError(
                f"{self._who} requires `{self._what}`. Install it with `pip install '{self._what}'`.", name=error.name
            ) from error


def _is_overridden(tool: MCPTool, owner: type[MCPTool]) -> bool:
    """Whether somebody put their own ``get_mcp_client`` on a subclass or on the object."""
    return getattr(tool.get_mcp_client, "__func__", None) is not owner.get_mcp_client


def _require_seconds(name: str, value: float | None) -> None:
    if value is not None and value < 0:
        raise ValueError(f"{name} must be a number of seconds, or None for no limit of its own, not {value!r}.")


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


async def _finish(awaitable: Awaitable[Any], what: str) -> None:
    try:
        await awaitable
    except Exception:  # the user's own code, which must not end the connection
        logger.exception("The %s failed.", what)
