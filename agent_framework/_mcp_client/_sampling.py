# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What a server may ask of us: a model's answer (sampling), a person's (elicitation), and where the files are (roots).

A server is a third party. It gets nothing that the user has not allowed: each function here refuses, with an
``ErrorData`` for the server, unless the user gave the callback or the list that it needs. When a model or a callback
fails, the server reads that it failed; why is for our own log. Importing this module does not import ``mcp``: the
tools' constructors use it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from .sdk import fields

if TYPE_CHECKING:
    from mcp import types

    from .._types import ChatOptions
    from ._server import Server

logger = logging.getLogger("agent_framework._mcp")

SAMPLING_MAX_TOKENS = 4096
"""How many tokens one sampled answer may have unless the user says otherwise: several pages of text, which is what
servers ask a model for, and less than a model's whole output, which a server could otherwise bill the user for."""

SAMPLING_MAX_REQUESTS = 10
"""How many answers a server may ask for in one session unless the user says otherwise: enough for tools that sample now
and then; with the limit above, 40 thousand tokens are the worst that a runaway loop on the server costs."""

SamplingApproval: TypeAlias = "Callable[[types.CreateMessageRequestParams], bool | Awaitable[bool]]"
"""Whether a server's request may go to the model; gets the request as it came."""

SamplingAnswer: TypeAlias = "types.CreateMessageResult | types.CreateMessageResultWithTools | types.ErrorData"

ElicitationAnswer: TypeAlias = "types.ElicitResult | types.ErrorData | Mapping[str, Any] | None"
ElicitationCallback: TypeAlias = (
    "Callable[[types.ElicitRequestParams], ElicitationAnswer | Awaitable[ElicitationAnswer]]"
)
"""Asks the person. A mapping is what the person filled in, None that the person declines."""

RootEntry: TypeAlias = "str | PathLike[str] | types.Root"
Roots: TypeAlias = "Sequence[RootEntry] | Callable[[], Sequence[RootEntry] | Awaitable[Sequence[RootEntry]]]"
"""Paths, relative ones to the current directory, or ``file:`` URIs; or a function that returns them when asked."""

_STOP_REASONS: dict[Any, str] = {"stop": "endTurn", "length": "maxTokens"}
"""The framework's finish reasons in MCP's words; others have none there."""


# Sampling ...


class Sampling:
    """Answers sampling requests, and counts them.

    Attributes:
        requests: How many there were in this session, refused ones of the user included.
    """

    def __init__(self) -> None:
        self.requests = 0

    def start_session(self) -> None:
        """Begin to count anew."""
        self.requests = 0

    async def answer(
        self,
        params: types.CreateMessageRequestParams,
        *,
        server: Server,
        client: Any,
        approval_callback: SamplingApproval | None,
        max_tokens: int | None = SAMPLING_MAX_TOKENS,
        max_requests: int | None = SAMPLING_MAX_REQUESTS,
    ) -> SamplingAnswer:
        """Let the user's model answer, if the user approves.

        Args:
            params: The server's request.
            server: Who asks.
            client: The chat client, or None.
            approval_callback: Asked for each request; None refuses all.
            max_tokens: A request for more is cut down to this; None for no limit.
            max_requests: How many requests a session may make; None for no limit.

        Returns:
            The model's answer: its function calls, if it wants the server's tools, or else its text or image. An
            ``ErrorData`` with INVALID_REQUEST when it is refused, with INTERNAL_ERROR when there is no answer.
        """
        if client is None:
            return _internal_error("No chat client available. Please set a chat client.")
        if approval_callback is None:
            return _refusal("Sampling is not allowed: no sampling_approval_callback is set.")
        # Counted before the user is asked: the limit protects the user's patience too.
        if max_requests is not None and self.requests >= max_requests:
            return _refusal(f"Sampling is not allowed more than {max_requests} times in a session.")
        self.requests += 1
        if not await _is_approved(params, server, approval_callback):
            return _refusal("Sampling was not approved.")
        return await _sample(params, server, client, max_tokens)


async def _is_approved(
    params: types.CreateMessageRequestParams, server: Server, approval_callback: SamplingApproval
) -> bool:
    try:
        return bool(await _resolve(approval_callback(params)))
    except Exception:  # whatever is wrong with the callback, it has not approved
        logger.warning(
            "The sampling_approval_callback failed on a request of MCP server %s, which is refused.",
            server,
            exc_info=True,
        )
        return False


async def _sample(
    params: types.CreateMessageRequestParams, server: Server, client: Any, max_tokens: int | None
) -> SamplingAnswer:
    from ._content import message_from_mcp

    messages = [message_from_mcp(message) for message in params.messages]
    try:
        response = await client.get_response(messages, options=_chat_options(params, max_tokens))
    except Exception:  # clients raise what their providers do, with addresses and keys in it; no server may read that
        logger.warning("The chat client failed on a sampling request of MCP server %s.", server, exc_info=True)
        return _internal_error("Failed to get chat message content.")
    if not response or not response.messages:
        return _internal_error("Failed to get chat message content.")
    return _sampled(response)


def _chat_options(params: types.CreateMessageRequestParams, max_tokens: int | None) -> ChatOptions[None]:
    wanted = fields.max_tokens(params)
    limit = wanted if max_tokens is None else min(wanted, max_tokens)
    options: ChatOptions[None] = {"max_tokens": limit}
    system_prompt = fields.system_prompt(params)
    if system_prompt is not None:
        options["instructions"] = system_prompt
    if params.tools is not None:
        options["tools"] = [_declare(tool) for tool in params.tools]
    tool_choice = fields.tool_choice(params)
    if tool_choice is not None and tool_choice.mode is not None:
        options["tool_choice"] = tool_choice.mode
    if params.temperature is not None:
        options["temperature"] = params.temperature
    stop_sequences = fields.stop_sequences(params)
    if stop_sequences is not None:
        options["stop"] = stop_sequences
    return options


def _declare(tool: types.Tool) -> Any:
    """A tool of the server's for the model to call; without a function, so that the call comes back to us."""
    from .._tools import FunctionTool

    return FunctionTool(name=tool.name, description=tool.description or "", input_model=fields.input_schema(tool))


def _sampled(response: Any) -> SamplingAnswer:
    from mcp import types

    from . import _content

    blocks = [block for message in response.messages for block in _content.message_to_mcp(message)]
    model = response.model or "unknown"
    calls = _content.open_calls(response.messages)
    if calls:
        # What the model says beside its calls belongs to its turn, which the server sends back with the results.
        said = [block for block in blocks if isinstance(block, types.TextContent) and block.text]
        try:
            turn: list[Any] = [*said, *map(_content.tool_use, calls)]
        except ValueError:
            logger.debug("A sampled function call has arguments that are no JSON object.", exc_info=True)
            return _internal_error("The model called a tool with arguments that are no JSON object.")
        return types.CreateMessageResultWithTools(role="assistant", content=turn, model=model, stopReason="toolUse")
    for block in blocks:
        if isinstance(block, (types.TextContent, types.ImageContent)):
            return types.CreateMessageResult(
                role="assistant",
                content=_content.with_plain_data(block),
                model=model,
                stopReason=_STOP_REASONS.get(getattr(response, "finish_reason", None)),
            )
    return _internal_error("Failed to get right content types from the response.")


# Elicitation ...


async def elicit(
    params: types.ElicitRequestParams, elicitation_callback: ElicitationCallback | None
) -> types.ElicitResult | types.ErrorData:
    """Let the user's callback ask the person.

    Args:
        params: The server's request: a form to fill in, or a URL to visit.
        elicitation_callback: Gets the request; None refuses all.

    Returns:
        The callback's answer. An accepted form has the schema's defaults where the callback left fields out.

    Raises:
        TypeError: The callback returned something else than it may.
    """
    from mcp import types

    if elicitation_callback is None:
        return _refusal("Elicitation is not allowed: no elicitation_callback is set.")
    answer = await _resolve(elicitation_callback(params))
    if answer is None:
        return types.ElicitResult(action="decline")
    if isinstance(answer, Mapping):
        answer = types.ElicitResult(action="accept", content=dict(answer))
    if isinstance(answer, types.ErrorData):
        return answer
    if not isinstance(answer, types.ElicitResult):
        raise TypeError(
            f"elicitation_callback must return an ElicitResult, a mapping or None, not {type(answer).__name__}."
        )
    return types.ElicitResult(_meta=answer.meta, action=answer.action, content=_accepted(params, answer))


def _accepted(params: types.ElicitRequestParams, answer: types.ElicitResult) -> dict[str, Any] | None:
    """What the server gets beside the action: a filled form, and nothing else.

    What a person enters behind a URL is not for this channel (MCP, "URL Mode Elicitation"), and what was in a form that
    the person did not send is not the server's.
    """
    if answer.action != "accept" or params.mode != "form":
        return None
    return {**_defaults(fields.requested_schema(params)), **(answer.content or {})}


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: field["default"] for name, field in properties.items() if _has_default(field)}


def _has_default(field: Any) -> bool:
    return isinstance(field, Mapping) and field.get("default") is not None


# Roots ...


async def list_roots(roots: Roots) -> types.ListRootsResult:
    """The roots as they are now.

    Raises:
        TypeError: An entry is neither a path nor a URI.
        ValueError: An entry is a URI of another scheme than ``file``.
    """
    from mcp import types

    entries = await _resolve(roots()) if callable(roots) else roots
    _check_entries(entries)
    return types.ListRootsResult(roots=[_root(entry) for entry in entries])


def check_roots(roots: Any) -> None:
    """Look at what a user gives as roots.

    Raises:
        TypeError: It is neither None, nor a function, nor a sequence of paths and URIs; a lone string is none.
        ValueError: One of them is a URI of another scheme than ``file``.
    """
    if roots is not None and not callable(roots):
        _check_entries(roots)


def _check_entries(roots: Any) -> None:
    if isinstance(roots, (str, bytes)) or not isinstance(roots, Sequence):
        raise TypeError(
            f"roots must be a sequence of paths or file URIs, or a function that returns one, not {roots!r}."
        )
    for entry in roots:
        if not _is_root(entry):
            _root_uri(entry)


def _is_root(entry: Any) -> bool:
    """Whether it is the SDK's ``Root``, told without importing the SDK: whoever made one has imported it."""
    return hasattr(entry, "uri") and hasattr(entry, "model_dump")


def _root(entry: RootEntry) -> types.Root:
    from mcp import types
    from pydantic import FileUrl

    if isinstance(entry, types.Root):
        return entry
    uri = _root_uri(entry)
    return types.Root(uri=FileUrl(uri), name=unquote(uri.rstrip("/").rpartition("/")[2]) or None)


def _root_uri(entry: Any) -> str:
    if not isinstance(entry, (str, PathLike)):
        raise TypeError(f"A root is a path or a file URI, not a {type(entry).__name__}.")
    text = fspath(entry)
    if text.lower().startswith("file:"):
        return text
    scheme, separator, _ = text.partition("://")
    if separator:
        raise ValueError(f"A root is a path or a file URI; MCP has no roots of the scheme {scheme!r}.")
    return Path(text).absolute().as_uri()


# For all of them ...


async def _resolve(answer: Any) -> Any:
    """What a callback returned, whether it is async or not."""
    return await answer if inspect.isawaitable(answer) else answer


def _refusal(message: str) -> types.ErrorData:
    from mcp import types

    return types.ErrorData(code=types.INVALID_REQUEST, message=message)


def _internal_error(message: str) -> types.ErrorData:
    from mcp import types

    return types.ErrorData(code=types.INTERNAL_ERROR, message=message)
