"""What a subscriber is told besides the data of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..wire.head import SOURCE, TOPIC, event_of, text_of
from .event_id import event_id


@dataclass(frozen=True, slots=True)
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
    topic: str
    session: str
    """The hub's; empty when the hub keeps no events."""

    @property
    def event_id(self) -> str:
        """Names the event for a later subscription to go on from; empty when the hub keeps no events."""
        return event_id(self.session, self.id, self.sequence) if self.session else ""


@dataclass(frozen=True, slots=True)
class EventGap:
    """Events that a subscription will never see, told before the first one after them."""

    missed: int | None
    """How many; None, not known, when the hub is another one by now, or for a pattern."""
    start: str
    """The event id that was gone on from."""
    end: str
    """The position behind the gap."""


class TopicEvent(NamedTuple):
    """An event of a pattern's subscription."""

    topic: str
    data: Any


def read_event(head: bytes, topic: str, session: str) -> EventInfo | None:
    """What a head says of an event; None when there is no EVENT or the head is malformed.

    ``topic``: what was subscribed, for events that do not name theirs. ``session``: the hub's, where it is known.
    """
    numbers = event_of(head)
    if numbers is None:
        return None
    return EventInfo(*numbers, text_of(head, SOURCE) or "", text_of(head, TOPIC) or topic, session)
