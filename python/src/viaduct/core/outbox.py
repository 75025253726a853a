"""What one end writes to one link: frames that wait in four lanes until the transport takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from ..wire.frame import ID_AT, KIND_AT, TIME_LEFT_AT, U32, Kind
from ..wire.limits import FRAGMENT_BYTES
from .clock import Clock

_LANES: Final = 4
_CONTROL: Final = 0
_LOW: Final = 3
_LOW_SHARE: Final = 16
"""Low gets one byte in so many, however busy the lanes above it are."""
HIGH_WATER_BYTES: Final = 256 * 1024
"""From here on generators of items rest."""
UNREAD_BYTES: Final = 512 * 1024
"""What may wait of this link's own answers; past it a far end that does not read them is not read."""


class Entry:
    """One made frame that waits. Until it is ``sent`` it may still be called off."""

    __slots__ = ("frame", "held_since", "sent")

    def __init__(self, frame: bytearray, held_since: float) -> None:
        self.frame = frame
        self.held_since = held_since
        self.sent = False

    def call_off(self) -> None:
        self.frame[KIND_AT] = Kind.NOOP


class Feed(Protocol):
    """Something that hands out frames in order; ``deficit`` and ``active`` are the outbox's own."""

    deficit: int
    active: bool

    @property
    def behind(self) -> Entry | None:
        """A made frame of its lane that has to leave before the next one of it."""

    def take(self) -> bytearray | None:
        """The next frame, or None when there is none now."""


class Fifo:
    """Made frames, in order."""

    def __init__(self, clock: Clock) -> None:
        self.deficit = 0
        self.active = False
        self.bytes = 0
        self._clock = clock
        self._entries: deque[Entry] = deque()

    @property
    def behind(self) -> Entry | None:
        return None

    @property
    def last(self) -> Entry | None:
        return self._entries[-1] if self._entries else None

    def push(self, frame: bytearray) -> Entry:
        entry = Entry(frame, self._clock())
        self._entries.append(entry)
        self.bytes += len(frame)
        return entry

    def take(self) -> bytearray | None:
        if not self._entries:
            return None
        entry = self._entries.popleft()
        entry.sent = True
        frame = entry.frame
        self.bytes -= len(frame)
        if frame[KIND_AT] == Kind.CALL:
            lower_time_left(frame, self._clock() - entry.held_since)
        return frame

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0


def lower_time_left(frame: bytearray, held_ms: float) -> None:
    """A CALL that had to wait leaves with what is left of its time."""
    (left,) = U32.unpack_from(frame, TIME_LEFT_AT)
    if left > 0 and held_ms >= 1:
        U32.pack_into(frame, TIME_LEFT_AT, max(1, left - int(held_ms)))


class Outbox:
    """Control goes first, then high, normal and low; within a lane deficit round-robin over feeds.

    While it is ``held`` (before admission, or because the transport is full) nothing leaves but what is
    :meth:`express`.
    """

    def __init__(self, clock: Clock) -> None:
        self._fifos = tuple(Fifo(clock) for _ in range(_LANES))
        self._lanes: tuple[deque[Feed], ...] = tuple(deque() for _ in range(_LANES))
        self._express: list[bytes] = []
        self._low_debt = 0
        self.clock = clock
        self.held = False
        self.held_bytes = 0
        """Of large messages that senders hold; items are not counted."""
        self.on_drained: Callable[[], None] = lambda: None
        """Called when there is room again."""
        self.on_call: Callable[[int], None] = lambda id: None
        """Called with the id of each CALL as its first frame leaves: only then is their order known."""
        self._was_full = False

    @property
    def queued_bytes(self) -> int:
        """Made frames that wait."""
        return sum(fifo.bytes for fifo in self._fifos)

    def has_room(self) -> bool:
        """Whether generators of items may go on; after False :attr:`on_drained` is called when they may."""
        if self.queued_bytes < HIGH_WATER_BYTES:
            return True
        self._was_full = True
        return False

    @property
    def unread(self) -> bool:
        """Whether the far end causes answers and does not read them."""
        return self._fifos[_CONTROL].bytes > UNREAD_BYTES

    @property
    def is_empty(self) -> bool:
        return not self._express and not any(self._lanes)

    def write(self, frame: bytearray, lane: int) -> Entry:
        """Takes a whole frame; the entry says whether it has left."""
        fifo = self._fifos[lane]
        entry = fifo.push(frame)
        self.activate(fifo, lane)
        return entry

    def last_waiting(self, lane: int) -> Entry | None:
        """The made frame that waits in a lane and was made last."""
        return self._fifos[lane].last

    def activate(self, feed: Feed, lane: int) -> None:
        """Puts a feed that has something to say into its lane."""
        if not feed.active:
            feed.active = True
            feed.deficit = FRAGMENT_BYTES
            self._lanes[lane].append(feed)

    def express(self, frame: bytearray) -> None:
        """A frame that goes past everything that is held back: admission's own."""
        self._express.append(bytes(frame))

    def take(self, max_bytes: int) -> bytes:
        """What leaves next: as many frames as make up ``max_bytes``, or all."""
        frames: list[bytes | bytearray] = []
        size = 0
        if self._express:
            frames += self._express
            self._express.clear()
        while not self.held and size < max_bytes:
            frame = self._next()
            if frame is None:
                break
            frames.append(frame)
            size += len(frame)
        if self._was_full and self.queued_bytes < HIGH_WATER_BYTES:
            self._was_full = False
            self.on_drained()
        return b"".join(frames)

    def _next(self) -> bytearray | None:
        """The next frame by lane and turn."""
        if self._low_debt >= FRAGMENT_BYTES * (_LOW_SHARE - 1):
            frame = self._from(_LOW)
            # Small frames are not paid with the share of a large one.
            paid = len(frame) * (_LOW_SHARE - 1) if frame else self._low_debt
            self._low_debt = max(0, self._low_debt - paid)
            if frame:
                return frame
        for lane in range(_LANES):
            frame = self._from(lane) if self._lanes[lane] else None
            if frame:
                self._low_debt = 0 if lane == _LOW else self._low_debt + len(frame)
                return frame
        return None

    def _from(self, lane: int) -> bytearray | None:
        feeds = self._lanes[lane]
        while feeds:
            feed = feeds[0]
            behind = feed.behind
            if behind is not None and not behind.sent and len(feeds) > 1:
                feeds.rotate(-1)
                continue
            frame = feed.take()
            if frame is None:
                feed.active = False
                feeds.popleft()
                continue
            if frame[KIND_AT] == Kind.CALL:
                self.on_call(U32.unpack_from(frame, ID_AT)[0])
            feed.deficit -= len(frame)
            if feed.deficit <= 0:
                feed.deficit += FRAGMENT_BYTES
                feeds.rotate(-1)
            return frame
        return None

    def clear(self) -> None:
        """The link has ended: nothing waits any more but what is :meth:`express`."""
        for fifo in self._fifos:
            fifo.clear()
        for feeds in self._lanes:
            feeds.clear()
        self.held_bytes = 0
