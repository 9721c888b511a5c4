# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What a tool sends its requests through: a session, whoever owns it, and the calls in flight on it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import anyio

from ._calls import Calls, new_call
from ._causes import DeadlinePassed
from ._errors import is_request_timeout, request_error
from ._exceptions import MCPError
from ._server import Server
from ._state import State
from ._streams import Call
from ._tracing import request_span

T = TypeVar("T")


class Link(ABC):
    """A way to a server, as the tool sees it.

    Attributes:
        server: Who is at the other end.
        generation: Which connection of its tool this is; 0 for a session that the tool does not own.
        session: The ``ClientSession``, once there is one.
        loading: Held while the catalogue is fetched.
    """

    def __init__(self, server: Server, generation: int) -> None:
        self.server = server
        self.generation = generation
        self.session: Any = None
        self.loading = asyncio.Lock()
        self._calls = Calls()

    @property
    @abstractmethod
    def state(self) -> State:
        """Where the link is in its life."""

    @property
    @abstractmethod
    def cause(self) -> BaseException | None:
        """What ended it, or None while it lives and after a plain close."""

    @property
    @abstractmethod
    def capabilities(self) -> Any:
        """The ``ServerCapabilities`` that the handshake brought, or None."""

    @property
    def protocol_version(self) -> str | None:
        """The version of MCP that the handshake agreed on, where that is known."""
        return None

    @property
    def server_info(self) -> Any:
        """The server's ``Implementation``, where it has said."""
        return None

    @abstractmethod
    async def open(
        self, finish: Callable[[Link], Awaitable[None]] | None = None, *, patience: float | None = None
    ) -> None:
        """Make it ready, and then wait for ``finish``; for the former no longer than ``patience`` seconds."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of it."""

    @abstractmethod
    def drop(self) -> None:
        """Let go of it without waiting."""

    @property
    def is_open_here(self) -> bool:
        """Whether requests of the running event loop can be sent without anything more to do."""
        return False

    @property
    def is_over(self) -> bool:
        """Whether it is ending or has ended."""
        return self.state in (State.CLOSING, State.CLOSED)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.server} generation={self.generation} {self.state.value} "
            f"calls={len(self._calls)}>"
        )

    async def request(
        self,
        send: Callable[[Any], Awaitable[T]],
        *,
        method: str,
        target: str | None = None,
        phase: str,
        what: str,
        timeout: float | None,
        setting: str,
    ) -> T:
        """Send one request in the caller's task and wait for its answer, for its deadline, or for the end of the link.

        Args:
            send: Makes the request on the session it is given.
            method: The JSON-RPC method, for the request's span.
            target: The server's own name of the tool or prompt, for the span.
            phase: What ``MCPError.phase`` says.
            what: The request in words, as the subject of a sentence.
            timeout: How long the answer may take, in seconds; None for ever.
            setting: The parameter that sets that deadline, for the message.

        Raises:
            MCPError: It failed; ``sent`` tells whether it may have run.
        """
        call = new_call(phase, what, timeout)
        with request_span(
            method, self.server, target=target, protocol_version=self.protocol_version, call=call
        ) as span:
            answer = await self._answer(send, call, DeadlinePassed(timeout or 0.0, setting))
            span.answered(answer)
            return answer

    async def _answer(self, send: Callable[[Any], Awaitable[T]], call: Call, late: DeadlinePassed) -> T:
        if self.is_over:
            raise self._error(call, self.cause)
        outcome = await self._calls.run(lambda: send(self.session), call)
        if outcome.answered:
            return cast("T", outcome.answer)
        raise await self._why_unanswered(call, outcome.error, late)

    async def _why_unanswered(self, call: Call, error: Exception | None, late: DeadlinePassed) -> MCPError:
        if self.is_over:
            return self._error(call, self.cause)
        if error is None or is_request_timeout(error):
            return self._error(call, late)
        if isinstance(error, (anyio.ClosedResourceError, anyio.BrokenResourceError)):
            # A transport that knows why it takes nothing more says so in the cause.
            reason = error.__cause__ or error
            self.lose(reason)
            return self._error(call, reason)
        return self._error(call, error)

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> bool:
        """Run something beside the calls, where there is a task group for it. It must not raise.

        Returns:
            Whether it will run.
        """
        return False

    def lose(self, cause: BaseException) -> None:  # noqa: B027  # optional
        """Report that the server is gone."""

    def _error(self, call: Call, cause: BaseException | None) -> MCPError:
        return request_error(cause, self.server, phase=call.phase, what=call.what, sent=call.sent)
