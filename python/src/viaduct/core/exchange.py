"""The exchange as a table (PROTOCOL.md, section 4). Caller and callee both run it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class State(IntEnum):
    IDLE = 0
    OPEN = 1
    ASKED = 2
    CANCELLED = 3
    KEPT = 4


class Step(IntEnum):
    """What happens to an exchange: a frame, or the loss of its link. ``UP`` is sent by the caller."""

    CALL = 0
    CALL_UPLOAD = 1
    ITEM_UP = 2
    END_UP = 3
    CANCEL = 4
    ITEM_DOWN = 5
    END_DOWN = 6
    CREDIT = 7
    LOST = 8
    END_KEPT = 9
    BACK = 10
    RELEASE = 11


class Effect(IntEnum):
    """What the side that receives the frame has to do."""

    NONE = 0
    START = 1
    DELIVER = 2
    FINISH = 3
    ABORT = 4
    SETTLE = 5
    CREDIT = 6
    FAIL = 7
    FREE = 8
    LATE = 9
    VIOLATION = 10
    KEEP = 11
    BACK = 12


# fmt: off
TABLE: Final[dict[str, str]] = {
    # state      CALL        | CALL+UPLOAD | ITEM up        | END up         | CANCEL          | ITEM down      | END, ERROR  | CREDIT         | link lost | END with a lease | BACK           | RELEASE
    "idle":      "asked start| open start  | idle late      | idle late      | idle late       | idle late      | idle late   | idle late      | idle      | idle late        | idle late      | idle late",
    "open":      "violation  | violation   | open deliver   | asked finish   | cancelled abort | open deliver   | idle settle | open credit    | idle fail | kept keep        | open back      | open late",
    "asked":     "violation  | violation   | violation      | violation      | cancelled abort | asked deliver  | idle settle | asked credit   | idle fail | kept keep        | asked back     | asked late",
    "cancelled": "violation  | violation   | cancelled late | cancelled late | cancelled late  | cancelled late | idle free   | cancelled late | idle free | cancelled late   | cancelled late | idle free",
    "kept":      "violation  | violation   | kept late      | kept late      | cancelled abort | kept late      | idle free   | kept late      | idle free | kept late        | kept back      | idle free",
}
# fmt: on
"""For each state the next state and effect of each :class:`Step`, in its order."""


def _compile(state: str, cells: str) -> tuple[tuple[State, Effect], ...]:
    row = []
    for cell in cells.split("|"):
        words = cell.split()
        if words == ["violation"]:
            row.append((State[state.upper()], Effect.VIOLATION))
        else:
            effect = words[1] if len(words) > 1 else "none"
            row.append((State[words[0].upper()], Effect[effect.upper()]))
    return tuple(row)


_COMPILED: Final = tuple(_compile(state, cells) for state, cells in TABLE.items())


def step(state: State, event: Step) -> tuple[State, Effect]:
    """One step of an exchange: its next state, and the effect."""
    return _COMPILED[state][event]


SLOT_BITS: Final = 20
SLOT_MASK: Final = (1 << SLOT_BITS) - 1
#: Ids stay below 2^30, which JavaScript's engines at the far end are quick with.
GENERATIONS: Final = 1 << 10


def slot_of(id: int) -> int:
    return id & SLOT_MASK


class Slots:
    """The ids that one side of a link gives to its exchanges: slot and generation.

    A slot is handed out again only after :meth:`free`, with the next generation, so that a late frame
    never hits a new exchange. Id 0 means "none" on the wire, so slot 0 never has generation 0.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._generations: list[int] = []
        self._free: list[int] = []

    @property
    def open(self) -> int:
        """Slots that are taken."""
        return len(self._generations) - len(self._free)

    def take(self) -> int | None:
        """An id, or None when every slot is taken."""
        if self._free:
            slot = self._free.pop()
        elif len(self._generations) < self._limit:
            slot = len(self._generations)
            self._generations.append(1 if slot == 0 else 0)
        else:
            return None
        return self._generations[slot] << SLOT_BITS | slot

    def free(self, id: int) -> None:
        slot = slot_of(id)
        following = (self._generations[slot] + 1) % GENERATIONS
        self._generations[slot] = 1 if slot == 0 and following == 0 else following
        self._free.append(slot)

    def lower(self, limit: int) -> None:
        """Fewer slots from now on; those that are in use stay."""
        self._limit = min(self._limit, limit)
