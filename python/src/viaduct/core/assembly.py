"""Puts fragmented messages together."""

from __future__ import annotations

from ..wire.frame import ANSWER, MORE, Header, Kind
from ..wire.limits import HEADER_BYTES
from .message import Message

_CUTTABLE = frozenset({Kind.CALL, Kind.ITEM, Kind.END, Kind.ERROR})


class Misfit(Exception):
    """A fragment does not fit its message: a violation."""


class Partial:
    """A message of which fragments are missing."""

    __slots__ = ("filled", "header", "payload")

    def __init__(self, header: Header) -> None:
        self.header = header
        self.payload = bytearray(header.payload_bytes)
        self.filled = 0

    def add(self, part: bytes) -> None:
        end = self.filled + len(part)
        self.payload[self.filled : end] = part
        self.filled = end


class Assembly:
    """One message of an exchange and direction is under way at a time.

    Its memory is taken once, after the caller has checked its declared length against the limit.
    """

    def __init__(self) -> None:
        self._partials: dict[tuple[int, int], Partial] = {}
        self.bytes = 0
        """Taken for unfinished messages."""

    def begin(self, header: Header, part: bytes) -> None:
        """:raises Misfit: one is under way already."""
        key = _key(header)
        if key in self._partials:
            raise Misfit
        partial = self._partials[key] = Partial(header)
        partial.add(part)
        self.bytes += header.payload_bytes

    def find(self, header: Header) -> Partial | None:
        """The message that this fragment goes on with; None when the fragment is late."""
        return self._partials.get(_key(header))

    def add(self, partial: Partial, header: Header, part: bytes) -> Message | None:
        """The message, when this was its last fragment.

        :raises Misfit: too long, or too short for a last one.
        """
        left = len(partial.payload) - partial.filled - len(part)
        is_last = not header.flags & MORE
        if left < 0 or (is_last and left > 0):
            raise Misfit
        partial.add(part)
        if not is_last:
            return None
        self._forget(_key(header), partial)
        return Message(partial.header, bytes(partial.payload), len(part), was_cut=True)

    def drop(self, id: int, answer: bool) -> bool:
        """Forgets what has come of a message. False when there is none."""
        key = (id, ANSWER if answer else 0)
        partial = self._partials.get(key)
        if partial is None:
            return False
        self._forget(key, partial)
        return True

    def _forget(self, key: tuple[int, int], partial: Partial) -> None:
        del self._partials[key]
        self.bytes -= len(partial.payload)


def is_cut(header: Header) -> bool:
    """Whether a frame with MORE is well formed: full of payload, of a kind that may be cut."""
    here = header.bytes - HEADER_BYTES
    if header.kind == Kind.FRAGMENT:
        return 0 < here == header.payload_bytes
    return header.kind in _CUTTABLE and 0 < here < header.payload_bytes


def _key(header: Header) -> tuple[int, int]:
    return header.id, header.flags & ANSWER
