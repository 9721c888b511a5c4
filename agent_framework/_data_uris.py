# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""URIs of content, base64 data URIs, and what kind of data some bytes are; pure functions on plain values."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from typing import TypedDict

from .exceptions import ContentError

logger = logging.getLogger("agent_framework")

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")

# Enough characters of base64 for the longest signature below, and a multiple of four.
_BASE64_HEAD = 64

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"<svg", "image/svg+xml"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RIFF_FORMATS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


class UriFields(TypedDict):
    """The fields of a Content that a URI decides."""

    type: str
    uri: str
    media_type: str | None


def make_data_uri(data: bytes, media_type: str) -> str:
    """A base64 data URI.

    Raises:
        TypeError: data is not bytes.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, got {type(data).__name__}")
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def parse_base64_payload(uri: str) -> str:
    """The base64 text of a data URI.

    Raises:
        ContentError: The URI is no data URI, or its data is not in base64.
    """
    header, comma, payload = uri.partition(",")
    if not comma or not header.lower().startswith("data:") or not header.lower().endswith(";base64"):
        raise ContentError("A data URI must hold its data in base64: data:<media type>;base64,<data>")
    return payload


def validate_uri(uri: str, media_type: str | None) -> UriFields:
    """Decide whether a URI is data or a reference, and of which media type.

    Raises:
        ContentError: The URI is empty or without a scheme, or it is a data URI that is not in base64.
    """
    if not uri:
        raise ContentError("A content URI must not be empty.")
    scheme = _SCHEME.match(uri)
    if scheme is None:
        raise ContentError("A content URI needs a scheme, such as https: or data:")
    if scheme["scheme"].lower() == "data":
        parse_base64_payload(uri)
        return {"type": "data", "uri": uri, "media_type": media_type or _media_type_in(uri)}
    if not media_type:
        logger.warning("A %s: URI without a media type: most models cannot use it.", scheme["scheme"])
    return {"type": "uri", "uri": uri, "media_type": media_type}


def _media_type_in(data_uri: str) -> str | None:
    header = data_uri.partition(",")[0]
    return header[len("data:") :].partition(";")[0] or None


def detect_media_type_from_base64(
    *, data_bytes: bytes | None = None, data_str: str | None = None, data_uri: str | None = None
) -> str | None:
    """Tell images, audio and PDF from their first bytes.

    Args:
        data_bytes: The data itself.
        data_str: The data in base64.
        data_uri: The data in a base64 data URI; the media type in it is not looked at.

    Returns:
        A media type such as ``image/png``, or None when the data is not known.

    Raises:
        ValueError: Not exactly one of the three was given.
        ContentError: data_uri is not a base64 data URI.
    """
    if sum(source is not None for source in (data_bytes, data_str, data_uri)) != 1:
        raise ValueError("Give exactly one of data_bytes, data_str and data_uri.")
    if data_uri is not None:
        data_str = parse_base64_payload(data_uri)
    head = data_bytes if data_bytes is not None else _decode_head(data_str or "")
    if head[:4] == b"RIFF":
        return _RIFF_FORMATS.get(head[8:12])
    return next((media_type for signature, media_type in _SIGNATURES if head.startswith(signature)), None)


def _decode_head(text: str) -> bytes:
    """The first bytes of base64 text; nothing when it is no base64."""
    head = text[:_BASE64_HEAD].rstrip("=")
    try:
        return base64.b64decode(head + "=" * (-len(head) % 4))
    except binascii.Error:
        return b""
