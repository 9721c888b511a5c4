# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The peers of the other tests, against the bare SDK and a bare HTTP client: they have to be what they claim to be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
import pytest
from fault_servers import HTTP_FAULTS, HttpServer, McpScript, unused_port
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from sdk_names import field, http_streams

PEER = Path(__file__).with_name("stdio_peer.py")
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.mark.parametrize("events", [False, True], ids=["JSON", "event streams"])
async def test_the_scripted_http_server_serves_the_sdk_and_records_the_wire(events: bool) -> None:
    with HttpServer(McpScript(events=events)) as server:
        async with (
            http_streams(server.url) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            assert [tool.name for tool in (await session.list_tools()).tools] == ["echo"]
            result = await session.call_tool("echo", {"a": 1})
            assert result.content[0].text == json.dumps({"a": 1})
            await server.arrived("GET")
        requests = [name for name in server.names if name != "GET"]
        assert requests == ["initialize", "notifications/initialized", "tools/list", "tools/call", "DELETE"]
        assert set(server.sent_headers("mcp-session-id")) == {None, "session-1"}
        assert server.behaviour.live_sessions == set()


async def test_the_scripted_http_server_answers_404_to_a_session_it_does_not_know() -> None:
    with HttpServer(McpScript()) as server:
        async with httpx.AsyncClient() as client:
            answer = await client.post(server.url, json=PING, headers={"mcp-session-id": "stale"})
        assert answer.status_code == 404


async def test_a_server_comes_back_on_the_port_where_it_was_stopped() -> None:
    async with httpx.AsyncClient() as client:
        with HttpServer(McpScript(sessions=False)) as server:
            assert (await client.post(server.url, json=PING)).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await client.post(server.url, json=PING)
        with HttpServer(McpScript(sessions=False), port=server.port) as again:
            assert (await client.post(again.url, json=PING)).status_code == 200


STATUS_OF_FAULT = {"401": 401, "403": 403, "404": 404, "500": 500, "503": 503}


@pytest.mark.parametrize("fault", HTTP_FAULTS)
async def test_each_http_fault_is_what_its_name_says(fault: str) -> None:
    with HttpServer(HTTP_FAULTS[fault]) as server:
        async with httpx.AsyncClient(timeout=0.3) as client:
            if fault == "never answers":
                with pytest.raises(httpx.ReadTimeout):
                    await client.post(server.url, json=PING)
            elif fault == "closed in mid-header":
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.post(server.url, json=PING)
            else:
                answer = await client.post(server.url, json=PING)
                assert answer.status_code == STATUS_OF_FAULT.get(fault, 200)
        assert server.names == ["ping"]


async def test_a_tls_greeting_to_the_plain_port_is_answered_in_plain_text() -> None:
    with HttpServer(HTTP_FAULTS["HTML"]) as server:
        async with httpx.AsyncClient(verify=False) as client:
            with pytest.raises(httpx.ConnectError, match="SSL"):
                await client.post(server.url.replace("http:", "https:"), json=PING)


async def test_nobody_listens_on_an_unused_port() -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(f"http://127.0.0.1:{unused_port()}/mcp", json=PING)


async def test_the_good_stdio_peer_serves_the_sdk_and_records_the_wire(tmp_path: Path) -> None:
    record = tmp_path / "wire"
    parameters = StdioServerParameters(command=sys.executable, args=[str(PEER), "good", str(record)])
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        assert [tool.name for tool in (await session.list_tools()).tools] == ["echo", "hang", "die", "fail"]
        assert (await session.call_tool("echo", {"a": 1})).content[0].text == '{"a": 1}'
        assert field(await session.call_tool("fail", {}), "isError")
    methods = [json.loads(line)["method"] for line in record.read_text().splitlines()]
    assert methods[:3] == ["initialize", "notifications/initialized", "tools/list"]
