"""Opens what another peer has compressed (PROTOCOL.md, section 9)."""

from __future__ import annotations

import zlib
from struct import Struct
from typing import Final

from ..wire.body import Bounds, decode
from ..wire.errors import ViaductError
from ..wire.frame import padded
from ..wire.limits import MAX_KEYS, TRUSTED_MESSAGE_BYTES, UNTRUSTED_MESSAGE_BYTES
from ..wire.values import Envelope

_COMPRESSED: Final = 1
_RAW_DEFLATE: Final = -15


def open_envelope(envelope: Envelope, bounds: Bounds) -> object:
    """The value inside.

    :raises ViaductError: UNIMPLEMENTED / CODEC_UNKNOWN for what is sealed or signed; RESOURCE_EXHAUSTED /
        MESSAGE_TOO_LARGE; INVALID_ARGUMENT / MALFORMED_BODY
    """
    if envelope.codec & ~_COMPRESSED:
        raise ViaductError(
            "UNIMPLEMENTED",
            "it is sealed or signed, which this peer cannot open; let a peer in TypeScript serve or call it",
            reason="CODEC_UNKNOWN",
        )
    content = bytes(envelope.data)
    if envelope.codec & _COMPRESSED:
        is_bounded = bounds.max_keys <= MAX_KEYS
        content = _inflate(content, UNTRUSTED_MESSAGE_BYTES if is_bounded else TRUSTED_MESSAGE_BYTES)
    segments, at = read_segments(content, 0)
    return decode(content[at:], segments, None, bounds)


def _inflate(data: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        inflated = inflater.decompress(data, max_bytes + 1)
    except zlib.error:
        raise malformed("what is said to be compressed is not") from None
    if len(inflated) > max_bytes:
        raise ViaductError(
            "RESOURCE_EXHAUSTED",
            f"it inflates to over {max_bytes} bytes; send it as a stream",
            reason="MESSAGE_TOO_LARGE",
        )
    if not inflater.eof:
        raise malformed("what is compressed ends too early")
    return inflated


def read_segments(data: bytes, at: int, count: int | None = None) -> tuple[list[bytes], int]:
    """The segments behind their table, and where they end; without ``count`` it stands before the table."""
    start = at
    if count is None:
        if len(data) < at + 4:
            raise malformed("the segment table is longer than the payload")
        count = int.from_bytes(data[at : at + 4], "little")
        at += 4
    following = start + padded(at - start + 4 * count)
    if following > len(data):
        raise malformed("the segment table is longer than the payload")
    segments = []
    for size in Struct(f"<{count}I").unpack_from(data, at):
        place, following = following, following + padded(size)
        if following > len(data):
            raise malformed("the segments are longer than the payload")
        segments.append(data[place : place + size])
    return segments, following


def malformed(text: str) -> ViaductError:
    """The error for a payload whose parts do not fit it."""
    return ViaductError("INVALID_ARGUMENT", text, reason="MALFORMED_BODY")
