"""Entries of a head (PROTOCOL.md, section 1): ``u16 tag, u16 length, value``, each padded to 8."""

from __future__ import annotations

from struct import Struct
from typing import Final

from .errors import ViaductError
from .frame import padded

EVENT: Final = 1
SOURCE: Final = 2
KEY: Final = 3
REFERENCES: Final = 6
TOPIC: Final = 8
MAX_KEY_BYTES: Final = 4096
"""Longest conflation key, as UTF-8."""

_ENTRY = Struct("<HH")
_EVENT = Struct("<IQQQ")
_REFERENCES = Struct("<HHI")


def key_head(key: str) -> bytes:
    """A head of a conflation key alone.

    :raises ViaductError: INVALID_ARGUMENT when the key is over :data:`MAX_KEY_BYTES`.
    """
    value = key.encode("utf-8", "replace")
    if len(value) > MAX_KEY_BYTES:
        raise ViaductError(
            "INVALID_ARGUMENT", f"a conflation key is at most {MAX_KEY_BYTES} bytes", path="key"
        )
    entry = _ENTRY.pack(KEY, len(value)) + value
    return entry + bytes(padded(len(entry)) - len(entry))


def references_head(count: int) -> bytes:
    """A head that says how many functions the body refers to."""
    return _REFERENCES.pack(REFERENCES, 4, count)


def references_of(head: bytes) -> int:
    """How many functions the body refers to that has this head; it is the first entry, or none."""
    if len(head) < _REFERENCES.size:
        return 0
    tag, length, count = _REFERENCES.unpack_from(head)
    return int(count) if tag == REFERENCES and length >= 4 else 0


def event_of(head: bytes) -> tuple[int, int, int] | None:
    """EVENT: the event's number, its topic's sequence, and what was dropped so far.

    None when there is none or the head is malformed.
    """
    event = _entry(head, EVENT)
    if event is None or len(event) < _EVENT.size:
        return None
    _, number, sequence, dropped = _EVENT.unpack_from(event)
    return number, sequence, dropped


def text_of(head: bytes, tag: int) -> str | None:
    """The text of the first entry with this tag; None when there is none."""
    value = _entry(head, tag)
    return None if value is None else value.decode("utf-8", "replace")


def _entry(head: bytes, tag: int) -> bytes | None:
    """The value of the first entry with this tag."""
    at = 0
    while at + _ENTRY.size <= len(head):
        found, length = _ENTRY.unpack_from(head, at)
        start = at + _ENTRY.size
        if start + length > len(head):
            return None
        if found == tag:
            return head[start : start + length]
        at += padded(_ENTRY.size + length)
    return None
