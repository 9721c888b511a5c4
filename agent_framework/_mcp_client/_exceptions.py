# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What can go wrong between us and an MCP server, by what a caller can do about it.

* ToolExecutionException
  * MCPError
    * MCPConnectionError      the server cannot be reached, or the connection broke: try again later
    * MCPAuthenticationError  the server refuses the credentials: get new ones
    * MCPTimeoutError         no answer within a deadline: raise the deadline, or look at the server
    * MCPProtocolError        something answers, but not with MCP: look at the address
    * MCPServerError          the server answers with an error of its own: look at the request
    * MCPToolError            the tool ran and reports a failure: let the model read it

``MCPError`` itself is what is left: a failure of a kind nobody foresaw. Its ``__cause__`` is the foreign exception as
it came.
"""

from __future__ import annotations

from typing import Any

from ..exceptions import ToolExecutionException
from ._printable import ERROR_LIMIT, printable


class MCPError(ToolExecutionException):
    """An MCP operation failed; the base of all that the MCP layer raises.

    ``str()`` of it is one sentence, on one line, that names the server and the root cause; ``__cause__`` is the root
    cause itself.

    Attributes:
        server: The server as messages name it: the tool's name and the URL (without userinfo and query) or the command.
        phase: What was under way: ``"connect"``, ``"list"``, ``"call"`` or ``"prompt"``.
        status_code: The HTTP status that the server answered with, or None.
        code: The JSON-RPC error code that the server answered with, or None.
        data: What the server put beside that code (JSON-RPC 2.0, section 5.1), as it came, or None.
        sent: False when the request certainly never ran on the server, True when it may have, None where no request of
            the caller's was involved.
    """

    def __init__(
        self,
        message: str,
        *,
        server: str = "",
        phase: str = "call",
        status_code: int | None = None,
        code: int | None = None,
        data: Any = None,
        sent: bool | None = None,
    ) -> None:
        super().__init__(printable(message, ERROR_LIMIT))
        self.server = server
        self.phase = phase
        self.status_code = status_code
        self.code = code
        self.data = data
        self.sent = sent


class MCPConnectionError(MCPError):
    """The server cannot be reached, the connection to it was lost, or it is closed."""


class MCPAuthenticationError(MCPError):
    """The server answered 401 or 403.

    Attributes:
        www_authenticate: The challenge in the answer's ``WWW-Authenticate`` header (RFC 9110, section 11.6.1), or None.
    """

    def __init__(self, message: str, *, www_authenticate: str | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.www_authenticate = www_authenticate


class MCPTimeoutError(MCPError, TimeoutError):
    """The server did not answer within a deadline.

    Attributes:
        timeout: The deadline that passed, in seconds, or None where a layer below set it.
    """

    def __init__(self, message: str, *, timeout: float | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.timeout = timeout


class MCPProtocolError(MCPError):
    """What answered does not speak MCP, or not a version of it that we know."""


class MCPServerError(MCPError):
    """The server answered with an HTTP error status or a JSON-RPC error."""


class MCPToolError(MCPError):
    """The tool ran and marked its result as an error (``isError``).

    The message is the result's text, on one line and no longer than that of any other error.

    Attributes:
        text: That text as the tool wrote it, for the model; the message unless given.
    """

    def __init__(self, message: str, *, text: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.text = text or message
