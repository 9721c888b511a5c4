# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Requests whose result a server makes depend on more input (MCP 2026-07-28, "Multi round-trip requests").

Such a server cannot send requests of its own. It answers with ``input_required``: what it wants to know from the model,
from the user, or of the roots, and a state. The client finds the answers with the handlers that serve requests of older
servers, and sends the request again with them. Each round is a new request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from ._causes import InputRefused, NotMCP

MAX_ROUNDS = 10
"""How often a server may ask for more input in one request; the SDKs have the same bound."""

MAX_QUESTIONS = 16
"""How many things it may ask for at once; as many as requests of an older server are handled at once."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.25
"""How long to wait before a request is repeated for a server that wants nothing but its state back, in seconds."""

Answer = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Answers one question: its key, and the request as it stands on the wire. Returns the result for the wire."""


async def asked_to_the_end(
    ask: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], params: dict[str, Any], answer: Answer
) -> dict[str, Any]:
    """Make a request, answer what the server wants to know, and return the final result.

    Args:
        ask: Sends the request with the params it is given, and returns the result as it stands on the wire.
        params: The request's params.
        answer: Answers a question of the server.

    Raises:
        NotMCP: The server asks without end, or for what is no question.
        InputRefused: A question was refused.
    """
    result = await ask(params)
    pause = FIRST_PAUSE
    for _ in range(MAX_ROUNDS):
        if result.get("resultType") != "input_required":
            return result
        questions = _questions(result)
        more: dict[str, Any] = {}
        if questions:
            more["inputResponses"] = await _answers(questions, answer)
        else:
            await anyio.sleep(pause)  # the protocol's way to wait for a server that is not ready
            pause = min(2 * pause, LONGEST_PAUSE)
        if isinstance(result.get("requestState"), str):
            more["requestState"] = result["requestState"]
        result = await ask({**params, **more})
    raise NotMCP(f"the server asked for input more than {MAX_ROUNDS} times in one request")


def _questions(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    questions = result.get("inputRequests") or {}
    if not isinstance(questions, dict) or not all(isinstance(item, dict) for item in questions.values()):
        raise NotMCP("the server asked for input with what is no request")
    if len(questions) > MAX_QUESTIONS:
        raise NotMCP(f"the server asked for more than {MAX_QUESTIONS} inputs at once")
    return questions


async def _answers(questions: Mapping[str, Mapping[str, Any]], answer: Answer) -> dict[str, Any]:
    """The answers to all questions, which are asked side by side. The first refusal ends the others."""
    answers: dict[str, Any] = {}
    refusals: list[InputRefused] = []

    async def one(key: str) -> None:
        try:
            answers[key] = await answer(key, questions[key])
        except InputRefused as refused:
            refusals.append(refused)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for key in questions:
            tasks.start_soon(one, key)
    if refusals:
        raise refusals[0]
    return answers
