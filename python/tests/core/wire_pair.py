"""Two connections on one wire, with a clock that the test moves."""

from __future__ import annotations

from typing import TypeVar

from viaduct.core.connection import Connection
from viaduct.core.events import Event
from viaduct.core.limits import TRUSTED_LIMITS, Limits
from viaduct.wire.frame import Header, Kind, read_header
from viaduct.wire.framer import Framer

E = TypeVar("E")


class WirePair:
    """``near`` calls, ``far`` answers. Everything is written and read in :meth:`settle`."""

    def __init__(self, near: Limits = TRUSTED_LIMITS) -> None:
        self.now = 1000.0
        self.near = Connection(clock=lambda: self.now, limits=near)
        self.far = Connection(clock=lambda: self.now)
        self.events: list[Event] = []
        self.sent: list[Header] = []
        """Of both directions."""
        self.near_is_stalled = self.far_is_stalled = False
        """That end's transport takes nothing."""
        self._sinks = Framer(), Framer()

    def settle(self) -> None:
        """Lets everything through that is to be said."""
        while self._carry(self.near, self.far, 0) or self._carry(self.far, self.near, 1):
            pass

    def _carry(self, sender: Connection, receiver: Connection, sink: int) -> bool:
        stalled = self.near_is_stalled if sender is self.near else self.far_is_stalled
        data = b"" if stalled else sender.data_to_send()
        self.events += sender.events()
        self.sent += map(read_header, self._sinks[sink].push(data))
        if data:
            self.events += receiver.receive_data(data)
        elif sender.closed is not None and receiver.closed is None:
            self.events += receiver.receive_eof()
        return bool(data)

    def pass_time(self, ms: float) -> None:
        self.now += ms
        for side in (self.near, self.far):
            if side.timeout_at <= self.now:
                self.events += side.handle_timeout()
        self.settle()

    def take(self, kind: type[E]) -> list[E]:
        """The events of this kind that nobody has taken yet."""
        found: list[E] = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found

    def only(self, kind: type[E]) -> E:
        [event] = self.take(kind)
        return event

    def frames(self, kind: Kind) -> list[Header]:
        return [header for header in self.sent if header.kind == kind]

    @property
    def open_calls(self) -> tuple[int, int]:
        return self.near.open_calls, self.far.open_calls
