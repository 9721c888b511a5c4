# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A small MCP server over streamable HTTP, made with the SDK: `python docs_server.py [PORT]`, on loopback.

It writes `ready PORT` to stdout when it accepts connections, and `call NAME` when a tool begins.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys

import uvicorn
from sdk_server import MCPServer  # type: ignore[import-not-found]  # beside this program

ARTICLES = {
    "Create a storage account": "Run `az storage account create --name <name> --resource-group <group>`.",
    "Delete a storage account": "Run `az storage account delete --name <name> --resource-group <group>`.",
    "Create a resource group": "Run `az group create --name <group> --location <location>`.",
    "List virtual machines": "Run `az vm list --output table`; with `--show-details` it also tells which are running.",
}
CHECK_SECONDS = 30.0  # long enough to be interrupted

# It is meant to be killed; what the SDK's server logs about interrupted streams would only disturb the story.
server = MCPServer("docs", log_level="CRITICAL")


def search_docs(query: str) -> str:
    """Finds the article of the documentation that fits a question best."""
    print("call search_docs", flush=True)
    title = max(ARTICLES, key=lambda article: len(words(article) & words(query)))
    return f"{title}: {ARTICLES[title]}"


async def check_links() -> str:
    """Checks every link of the documentation, which takes a while."""
    print("call check_links", flush=True)
    await asyncio.sleep(CHECK_SECONDS)
    return "All links are fine."


for function in (search_docs, check_links):
    server.add_tool(function, structured_output=False)


def words(text: str) -> set[str]:
    """The words of a text, in lower case."""
    return set(re.findall(r"\w+", text.lower()))


class AnnouncingServer(uvicorn.Server):
    """Tells the parent process where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, then writes the `ready` line."""
        await super().startup(sockets)
        if sockets:
            print(f"ready {sockets[0].getsockname()[1]}", flush=True)


def main() -> None:
    """Serves until it is told to stop."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart takes over the port at once
    listener.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    config = uvicorn.Config(server.streamable_http_app(), log_level="error", ws="none", timeout_graceful_shutdown=1)
    asyncio.run(AnnouncingServer(config).serve([listener]))


if __name__ == "__main__":
    main()
