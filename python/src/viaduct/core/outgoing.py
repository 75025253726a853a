"""The calls that one side of a link has made, by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..wire.errors import Fate, ViaductError
from ..wire.frame import Kind
from ..wire.limits import LEASE_GRACE_MS
from ..wire.reasons import link_error
from ..wire.values import UNDEFINED
from .clock import NEVER
from .events import Answered, Failed, ItemsChanged
from .exchange import Effect, Slots, State, Step, step
from .link import Link
from .out_call import OutCall


class Outgoing:
    """Takes each call through the table; a slot is free when the callee has ended, or was never told."""

    def __init__(self, link: Link, limit: int, expect: Callable[[float], None]) -> None:
        """``expect`` is told of each deadline."""
        self._link = link
        self._expect = expect
        self._slots = Slots(limit)
        self._calls: dict[int, OutCall] = {}
        self._kept: set[int] = set()
        """Ids of exchanges that are answered and outlive it."""
        self._called = 0
        """CALLs that have left for the far end."""
        link.outbox.on_call = self._leaves

    @property
    def open(self) -> int:
        return self._slots.open - len(self._kept)

    def __iter__(self) -> Iterator[OutCall]:
        return iter(self._calls.values())

    def lower_limit(self, exchanges: int) -> None:
        """The far end takes fewer calls at once than we would make."""
        self._slots.lower(exchanges)

    def take_id(self, what: str) -> int:
        """:raises ViaductError: RESOURCE_EXHAUSTED / TOO_MANY_CALLS"""
        id = self._slots.take()
        if id is None:
            raise link_error("TOO_MANY_CALLS", what, "not-sent")
        return id

    def give_back(self, id: int) -> None:
        """Gives back an id whose call was never written."""
        self._slots.free(id)

    def begin(self, call: OutCall) -> None:
        """The call is on its way."""
        self._calls[call.id] = call
        call.number = 0
        call.state, _ = step(State.IDLE, Step.CALL_UPLOAD if call.has_upload else Step.CALL)
        if call.deadline != NEVER:
            self._expect(call.deadline)

    def _leaves(self, id: int) -> None:
        """A CALL has left: by these numbers the far end counts too, one-way ones included."""
        self._called += 1
        call = self._calls.get(id)
        if call is not None:
            call.number = self._called

    def get(self, id: int) -> OutCall | None:
        """The open or cancelled call behind an id; None when it is late."""
        return self._calls.get(id)

    def receive(self, id: int, event: Step) -> tuple[OutCall | None, Effect]:
        """Takes a frame of the callee through the table; the effect is the caller's to carry out."""
        call = self._calls.get(id)
        if call is None:
            return None, step(State.IDLE, event)[1]
        call.state, effect = step(call.state, event)
        return call, effect

    def finished(self, call: OutCall) -> None:
        """The caller has sent its last item."""
        call.state, _ = step(call.state, Step.END_UP)

    def keep(self, call: OutCall) -> None:
        """The callee has answered, and keeps functions."""
        self._kept.add(call.id)
        call.input = call.sender = call.entry = None
        call.idle_ms = 0
        self.used(call)

    def used(self, call: OutCall) -> None:
        """A function was used: its lease begins anew, or the idle bound of a call that is open."""
        now = self._link.clock()
        if call.functions is not None and call.functions.lease_ms:
            call.deadline = now + call.functions.lease_ms + LEASE_GRACE_MS
        elif call.idle_ms and call.has_opened:
            call.deadline = now + call.idle_ms
        else:
            return
        self._expect(call.deadline)

    def free(self, call: OutCall) -> None:
        """The callee is done with this call, or never heard of it."""
        self._kept.discard(call.id)
        del self._calls[call.id]
        self._slots.free(call.id)
        if call.sender is not None:
            call.sender.clear()

    def answer(self, call: OutCall, value: object) -> None:
        """Tells the owner of the answer."""
        if call.items is not None:
            call.items.end()
            self._link.events.append(ItemsChanged(call))
        self._link.events.append(Answered(call, value))

    def fail(self, call: OutCall, error: ViaductError) -> None:
        """Tells the owner of the failure."""
        if call.items is not None:
            call.items.end(error)
            self._link.events.append(ItemsChanged(call))
        self._link.events.append(Failed(call, error))

    def abandon(self, call: OutCall, reason: str, error: ViaductError | None = None) -> None:
        """Fails a call from this side: it was cancelled, or its time is up.

        The slot stays taken until the callee has ended too, unless the call had not left the outbox.
        """
        if self._calls.get(call.id) is not call or call.state == State.CANCELLED:
            return
        if call.state == State.KEPT:
            # It is settled: only its lease ends it, not a reader that leaves.
            return
        unsent = call.call_off()
        fate: Fate = "not-sent" if unsent else "unknown"
        if unsent:
            self.free(call)
        else:
            call.state, _ = step(call.state, Step.CANCEL)
            self._link.control(Kind.CANCEL, id=call.id)
        self.fail(call, error or link_error(reason, call.method.name, fate))

    def _end_lease(self, call: OutCall) -> None:
        """The callee should have released what it kept: it is told to."""
        self._kept.discard(call.id)
        call.state, _ = step(call.state, Step.CANCEL)
        self._link.control(Kind.CANCEL, id=call.id)

    def sweep(self, now: float) -> float:
        """Fails what has expired; returns the earliest deadline that is left."""
        earliest = NEVER
        for call in list(self._calls.values()):
            if call.state == State.CANCELLED:
                continue
            if call.deadline <= now:
                if call.state == State.KEPT:
                    self._end_lease(call)
                    continue
                if not (call.idle_ms and call.items and call.items.waiting):
                    self.abandon(call, "DEADLINE_EXCEEDED")
                    continue
                # The reader is slow, not the far side: the idle bound rests.
                call.deadline = now + call.idle_ms
            earliest = min(earliest, call.deadline)
        return earliest

    def end_subscriptions(self) -> None:
        """A link that ends in good order ends its subscriptions, as any stream ends."""
        for call in self._calls.values():
            if call.standing is not None and call.state != State.CANCELLED:
                self.answer(call, UNDEFINED)
                call.state = State.CANCELLED

    def lose(self, reason: str) -> None:
        """The link has ended: every call that somebody waits for fails."""
        for call in list(self._calls.values()):
            self.free(call)
            _, effect = step(call.state, Step.LOST)
            fate = self._link.fate_of(call.number)
            if effect == Effect.FAIL:
                self.fail(call, link_error("LINK_LOST", f"{call.method.name} ({reason})", fate))
