# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A TCP or TLS server on loopback whose handler reads and writes bytes: for what happens below HTTP.

It runs in a thread of its own, as the one of fault_servers.py does. `Certificates` are made for one test.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from weakref import WeakSet

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typing_extensions import Self

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    """The first line and the body of a request with a content length; None at the end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    lengths = [line.partition(":")[2] for line in head if line.lower().startswith("content-length:")]
    return head[0], await reader.readexactly(int(lengths[0])) if lengths else b""


def saying(*parts: bytes, then_close: bool = False) -> Handler:
    """A handler that answers each request with these bytes, written one after the other."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return handle


class RawServer:
    """A context manager.

    Args:
        handle: What to do with a connection, which is closed afterwards.
        tls: Its TLS context, or None for plain TCP.
    """

    def __init__(self, handle: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.open = 0
        self._handle = handle
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # clients that break TLS on purpose
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._handlers: set[asyncio.Task[None]] = set()
        self._transports: WeakSet[asyncio.BaseTransport] = WeakSet()

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls, backlog=500)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._transports.add(writer.transport)
        task = self._loop.create_task(self._serve(reader, writer))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._handle(reader, writer)
        except (OSError, EOFError):
            pass  # the client has gone
        finally:
            self.open -= 1
            writer.close()

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in self._handlers:
            task.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)
        for transport in self._transports:
            transport.abort()  # type: ignore[attr-defined]  # TLS would wait for the client, whose loop waits for us
        deadline = self._loop.time() + 1
        while len(self._loop._selector.get_map()) > 1 and self._loop.time() < deadline:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)  # until the loop watches no socket any more: some have no writer yet


class Certificates:
    """A certificate authority, and a certificate of its for a server on loopback.

    Args:
        folder: Where the files go.
        host: The address that the certificate is for.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.authority = folder / "authority.pem"
        authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("authority", authority_key.public_key(), "authority", authority_key, None)
        certificate = _certificate("server", key.public_key(), "authority", authority_key, host)
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self._chain = folder / "server.pem"
        self._chain.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    @property
    def for_server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        return context


_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _certificate(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, host: str | None
) -> x509.Certificate:
    now = dt.datetime.now(dt.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    # Without these, Python 3.13 trusts nobody.
    whose = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    builder = builder.add_extension(whose, critical=False)
    if host is None:
        builder = builder.add_extension(_SIGNS, critical=True)
    else:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
