# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

import logging
import pickle

import pytest

from agent_framework import exceptions
from agent_framework.exceptions import (
    AgentException,
    AgentFrameworkException,
    ChatClientContentFilterException,
    ChatClientException,
    ContentError,
    IntegrationException,
    MiddlewareException,
    SettingNotFoundError,
    ToolException,
    ToolExecutionException,
    UserInputRequiredException,
    WorkflowException,
    WorkflowRunnerException,
)

MCP_NAMES = (
    "MCPError",
    "MCPConnectionError",
    "MCPAuthenticationError",
    "MCPTimeoutError",
    "MCPProtocolError",
    "MCPServerError",
    "MCPToolError",
)
PARENTS = {
    AgentException: ("InvalidAuthException", "InvalidRequestException", "InvalidResponseException"),
    ChatClientException: ("InvalidAuthException", "InvalidRequestException", "InvalidResponseException"),
    IntegrationException: ("InitializationError", "InvalidAuthException", "InvalidRequestException"),
    ContentError: (),
    ToolException: (),
    MiddlewareException: (),
    SettingNotFoundError: (),
    WorkflowException: (),
}


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_public_name_is_an_exception_of_the_framework_that_says_when_it_happens(name: str) -> None:
    exception = getattr(exceptions, name)

    assert issubclass(exception, AgentFrameworkException)
    assert exception.__doc__


@pytest.mark.parametrize(("branch", "endings"), PARENTS.items())
def test_each_domain_has_its_own_branch(branch: type[Exception], endings: tuple[str, ...]) -> None:
    prefix = branch.__name__.removesuffix("Exception")

    assert branch.__bases__ == (AgentFrameworkException,)
    for ending in endings:
        assert getattr(exceptions, prefix + ending).__bases__ == (branch,)


def test_convergence_and_checkpoint_failures_are_failures_of_the_workflow_runner() -> None:
    assert issubclass(exceptions.WorkflowConvergenceException, WorkflowRunnerException)
    assert issubclass(exceptions.WorkflowCheckpointException, WorkflowRunnerException)


@pytest.mark.parametrize("name", MCP_NAMES)
def test_mcp_exceptions_can_be_imported_beside_the_others_and_are_tool_exceptions(name: str) -> None:
    assert issubclass(getattr(exceptions, name), ToolExecutionException)


def test_an_mcp_timeout_is_a_builtin_timeout_that_keeps_its_message() -> None:
    error = exceptions.MCPTimeoutError("server 'a' did not answer within 3 s")

    assert isinstance(error, TimeoutError)
    assert str(error) == "server 'a' did not answer within 3 s"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="MCPNonsense"):
        exceptions.MCPNonsense  # noqa: B018


def test_the_text_of_an_exception_is_its_message() -> None:
    error = ToolException("the tool is gone", ValueError("inner"))

    assert str(error) == "the tool is gone"
    assert error.args == ("the tool is gone",)
    assert error.__cause__ is None


def test_further_arguments_do_not_change_the_text() -> None:
    assert str(ToolException("the tool is gone", None, logging.DEBUG, 1, extra=2)) == "the tool is gone"


def test_an_exception_logs_its_message_with_the_inner_exception_at_the_level_given(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = ValueError("inner")

    with caplog.at_level(logging.DEBUG, logger="agent_framework"):
        ToolException("first", inner)
        ToolException("second", log_level=logging.WARNING)
        ToolException("third", log_level=None)

    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("DEBUG", "first"),
        ("WARNING", "second"),
    ]
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is inner


def test_a_required_user_input_carries_what_to_ask() -> None:
    error = UserInputRequiredException(["request"])

    assert error.contents == ["request"]
    assert str(error) == "Tool requires user input to proceed."


def test_exceptions_survive_pickling() -> None:
    copy = pickle.loads(pickle.dumps(ChatClientContentFilterException("filtered")))

    assert type(copy) is ChatClientContentFilterException
    assert str(copy) == "filtered"
