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
import logging
import sys
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

from opentelemetry import propagate

from ._mcp_client import _naming
from ._mcp_client._exceptions import MCPConnectionError, MCPError, MCPProtocolError, MCPToolError
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
    from ._types import Content

T = TypeVar("T")
P = TypeVar("P")

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

MAX_PAGES = 1000
"""How many pages a listing may have. A server with more is broken or hostile, and nobody could use what it lists."""

_MCP_REMOTE_NAME_KEY = "_mcp_remote_name"
_MCP_NORMALIZED_NAME_KEY = "_mcp_normalized_name"
_MCP_KIND_KEY = "_mcp_kind"

_FRAMEWORK_ARGUMENTS = frozenset(
    ["chat_options", "conversation_id", "options", "response_format", "session", "thread", "tool_choice", "tools"]
)
"""Keyword arguments with which the framework calls functions, and which no server is to see."""


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

    Raises:
        ValueError: A timeout is negative.
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
        self._functions: list[FunctionTool] = []
        self._catalogue_version = 0
        self._link: Link | None = None
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
        self._link = BorrowedSession(self._server, session, state)

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
        await link.open(finish)

    def _replace(self, link: Link | None) -> Link:
        """A new connection in the place of one that is over. No await: whoever comes next finds it and joins it."""
        connection = self._new_connection(link)
        self._link = connection
        return connection

    async def _load_sdk(self) -> None:
        from ._mcp_client import _loading

        try:
            await _loading.load()
        except ModuleNotFoundError as error:
            raise ToolException(f"MCP support requires `mcp`. Install it with `pip install mcp`. ({error})") from error

    def _new_connection(self, predecessor: Link | None) -> Link:
        from ._mcp_client._connection import CONNECT_TIMEOUT, Connection

        return Connection(
            self._server,
            generation=1 if predecessor is None else predecessor.generation + 1,
            open_transport=self._open_transport,
            make_session=self._make_session,
            connect_timeout=self.connect_timeout or CONNECT_TIMEOUT,
            request_timeout=self.request_timeout or None,
            predecessor=predecessor if isinstance(predecessor, Connection) else None,
        )

    def _make_session(self, read_stream: Any, write_stream: Any) -> AbstractAsyncContextManager[Any]:
        from ._mcp_client import _sdk

        return _sdk.make_session(
            read_stream,
            write_stream,
            read_timeout=self.request_timeout,
            message_handler=self.message_handler,
            logging_callback=self.logging_callback,
        )

    async def close(self) -> None:
        """Close the connection, from any task, at any time, as often as you like.

        Calls in flight get an ``MCPConnectionError``. What the server listed stays listed. Takes a few seconds at most.
        """
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
        await self._load(self._load_tools_on)

    async def load_prompts(self) -> None:
        """List the server's prompts anew, as :meth:`load_tools` does the tools.

        Raises:
            ToolException: The listing failed; the prompts listed before are kept.
        """
        await self._load(self._load_prompts_on)

    async def _load(self, load: Callable[[Link], Awaitable[None]]) -> None:
        link = await self._ready_link(dial=True)
        async with link.loading:
            await load(link)

    async def _load_configured(self, link: Link) -> None:
        if self.load_tools_flag and _offers(link, "tools"):
            await self._load_tools_on(link)
        if self.load_prompts_flag and _offers(link, "prompts"):
            await self._load_prompts_on(link)
        self._catalogue_version += 1

    async def _load_tools_on(self, link: Link) -> None:
        tools = await self._list_all(link, "tools", lambda session, params: session.list_tools(params=params))
        self._swap("tool", [self._tool_function(tool) for tool in tools])

    async def _load_prompts_on(self, link: Link) -> None:
        prompts = await self._list_all(link, "prompts", lambda session, params: session.list_prompts(params=params))
        self._swap("prompt", [self._prompt_function(prompt) for prompt in prompts])

    async def _list_all(self, link: Link, kind: str, list_page: Callable[[Any, Any], Awaitable[Any]]) -> list[Any]:
        """All pages of a listing (MCP, "Pagination"); none of it counts unless all of it arrives."""
        from mcp.types import PaginatedRequestParams

        items: list[Any] = []
        params: PaginatedRequestParams | None = None
        cursors: set[str] = set()
        while True:
            page = await link.request(
                partial(_call_with, list_page, params),
                phase="list",
                what=f"Listing {kind}",
                timeout=self.request_timeout or MCP_DEFAULT_TIMEOUT,
                setting="request_timeout",
            )
            items.extend(getattr(page, kind))
            cursor = page.nextCursor
            if not cursor:
                return items
            if cursor in cursors or len(cursors) >= MAX_PAGES:
                raise MCPProtocolError(
                    f"Listing {kind} failed on MCP server {link.server}: the listing does not end "
                    f"({'a cursor came twice' if cursor in cursors else f'more than {MAX_PAGES} pages'}).",
                    server=str(link.server),
                    phase="list",
                )
            cursors.add(cursor)
            params = PaginatedRequestParams(cursor=cursor)

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
        tools = {item.name for item in merged if _kind(item) == "tool"}
        self._functions = [item for item in merged if _kind(item) != "prompt" or item.name not in tools]

    def _tool_function(self, tool: types.Tool) -> FunctionTool:
        return self._function(tool, "tool", self.call_tool, _naming.input_schema(tool.inputSchema))

    def _prompt_function(self, prompt: types.Prompt) -> FunctionTool:
        return self._function(prompt, "prompt", self.get_prompt, _get_input_model_from_mcp_prompt(prompt))

    def _function(self, item: Any, kind: str, call: Callable[..., Any], schema: dict[str, Any]) -> FunctionTool:
        normalized = _normalize_mcp_name(item.name)
        name = _build_prefixed_mcp_name(normalized, self.tool_name_prefix)
        return FunctionTool(
            func=partial(call, item.name),
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
            **kwargs: Its arguments.

        Returns:
            What ``parse_tool_results`` makes of the result, by default a list of content.

        Raises:
            MCPToolError: The tool ran and says that it failed.
            MCPTimeoutError: No answer within ``request_timeout``.
            MCPConnectionError: The server is gone; ``sent`` tells whether the call may have run.
            ToolExecutionException: Anything else, such as a JSON-RPC error of the server.
        """
        if not self.load_tools_flag:
            raise ToolExecutionException(
                "Tools are not loaded for this server, please set load_tools=True in the constructor."
            )
        arguments = {name: value for name, value in kwargs.items() if name not in _FRAMEWORK_ARGUMENTS}
        meta = _inject_otel_into_mcp_meta()
        result: types.CallToolResult = await self._request(
            lambda session: session.call_tool(tool_name, arguments=arguments, meta=meta),
            phase="call",
            what=f"Tool '{tool_name}'",
        )
        parse = self.parse_tool_results or self._parse_tool_result_from_mcp
        parsed = self._parsed(parse, result, f"Tool '{tool_name}'")
        if result.isError:
            from ._mcp_client._content import text_of

            raise MCPToolError(text_of(parsed), server=str(self._server), phase="call", sent=True)
        return parsed

    async def get_prompt(self, prompt_name: str, **kwargs: Any) -> str:
        """Get a prompt from the server, filled in.

        Args:
            prompt_name: The server's own name of the prompt.
            **kwargs: Its arguments.

        Returns:
            What ``parse_prompt_results`` makes of the result, by default its text.

        Raises:
            ToolExecutionException: It failed; see :meth:`call_tool` for the kinds.
        """
        if not self.load_prompts_flag:
            raise ToolExecutionException(
                "Prompts are not loaded for this server, please set load_prompts=True in the constructor."
            )
        result: types.GetPromptResult = await self._request(
            lambda session: session.get_prompt(prompt_name, arguments=kwargs),
            phase="prompt",
            what=f"Prompt '{prompt_name}'",
        )
        parse = self.parse_prompt_results or self._parse_prompt_result_from_mcp
        return self._parsed(parse, result, f"Prompt '{prompt_name}'")

    async def _request(self, send: Callable[[Any], Awaitable[T]], *, phase: str, what: str) -> T:
        """Send a request; once more on a new connection if the first one is gone and the request provably never ran."""

        async def attempt(link: Link) -> T:
            return await link.request(
                send, phase=phase, what=what, timeout=self.request_timeout or None, setting="request_timeout"
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
        if link is None or (link.is_over and link.cause is None):
            if not dial:
                raise MCPConnectionError(
                    f"MCP server {self._server} is not connected; call connect() first, or use 'async with'.",
                    server=str(self._server),
                    sent=False,
                )
            link = self._replace(link)
        elif link.is_over:
            link = self._replace(link)
        try:
            await link.open()
        except MCPError as error:
            error.sent = False
            raise
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

    # What the server says ...

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
        if method == "notifications/tools/list_changed" and self.load_tools_flag:
            self._reload_soon("tools", self.load_tools)
        elif method == "notifications/prompts/list_changed" and self.load_prompts_flag:
            self._reload_soon("prompts", self.load_prompts)

    def _reload_soon(self, kind: str, load: Callable[[], Awaitable[None]]) -> None:
        if self._link is not None:
            self._link.start_soon(self._reload, kind, load)

    async def _reload(self, kind: str, load: Callable[[], Awaitable[None]]) -> None:
        try:
            await load()
        except Exception:  # nobody waits for a reload; the old list stays in use
            kept = "Background MCP reload failed: the %s of %s stay as they were."
            logger.warning(kept, kind, self._server, exc_info=True)


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
        )

    @property
    def _server(self) -> Server:
        return Server(self.name, url=public_url(self.url))

    @property
    def _terminates(self) -> bool:
        return True if self.terminate_on_close is None else self.terminate_on_close

    def get_mcp_client(self) -> AbstractAsyncContextManager[Any]:
        """The SDK's streamable HTTP transport.

        Raises:
            ModuleNotFoundError: ``mcp`` is not installed.
        """
        with _needs_mcp(self):
            return streamable_http_client(
                url=self.url, http_client=self._httpx_client, terminate_on_close=self._terminates
            )

    def _open_transport(self) -> AbstractAsyncContextManager[Any]:
        if _is_overridden(self, MCPStreamableHTTPTool):
            return self.get_mcp_client()
        from ._mcp_client import _transports

        return _transports.streamable_http(
            streamable_http_client, url=self.url, http_client=self._httpx_client, terminate_on_close=self._terminates
        )


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


async def _call_with(list_page: Callable[[Any, Any], Awaitable[Any]], params: Any, session: Any) -> Any:
    return await list_page(session, params)
