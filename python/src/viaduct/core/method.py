"""What a peer has to know of a method to call or serve it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ..wire.dictionary import Dictionary

MethodKind = Literal["call", "stream", "topic"]
Lane = Literal["high", "normal", "low"]
Overflow = Literal["block", "drop-oldest", "drop-newest", "error", "conflate"]

CONTROL: Final = 0
LANES: Final[dict[Lane, int]] = {"high": 1, "normal": 2, "low": 3}


@dataclass(frozen=True)
class Method:
    """A method by its full name, as ``pages.analyze``: with nothing but that every body describes itself."""

    name: str
    kind: MethodKind = "call"
    """``call`` is answered once, ``stream`` with items, ``topic`` is published and subscribed."""
    fingerprint: str = ""
    """16 hexadecimal digits, or nothing where there is nothing to compare."""
    lane: Lane = "normal"
    idempotent: bool = False
    """Whether it may run twice: whoever calls it may then do so again after a timeout."""
    overflow: Overflow = "drop-oldest"
    """Of a topic: what happens when this subscriber's queue is full."""
    input: Dictionary | None = None
    output: Dictionary | None = None
    item: Dictionary | None = None
    upload_item: Dictionary | None = None
    """Dictionaries, used when both sides have the same fingerprint."""
