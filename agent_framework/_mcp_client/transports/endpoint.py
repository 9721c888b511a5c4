# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""A server's URL: the HTTP requests to it, and what goes on each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .._causes import NotMCP
from .http_client import ACCEPTED_CODING, discard, library_of, next_within_origin, proxy_for

SESSION_ID, VERSION = "mcp-session-id", "mcp-protocol-version"
JSON, EVENTS = "application/json", "text/event-stream"

_HEADER_VALUE = re.compile("[!-~]{1,4096}")


class Endpoint:
    """A server's URL.

    Args:
        url: The address.
        client: The ``AsyncClient`` to use.
        ambient_headers: Gives the headers of every request that has none of its own.
        is_own: Whether the client is one of ours, which goes through the proxies of the environment.

    Attributes:
        library: ``httpx`` or ``httpx2``, where the client comes from.
        proxy: The proxy on the way, in words; empty where none is known.
        session_id: What the server gave in its answer to the handshake, or None.
        version: The protocol version that the session is in, or None.
    """

    def __init__(
        self, url: str, client: Any, ambient_headers: Callable[[], Mapping[str, str]] | None, *, is_own: bool
    ) -> None:
        self.library = library_of(client)
        self.session_id: str | None = None
        self.version: str | None = None
        self._client = client
        self._url = self.library.URL(url)
        self._ambient_headers = ambient_headers
        self.proxy = proxy_for(self._url) if is_own else ""

    def note_session(self, answer: Mapping[str, Any], response: Any) -> None:
        """Take what a handshake brings.

        Raises:
            NotMCP: The session id or the version cannot go back in a header.
        """
        session_id = response.headers.get(SESSION_ID)
        version = answer.get("result", {}).get("protocolVersion", self.version)
        for value in (session_id, version):
            if value is not None and not (isinstance(value, str) and _HEADER_VALUE.fullmatch(value)):
                raise NotMCP("the session id or protocol version of the server is not visible ASCII")
        self.session_id, self.version = session_id, version

    async def request(
        self,
        method: str,
        extra: Mapping[str, str],
        *,
        body: bytes | None = None,
        own: Mapping[str, str] | None = None,
        listens: bool = False,
    ) -> Any:
        """Send one HTTP request and return the open response. Redirects are followed within the origin only.

        Args:
            method: The HTTP method.
            extra: Headers that the protocol wants on this request.
            body: Its body.
            own: Headers of the user's for this request; None for those that every request has.
            listens: Whether the response is a stream that waits for what the server will say some day.
        """
        request = self._client.build_request(
            method, self._url, headers=self._headers(method, extra, own), content=body, **self._limits(listens)
        )
        for _ in range(self._client.max_redirects + 1):
            response = await self._client.send(request, stream=True, follow_redirects=False)
            following = next_within_origin(response)
            if following is None:
                return response
            await discard(response)
            request = following
        raise self.library.TooManyRedirects("too many redirects", request=request)

    def _limits(self, listens: bool) -> dict[str, Any]:
        """The client's own limits, but for a read timeout where there is nothing to read until something happens."""
        if not listens:
            return {}
        limits = self._client.timeout
        return {
            "timeout": self.library.Timeout(connect=limits.connect, write=limits.write, pool=limits.pool, read=None)
        }

    def _headers(self, method: str, extra: Mapping[str, str], own: Mapping[str, str] | None) -> dict[str, str]:
        headers = {"accept": EVENTS if method == "GET" else f"{JSON}, {EVENTS}", "accept-encoding": ACCEPTED_CODING}
        if method == "POST":
            headers["content-type"] = JSON
        if self.version is not None:
            headers[VERSION] = self.version
        if self.session_id is not None:
            headers[SESSION_ID] = self.session_id
        headers.update(extra)
        if own is None and self._ambient_headers is not None:
            own = self._ambient_headers()
        headers.update({name.lower(): value for name, value in (own or {}).items()})
        return headers
