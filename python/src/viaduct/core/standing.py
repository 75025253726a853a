"""Where a subscription stands among the events of its hub."""

from __future__ import annotations

from ..wire.values import UNDEFINED
from .event_id import position_of
from .event_info import EventGap, EventInfo, read_event


class Standing:
    """Told what the hub says when it registers the subscription, and each head as its event is read."""

    __slots__ = ("_after", "_begun", "_session", "_topic", "last")

    def __init__(self, topic: str, after: str | None) -> None:
        """``topic``: the name, or the pattern, that was subscribed. ``after``: the event id it goes on from."""
        self._topic = topic
        self._after = after
        self._begun = after
        self._session = ""
        self.last: EventInfo | None = None
        """What the hub said of the event that was read last."""

    @property
    def last_event_id(self) -> str | None:
        """Of the event that was read last or, before the first, of the position where it began."""
        return (self.last.event_id if self.last is not None else "") or self._begun

    def registered(self, said: object) -> EventGap | None:
        """The hub says where the subscription begins, before any event of it; the gap before that, if any."""
        if not isinstance(said, dict):
            return None
        at = said.get("at")
        position = position_of(at)
        if position is None or not isinstance(at, str):
            return None
        self._session = position.session
        self._begun = at
        gap = said.get("gap", UNDEFINED)
        if self._after is None or gap is UNDEFINED:
            return None
        missed = gap.get("missed") if isinstance(gap, dict) else None
        is_known = isinstance(missed, int) and not isinstance(missed, bool)
        return EventGap(missed if is_known else None, self._after, at)

    def read(self, head: bytes) -> EventInfo | None:
        """The event of the item that is read now."""
        event = read_event(head, self._topic, self._session)
        self.last = event or self.last
        return event
