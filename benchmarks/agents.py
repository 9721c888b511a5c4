# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""An agent on a model that costs next to nothing, so that a run of it costs what the framework does.

Runs in the environments that have `agent_framework`, this package's or upstream's, which both let it be used like this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

ANSWER = "done"


def runner(tools: Any, function: str, arguments: str, calls: int) -> Callable[[], Awaitable[Any]]:
    """A function that runs an agent once.

    Args:
        tools: Of the agent.
        function: The name of the one that the model calls.
        arguments: With which, as the JSON text that models send.
        calls: How many model calls of a run ask for it, once each, before the model answers.
    """
    from agent_framework import Agent

    agent = Agent(_model_class()(function, arguments, calls), tools=tools)
    return lambda: agent.run("hello")


def results(response: Any) -> list[str]:
    """What the functions returned in a run, and what the model answered at its end."""
    contents = [content for message in response.messages for content in message.contents]
    found = [str(content.result) for content in contents if content.type == "function_result"]
    return [*found, response.text]


@cache
def trace() -> None:
    """Switches telemetry on for the rest of this process; spans and measurements are made, and nobody takes them."""
    from opentelemetry import metrics
    from opentelemetry import trace as tracing
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    from agent_framework.observability import enable_instrumentation

    tracing.set_tracer_provider(TracerProvider())
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    enable_instrumentation()


@cache
def _model_class() -> Any:
    """A chat client with all the layers of a provider's."""
    from agent_framework import (
        BaseChatClient,
        ChatMiddlewareLayer,
        ChatResponse,
        Content,
        FunctionInvocationLayer,
        Message,
    )
    from agent_framework.observability import ChatTelemetryLayer

    class Scripted(BaseChatClient):
        """Asks for a call until it has asked often enough, answers, and begins anew."""

        model = "scripted"

        def __init__(self, function: str, arguments: str, calls: int) -> None:
            super().__init__()
            self._call, self._calls, self._asked = (function, arguments), calls, 0

        def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
            return self._answer()

        async def _answer(self) -> Any:
            if self._asked < self._calls:
                self._asked += 1
                function, arguments = self._call
                content = Content.from_function_call(f"call-{self._asked}", function, arguments=arguments)
            else:
                self._asked = 0
                content = Content.from_text(ANSWER)
            return ChatResponse(messages=[Message("assistant", [content])], response_id="response", model=self.model)

    class Model(FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, Scripted):  # type: ignore[misc]
        def __init__(self, function: str, arguments: str, calls: int) -> None:
            super().__init__(function=function, arguments=arguments, calls=calls)

    return Model
