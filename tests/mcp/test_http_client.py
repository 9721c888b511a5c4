# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The HTTP client of our own does what httpx's does: each test runs with our connections and with httpx's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import socket
import ssl
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from agent_framework import MCPStreamableHTTPTool
from agent_framework._mcp_client.transports import connection_pool, http_client, streamable_http, wire
from agent_framework.exceptions import ToolException

sys.path.insert(0, str(Path(__file__).parent))
from fault_servers import BOUND, McpScript, unused_port
from raw_server import Certificates, Handler, RawServer, read_request, saying

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def make_ours() -> httpx.AsyncClient:
    client = http_client.make_client(timeout=streamable_http.TIMEOUT, read_timeout=streamable_http.READ_TIMEOUT)
    assert isinstance(client, httpx.AsyncClient)
    return client


def make_plain() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=httpx.Timeout(30, read=300))


@pytest.fixture(params=[make_ours, make_plain])
def make_client(request: pytest.FixtureRequest) -> Any:
    """Makes a client as a connection does, or as httpx does."""
    return request.param


@pytest.fixture
async def client(make_client: Callable[[], httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client() as client:
        yield client


@pytest.fixture
async def ours() -> AsyncIterator[httpx.AsyncClient]:
    async with make_ours() as client:
        yield client


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)  # it changes in the server's thread

    await asyncio.wait_for(poll(), BOUND)


def test_the_client_is_set_up_as_the_sdks() -> None:
    from mcp.shared._httpx_utils import create_mcp_http_client

    theirs = create_mcp_http_client()
    if not isinstance(theirs, httpx.AsyncClient):
        pytest.skip("this SDK's client is httpx2's")
    ours = make_ours()
    for name in ("timeout", "headers", "cookies", "auth", "max_redirects", "params", "base_url", "trust_env"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.event_hooks == theirs.event_hooks


# What comes over the wire ...

ANSWERS: dict[str, Handler] = {
    "with a length": saying(OK),
    "in chunks": saying(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n", b"0\r\n\r\n"
    ),
    "up to the end": saying(b"HTTP/1.1 200 OK\r\n\r\no", b"k", then_close=True),
    "and goodbye": saying(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", then_close=True),
    "HTTP/1.0": saying(b"HTTP/1.0 200 OK\r\n\r\nok", then_close=True),
    "after an early hint": saying(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", OK),
    "compressed": saying(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(gzip.compress(b"ok")),
        gzip.compress(b"ok"),
    ),
    "byte by byte": saying(*[bytes([byte]) for byte in OK]),
    "with no content": saying(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "of one large piece": saying(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n", b"x" * 3_000_000),
    "with a cookie": saying(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 2\r\n\r\nok"),
}

FAULTS: dict[str, tuple[Handler, type[Exception]]] = {
    "nothing": (saying(then_close=True), httpx.RemoteProtocolError),
    "half a head": (saying(b"HTTP/1.1 200 OK\r\nx", then_close=True), httpx.RemoteProtocolError),
    "half a body": (saying(OK[:-1], then_close=True), httpx.RemoteProtocolError),
    "half a chunk": (
        saying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", then_close=True),
        httpx.RemoteProtocolError,
    ),
    "another protocol": (saying(b"SSH-2.0-OpenSSH\r\n\r\n", then_close=True), httpx.RemoteProtocolError),
    "a head without end": (saying(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000), httpx.RemoteProtocolError),
    "what is not compressed": (
        saying(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"),
        httpx.DecodingError,
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_arrives_however_it_is_written(client: httpx.AsyncClient, answer: str) -> None:
    with RawServer(ANSWERS[answer]) as server:
        for _ in range(2):
            response = await client.post(server.url, content=b"hello")
            assert response.content in (b"ok", b"", b"x" * 3_000_000)
            assert response.is_success


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_answer_is_the_same_error(client: httpx.AsyncClient, fault: str) -> None:
    handler, kind = FAULTS[fault]
    with RawServer(handler) as server:
        with pytest.raises(kind):
            await client.post(server.url, content=b"hello")
        await client.aclose()
        await until(lambda: server.open == 0)


async def test_cookies_come_back(client: httpx.AsyncClient) -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            seen.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: node=7; Path=/\r\ncontent-length: 0\r\n\r\n")

    with RawServer(handle) as server:
        for _ in range(2):
            await client.get(server.url)
    assert b"node=7" not in seen[0]
    assert b"cookie: node=7" in seen[1].lower()


async def test_a_large_request_reaches_a_slow_reader(client: httpx.AsyncClient) -> None:
    got: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        size = 0
        while size < 5_000_000:
            size += len(await reader.read(65536))
            await asyncio.sleep(0)
        got.append(size)
        writer.write(OK)

    with RawServer(handle) as server:
        assert (await client.post(server.url, content=b"x" * 5_000_000)).text == "ok"
    assert got == [5_000_000]


async def test_an_answer_before_the_request_is_read_is_taken(client: httpx.AsyncClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(65536):
            pass

    with RawServer(handle) as server:
        assert (await client.post(server.url, content=b"x" * 5_000_000)).status_code == 413


# Connections ...


async def test_requests_one_after_the_other_share_a_connection(client: httpx.AsyncClient) -> None:
    with RawServer(saying(OK)) as server:
        for _ in range(20):
            await client.post(server.url, content=b"hello")
        assert server.connections == 1


async def test_a_second_burst_needs_no_new_connections(ours: httpx.AsyncClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            await asyncio.sleep(0.02)
            writer.write(OK)

    with RawServer(handle) as server:
        for _ in range(3):
            await asyncio.gather(*(ours.post(server.url, content=b"hello") for _ in range(60)))
        assert server.connections == 60


async def test_a_connection_that_the_server_has_closed_is_not_used_again(client: httpx.AsyncClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)

    with RawServer(handle) as server:
        for count in range(1, 4):
            assert (await client.post(server.url, content=b"hello")).text == "ok"
            await until(lambda: server.open == 0)
            await asyncio.sleep(0.02)  # until the end has come across
            assert server.connections == count


async def test_a_connection_that_ended_while_the_loop_stood_still_is_not_used_again(client: httpx.AsyncClient) -> None:
    closed = threading.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await asyncio.sleep(0.1)
        writer.close()
        await writer.wait_closed()
        closed.set()

    with RawServer(handle) as server:
        for count in range(1, 4):
            closed.clear()
            assert (await client.post(server.url, content=b"hello")).text == "ok"
            assert closed.wait(BOUND)  # without the loop
            assert server.connections == count


async def test_a_connection_past_its_time_is_not_used_again(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_pool, "KEEP_ALIVE", 0.05)
    with RawServer(saying(OK)) as server:
        for count in range(1, 4):
            assert (await ours.post(server.url, content=b"hello")).text == "ok"
            time.sleep(0.1)  # so that the loop cannot close it
            assert server.connections == count


async def test_connections_that_the_server_has_closed_are_forgotten() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)

    pool = connection_pool.ConnectionPool(httpx, ssl.create_default_context)
    async with httpx.AsyncClient(transport=pool) as client:  # type: ignore[arg-type]  # it has what httpx asks for
        with RawServer(handle) as server:
            for _ in range(3):
                assert (await client.post(server.url, content=b"hello")).text == "ok"
                await until(lambda: not pool._wires)
                assert not pool._idle


async def test_a_server_that_changes_the_protocol_is_an_error(ours: httpx.AsyncClient) -> None:
    change = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n"
    with RawServer(saying(change)) as server:
        for headers in ({"connection": "upgrade", "upgrade": "other"}, {}):
            with pytest.raises(httpx.RemoteProtocolError):
                await asyncio.wait_for(ours.post(server.url, headers=headers), BOUND)
        await until(lambda: server.open == 0)


async def test_callers_who_leave_the_queue_for_a_connection_cost_none(ours: httpx.AsyncClient) -> None:
    release = threading.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            while not release.is_set():
                await asyncio.sleep(0.01)  # it is set in the client's thread
            writer.write(OK)

    with RawServer(handle) as server:
        busy = [asyncio.create_task(ours.post(server.url)) for _ in range(connection_pool.MAX_CONNECTIONS)]
        await until(lambda: server.open == connection_pool.MAX_CONNECTIONS)
        waiting = [asyncio.create_task(ours.post(server.url)) for _ in range(50)]
        await asyncio.sleep(0.01)  # until they stand in the queue
        for request in waiting[::2]:
            request.cancel()
        release.set()
        left = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(found) for found in left] == [asyncio.CancelledError, httpx.Response] * 25
        assert all(found.text == "ok" for found in await asyncio.gather(*busy))
        again = await asyncio.gather(*(ours.post(server.url) for _ in range(2 * connection_pool.MAX_CONNECTIONS)))
        assert all(found.text == "ok" for found in again)
        assert server.connections <= connection_pool.MAX_CONNECTIONS


async def test_a_connection_with_something_nobody_asked_for_is_not_used_again(ours: httpx.AsyncClient) -> None:
    early = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"
    with RawServer(saying(OK, early)) as server:
        for _ in range(2):
            assert (await ours.post(server.url, content=b"hello")).text == "ok"
            await asyncio.sleep(0.05)  # until it has come across
        assert server.connections == 2


async def test_idle_connections_are_closed_after_a_while(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_pool, "KEEP_ALIVE", 0.05)
    with RawServer(saying(OK)) as server:
        await asyncio.gather(*(ours.post(server.url, content=b"hello") for _ in range(3)))
        await until(lambda: server.open == 0)
        await ours.post(server.url, content=b"hello")
        await until(lambda: server.open == 0)


async def test_a_response_that_is_not_read_costs_its_connection_and_nothing_else(client: httpx.AsyncClient) -> None:
    with RawServer(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n", b"x" * 3_000_000)) as server:
        for count in range(1, 4):
            async with client.stream("POST", server.url, content=b"hello"):
                assert server.connections == count
        await until(lambda: server.open == 0)


async def test_a_cancelled_request_takes_its_connection_along(client: httpx.AsyncClient) -> None:
    with RawServer(saying()) as server:
        request = asyncio.create_task(client.post(server.url, content=b"hello"))
        await until(lambda: server.open == 1)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await until(lambda: server.open == 0)


async def test_closing_the_client_closes_what_is_under_way(ours: httpx.AsyncClient) -> None:
    with RawServer(saying()) as server:
        request = asyncio.create_task(ours.post(server.url, content=b"hello"))
        await until(lambda: server.open == 1)
        await ours.aclose()
        with pytest.raises(httpx.HTTPError):
            await request
        await until(lambda: server.open == 0)


async def test_a_client_makes_no_more_connections_than_httpx_would(ours: httpx.AsyncClient) -> None:
    limits = httpx.Timeout(BOUND, pool=0.1)
    with RawServer(saying()) as server:
        busy = [asyncio.create_task(ours.post(server.url)) for _ in range(connection_pool.MAX_CONNECTIONS)]
        await until(lambda: server.open == connection_pool.MAX_CONNECTIONS)
        with pytest.raises(httpx.PoolTimeout):
            await ours.post(server.url, timeout=limits)
        for request in busy:
            request.cancel()
        await asyncio.wait(busy)
        with pytest.raises(httpx.ReadTimeout):
            await ours.post(server.url, timeout=httpx.Timeout(BOUND, read=0.1))


# Time limits ...


async def test_silence_ends_with_the_read_limit(client: httpx.AsyncClient) -> None:
    with RawServer(saying()) as server, pytest.raises(httpx.ReadTimeout):
        await client.post(server.url, content=b"hello", timeout=httpx.Timeout(BOUND, read=0.1))


async def test_silence_in_a_body_ends_with_the_read_limit(client: httpx.AsyncClient) -> None:
    with RawServer(saying(OK[:-1])) as server, pytest.raises(httpx.ReadTimeout):
        await client.post(server.url, content=b"hello", timeout=httpx.Timeout(BOUND, read=0.1))


async def test_a_server_that_reads_nothing_ends_with_the_write_limit(client: httpx.AsyncClient) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    with RawServer(handle) as server, pytest.raises(httpx.WriteTimeout):
        await client.post(server.url, content=b"x" * 30_000_000, timeout=httpx.Timeout(BOUND, write=0.1))


async def test_a_handshake_that_does_not_come_ends_with_the_connect_limit(client: httpx.AsyncClient) -> None:
    with RawServer(saying()) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(httpx.ConnectTimeout):
            await client.post(url, timeout=httpx.Timeout(BOUND, connect=0.1))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_refused_connection_says_so(client: httpx.AsyncClient, host: str) -> None:
    with pytest.raises(httpx.ConnectError):
        await client.post(f"http://{host}:{unused_port()}/")


# Names and addresses ...


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, Any]) -> None:
    """Let every name stand for these addresses, each a family and what a socket of it is to connect to."""

    async def resolved(host: Any, port: int, **_: Any) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)


async def test_a_name_whose_addresses_all_refuse_is_refused(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))
    url = f"http://server.invalid:{unused_port()}/"
    with pytest.raises(httpx.ConnectError):
        await ours.post(url)
    with pytest.raises(ToolException, match="connection refused"):
        await MCPStreamableHTTPTool("x", url).connect()


@pytest.mark.parametrize("first", [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1"), (999, "nowhere")])
async def test_a_name_is_reached_by_any_of_its_addresses(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, first: tuple[int, str]
) -> None:
    resolve(monkeypatch, first, (socket.AF_INET, "127.0.0.1"))
    with RawServer(saying(OK)) as server:
        for _ in range(2):
            assert (await ours.post(f"http://server.invalid:{server.port}/")).text == "ok"
        assert server.connections == 1


async def test_an_address_that_says_nothing_costs_a_moment_only(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def silent(sock: socket.socket, address: Any) -> None:
        await (asyncio.Event().wait() if address[0] == "127.0.0.2" else connect(sock, address))

    monkeypatch.setattr(loop, "sock_connect", silent)
    resolve(monkeypatch, (socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1"))
    with RawServer(saying(OK)) as server:
        limits = httpx.Timeout(BOUND, connect=10 * wire.HAPPY_EYEBALLS_DELAY)
        assert (await ours.post(f"http://server.invalid:{server.port}/", timeout=limits)).text == "ok"
    resolve(monkeypatch, (socket.AF_INET, "127.0.0.2"))
    with pytest.raises(httpx.ConnectTimeout):
        await ours.post("http://server.invalid/", timeout=httpx.Timeout(BOUND, connect=0.1))


async def test_two_addresses_that_answer_at_once_leave_one_connection(
    ours: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Any] = []
    both = asyncio.Event()

    async def together(sock: socket.socket, address: Any) -> None:
        sock.setblocking(True)
        sock.connect(address)
        begun.append(address)
        if len(begun) == 2:
            both.set()
        await both.wait()

    monkeypatch.setattr(wire, "HAPPY_EYEBALLS_DELAY", 0.01)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", together)
    with RawServer(saying(OK)) as server:
        resolve(monkeypatch, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        assert (await ours.post(f"http://server.invalid:{server.port}/")).text == "ok"
        await until(lambda: server.open == 1)


@pytest.mark.parametrize("host", ["x" * 64 + ".invalid", "nobody.invalid"])
async def test_a_name_that_nobody_knows_says_so(client: httpx.AsyncClient, host: str) -> None:
    with pytest.raises(httpx.ConnectError, match=r"^\[Errno"):
        await client.post(f"http://{host}/")


# The server's side of a TLS handshake that ends half-way may outlive its server; Python 3.13.0 then raises in __del__.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_request_cancelled_at_any_moment_leaves_nothing(
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    secure: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    # The server is in this process too, and leaves sockets when a client ends a TLS handshake half-way.
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        with RawServer(saying(OK), certificates.for_server if secure else None) as server:
            url = server.url.replace("127.0.0.1", host)
            for turns in range(60):
                async with make_ours() as client:
                    await cancel_after(turns, asyncio.create_task(client.post(url, content=b"hello")))
        del client
        gc.collect()
    left = [str(complaint.message) for complaint in complaints]
    assert not [text for text in left if f"raddr=('127.0.0.1', {server.port})" in text]


async def cancel_after(turns: int, request: asyncio.Task[httpx.Response]) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    request.cancel()
    with contextlib.suppress(asyncio.CancelledError, httpx.ConnectError):
        assert (await request).text == "ok"


async def test_a_tool_works_without_a_network_where_httpcore_is_mocked(
    make_client: Callable[[], httpx.AsyncClient],
) -> None:
    script = McpScript(sessions=False)

    async def answer(request: httpx.Request) -> httpx.Response:
        message = json.loads(request.content)
        if "id" not in message:
            return httpx.Response(202)
        result = await script.handlers[message["method"]](message.get("params") or {})
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": message["id"], "result": result})

    with respx.mock() as router:
        router.post("http://server.invalid/mcp").mock(side_effect=answer)
        async with MCPStreamableHTTPTool("x", "http://server.invalid/mcp") as tool:
            assert [function.name for function in tool.functions] == ["echo"]


# Certificates ...


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    client: httpx.AsyncClient, certificates: Certificates
) -> None:
    with RawServer(saying(OK), certificates.for_server) as server:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.post(server.url)


async def test_an_authority_of_the_environment_is_trusted(
    make_client: Callable[[], httpx.AsyncClient], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with RawServer(saying(OK), certificates.for_server) as server:
        async with make_client() as client:
            for _ in range(3):
                assert (await client.post(server.url, content=b"hello")).text == "ok"
        assert server.connections == 1


async def test_a_folder_of_authorities_is_trusted(
    make_client: Callable[[], httpx.AsyncClient],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    # OpenSSL finds a certificate by the hash of its subject; this is the one of CN=authority.
    (folder / f"{_subject_hash(certificates.authority)}.0").write_bytes(certificates.authority.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    with RawServer(saying(OK), certificates.for_server) as server:
        async with make_client() as client:
            assert (await client.post(server.url)).text == "ok"


def _subject_hash(certificate: Path) -> str:
    """OpenSSL's name for a certificate in a folder: a hash of its subject in canonical form."""
    import hashlib

    from cryptography import x509

    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    name = next(iter(subject)).value.encode()
    value = b"\x0c" + bytes([len(name)]) + name
    kind = b"\x06\x03\x55\x04\x03"
    pair = b"\x30" + bytes([len(kind + value)]) + kind + value
    digest = hashlib.sha1(b"\x31" + bytes([len(pair)]) + pair).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


async def test_a_certificate_for_another_host_is_refused(
    make_client: Callable[[], httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path, host="127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with RawServer(saying(OK), certificates.for_server) as server:
        async with make_client() as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.post(server.url)


async def test_new_clients_see_new_certificates(
    make_client: Callable[[], httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    old, new = Certificates(tmp_path / "old"), Certificates(tmp_path / "new")
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    for certificates in (old, new):
        bundle.write_bytes(certificates.authority.read_bytes() + b"\n" * (certificates is new))
        with RawServer(saying(OK), certificates.for_server) as server:
            async with make_client() as client:
                assert (await client.post(server.url)).text == "ok"


async def test_a_file_for_tls_keys_is_written_and_costs_no_context_a_connection(
    ours: httpx.AsyncClient, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    monkeypatch.setattr(http_client, "_contexts", {})
    before = http_client.shared_context(httpx)
    with RawServer(saying(OK), certificates.for_server) as server:
        await ours.post(server.url)
    assert keys.read_text()
    assert http_client.shared_context(httpx) is before


async def test_all_connections_share_one_context_and_plain_ones_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[ssl.SSLContext] = []

    def build() -> ssl.SSLContext:
        built.append(ssl.create_default_context())
        return built[-1]

    monkeypatch.setattr(http_client, "_contexts", {})
    monkeypatch.setattr(httpx, "create_ssl_context", build)
    with RawServer(saying(OK)) as server:
        for _ in range(3):
            async with make_ours() as client:
                await client.post(server.url)
        assert built == []
    contexts = {id(http_client.shared_context(httpx)) for _ in range(3)}
    assert contexts == {id(built[0])}


# Proxies ...


@pytest.fixture
def proxy() -> Iterator[tuple[RawServer, list[str]]]:
    """A proxy that answers plain requests itself and connects tunnels."""
    lines: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_request(reader)) is not None:
            lines.append(request[0])
            if not request[0].startswith("CONNECT"):
                writer.write(OK)
                continue
            host, _, port = request[0].split()[1].rpartition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            pipes = [asyncio.ensure_future(copy(reader, far_writer)), asyncio.ensure_future(copy(far_reader, writer))]
            try:
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pipe in pipes:
                    pipe.cancel()
                far_writer.close()
            return

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)

    with RawServer(handle) as server:
        yield server, lines


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_used(
    make_client: Callable[[], httpx.AsyncClient],
    proxy: tuple[RawServer, list[str]],
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, lines = proxy
    monkeypatch.setenv(variable, server.url)
    async with make_client() as client:
        assert (await client.post("http://server.invalid/mcp", content=b"hello")).text == "ok"
    assert lines == ["POST http://server.invalid/mcp HTTP/1.1"]


async def test_a_host_that_needs_no_proxy_gets_none(
    make_client: Callable[[], httpx.AsyncClient],
    proxy: tuple[RawServer, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy[0].url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with RawServer(saying(OK)) as server:
        async with make_client() as client:
            assert (await client.post(server.url, content=b"hello")).text == "ok"
        assert server.connections == 1
    assert proxy[1] == []


async def test_tls_goes_through_a_tunnel_and_is_verified_there(
    make_client: Callable[[], httpx.AsyncClient],
    proxy: tuple[RawServer, list[str]],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy[0].url)
    with RawServer(saying(OK), certificates.for_server) as server:
        async with make_client() as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.post(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        async with make_client() as client:
            assert (await client.post(server.url)).text == "ok"
    assert [line.split()[0] for line in proxy[1]] == ["CONNECT", "CONNECT"]


# Those who reach into httpx ...


async def test_what_stands_in_for_httpcore_still_does(make_client: Callable[[], httpx.AsyncClient]) -> None:
    with respx.mock() as router:
        router.post("http://server.invalid/mcp").respond(text="mocked")
        async with make_client() as client:
            assert (await client.post("http://server.invalid/mcp")).text == "mocked"


async def test_what_instruments_the_transport_of_httpx_still_sees_requests(
    make_client: Callable[[], httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = httpx.AsyncHTTPTransport.handle_async_request

    async def instrumented(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return await original(self, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", instrumented)
    with RawServer(saying(OK)) as server:
        async with make_client() as client:
            await client.post(server.url)
    assert seen == ["POST"]
