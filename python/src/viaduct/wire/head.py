"""Entries of a head (PROTOCOL.md, section 1): ``u16 tag, u16 length, value``, each padded to 8."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from .errors import ViaductError
from .frame import padded

EVENT: Final = 1
SOURCE: Final = 2
KEY: Final = 3
REFERENCES: Final = 6
MAX_KEY_BYTES: Final = 4096
"""Longest conflation key, as UTF-8."""

_ENTRY = Struct("<HH")
_EVENT = Struct("<IQQQ")
_REFERENCES = Struct("<HHI")


@dataclass(frozen=True)
class EventInfo:
    """One event of a subscription, as the hub numbered and stamped it."""

    id: int
    """Counts hub-wide within the hub's session."""
    sequence: int
    """Counts the events of this topic."""
    dropped: int
    """Events of this subscription that were dropped until now, exactly."""
    source: str
    """The id of the publisher."""


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


def read_event(head: bytes) -> EventInfo | None:
    """The EVENT and SOURCE of a head; None when there is no EVENT or the head is malformed."""
    event = _entry(head, EVENT)
    if event is None or len(event) < _EVENT.size:
        return None
    _, number, sequence, dropped = _EVENT.unpack_from(event)
    source = (_entry(head, SOURCE) or b"").decode("utf-8", "replace")
    return EventInfo(number, sequence, dropped, source)


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
