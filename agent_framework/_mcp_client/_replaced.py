# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Whether something stands in for the SDK's HTTP transport, as tests and instrumentation of applications do.

What was put there is used. Only where nothing was, connections stand on a transport of our own.
"""

from __future__ import annotations

import contextlib
import inspect
from types import FunctionType
from typing import Any

_NAME = "streamable_http_client"


def is_sdk_transport_replaced() -> bool:
    """Whether ``mcp.client.streamable_http.streamable_http_client`` is another function than the SDK's."""
    from mcp.client import streamable_http

    function: Any = getattr(streamable_http, _NAME)
    inner = getattr(function, "__wrapped__", None)
    # The SDK's is a generator function below contextlib's decorator, and nothing else.
    is_original = (
        type(function) is FunctionType
        and function.__code__.co_filename == inspect.getsourcefile(contextlib)
        and type(inner) is FunctionType
        and inner.__code__.co_filename == streamable_http.__file__
        and not hasattr(inner, "__wrapped__")
    )
    return not is_original


def is_replaced(function: Any, module: str) -> bool:
    """Whether a module's own function is another one by now."""
    return not (type(function) is FunctionType and function.__module__ == module and function.__name__ == _NAME)
