"""The calls that one side of a link answers, by the slot that the caller chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..wire.errors import ViaductError
from ..wire.reasons import link_error
from .clock import NEVER
from .exchange import Effect, State, Step, slot_of, step
from .in_call import InCall
from .references import References


class _Exchange:
    __slots__ = ("call", "id", "state")

    def __init__(self, id: int, state: State) -> None:
        self.id = id
        self.state = state
        self.call: InCall | None = None
        """None until the CALL has come whole."""


class Incoming:
    """Takes each exchange through the table until its terminal frame has been written."""

    def __init__(self, limit: int, expect: Callable[[float], None]) -> None:
        """``limit``: slots that a caller may use. ``expect`` is told of each deadline."""
        self._limit = limit
        self._expect = expect
        self._exchanges: dict[int, _Exchange] = {}
        self._kept: dict[int, References] = {}
        """What outlives its answer, by id."""

    @property
    def open(self) -> int:
        """Calls whose handlers have not ended."""
        return len(self._exchanges) - len(self._kept)

    def begin(self, id: int, upload: bool) -> bool:
        """A CALL has begun to come. False when its slot is taken or out of bounds: a violation."""
        slot = slot_of(id)
        if slot >= self._limit:
            return False
        known = self._exchanges.get(slot)
        event = Step.CALL_UPLOAD if upload else Step.CALL
        state, effect = step(known.state if known else State.IDLE, event)
        if effect == Effect.VIOLATION:
            return False
        self._exchanges[slot] = _Exchange(id, state)
        return True

    def set(self, call: InCall) -> None:
        """The CALL has come whole, and its handler is to be run."""
        exchange = self._find(call.id)
        if exchange is not None:
            exchange.call = call
            if call.deadline != NEVER:
                self._expect(call.deadline)

    def _find(self, id: int) -> _Exchange | None:
        exchange = self._exchanges.get(slot_of(id))
        return exchange if exchange is not None and exchange.id == id else None

    def receive(self, id: int, event: Step) -> tuple[InCall | None, Effect]:
        """Takes a frame of the caller through the table; the effect is the callee's to carry out."""
        exchange = self._find(id)
        if exchange is None:
            return None, Effect.LATE
        exchange.state, effect = step(exchange.state, event)
        return exchange.call, effect

    def get(self, id: int) -> InCall | None:
        exchange = self._find(id)
        return exchange.call if exchange is not None else None

    def references(self, id: int) -> References | None:
        """The functions that may be called on this exchange."""
        call = self.get(id)
        return call.references if call is not None else self.kept(id)

    def kept(self, id: int) -> References | None:
        """What is kept of an exchange that has been answered."""
        return self._kept.get(id)

    def keep(self, id: int, references: References) -> None:
        """The answer has been written, and functions are kept beyond it."""
        exchange = self._find(id)
        if exchange is not None:
            exchange.state, _ = step(exchange.state, Step.END_KEPT)
            exchange.call = None
            self._kept[id] = references
            self._expect(references.expires)

    def unused(self, now: float) -> tuple[list[References], float]:
        """What is kept and was not used for the time of its lease, and when the next lease ends."""
        over = [one for one in self._kept.values() if one.expires <= now]
        left = [one.expires for one in self._kept.values() if one.expires > now]
        return over, min(left, default=NEVER)

    def holds(self, call: InCall) -> bool:
        """Whether this very call is still to be answered."""
        exchange = self._exchanges.get(slot_of(call.id))
        return exchange is not None and exchange.call is call

    def end(self, id: int) -> None:
        """The terminal frame has been written."""
        if self._find(id) is not None:
            del self._exchanges[slot_of(id)]
            self._kept.pop(id, None)

    def expired(self, now: float) -> tuple[list[InCall], float]:
        """Calls whose time is up, and the earliest deadline that is left.

        Of streams the deadline bounds the opening only, which is the caller's to watch.
        """
        expired: list[InCall] = []
        earliest = NEVER
        for call in self:
            if call.aborted or call.method.kind != "call":
                continue
            if call.deadline <= now:
                expired.append(call)
            else:
                earliest = min(earliest, call.deadline)
        return expired, earliest

    def __iter__(self) -> Iterator[InCall]:
        for exchange in self._exchanges.values():
            if exchange.call is not None:
                yield exchange.call

    def clear(self) -> tuple[list[InCall], list[References]]:
        """The link has ended: the calls that were open, and what was kept."""
        calls, kept = list(self), list(self._kept.values())
        self._exchanges.clear()
        self._kept.clear()
        return calls, kept


def lost(reason: str) -> ViaductError:
    return link_error("LINK_LOST", f"the caller's link ({reason})", "unknown")
