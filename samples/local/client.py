# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The chat client of the samples: the model that the environment names or, without one, the stand-in on loopback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from agent_framework.openai import OpenAIChatCompletionClient

from .chat_model import MODEL, ChatModel

MODEL_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL")
"""One of them in the environment means a real model; agent_framework_openai documents those that go with it."""


def is_real() -> bool:
    """Whether a real model is going to answer."""
    return any(os.environ.get(name) for name in MODEL_VARIABLES)


@contextlib.asynccontextmanager
async def chat_client() -> AsyncIterator[OpenAIChatCompletionClient]:
    """A client that is ready to be asked, and closed at the end."""
    with contextlib.ExitStack() as stack:
        if is_real():
            client = OpenAIChatCompletionClient()
        else:
            url = stack.enter_context(ChatModel()).url
            client = OpenAIChatCompletionClient(model=MODEL, api_key="unused", base_url=url)
        async with client.client:  # before the stack: the stand-in waits for its connections to be closed
            yield client
