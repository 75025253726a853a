"""The 32-byte header and the frame around it (PROTOCOL.md, section 1)."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from .limits import HEADER_BYTES


class Kind(IntEnum):
    """What a frame is."""

    PREAMBLE = 0x00
    HELLO = 0x01
    PROOF = 0x02
    WELCOME = 0x03
    PING = 0x04
    PONG = 0x05
    GOAWAY = 0x06
    MOVE = 0x07
    OPEN = 0x08
    ROUTE = 0x09
    DROP = 0x0A
    CALL = 0x10
    ITEM = 0x11
    END = 0x12
    ERROR = 0x13
    FRAGMENT = 0x14
    CREDIT = 0x15
    CANCEL = 0x16
    PROGRESS = 0x17
    BACK = 0x18
    RELEASE = 0x19
    NOOP = 0x7F


FIRST_OPTIONAL_KIND: Final = 0x40
"""Kinds from here on may be skipped; unknown ones below it close the link."""


LANE: Final = 0x03
MORE: Final = 0x04
ANSWER: Final = 0x08
ONE_WAY: Final = 0x10
UPLOAD: Final = 0x20
DICTIONARY: Final = 0x40
FLAGS: Final = {
    "LANE": LANE,
    "MORE": MORE,
    "ANSWER": ANSWER,
    "ONE_WAY": ONE_WAY,
    "UPLOAD": UPLOAD,
    "DICTIONARY": DICTIONARY,
}
"""Bits of a frame's flags by name; the lowest two are its lane."""

HEADER: Final = Struct("<IBBHIIIIIHH")
"""The layout of a header, in the order of :class:`Header`."""
U32: Final = Struct("<I")

KIND_AT: Final = 4
ID_AT: Final = 8
TIME_LEFT_AT: Final = 16
"""Offsets of the two fields that change while a frame waits."""


class Header(NamedTuple):
    """The fields of a header, in their order on the wire."""

    bytes: int
    kind: int
    flags: int
    method: int
    id: int
    route: int
    time_left: int
    window: int
    payload_bytes: int
    head_bytes: int
    segments: int


def padded(size: int) -> int:
    """The next multiple of 8."""
    return (size + 7) & ~7


def read_header(frame: bytes) -> Header:
    """The fields of a frame; it has at least :data:`HEADER_BYTES`."""
    return Header._make(HEADER.unpack_from(frame))


def make_frame(
    kind: int,
    flags: int = 0,
    *,
    method: int = 0,
    id: int = 0,
    route: int = 0,
    time_left: int = 0,
    window: int = 0,
    payload: bytes | memoryview = b"",
    payload_bytes: int | None = None,
    head_bytes: int = 0,
    segments: int = 0,
) -> bytearray:
    """A whole frame. ``payload_bytes`` is the whole message's, where this frame has only a part of it."""
    here = len(payload)
    total = here if payload_bytes is None else payload_bytes
    length = HEADER_BYTES + padded(here)
    frame = bytearray(
        HEADER.pack(
            length, kind, flags, method, id, route, time_left, window, total, head_bytes, segments
        )
    )
    frame += payload
    if len(frame) < length:
        frame += bytes(length - len(frame))
    return frame
