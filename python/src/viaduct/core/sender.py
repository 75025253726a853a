"""One direction of one exchange when it has more to say than a frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..wire.frame import ANSWER, LANE, MORE, Kind, make_frame
from ..wire.limits import FRAGMENT_BYTES, credit_of
from .outbox import Entry, Outbox, lower_time_left


@dataclass(slots=True)
class OutMessage:
    """A message that is too large for one frame, or waits for credit."""

    kind: int
    flags: int
    payload: bytes
    method: int = 0
    route: int = 0
    time_left: int = 0
    window: int = 0
    head_bytes: int = 0
    segments: int = 0
    behind: Entry | None = None
    """A made frame that has to leave before it."""


class Sender:
    """Large messages, cut as the transport takes them, and items, sent as credit comes.

    An exchange that has a sender writes everything through it: one message is under way at a time, so the
    order within the exchange holds.
    """

    __slots__ = (
        "_held_since",
        "_lane",
        "_messages",
        "_outbox",
        "_sent",
        "_waits",
        "active",
        "credit",
        "deficit",
        "id",
        "on_idle",
        "on_ready",
    )

    def __init__(self, outbox: Outbox, lane: int, id: int, credit: int) -> None:
        """``credit``: bytes of items that the far end takes at first."""
        self._outbox = outbox
        self._lane = lane
        self._messages: deque[OutMessage] = deque()
        self._sent = 0
        self._held_since = 0.0
        self._waits = False
        self.deficit = 0
        self.active = False
        self.credit = credit
        self.id = id
        self.on_idle: Callable[[], None] = lambda: None
        """Called when nothing is left to send."""
        self.on_ready: Callable[[], None] = lambda: None
        """Called when an item may be sent, after :meth:`may_send` has said that none may."""

    def may_send(self) -> bool:
        """Whether the next item should be made now; after False :attr:`on_ready` is called when it should."""
        self._waits = bool(self._messages) or self.credit <= 0 or not self._outbox.has_room()
        return not self._waits

    def wake(self) -> None:
        """Looks again whether an item may be sent, where somebody waits for it."""
        if self._waits and self.may_send():
            self.on_ready()

    @property
    def behind(self) -> Entry | None:
        """What has to leave before the next message begins."""
        return self._messages[0].behind if self._messages and not self._sent else None

    def add(self, message: OutMessage) -> None:
        # A small frame of the same exchange may wait there: nothing overtakes what its exchange said before.
        message.behind = self._outbox.last_waiting(self._lane)
        self._messages.append(message)
        self._hold(message, len(message.payload))
        if message.time_left:
            self._held_since = self._outbox.clock()
        self._outbox.activate(self, self._lane)

    def grant(self, credit: int) -> None:
        self.credit += credit
        if self._messages:
            self._outbox.activate(self, self._lane)
        else:
            self.wake()

    def clear(self) -> bool:
        """Forgets what was not sent yet. True when that was a CALL of which nothing at all had left."""
        untouched = bool(self._messages) and self._messages[0].kind == Kind.CALL and self._sent == 0
        for index, message in enumerate(self._messages):
            self._hold(message, (self._sent if index == 0 else 0) - len(message.payload))
        self._messages.clear()
        self._sent = 0
        return untouched

    def take(self) -> bytearray | None:
        if not self._messages:
            return None
        message = self._messages[0]
        size = min(FRAGMENT_BYTES, len(message.payload) - self._sent)
        if message.kind == Kind.ITEM:
            cost = credit_of(size)
            if self.credit < cost:
                return None
            self.credit -= cost
        start, self._sent = self._sent, self._sent + size
        self._hold(message, -size)
        more = MORE if self._sent < len(message.payload) else 0
        frame = self._frame(message, start, more)
        if not more:
            self._messages.popleft()
            self._sent = 0
            if not self._messages:
                self.on_idle()
                self.wake()
        return frame

    def _frame(self, message: OutMessage, start: int, more: int) -> bytearray:
        part = memoryview(message.payload)[start : self._sent]
        if start > 0:
            flags = message.flags & (LANE | ANSWER) | more
            return make_frame(Kind.FRAGMENT, flags, id=self.id, payload=part)
        frame = make_frame(
            message.kind,
            message.flags | more,
            method=message.method,
            id=self.id,
            route=message.route,
            time_left=message.time_left,
            window=message.window,
            payload=part,
            payload_bytes=len(message.payload),
            head_bytes=message.head_bytes,
            segments=message.segments,
        )
        if message.time_left:
            lower_time_left(frame, self._outbox.clock() - self._held_since)
        return frame

    def _hold(self, message: OutMessage, size: int) -> None:
        """Items wait for their reader, everything else for the transport: that is counted."""
        if message.kind != Kind.ITEM:
            self._outbox.held_bytes += size
