# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What the soak has found, each reduced to the least that shows it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_servers import BOUND, HttpServer, McpScript, RpcError, freeze

from agent_framework import MCPStdioTool, MCPStreamableHTTPTool
from agent_framework._mcp import MCPServerError

LEDGER_SERVER = str(Path(__file__).with_name("soak_server.py"))

LEAVES_WITHOUT_CLOSING = """
import asyncio, sys
from agent_framework import MCPStreamableHTTPTool

async def main():
    asyncio.get_running_loop().slow_callback_duration = 30  # debug mode reports a busy machine, too
    await MCPStreamableHTTPTool("script", sys.argv[1]).connect()

asyncio.run(main())
"""


@pytest.mark.parametrize("standing_stream", [False, True], ids=["without a standing stream", "with one"])
def test_a_program_that_leaves_an_http_connection_open_ends_by_itself_and_in_silence(standing_stream: bool) -> None:
    # The end of the loop cancels the connection's owner, and the farewell to the server is cancelled in turn: two
    # exceptions that an exit stack has chained into a ring, which it then followed for ever.
    with HttpServer(McpScript(standing_stream=standing_stream)) as server:
        command = [sys.executable, "-X", "dev", "-c", LEAVES_WITHOUT_CLOSING, server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * BOUND, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_dials_given_up_while_the_old_child_dies_do_not_let_a_new_one_start_beside_it(tmp_path: Path) -> None:
    # The second dial to be given up forgot that the first one had been waiting for somebody.
    tool = MCPStdioTool("ledger", sys.executable, args=[LEDGER_SERVER, "stdio", str(tmp_path), "0"])
    await tool.connect()
    [child] = started(tmp_path)
    freeze(child)  # it dies by SIGKILL only, after the graces of stdio's shutdown
    closing = asyncio.create_task(tool.close())
    for _ in range(2):
        dial = asyncio.create_task(tool.connect())
        for _ in range(5):
            await asyncio.sleep(0)
        dial.cancel()
        await asyncio.wait_for(asyncio.wait({dial}), BOUND)
        assert dial.cancelled()
    await asyncio.wait_for(tool.connect(), 2 * BOUND)
    await tool.close()
    await closing
    assert len(started(tmp_path)) == 2
    assert "overlap" not in (tmp_path / "ledger").read_text()


def started(folder: Path) -> list[int]:
    """The process ids that the servers of a folder have noted."""
    lines = (folder / "ledger").read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("started ")]


@pytest.mark.parametrize("events", [False, True], ids=["json", "events"])
async def test_a_server_that_uses_the_sdks_own_code_for_a_lost_session_gets_no_call_twice(events: bool) -> None:
    ran: list[str] = []

    async def run_and_claim_otherwise(params: dict[str, Any]) -> dict[str, Any]:
        ran.append(params["name"])
        raise RpcError(32600, "Session terminated")

    script = McpScript(events=events, handlers={"tools/call": run_and_claim_otherwise})
    with HttpServer(script) as server:
        async with MCPStreamableHTTPTool("liar", server.url) as tool:
            with pytest.raises(MCPServerError) as caught:
                await asyncio.wait_for(tool.call_tool("echo"), BOUND)
            assert (caught.value.code, caught.value.sent) == (32600, True)
            assert tool.is_connected
    assert ran == ["echo"]
