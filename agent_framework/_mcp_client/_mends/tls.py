# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""One TLS context for all HTTP clients of our own.

Reason: ``httpx.AsyncClient`` builds a context for itself, also where it only ever meets ``http://`` URLs. It parses
every certificate of the bundle: about 20 ms of CPU and 0.8 MiB for each connection to a server, and a refused port
takes that long to report.

Gain: connecting in a warm process costs a seventh.

Can go when: the SDK's default client shares its context, or takes one.
"""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
from typing_extensions import Self

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

_built: dict[tuple[Any, ...], ssl.SSLContext] = {}
_building = threading.Lock()
_lazy: LazyContext | None = None


def shared_context() -> ssl.SSLContext:
    """The context that httpx would build for a client of the SDK's; the same one while nothing it is built of changes.

    Raises:
        OSError: ``SSL_CERT_FILE`` cannot be read.
    """
    # Not the state of the file for keys: each handshake adds to it.
    setting = (os.environ.get("SSLKEYLOGFILE"), *(_state_of(os.environ.get(name)) for name in _VARIABLES))
    with _building:
        context = _built.get(setting)
        if context is None:
            _built.clear()  # what was built of certificates that have been replaced serves nobody new
            context = _built[setting] = httpx.create_ssl_context()
            context.set_alpn_protocols(["http/1.1"])  # as httpcore does for each connection
        return context


def _state_of(path: str | None) -> tuple[Any, ...]:
    """Changes when a file or directory does: a process that runs for months sees its certificates renewed."""
    if not path:
        return ()
    try:
        status = Path(path).stat()
    except OSError:
        return (path,)
    return path, status.st_mtime_ns, status.st_size, status.st_ino


class LazyContext(ssl.SSLContext):
    """Stands for the shared context where one is asked for before it is known whether there will be any TLS."""

    def __new__(cls) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    @classmethod
    def shared(cls) -> LazyContext:
        """The one there is; a context costs something even when it is empty."""
        global _lazy  # noqa: PLW0603  # one for the whole process
        if _lazy is None:
            _lazy = cls()
        return _lazy

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """TLS with the settings and certificates of the shared context."""
        return shared_context().wrap_bio(*args, **kwargs)
