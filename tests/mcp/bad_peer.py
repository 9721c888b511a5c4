# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A stdio server with the bad habits of real ones: each tool does to its own process what the tool's name says.

    bad_peer.py [NOTE]    serves until its input ends; with NOTE, appends the names of the tools that ran to that file
    bad_peer.py deaf      the same, but neither the end of its input nor SIGTERM makes it leave
    bad_peer.py frozen    stops itself (SIGSTOP) before it reads anything

Works with the file descriptors 0, 1 and 2 only, so that nothing is buffered and closing one of them is what it says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEGABYTE = 1024 * 1024
SECRET = "PEER_SECRET"
NAMES = (
    *("echo", "hang", "pid", "large", "last_words", "twice", "foreign", "cancels", "latin1", "freeze"),
    *("exit", "segfault", "grandchild", "daemon", "close_stdout", "close_stdin"),
    *("whisper", "flood_stderr", "huge_stderr_line"),
)


def write(text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    while data:
        data = data[os.write(1, data) :]


def complain(text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(2, data) :]


def lines() -> Iterator[str]:
    rest = b""
    while chunk := os.read(0, 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode()


def reply(id: Any, result: Any) -> None:
    write(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}) + "\n")


def said(id: Any, text: str) -> None:
    reply(id, {"content": [{"type": "text", "text": text}], "isError": False})


def run_tool(id: Any, name: str, arguments: dict[str, Any]) -> None:  # noqa: C901  # a list of habits
    if name == "hang":
        return None
    if name == "exit":
        complain("out of tokens\n")
        os._exit(int(arguments.get("code", 4)))
    if name == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name in ("grandchild", "daemon"):
        # The daemon leaves the session and so the process group; both hold our pipes for a minute.
        child = subprocess.Popen(
            [sys.executable, "-SEc", "import time; time.sleep(60)"], start_new_session=name == "daemon"
        )
        if arguments.get("leave"):
            os._exit(5)
        return said(id, str(child.pid))
    if name == "close_stdout":
        os.close(1)
        while True:
            time.sleep(60)
    if name == "close_stdin":
        os.close(0)
        said(id, "deaf from now on")
        while True:
            time.sleep(60)
    if name == "flood_stderr":
        for _ in range(int(arguments["megabytes"])):
            complain(("x" * 1023 + "\n") * 1024)
    if name == "huge_stderr_line":
        complain("y" * 3 * MEGABYTE)
        os._exit(6)
    if name == "large":
        return said(id, "z" * int(arguments["size"]))
    if name == "last_words":
        result = {"content": [{"type": "text", "text": "the end"}], "isError": False}
        write(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}))
        os._exit(0)
    if name == "twice":
        said(id, "once")
    if name == "foreign":
        said(999, "nobody asked")
        said(str(id) + "x", "nobody asked")
        write('{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "what?"}}\n')
    if name == "cancels":
        for number in (999, -1, "x", None, id):
            params = {"requestId": number, "reason": "because"}
            write(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}) + "\n")
    if name == "whisper":
        complain(f"the key is {os.environ[SECRET]}\n")
        os._exit(7)
    if name == "latin1":
        write(b"caf\xe9 is open\n")
    if name == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    if name == "pid":
        return said(id, str(os.getpid()))
    return said(id, json.dumps(arguments, sort_keys=True))


def serve(note: str | None) -> None:
    for line in lines():
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        method, params = message["method"], message.get("params") or {}
        if method == "initialize":
            info = {"name": "bad", "version": "1"}
            version = params["protocolVersion"]
            reply(message["id"], {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
        elif method == "tools/list":
            reply(message["id"], {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]})
        elif method == "tools/call":
            if note:
                with Path(note).open("a", encoding="utf-8") as file:
                    file.write(params["name"] + "\n")
            run_tool(message["id"], params["name"], params.get("arguments") or {})
        else:
            reply(message["id"], {})


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["deaf"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if arguments[:1] == ["frozen"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    try:
        serve(arguments[0] if arguments and arguments[0] not in ("deaf", "frozen") else None)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
    while arguments[:1] == ["deaf"]:
        signal.pause()
