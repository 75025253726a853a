"""Calls the functions that the calls of the far end refer to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..wire.errors import ViaductError
from ..wire.frame import ANSWER, Kind
from ..wire.limits import MAX_REFERENCES
from ..wire.reasons import link_error, reason_name
from ..wire.values import UNDEFINED
from .error_value import error_from, named
from .events import FunctionAnswered, FunctionFailed
from .exchange import Effect, Step
from .in_call import InCall
from .incoming import Incoming
from .limits import Limits, bounds_for
from .message import Message
from .output import Output
from .references import OutBack, Reference, References, ReferencesHost


class Borrower:
    def __init__(
        self, output: Output, calls: Incoming, limits: Limits, on_ended: Callable[[int], object]
    ) -> None:
        """``on_ended`` is told of each exchange that has ended."""
        self._output = output
        self._link = output.link
        self._calls = calls
        self._limits = limits
        self._on_ended = on_ended
        self._host = ReferencesHost(output.link.clock, output.link, self._write, self._release)
        self.stand_in: Callable[[Reference], object] = lambda reference: reference
        """What a handler gets for a function of its caller."""

    def functions(self, call: InCall, message: Message) -> list[object]:
        """What the references of a CALL become in its input.

        :raises ViaductError: there are too many of them.
        """
        count = message.references
        if count == 0 or call.is_one_way:
            return []
        if count > MAX_REFERENCES:
            text = f"over {MAX_REFERENCES} functions"
            raise ViaductError("INVALID_ARGUMENT", text, reason="MALFORMED_BODY")
        call.references = References(
            self._host, call.id, call.lane, call.peer, call.method, count
        )
        return [self.stand_in(reference) for reference in call.references.all]

    def _write(self, back: OutBack, arguments: Sequence[object]) -> None:
        reference = back.reference
        references = reference.owner
        if self._output.full:
            raise link_error("QUEUE_FULL", references.what(reference), "not-sent")
        try:
            message = self._output.message(Kind.BACK, ANSWER | references.lane, list(arguments))
        except ViaductError as error:
            part = f"callbacks[{reference.index}].arguments"
            raise named(error, references.method, part) from error
        message.method = reference.index
        message.window = back.number
        self._output.send(message, references.id, None)

    def receive(self, message: Message) -> None:
        """BACK of the caller: what a function of its gave."""
        _, effect = self._calls.receive(message.id, Step.BACK)
        references = self._calls.references(message.id)
        if effect != Effect.BACK or references is None:
            return
        back = references.take(message.window)
        if back is None:
            return
        events = self._link.events
        what = references.what(back.reference)
        if not message.payload and message.route:
            # A caller or hub that cannot take more has answered, and no function ran.
            refused = link_error(reason_name(message.route), what, "not-sent")
            events.append(FunctionFailed(back, refused))
            return
        try:
            value = message.read(None, bounds_for(references.peer, self._limits.bounds))
        except ViaductError as error:
            part = f"callbacks[{back.reference.index}].result"
            events.append(FunctionFailed(back, named(error, references.method, part)))
            return
        if message.method == 0:
            events.append(FunctionAnswered(back, value))
        else:
            events.append(FunctionFailed(back, error_from(value, what)))

    def keep(self, call: InCall, references: References) -> None:
        """The answer was written, and functions are kept beyond it."""
        references.sender = call.sender
        references.answered()
        self._calls.keep(call.id, references)

    def cancel(self, references: References) -> None:
        """CANCEL of the caller, of what is kept: it waits for the release."""
        what = references.method.name
        self._release(references, link_error("CANCELLED", what, "unknown"))

    def _release(self, references: References, reason: ViaductError | None = None) -> None:
        references.end(reason)
        message = self._output.message(Kind.RELEASE, ANSWER | references.lane, UNDEFINED)
        self._output.send(message, references.id, references.sender)
        self._calls.end(references.id)
        self._on_ended(references.id)

    def sweep(self, now: float) -> float:
        """Ends the leases that are over; returns when the next one is."""
        over, earliest = self._calls.unused(now)
        for references in over:
            self._release(references)
        return earliest
