# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Failures of what lies between the program and a server behind a URL: proxies, and files for TLS."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp import MCPConnectionError

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import unused_port
from raw_server import RawServer, saying

REFUSED = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"
UNKNOWN = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def failure(url: str) -> MCPConnectionError:
    with pytest.raises(MCPConnectionError) as caught:
        await MCPStreamableHTTPTool("x", url).connect()
    return caught.value


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(("answer", "said"), [(REFUSED, "403 Forbidden"), (UNKNOWN, "407")])
async def test_a_proxy_that_refuses_is_named_with_its_variable(
    answer: bytes, said: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(saying(answer)) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//user:secret@"))
        error = await failure("https://server.invalid/mcp")
    assert f"the HTTP proxy {proxy.url} ({variable}) did not pass the request on" in str(error)
    assert said in str(error)
    assert "secret" not in str(error)


async def test_a_proxy_that_wants_credentials_is_no_refusal_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(saying(UNKNOWN)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        error = await failure("http://server.invalid/mcp")
    assert f"the HTTP proxy {proxy.url} (HTTP_PROXY) did not pass" in str(error)
    assert error.status_code == 407


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = unused_port()
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
    error = await failure(f"{scheme}://server.invalid/mcp")
    assert f"the HTTP proxy http://127.0.0.1:{port} (ALL_PROXY) did not pass the request on" in str(error)
    assert "refused" in str(error)


async def test_a_host_that_needs_no_proxy_is_not_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    error = await failure(f"http://127.0.0.1:{unused_port()}/mcp")
    assert "proxy" not in str(error)


async def test_a_proxy_of_the_users_client_is_said_to_have_refused() -> None:
    with RawServer(saying(REFUSED)) as proxy:
        async with httpx.AsyncClient(proxy=proxy.url) as client:
            with pytest.raises(MCPConnectionError, match="the HTTP proxy did not pass the request on"):
                await MCPStreamableHTTPTool("x", "https://server.invalid/mcp", http_client=client).connect()


@pytest.mark.parametrize("with_proxy", [False, True])
@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_a_file_for_tls_that_cannot_be_read_is_named(
    content: bytes | None, with_proxy: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    if with_proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{unused_port()}")
    error = await failure("https://server.invalid/mcp")
    assert f"SSL_CERT_FILE names '{bundle}', which cannot be read" in str(error)
    assert "command" not in str(error)
