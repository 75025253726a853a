"""A place in the events of one hub: all that was published up to an event."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_EVENT_ID: Final = re.compile(r"([0-9a-f]{32})\.(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})")
_MAX_NUMBER: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class EventPosition:
    session: str
    """The hub's: numbers of another one say nothing here."""
    number: int
    """Of the event among all that the hub has published."""
    sequence: int
    """Of the event within its topic."""


def event_id(session: str, number: int, sequence: int) -> str:
    """The id of an event as programs keep it."""
    return f"{session}.{number}.{sequence}"


def position_of(id: object) -> EventPosition | None:
    """Reads an event id; None when it is none."""
    found = _EVENT_ID.fullmatch(id) if isinstance(id, str) else None
    if found is None:
        return None
    position = EventPosition(found[1], int(found[2]), int(found[3]))
    return position if max(position.number, position.sequence) <= _MAX_NUMBER else None
