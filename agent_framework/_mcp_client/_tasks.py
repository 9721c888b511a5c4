# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Tools that the server runs as tasks (MCP, "Tasks"): create one, poll it, fetch its result.

A tool whose ``taskSupport`` is ``required`` cannot be called otherwise. What creates a task is sent once and never
again; polling and fetching change nothing, so a lost connection is replaced once and the same task is asked for again.
A task that we stop waiting for is cancelled on the server, as far as it can still be reached.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from ._exceptions import MCPConnectionError, MCPError, MCPProtocolError, MCPServerError, MCPTimeoutError, MCPToolError
from ._printable import NAME_LIMIT, printable
from .sdk import fields

if TYPE_CHECKING:
    from mcp import types

    from ._server import Server

logger = logging.getLogger("agent_framework._mcp")

POLL_INTERVALS = (0.5, 5.0)
"""The shortest and the longest pause between two polls, in seconds, whatever the server suggests: not a busy loop, and
not so long that a result waits for nobody."""

CANCEL_TIMEOUT = 5.0
"""How long the server may take to confirm that a task is cancelled, in seconds. Nobody waits for it."""

_OVER = frozenset(["completed", "failed", "cancelled", "input_required"])
"""Where polling ends. A task that wants input is not over, but we have no way to give it any."""


@dataclass(frozen=True)
class MCPTaskOptions:
    """How tools are called that the server runs as tasks.

    Attributes:
        default_ttl: How long the server is asked to keep a task; None leaves that to the server.
        cancel_remote_task_on_local_cancellation: Whether a cancelled caller has the task cancelled on the server.
        max_task_wait: How long a task may take from its creation to its result; None for ever. A task that takes
            longer is cancelled on the server.

    Raises:
        ValueError: A time is not positive.
    """

    default_ttl: timedelta | None = None
    cancel_remote_task_on_local_cancellation: bool = True
    max_task_wait: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("default_ttl", "max_task_wait"):
            value: timedelta | None = getattr(self, name)
            if value is not None and value <= timedelta(0):
                raise ValueError(f"{name} must be more than nothing, not {value!r}.")


class Request(Protocol):
    """Sends a request to the server, on a new connection if the old one is gone and the request never ran."""

    def __call__(
        self, send: Callable[[Any], Awaitable[Any]], *, method: str, what: str, timeout: float | None
    ) -> Awaitable[Any]: ...


def is_required(tool: Any) -> bool:
    """Whether a listed ``Tool`` can be called only as a task."""
    execution = getattr(tool, "execution", None)
    return execution is not None and fields.task_support(execution) == "required"


class TaskCalls:
    """Calls tools as tasks.

    Args:
        server: Who runs them.
        options: The user's wishes.
        request: Sends a request and waits for the answer.
        in_background: Runs something beside the calls and returns whether it will.
        timeout: How long a poll may take, in seconds.
    """

    def __init__(
        self,
        server: Server,
        options: MCPTaskOptions,
        *,
        request: Request,
        in_background: Callable[..., bool],
        timeout: float,
    ) -> None:
        self._server = server
        self._options = options
        self._request = request
        self._in_background = in_background
        self._timeout = timeout

    async def call(
        self,
        tool_name: str,
        arguments: dict[str, Any],
        meta: Callable[[], dict[str, Any] | None],
        *,
        plainly: Callable[[Any], Awaitable[types.CallToolResult]],
        timeout: float | None,
    ) -> types.CallToolResult:
        """Call one tool.

        Args:
            tool_name: The server's own name of it.
            arguments: What it gets.
            meta: Gives the request's ``_meta``.
            plainly: Sends the same call without a task, to a server that does not want one.
            timeout: How long the server may take to accept the call, in seconds; None for ever.

        Raises:
            MCPToolError: The task failed.
            MCPTimeoutError: It took longer than ``max_task_wait``.
            MCPError: What became of it is unknown.
        """
        try:
            created = await self._send(
                lambda session: self._ask_for_task(session, tool_name, arguments, meta()),
                "tools/call",
                f"Tool '{tool_name}'",
                timeout,
            )
        except MCPServerError as error:
            if error.code not in _codes_of_refusal():
                raise
            logger.debug(
                "MCP server %s takes no task for '%s': %s", self._server, printable(tool_name, NAME_LIMIT), error
            )
            result: types.CallToolResult = await self._send(plainly, "tools/call", f"Tool '{tool_name}'", timeout)
            return result
        task_id = (created.get("task") or {}).get("taskId")
        if not isinstance(task_id, str):
            return self._as_result(created, f"Tool '{tool_name}'")
        return await self._outcome(tool_name, task_id)

    def _ask_for_task(
        self, session: Any, tool_name: str, arguments: dict[str, Any], meta: dict[str, Any] | None
    ) -> Awaitable[dict[str, Any]]:
        from . import _sdk

        ttl = self._options.default_ttl
        # The field alone makes it a task, also without anything in it.
        task = {} if ttl is None else {"ttl": int(ttl.total_seconds() * 1000)}
        params = {"name": tool_name, "arguments": arguments, "task": task, **({"_meta": meta} if meta else {})}
        return _sdk.ask(session, "tools/call", params)

    # Waiting ...

    async def _outcome(self, tool_name: str, task_id: str) -> types.CallToolResult:
        import anyio

        wait = self._options.max_task_wait
        cancels = self._options.cancel_remote_task_on_local_cancellation
        try:
            with anyio.move_on_after(None if wait is None else wait.total_seconds()):
                return await self._follow(tool_name, task_id)
        except anyio.get_cancelled_exc_class():
            if cancels:
                self._give_up(task_id)
            raise
        except _Abandoned as abandoned:
            self._give_up(task_id)
            raise abandoned.error from abandoned.error.__cause__
        self._give_up(task_id)
        seconds = 0.0 if wait is None else wait.total_seconds()
        raise MCPTimeoutError(
            f"Tool '{tool_name}' on MCP server {self._server} did not end within {seconds:g} s "
            f"(max_task_wait); its task {_shown(task_id)} is being cancelled.",
            server=str(self._server),
            sent=True,
            timeout=seconds,
        )

    async def _follow(self, tool_name: str, task_id: str) -> types.CallToolResult:
        import anyio

        while True:
            task = await self._poll(task_id)
            if task.get("status") in _OVER:
                return await self._end(tool_name, task_id, task)
            await anyio.sleep(_pause(task.get("pollInterval")))

    async def _poll(self, task_id: str) -> dict[str, Any]:
        what = f"Asking for task {_shown(task_id)}"
        try:
            task: dict[str, Any] = await self._ask("tasks/get", task_id, what)
        except MCPTimeoutError:
            return {}  # one answer that did not come says nothing about the task
        except MCPError as error:
            raise _Abandoned(error) from error
        if not isinstance(task.get("status"), str):
            raise _Abandoned(self._not_mcp(f"{what} brought no status"))
        return task

    async def _end(self, tool_name: str, task_id: str, task: dict[str, Any]) -> types.CallToolResult:
        if task["status"] != "completed":
            why = task.get("statusMessage") or "the server does not say why"
            sentence = f"Tool '{tool_name}' on MCP server {self._server}: its task is {task['status']}: {why}."
            raise MCPToolError(sentence, server=str(self._server), sent=True)

        what = f"Fetching the result of task {_shown(task_id)}"
        try:
            payload = await self._ask("tasks/result", task_id, what)
        except MCPConnectionError as error:
            raise _Abandoned(error) from error
        return self._as_result(payload, what)

    async def _ask(self, method: str, task_id: str, what: str) -> Any:
        """A request that changes nothing, and so may be repeated when a connection is lost."""
        try:
            return await self._send(_about(task_id, method), method, what, self._timeout)
        except MCPConnectionError:
            return await self._send(_about(task_id, method), method, what, self._timeout)

    async def _send(self, send: Callable[[Any], Awaitable[Any]], method: str, what: str, timeout: float | None) -> Any:
        # As it stands on the wire: servers leave out fields that the SDK's own types for tasks require, and SDK 2.x
        # drops all that a type of its own does not have.
        return await self._request(send, method=method, what=what, timeout=timeout)

    def _as_result(self, payload: Any, what: str) -> types.CallToolResult:
        from mcp import types
        from pydantic import ValidationError

        try:
            return types.CallToolResult.model_validate(payload)
        except ValidationError as error:
            raise self._not_mcp(f"{what} brought something that is no result of a tool") from error

    def _not_mcp(self, what: str) -> MCPProtocolError:
        return MCPProtocolError(f"{what} (MCP server {self._server}).", server=str(self._server), sent=True)

    # Giving up ...

    def _give_up(self, task_id: str) -> None:
        if not self._in_background(self._cancel, task_id):
            logger.warning("Task %s may go on: MCP server %s cannot be reached.", _shown(task_id), self._server)

    async def _cancel(self, task_id: str) -> None:
        try:
            await self._send(
                _about(task_id, "tasks/cancel"), "tasks/cancel", f"Cancelling task {_shown(task_id)}", CANCEL_TIMEOUT
            )
        except Exception as error:  # noqa: BLE001  # nobody waits for this, and it must not end the connection it runs in
            logger.warning(
                "Task %s of MCP server %s may go on: it could not be cancelled: %s",
                _shown(task_id),
                self._server,
                printable(error),
            )


class _Abandoned(Exception):
    """We stop following a task that may go on."""

    def __init__(self, error: MCPError) -> None:
        super().__init__(str(error))
        self.error = error


def _about(task_id: str, method: str) -> Callable[[Any], Awaitable[dict[str, Any]]]:
    """Sends a request about a task."""
    from . import _sdk

    return lambda session: _sdk.ask(session, method, {"taskId": task_id})


def _shown(task_id: str) -> str:
    """A task's id, which the server has chosen, as messages show it."""
    return printable(task_id, NAME_LIMIT)


def _pause(suggested: Any) -> float:
    shortest, longest = POLL_INTERVALS
    given = suggested / 1000 if isinstance(suggested, (int, float)) else 0.0
    return min(max(given, shortest), longest)


def _codes_of_refusal() -> tuple[int, int]:
    from mcp import types

    return types.METHOD_NOT_FOUND, types.INVALID_PARAMS
