# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""What the user said about function calls that need approval, carried out before the model is asked again.

A response counts only with a request that it answers: one in the messages, or one that this client returned. What
runs is the call of the request. Results take the place of the responses in the caller's own messages, so that sending
the same messages again, after a failure too, runs nothing twice.
"""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ._function_calls import BatchOutcome, CallSettings, carry_out_together, read_arguments, rejection
from .exceptions import ToolException

if TYPE_CHECKING:
    from ._function_tool import FunctionTool
    from ._types import Content, Message

logger = logging.getLogger("agent_framework")

REQUEST: Final = "function_approval_request"
RESPONSE: Final = "function_approval_response"
_KINDS: Final = frozenset({REQUEST, RESPONSE})

MAX_REMEMBERED_REQUESTS: Final = 1000
"""Requests one client remembers. They matter only where the service keeps the history; older ones are asked again."""


class ApprovalLedger:
    """The requests that a client has returned and that were not answered yet."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, Content] = OrderedDict()

    def remember(self, requests: Sequence[Content]) -> None:
        """Keep the calls of these requests."""
        for request in requests:
            if request.type == REQUEST and request.id and request.function_call is not None:
                self._calls[request.id] = request.function_call
        while len(self._calls) > MAX_REMEMBERED_REQUESTS:
            self._calls.popitem(last=False)

    def get(self, request_id: str) -> Content | None:
        """The call of a request."""
        return self._calls.get(request_id)

    def forget(self, request_id: str) -> None:
        """The request has been answered."""
        self._calls.pop(request_id, None)


def is_hosted_approval(content: Any) -> bool:
    """Whether the service itself, and not this process, carries out the call that is asked about."""
    if getattr(content, "type", None) not in {REQUEST, RESPONSE}:
        return False
    call = content.function_call
    return call is not None and bool((call.additional_properties or {}).get("server_label"))


def split_approval_messages(messages: Sequence[Message]) -> list[Message]:
    """The messages, with approval responses in messages of their own: results will take their place."""
    split: list[Message] = []
    for message in messages:
        ours = [content for content in message.contents if _is_ours(content, RESPONSE)]
        if ours and len(ours) < len(message.contents):
            split.append(_with_contents(message, ours))
            split.append(_with_contents(message, [one for one in message.contents if not _is_ours(one, RESPONSE)]))
        else:
            split.append(message)
    return split


async def settle_approvals(
    messages: list[Message], tools: Mapping[str, FunctionTool], settings: CallSettings, ledger: ApprovalLedger
) -> BatchOutcome:
    """Carry out what the user approved; afterwards `messages` holds results, and no request or response of ours.

    Args:
        messages: The conversation, split by `split_approval_messages`; changed in place.
        tools: The tools by name.
        settings: For the calls.
        ledger: The requests that the client returned earlier.
    """
    contents = [content for message in messages for content in message.contents]
    outcome = BatchOutcome()
    if not any(content.type in _KINDS for content in contents):
        return outcome
    if responses := [content for content in contents if _is_ours(content, RESPONSE)]:
        settled = _match(responses, contents, ledger)
        approved = [call for call, verdict in settled.values() if verdict is None]
        outcomes = iter(await carry_out_together(approved, tools, settings))
        results: dict[str, list[Content]] = {}
        for request_id, (_, verdict) in settled.items():
            ledger.forget(request_id)
            if verdict is not None:
                results[request_id] = [verdict]
                continue
            call_outcome = next(outcomes)
            outcome.add(call_outcome)
            results[request_id] = [] if call_outcome.needs_user else call_outcome.contents
        _replace_responses(messages, results)
    _drop_requests(messages)
    return outcome


def _is_ours(content: Content, kind: str) -> bool:
    return content.type == kind and not is_hosted_approval(content)


def _match(
    responses: Sequence[Content], contents: Sequence[Content], ledger: ApprovalLedger
) -> dict[str, tuple[Content, Content | None]]:
    """By request id: the call to make, and the result to give without making it, or None to make it."""
    requests = {one.id: one.function_call for one in contents if _is_ours(one, REQUEST)}
    answered = {one.call_id for one in contents if one.type == "function_result"}
    settled: dict[str, tuple[Content, Content | None]] = {}
    for response in responses:
        request_id = response.id or ""
        call = requests.get(request_id) or ledger.get(request_id)
        if call is None:
            logger.warning("An approval response answers no request and is ignored: %s", request_id)
        elif call.call_id not in answered and request_id not in settled:
            settled[request_id] = (call, _verdict(call, response))
    return settled


def _verdict(call: Content, response: Content) -> Content | None:
    if not response.approved:
        return rejection(call)
    claimed = response.function_call
    if claimed is not None and not _is_same_call(claimed, call):
        logger.warning("An approval response is about another call than its request and is refused: %s", response.id)
        return rejection(call, "Error: The approval does not match the call that was requested; nothing was run.")
    return None


def _is_same_call(claimed: Content, call: Content) -> bool:
    if (claimed.call_id, claimed.name) != (call.call_id, call.name):
        return False
    try:
        return read_arguments(claimed) == read_arguments(call)
    except ToolException:  # one of them cannot run as it stands
        return claimed.arguments == call.arguments


def _replace_responses(messages: list[Message], results: dict[str, list[Content]]) -> None:
    kept: list[Message] = []
    for message in messages:
        if any(_is_ours(content, RESPONSE) for content in message.contents):
            # The caller's object on purpose: see the top of this module. Each result is used once.
            message.contents = [result for content in message.contents for result in results.pop(content.id or "", ())]
            message.role = "tool"
            if not message.contents:
                continue
        kept.append(message)
    messages[:] = kept


def _drop_requests(messages: list[Message]) -> None:
    """Requests become the calls they are about, or vanish where the call stands already; in copies."""
    known = {one.call_id for message in messages for one in message.contents if one.type == "function_call"}
    kept: list[Message] = []
    for message in messages:
        if any(_is_ours(content, REQUEST) for content in message.contents):
            contents: list[Content] = []
            for content in message.contents:
                if not _is_ours(content, REQUEST):
                    contents.append(content)
                elif (call := content.function_call) is not None and call.call_id not in known:
                    known.add(call.call_id)
                    contents.append(call)
            if not contents:
                continue
            kept.append(_with_contents(message, contents))
        else:
            kept.append(message)
    messages[:] = kept


def _with_contents(message: Message, contents: list[Content]) -> Message:
    copied = copy.copy(message)
    copied.contents = contents
    return copied
