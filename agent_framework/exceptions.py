# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Every exception that the framework raises on purpose.

- AgentFrameworkException
  - AgentException
    - AgentInvalidAuthException, AgentInvalidRequestException, AgentInvalidResponseException,
      AgentContentFilterException
  - ChatClientException
    - ChatClientInvalidAuthException, ChatClientInvalidRequestException, ChatClientInvalidResponseException,
      ChatClientContentFilterException
  - IntegrationException
    - IntegrationInitializationError, IntegrationInvalidAuthException, IntegrationInvalidRequestException,
      IntegrationInvalidResponseException, IntegrationContentFilterException
  - ContentError
    - AdditionItemMismatch
  - ToolException
    - ToolExecutionException
    - UserInputRequiredException
    - the MCP exceptions, which live in ``_mcp_client/_exceptions.py`` and can be imported from here too
  - MiddlewareException (MiddlewareTermination, a signal and no failure, is in ``_middleware``)
  - SettingNotFoundError
  - WorkflowException
    - WorkflowRunnerException
      - WorkflowConvergenceException, WorkflowCheckpointException

Using an object wrongly is not in this tree: that is RuntimeError, TypeError or ValueError.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._mcp_client._exceptions import (
        MCPAuthenticationError,
        MCPConnectionError,
        MCPError,
        MCPProtocolError,
        MCPServerError,
        MCPTimeoutError,
        MCPToolError,
    )

__all__ = [
    "AdditionItemMismatch",
    "AgentContentFilterException",
    "AgentException",
    "AgentFrameworkException",
    "AgentInvalidAuthException",
    "AgentInvalidRequestException",
    "AgentInvalidResponseException",
    "ChatClientContentFilterException",
    "ChatClientException",
    "ChatClientInvalidAuthException",
    "ChatClientInvalidRequestException",
    "ChatClientInvalidResponseException",
    "ContentError",
    "IntegrationContentFilterException",
    "IntegrationException",
    "IntegrationInitializationError",
    "IntegrationInvalidAuthException",
    "IntegrationInvalidRequestException",
    "IntegrationInvalidResponseException",
    "MCPAuthenticationError",
    "MCPConnectionError",
    "MCPError",
    "MCPProtocolError",
    "MCPServerError",
    "MCPTimeoutError",
    "MCPToolError",
    "MiddlewareException",
    "SettingNotFoundError",
    "ToolException",
    "ToolExecutionException",
    "UserInputRequiredException",
    "WorkflowCheckpointException",
    "WorkflowConvergenceException",
    "WorkflowException",
    "WorkflowRunnerException",
]

logger = logging.getLogger("agent_framework")


class AgentFrameworkException(Exception):
    """The base of everything below; catch it to catch whatever the framework raises on purpose."""

    def __init__(
        self,
        message: str,
        inner_exception: Exception | None = None,
        log_level: int | None = logging.DEBUG,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep the message and write it to the framework's log.

        Args:
            message: One sentence; it is what ``str()`` of the exception gives.
            inner_exception: Logged with the message. It is not kept: chain it with ``raise ... from``.
            log_level: A level of ``logging``; None writes nothing.
            args: Further values for the exception's own ``args``.
            kwargs: Accepted for subclasses that pass more; not used.
        """
        if log_level is not None:
            logger.log(log_level, message, exc_info=inner_exception)
        super().__init__(message, *args)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AgentException(AgentFrameworkException):
    """Running an agent failed."""


class AgentInvalidAuthException(AgentException):
    """The service behind an agent refused the credentials."""


class AgentInvalidRequestException(AgentException):
    """The service behind an agent refused what was asked of it."""


class AgentInvalidResponseException(AgentException):
    """An agent got nothing, or nothing it can use, from its client."""


class AgentContentFilterException(AgentException):
    """A content filter stopped what an agent was asked or what it answered."""


class ChatClientException(AgentFrameworkException):
    """A chat client could not get an answer from its model."""


class ChatClientInvalidAuthException(ChatClientException):
    """The model's endpoint refused the credentials."""


class ChatClientInvalidRequestException(ChatClientException):
    """The request to the model is not one that can be sent, or the endpoint refused it as malformed."""


class ChatClientInvalidResponseException(ChatClientException):
    """The model's endpoint answered with something that is no chat response."""


class ChatClientContentFilterException(ChatClientException):
    """The model's endpoint applied its content filter to the prompt or the completion."""


class IntegrationException(AgentFrameworkException):
    """A service other than a model or an agent (a store, an index, a bus) failed."""


class IntegrationInitializationError(IntegrationException):
    """A service could not be set up from what it was configured with."""


class IntegrationInvalidAuthException(IntegrationException):
    """A service refused the credentials."""


class IntegrationInvalidRequestException(IntegrationException):
    """A service refused what was asked of it."""


class IntegrationInvalidResponseException(IntegrationException):
    """A service answered with something that cannot be used."""


class IntegrationContentFilterException(IntegrationException):
    """A service applied its content filter."""


class ContentError(AgentFrameworkException):
    """A content item, a URI in it, or an option that describes content is not valid for what was asked."""


class AdditionItemMismatch(ContentError):
    """Two content items of one type were added that do not belong to the same item."""


class ToolException(AgentFrameworkException):
    """A tool cannot be used: it could not be set up or reached, or it has used up its invocations."""


class ToolExecutionException(ToolException):
    """A tool was called and the call failed."""


class UserInputRequiredException(ToolException):
    """A tool cannot go on before the user has answered what is in ``contents``."""

    def __init__(self, contents: list[Any], message: str = "Tool requires user input to proceed.") -> None:
        """Keep the requests.

        Args:
            contents: The Content items to show to the user.
            message: One sentence.
        """
        super().__init__(message)
        self.contents = contents


class MiddlewareException(AgentFrameworkException):
    """A middleware is declared or used in a way that its pipeline cannot run."""


class SettingNotFoundError(AgentFrameworkException):
    """A setting is in no argument, file or environment variable, or in several of which one was wanted."""


class WorkflowException(AgentFrameworkException):
    """A workflow failed; raised by packages that bring workflows."""


class WorkflowRunnerException(WorkflowException):
    """Running a workflow failed."""


class WorkflowConvergenceException(WorkflowRunnerException):
    """A workflow did not come to rest within its number of steps."""


class WorkflowCheckpointException(WorkflowRunnerException):
    """A checkpoint of a workflow could not be written, read or applied."""


_MCP_EXCEPTIONS = frozenset(name for name in __all__ if name.startswith("MCP"))


def __getattr__(name: str) -> Any:
    # Lazy, because the module of the MCP exceptions derives them from ToolExecutionException above.
    if name not in _MCP_EXCEPTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._mcp_client import _exceptions

    return getattr(_exceptions, name)
