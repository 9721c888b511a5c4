# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Programs that are told to end, by Ctrl-C or by ``sys.exit`` in a signal handler, just when a connection's owner runs.

The signal is raised where the owner opens or leaves the session, so that no luck is needed. A task group makes a group
of what is raised inside it, and asyncio knows `KeyboardInterrupt` and `SystemExit` only outside of groups.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fault_servers import HttpServer, McpScript
from test_ends import await_death
from test_websocket import WebsocketServer

ROOT = Path(__file__).parent.parent.parent
PEER = str(Path(__file__).with_name("bad_peer.py"))

PROGRAM = f"""
import asyncio, signal, sys
import mcp.client.session
from agent_framework import MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool

WHEN, HOW, KIND, URL = sys.argv[1:]
if HOW == "SIGINT":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what it runs in the background ignore it
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))

class Session(mcp.client.session.ClientSession):
    async def initialize(self):
        if WHEN == "connect":
            signal.raise_signal(getattr(signal, HOW))
        return await super().initialize()

    async def __aexit__(self, *exc_info):
        try:
            if WHEN == "close":
                signal.raise_signal(getattr(signal, HOW))
        finally:
            await super().__aexit__(*exc_info)

mcp.client.session.ClientSession = Session
tools = {{
    "stdio": lambda: MCPStdioTool("stdio", sys.executable, args=["-SE", {PEER!r}]),
    "http": lambda: MCPStreamableHTTPTool("http", URL),
    "websocket": lambda: MCPWebsocketTool("websocket", URL),
}}

async def main():
    asyncio.get_running_loop().slow_callback_duration = 10  # a busy machine is not what this is about
    tool = tools[KIND]()
    try:
        await tool.connect()
        if KIND == "stdio":
            print("pid", (await tool.call_tool("pid"))[0].text, flush=True)
        await tool.close()
    except Exception as error:
        print("caught", repr(error), flush=True)
    print("went on", flush=True)

asyncio.run(main())
"""


def run_program(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("kind", ["stdio", "http", "websocket"])
@pytest.mark.parametrize("when", ["connect", "close"])
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_a_program_that_is_told_to_end_while_a_connection_is_opened_or_closed_ends(
    how: str, when: str, kind: str
) -> None:
    with HttpServer(McpScript()) as http, WebsocketServer() as websocket:
        url = {"http": http.url, "websocket": websocket.url}.get(kind, "")
        code, out, err = run_program(when, how, kind, url)
    assert "went on" not in out, out + err
    if how == "SIGTERM":
        assert (code, err) == (5, "")
    else:
        assert err.strip().splitlines()[-1].startswith("KeyboardInterrupt"), err
        assert code in (-signal.SIGINT, 130, 1)
        for noise in (
            "never awaited",
            "never retrieved",
            "destroyed",
            "Warning",
            "ignored",
            "unclosed",
            "cancel scope",
        ):
            assert noise not in err, err
    for line in out.splitlines():
        if line.startswith("pid"):
            await_death(int(line.split()[1]))
