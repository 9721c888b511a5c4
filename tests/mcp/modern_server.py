# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A server over streamable HTTP that speaks protocol 2026-07-28 and nothing else, as a behaviour of `HttpServer`.

No handshake, no session, no ping, no stream by GET. It insists on the headers and on the `_meta` that every request of
that protocol carries.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fault_servers import CLOSE, JSON, Exchange, RpcError

VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"
NO_SUCH_METHOD, BAD_PARAMS, HEADER_MISMATCH, NO_SUCH_VERSION = -32601, -32602, -32020, -32022

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def tool(name: str, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", **(schema or {})}}


def text(said: str) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": said}], "isError": False}


class ModernScript:
    """A behaviour.

    Keyword Args:
        tools: What it lists.
        handlers: Async functions from params to result by JSON-RPC method, over the default ones.
        versions: What it says it supports.
        capabilities: What it says it can.
        events: Answer with event streams instead of JSON.
    """

    def __init__(
        self,
        *,
        tools: list[dict[str, Any]] | None = None,
        handlers: Mapping[str, Handler] | None = None,
        versions: tuple[str, ...] = (VERSION,),
        capabilities: Mapping[str, Any] | None = None,
        events: bool = False,
    ) -> None:
        self.tools = tools if tools is not None else [tool("echo")]
        self.versions = versions
        self.capabilities = dict(capabilities or {"tools": {"listChanged": True}})
        self.events = events
        self.handlers: dict[str, Handler] = {
            "server/discover": self.discover,
            "tools/list": self.list_tools,
            "tools/call": self.call_tool,
            **(handlers or {}),
        }
        self.given_up = 0
        self.listeners: list[tuple[Exchange, Any, asyncio.Event]] = []
        self.listening = threading.Event()

    async def discover(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "supportedVersions": list(self.versions),
            "capabilities": self.capabilities,
            "instructions": "be brief",
            "_meta": {META + "serverInfo": {"name": "modern", "version": "7"}},
        }

    async def list_tools(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"tools": self.tools}

    async def call_tool(self, params: dict[str, Any]) -> dict[str, Any]:
        return text(json.dumps(params.get("arguments") or {}, sort_keys=True))

    async def __call__(self, exchange: Exchange) -> object:
        message = exchange.message
        if exchange.method != "POST" or message is None:
            return await exchange.answer(405)
        if "id" not in message:
            return await exchange.answer(202)
        error = self.wrong_with(exchange, message)
        if error is not None:
            return await self.refuse(exchange, message, error)
        if message["method"] == "subscriptions/listen":
            return await self.listen(exchange, message)
        return await self.reply(exchange, message)

    def wrong_with(self, exchange: Exchange, message: dict[str, Any]) -> dict[str, Any] | None:
        meta = (message.get("params") or {}).get("_meta") or {}
        version = meta.get(META + "protocolVersion")
        if version not in self.versions:
            data = {"supported": list(self.versions), "requested": version}
            return {"code": NO_SUCH_VERSION, "message": "Unsupported protocol version", "data": data}
        if exchange.headers.get("mcp-protocol-version") != version:
            return {"code": HEADER_MISMATCH, "message": "the version in the header differs"}
        if exchange.headers.get("mcp-method") != message["method"]:
            return {"code": HEADER_MISMATCH, "message": "the method in the header differs"}
        if META + "clientInfo" not in meta or META + "clientCapabilities" not in meta:
            return {"code": BAD_PARAMS, "message": "who are you?"}
        if message["method"] not in {*self.handlers, "subscriptions/listen"}:
            return {"code": NO_SUCH_METHOD, "message": "Method not found"}
        return None

    async def refuse(self, exchange: Exchange, message: dict[str, Any], error: dict[str, Any]) -> None:
        status = 404 if error["code"] == NO_SUCH_METHOD else 400
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error})
        await exchange.answer(status, body, JSON)

    async def reply(self, exchange: Exchange, message: dict[str, Any]) -> object:
        if self.events:
            await exchange.start_events()
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            working = asyncio.ensure_future(self.handlers[message["method"]](message["params"]))
            while not working.done() and not exchange.is_left:
                await asyncio.wait([working], timeout=0.01)
            if not working.done():
                working.cancel()
                self.given_up += 1
                return CLOSE
            reply["result"] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **working.result()}
            if message["method"] == "tools/call":
                del reply["result"]["ttlMs"], reply["result"]["cacheScope"]
        except RpcError as error:
            details = {"code": error.code, "message": error.message}
            if not self.events:
                return await self.refuse(exchange, message, details)
            reply["error"] = details
        if self.events:
            await exchange.send_event(reply)
            return CLOSE
        return await exchange.answer(200, json.dumps(reply), JSON)

    async def listen(self, exchange: Exchange, message: dict[str, Any]) -> object:
        """Answers with a stream of notifications that lasts until somebody ends it."""
        over = asyncio.Event()
        await exchange.start_events()
        self.listeners.append((exchange, message["id"], over))
        wanted = message["params"]["notifications"]
        await self._notify(exchange, message["id"], "subscriptions/acknowledged", {"notifications": wanted})
        self.listening.set()
        while not over.is_set() and not exchange.is_left:
            await asyncio.sleep(0.01)
        return CLOSE

    async def tools_changed(self) -> None:
        """Tells every listener; call it on the server's loop."""
        for exchange, request_id, _ in self.listeners:
            await self._notify(exchange, request_id, "tools/list_changed", {})

    async def drop_listeners(self) -> None:
        """Cuts every stream of notifications; call it on the server's loop."""
        self.listening.clear()
        for _, _, over in self.listeners:
            over.set()
        self.listeners.clear()

    async def _notify(self, exchange: Exchange, id: Any, method: str, params: dict[str, Any]) -> None:
        meta = {META + "subscriptionId": id}
        await exchange.send_event(
            {"jsonrpc": "2.0", "method": f"notifications/{method}", "params": {**params, "_meta": meta}}
        )
