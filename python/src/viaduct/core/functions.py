"""The functions in the input of a call, at the side that has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..wire.encoder import Function
from ..wire.errors import CODES, ViaductError
from ..wire.frame import Kind
from ..wire.limits import MAX_BACKS, MAX_LEASE_MS
from ..wire.reasons import REASONS
from .error_value import ErrorValue, named, send_error
from .events import FunctionCalled
from .exchange import Effect, State, Step
from .limits import Limits, bounds_for
from .message import Message
from .out_call import OutCall
from .outgoing import Outgoing
from .output import Output


class Functions:
    """Those of one call, by their numbers."""

    __slots__ = ("all", "lease_ms", "running")

    def __init__(self, functions: Sequence[Function]) -> None:
        self.all = functions
        self.running = 0
        self.lease_ms = 0
        """For how long they are kept after the answer; 0 until then."""


@dataclass(slots=True, eq=False)
class InBack:
    """The callee calls a function of ours. The owner runs it, and says what came of it."""

    call: OutCall
    function: Function
    index: int
    arguments: list[Any]
    id: int
    """Of the exchange; that of the call changes when it is sent once more."""
    number: int
    """By which the callee knows it."""


class Lender:
    """Has functions of this side's calls run for their callees, and answers."""

    def __init__(self, output: Output, calls: Outgoing, limits: Limits, debug: bool) -> None:
        self._output = output
        self._link = output.link
        self._calls = calls
        self._limits = limits
        self._debug = debug

    def receive(self, message: Message) -> None:
        """BACK of the callee. One that it may not send closes the link."""
        call, effect = self._calls.receive(message.id, Step.BACK)
        if call is None or effect != Effect.BACK:
            return
        lent = call.functions
        index = message.method
        if lent is None or index >= len(lent.all) or lent.running >= MAX_BACKS:
            self._link.violation()
            return
        self._calls.used(call)
        if self._output.full:
            # The far end does not read; what it goes on to call may not pile up as answers.
            number, code, _ = REASONS["QUEUE_FULL"]
            self._link.control(
                Kind.BACK, method=CODES[code], id=message.id, route=number, window=message.window
            )
            return
        lent.running += 1
        back = InBack(call, lent.all[index], index, [], message.id, message.window)
        try:
            back.arguments = self._arguments(back, message)
        except ViaductError as error:
            self.fail(back, error)
        else:
            self._link.events.append(FunctionCalled(back))

    def _arguments(self, back: InBack, message: Message) -> list[Any]:
        method = back.call.method
        part = f"callbacks[{back.index}].arguments"
        try:
            value = message.read(None, bounds_for(back.call.route.peer, self._limits.bounds))
        except ViaductError as error:
            raise named(error, method, part) from error
        if isinstance(value, list):
            return value
        raise ViaductError(
            "INVALID_ARGUMENT",
            f"{method.name}: {part} are no list",
            reason="MALFORMED_BODY",
            path=part,
        )

    def answer(self, back: InBack, value: object) -> None:
        """What the function gave. What cannot be sent is an error there."""
        if not self._ends(back):
            return
        try:
            self._write(back, value)
        except ViaductError as error:
            part = f"callbacks[{back.index}].result"
            self._write_error(back, named(error, back.call.method, part, ours=True))

    def fail(self, back: InBack, raised: BaseException) -> None:
        """What the function raised."""
        if self._ends(back):
            self._write_error(back, raised)

    def _ends(self, back: InBack) -> bool:
        """Whether the callee still waits for what a function gives, which has ended."""
        call = back.call
        if self._calls.get(back.id) is not call or call.functions is None:
            return False
        call.functions.running -= 1
        if call.state == State.CANCELLED:
            return False
        self._calls.used(call)
        return True

    def _write_error(self, back: InBack, raised: BaseException) -> None:
        def write(error: ErrorValue) -> None:
            self._write(back, error, CODES[str(error["code"])])

        send_error(raised, self._debug, write)

    def _write(self, back: InBack, value: object, code: int = 0) -> None:
        message = self._output.message(Kind.BACK, back.call.lane, value)
        message.method = code
        message.window = back.number
        self._output.send(message, back.id, None)

    def keep(self, id: int, lease_ms: int) -> OutCall | None:
        """END of the callee with a lease: the call that it settles, if somebody still waits."""
        open_call = self._calls.get(id)
        if open_call is not None and open_call.functions is None:
            self._link.violation()
            return None
        call, effect = self._calls.receive(id, Step.END_KEPT)
        if call is None or call.functions is None or effect != Effect.KEEP:
            return None
        call.functions.lease_ms = min(lease_ms, MAX_LEASE_MS)
        self._calls.keep(call)
        return call

    def released(self, id: int) -> None:
        """RELEASE of the callee: it keeps nothing any more."""
        call, effect = self._calls.receive(id, Step.RELEASE)
        if call is not None and effect == Effect.FREE:
            self._calls.free(call)
