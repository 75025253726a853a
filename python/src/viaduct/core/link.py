"""One link's life: preamble, keep-alive, going away, closing; and its outbox."""

from __future__ import annotations

from math import inf
from typing import Final

from ..wire.errors import Fate
from ..wire.frame import Header, Kind, make_frame
from ..wire.limits import HEADER_BYTES
from ..wire.reasons import CLOSE_REASONS, close_reason
from .clock import Clock
from .events import Event, GoingAway, Ponged
from .outbox import HIGH_WATER_BYTES, Outbox

VERSION: Final = 1
MAGIC: Final = (0x44414956, 0x1A544355)
"""``"VIADUCT" 0x1a``, as ``id`` and ``route`` of a preamble."""


class Link:
    """What the frames of exchanges and routes mean is the connection's business."""

    def __init__(self, clock: Clock, message_bytes: int) -> None:
        """``message_bytes``: the longest message that the far end may send."""
        self.clock = clock
        self.outbox = Outbox(clock)
        self.events: list[Event] = []
        self.greeted = False
        """The far end's preamble has come."""
        self.closed: str | None = None
        """Why the link has ended."""
        self.far_message_bytes = 0
        """Largest message that the far end takes; 0 until it has said so."""
        self.accepted = 0
        """CALLs accepted from the far end, for GOAWAY."""
        self._far_accepted = inf
        """So many of ours it has accepted or may have; the others it never will."""
        self._far_reason: str | None = None
        self._pings: dict[int, float] = {}
        self._ping_count = 0
        magic_low, magic_high = MAGIC
        versions = VERSION | VERSION << 8
        self.outbox.express(
            make_frame(
                Kind.PREAMBLE,
                method=versions,
                id=magic_low,
                route=magic_high,
                window=message_bytes,
            )
        )

    def control(
        self,
        kind: int,
        flags: int = 0,
        *,
        method: int = 0,
        id: int = 0,
        route: int = 0,
        window: int = 0,
    ) -> None:
        """Writes a frame of the header alone in the control lane."""
        if self.closed is None:
            frame = make_frame(kind, flags, method=method, id=id, route=route, window=window)
            self.outbox.write(frame, 0)

    def greet(self, header: Header) -> None:
        """The first frame has come; anything but a preamble closes the link."""
        if (
            header.kind != Kind.PREAMBLE
            or header.bytes != HEADER_BYTES
            or (header.id, header.route) != MAGIC
        ):
            self.violation()
        elif not header.method & 0xFF <= VERSION <= header.method >> 8:
            self.close("VERSION_MISMATCH")
        else:
            self.far_message_bytes = header.window
            self.greeted = True

    def receive(self, header: Header) -> Ponged | GoingAway | None:
        """PING, PONG and GOAWAY; every other frame of the link's own is a violation after the preamble."""
        if header.kind == Kind.PING:
            self.control(Kind.PONG, id=header.id)
        elif header.kind == Kind.PONG:
            sent_at = self._pings.pop(header.id, None)
            if sent_at is not None:
                return Ponged(header.id, self.clock() - sent_at)
        elif header.kind == Kind.GOAWAY:
            return self._receive_goaway(header)
        else:
            self.violation()
        return None

    def _receive_goaway(self, header: Header) -> GoingAway | None:
        self._far_accepted = min(self._far_accepted, header.id)
        if header.route:
            self._far_reason = close_reason(header.route)
            return None
        return GoingAway(header.id)

    def fate_of(self, number: int) -> Fate:
        """What may have become of the ``number``th call to have left, 0 if it has not, when its link has ended."""
        return "not-sent" if number == 0 or number > self._far_accepted else "unknown"

    def ping(self) -> int:
        """Sends a PING; its :class:`Ponged` has the number that is returned."""
        self._ping_count += 1
        self._pings[self._ping_count] = self.clock()
        self.control(Kind.PING, id=self._ping_count)
        return self._ping_count

    def go_away(self) -> None:
        """Tells the far end that no further calls will be taken."""
        self.control(Kind.GOAWAY, id=self.accepted)

    def violation(self) -> None:
        """The far end broke the protocol: this link ends; nobody else is touched."""
        self.close("PROTOCOL_ERROR")

    def close(self, reason: str) -> None:
        """Ends the link. The far end is told why, behind what it still takes."""
        if self.closed is not None:
            return
        number = CLOSE_REASONS.index(reason)
        if number > 0:
            outbox = self.outbox
            outbox.express(bytearray(outbox.take(HIGH_WATER_BYTES)))
            outbox.express(make_frame(Kind.GOAWAY, id=self.accepted, route=number))
        self.end(reason)

    def end(self, reason: str) -> None:
        """The transport has ended, or is about to."""
        if self.closed is None:
            self.closed = self._far_reason or reason
            self.outbox.clear()
            self._pings.clear()
