"""A whole message as it has come: its first header, and a payload that may have come in fragments."""

from __future__ import annotations

from collections.abc import Sequence

from ..wire.body import Bounds, decode
from ..wire.dictionary import Dictionary
from ..wire.errors import ViaductError
from ..wire.frame import DICTIONARY, MORE, ONE_WAY, UPLOAD, Header, padded
from ..wire.head import references_of
from ..wire.limits import HEADER_BYTES, HUB_BODY_BYTES, credit_of
from ..wire.values import UNDEFINED, Envelope
from .envelope import malformed, open_envelope, read_segments
from .limits import LINK_BOUNDS


class Message:
    """Fields are those of the header. ``was_cut``: it was put together from fragments."""

    __slots__ = (
        "cost",
        "flags",
        "head_bytes",
        "id",
        "kind",
        "method",
        "payload",
        "route",
        "segments",
        "time_left",
        "was_cut",
        "window",
    )

    def __init__(self, header: Header, payload: bytes, last_bytes: int, was_cut: bool) -> None:
        """``last_bytes``: payload of the last frame, which alone is still to be charged as credit."""
        self.kind = header.kind
        self.flags = header.flags & ~MORE
        self.method = header.method
        self.id = header.id
        self.route = header.route
        self.time_left = header.time_left
        self.window = header.window
        self.head_bytes = header.head_bytes
        self.segments = header.segments
        self.payload = payload
        self.cost = credit_of(last_bytes)
        self.was_cut = was_cut

    @classmethod
    def of_frame(cls, header: Header, frame: bytes) -> Message | None:
        """A frame that is a whole message; None when its length is not that of its payload."""
        end = HEADER_BYTES + header.payload_bytes
        if header.bytes != padded(end):
            return None
        return cls(header, frame[HEADER_BYTES:end], header.payload_bytes, was_cut=False)

    @property
    def is_one_way(self) -> bool:
        return self.flags & ONE_WAY != 0

    @property
    def has_upload(self) -> bool:
        return self.flags & UPLOAD != 0

    @property
    def uses_dictionary(self) -> bool:
        return self.flags & DICTIONARY != 0

    @property
    def head(self) -> bytes:
        return self.payload[: self.head_bytes]

    @property
    def references(self) -> int:
        """How many functions the body refers to."""
        return references_of(self.payload[: self.head_bytes]) if self.head_bytes else 0

    def read(
        self, dictionary: Dictionary | None, bounds: Bounds, functions: Sequence[object] = ()
    ) -> object:
        """Decodes the body; one of no bytes is undefined, and what was compressed is what it was before.

        ``functions``: what its references become.

        :raises ViaductError: INVALID_ARGUMENT / MALFORMED_BODY; those of :func:`open_envelope`
        """
        value = self._decode(dictionary, bounds, functions)
        return open_envelope(value, bounds) if isinstance(value, Envelope) else value

    def _decode(
        self, dictionary: Dictionary | None, bounds: Bounds, functions: Sequence[object]
    ) -> object:
        if not self.head_bytes and not self.segments:
            return decode(self.payload, (), dictionary, bounds) if self.payload else UNDEFINED
        at = padded(self.head_bytes)
        if at > len(self.payload):
            raise malformed("the head is longer than the payload")
        segments, at = read_segments(self.payload, at, self.segments) if self.segments else ([], at)
        if at == len(self.payload) and not segments:
            return UNDEFINED
        return decode(self.payload[at:], segments, dictionary, bounds, functions)

    def read_link_body(self) -> dict[str, object] | None:
        """The body of a link frame; None when it is no object within the bounds of such."""
        return read_link_body(self.payload)


def read_link_body(payload: bytes, bounds: Bounds = LINK_BOUNDS) -> dict[str, object] | None:
    """The same of a payload."""
    if len(payload) > HUB_BODY_BYTES:
        return None
    try:
        value = decode(payload, (), None, bounds)
    except ViaductError:
        return None
    return value if isinstance(value, dict) else None
