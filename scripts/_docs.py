# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Makes the parts of docs/ that come from the code, and puts them between their markers. See scripts/docs."""

from __future__ import annotations

import argparse
import ast
import asyncio
import errno
import importlib
import inspect
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
from mcp.types import ErrorData
from pydantic import BaseModel, ValidationError

from agent_framework import exceptions
from agent_framework._mcp_client import _causes, _errors, _sdk, _state
from agent_framework._mcp_client.transports import failures

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "agent_framework"
LAYER = (
    "_mcp",
    *sorted(
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in (PACKAGE / "_mcp_client").rglob("*.py")
        if path.stem != "__init__"
    ),
)
PUBLIC = [getattr(exceptions, name) for name in exceptions.__all__ if name.startswith("MCP")]
COMMENTED = re.compile(r'^    ([A-Z]+) = "\w+"  # (.+)$', re.MULTILINE)


def module(name: str) -> Any:
    """A module of the MCP layer, by its path below the package."""
    return importlib.import_module(f"agent_framework.{name}")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def prose(docstring: str) -> str:
    """A docstring as one line of Markdown."""
    return " ".join(docstring.replace("``", "`").split())


# The life of a connection ...


def diagram() -> str:
    """The transitions as Mermaid's state diagram; events that lead the same way share an arrow."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_state.State.NEW.name}"]
    for before, cells in _state.TRANSITIONS.items():
        for after in dict.fromkeys(cells.values()):
            events = ", ".join(event.value for event, target in cells.items() if target is after)
            lines.append(f"    {before.name} --> {after.name}: {events}")
    return "\n".join([*lines, f"    {_state.State.CLOSED.name} --> [*]", "```"])


def transitions() -> str:
    """The same as a table: an empty cell is an event that cannot be."""
    rows = [
        (f"`{before.name}`", *(cells[event].name if event in cells else "" for event in _state.Event))
        for before, cells in _state.TRANSITIONS.items()
    ]
    return table(("state", *(event.value for event in _state.Event)), rows)


def states() -> str:
    return _members(_state.State, "state")


def events() -> str:
    return _members(_state.Event, "event")


def _members(enumeration: Any, title: str) -> str:
    comments = dict(COMMENTED.findall(inspect.getsource(enumeration)))
    return table((title, "meaning"), [(f"`{member.name}`", comments[member.name]) for member in enumeration])


def deadlines() -> str:
    """Every constant of the MCP layer whose docstring says that it is in seconds."""
    rows = [
        (f"`{constant}`", seconds, f"`{name.removeprefix('_mcp_client.')}`", prose(text))
        for name in LAYER
        for constant, value, text in constants(name)
        if "in seconds" in prose(text) and (seconds := _number(value))
    ]
    return table(("constant", "seconds", "module", "what for"), rows)


def limits() -> str:
    """Every constant of the MCP layer that bounds an amount, by its docstring: in bytes, in characters, or how many."""
    rows = [
        (f"`{constant}`", amount, f"`{name.removeprefix('_mcp_client.')}`", prose(text))
        for name in LAYER
        for constant, value, text in constants(name)
        if (amount := _amount(value, prose(text)))
    ]
    return table(("constant", "limit", "module", "what for"), rows)


def _amount(value: Any, text: str) -> str:
    """A number with its unit; empty for what is no amount."""
    if not isinstance(value, int) or not text.startswith("How ") or "seconds" in text:
        return ""
    if re.search(r" in (decoded )?bytes", text):
        units = ((1024**2, "MiB"), (1024, "KiB"))
        return next((f"{value // size} {unit}" for size, unit in units if value % size == 0), f"{value} bytes")
    unit = "characters" if " in characters" in text else ""
    return f"{value:,} {unit}".rstrip()


def _number(value: Any) -> str:
    """A number, or a pair that is a range; empty for anything else, such as the bounds of a histogram."""
    if isinstance(value, tuple) and len(value) == 2:
        return " to ".join(_number(end) for end in value)
    return f"{value:g}" if isinstance(value, (int, float)) else ""


def constants(name: str) -> Iterator[tuple[str, Any, str]]:
    """The constants of a module, each with its value and its docstring, which is empty where there is none."""
    body = ast.parse((PACKAGE / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8")).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                text = following.value if isinstance(following, ast.Expr) else None
                yield target.id, getattr(module(name), target.id), str(getattr(text, "value", ""))


# Exceptions ...


def tree() -> str:
    """The public exceptions below the host's, as far as MCP tools raise them."""
    lines = ["```text"]

    def add(kind: type[BaseException], depth: int) -> None:
        others = [base.__name__ for base in kind.__bases__[1:]]
        lines.append("  " * depth + kind.__name__ + (f" (also {', '.join(others)})" if others else ""))
        for child in (exceptions.ToolException, exceptions.ToolExecutionException, *PUBLIC):
            if child.__bases__[0] is kind:
                add(child, depth + 1)

    add(exceptions.AgentFrameworkException, 0)
    return "\n".join([*lines, "```"])


def described(kind: type[BaseException]) -> str:
    """What an exception derives from, what it means, and the fields it adds."""
    bases = " and ".join(f"`{base.__name__}`" for base in kind.__bases__)
    text = f"Derives from {bases}. {prose((kind.__doc__ or '').partition('Attributes:')[0])}"
    rows = [(f"`{name}`", f"`{shape}`", meaning) for name, (shape, meaning) in fields(kind).items()]
    return text + "\n\n" + table(("field", "type", "meaning"), rows) if rows else text


def fields(kind: type[BaseException]) -> dict[str, tuple[str, str]]:
    """Type and meaning of the fields that an exception adds, by name."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.+(?:\n     .+)*)", section, re.MULTILINE)
    parameters = inspect.signature(kind).parameters
    return {name: (str(parameters[name].annotation), prose(text)) for name, text in found}


def private_exceptions() -> list[type[BaseException]]:
    """The exceptions of the MCP layer that have no public name."""
    found = [(name, item) for name in LAYER for item in vars(module(name)).values() if inspect.isclass(item)]
    ours = [item for name, item in found if item.__module__ == f"agent_framework.{name}"]
    return [item for item in ours if issubclass(item, BaseException) and item not in PUBLIC]


def private() -> str:
    rows = [
        (
            f"`{kind.__name__}`",
            f"`{kind.__module__.rpartition('.')[2]}`",
            ", ".join(f"`{_class_name(base)}`" for base in kind.__bases__),
            prose((kind.__doc__ or "").partition("\n\n")[0]),
        )
        for kind in private_exceptions()
    ]
    return table(("class", "module", "derives from", "meaning"), rows)


def readings() -> str:
    """What a root cause becomes: each row is what ``_errors`` really makes of such an exception."""
    rows = []
    for cause in samples():
        reading = _errors._interpret(cause)
        said = ", ".join(f"`{name}={value!r}`" for name, value in reading.fields.items() if value is not None)
        rows.append((f"`{_name_of(cause)}`", f"`{reading.kind.__name__}`", reading.reason, said))
    return table(("root cause", "becomes", "the message says", "fields"), rows)


def _name_of(cause: BaseException | None) -> str:
    if cause is None:
        return "None"
    kind = type(cause)
    home = kind.__module__.partition(".")[0]
    public = "" if home in ("builtins", "agent_framework", "pydantic_core") else f"{home}."
    number = f"({errno.errorcode[cause.errno]})" if type(cause) is OSError and cause.errno else ""
    return public + _class_name(kind) + number


def _class_name(kind: type[BaseException]) -> str:
    """The name of a class; for the SDK's exception, which its majors name differently, that of the first."""
    return "McpError" if kind is _sdk.McpError else kind.__name__


def samples() -> list[BaseException | None]:
    """One root cause for each row of the translation table, and for each way out of a row."""
    return [*_samples_of_http(), *_samples_of_ours(), *_samples_of_the_system(), *_samples_of_websockets()]


def _samples_of_http() -> list[BaseException]:
    request = httpx.Request("POST", "https://example.test/mcp")

    def status(code: int, said: str | None = None) -> Exception:
        headers = {"WWW-Authenticate": "Bearer"} if code == 401 else {}
        error = {} if said is None else {"code": -32000, "message": said}
        return failures.refusal(httpx, httpx.Response(code, headers=headers, request=request), error)

    return [
        status(401, "the token has expired"),
        status(403),
        status(404),
        status(500),
        httpx.HTTPStatusError("Server error", request=request, response=httpx.Response(502, request=request)),
        httpx.ConnectTimeout("", request=request),
        httpx.ReadTimeout("", request=request),
        httpx.PoolTimeout("", request=request),
        caused(httpx.ConnectError("All connection attempts failed"), ConnectionRefusedError(errno.ECONNREFUSED, "")),
        httpx.ProxyError("407 Proxy Authentication Required"),
        httpx.UnsupportedProtocol("Request URL has an unsupported protocol"),
        httpx.InvalidURL("Invalid port"),
        httpx.LocalProtocolError("a header has a name or a value that HTTP does not allow"),
        httpx.ReadError(""),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.TooManyRedirects("too many redirects", request=request),
        httpx.StreamClosed(),
        _causes.ProxyRefusal("the HTTP proxy http://proxy.test:3128 (HTTPS_PROXY)", httpx.ProxyError("403 Forbidden")),
    ]


def _samples_of_ours() -> list[BaseException | None]:
    return [
        _causes.SessionExpired("the server answered HTTP 404 to the session id"),
        _causes.DeadlinePassed(30, "connect_timeout"),
        _causes.StillDialling(1),
        _causes.NotMCP("the answer is text/html, not MCP; check the path of the URL"),
        _sdk.UnsupportedProtocolVersion("Unsupported protocol version from the server: 1999-01-01"),
        invalid(),
        _causes.AnswerMissing("the event stream ended without the answer"),
        _causes.UnreadableFile(
            "SSL_CERT_FILE", "/etc/certificates.pem", FileNotFoundError(errno.ENOENT, "No such file")
        ),
        _causes.OtherEra(["2025-11-25"]),
        _causes.InputRefused("elicitation/create", "the client does not support it"),
        _causes.ServerClosed("the server closed the connection"),
        _causes.ServerExited(3, "no such database"),
        _causes.ServerExited(-9, ""),
        _causes.ServerSilent(10),
        module("_mcp_client._borrowed").SessionEnded(),
        _causes.OwnerCancelled(),
        _causes.DialGivenUp(),
        _sdk.error_of(ErrorData(code=-32001, message="Timed out")),
        _sdk.error_of(ErrorData(code=-32602, message="Unknown tool: serach", data={"near": "search"})),
        anyio.EndOfStream(),
        anyio.ClosedResourceError(),
        anyio.BrokenResourceError(),
        asyncio.CancelledError(),
        None,
        KeyError("a bug"),
    ]


def _samples_of_the_system() -> list[BaseException]:
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "self-signed certificate"
    return [
        untrusted,
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        TimeoutError(errno.ETIMEDOUT, ""),
        ConnectionRefusedError(errno.ECONNREFUSED, ""),
        FileNotFoundError(errno.ENOENT, ""),
        PermissionError(errno.EACCES, ""),
        OSError(errno.ENETUNREACH, ""),
    ]


def _samples_of_websockets() -> list[BaseException]:
    from websockets import exceptions as foreign
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    return [
        foreign.InvalidStatus(Response(403, "Forbidden", Headers())),
        foreign.InvalidStatus(Response(200, "OK", Headers())),
        foreign.InvalidURI("http://example.test", "scheme isn't ws or wss"),
        foreign.InvalidHandshake("no upgrade"),
        foreign.ConnectionClosedError(None, None),
        foreign.ProtocolError("a reserved bit is set"),
    ]


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def invalid() -> ValidationError:
    class Tool(BaseModel):
        name: str

    try:
        Tool.model_validate({})
    except ValidationError as error:
        return error
    raise AssertionError("a model without its only field is not valid")


# The documents ...

PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "docs/lifecycle.md": {
        "diagram": diagram,
        "states": states,
        "events": events,
        "transitions": transitions,
        "deadlines": deadlines,
    },
    "docs/trust.md": {"limits": limits},
    "docs/errors.md": {
        "tree": tree,
        **{kind.__name__: lambda kind=kind: described(kind) for kind in PUBLIC},
        "private": private,
        "readings": readings,
    },
}


def filled(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """A document with its parts made anew.

    Raises:
        ValueError: A marker is missing, or there is one that no part belongs to.
    """
    marked = re.findall(r"<!-- begin (\w+) -->", text)
    if sorted(marked) != sorted(parts):
        raise ValueError(f"the document has markers for {sorted(marked)}, and there are parts for {sorted(parts)}")
    for name, make in parts.items():
        block = f"<!-- begin {name} -->\n\n{make()}\n\n<!-- end {name} -->"
        pattern = rf"<!-- begin {name} -->.*?<!-- end {name} -->"
        text, count = re.subn(pattern, lambda _, block=block: block, text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"the marker {name!r} has no end")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Writes the parts of docs/ that come from code.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a document is stale")
    check = parser.parse_args().check
    stale = 0
    for name, parts in PARTS.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        fresh = filled(text, parts)
        if fresh == text:
            continue
        stale += 1
        if not check:
            path.write_text(fresh, encoding="utf-8")
        print(f"{name} {'is stale; run scripts/docs' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
