"""Answers calls: says which handlers to run, and writes what they give."""

from __future__ import annotations

from collections.abc import Callable

from ..wire.dictionary import Dictionary
from ..wire.errors import CODES, ViaductError
from ..wire.frame import ANSWER, DICTIONARY, LANE, Kind
from ..wire.limits import MIN_WINDOW_BYTES, WINDOW_BYTES
from ..wire.reasons import FATES, REASONS, link_error
from .borrower import Borrower
from .clock import NEVER
from .error_value import ErrorValue, named, numbers_of, send_error
from .events import CallAborted, CallStarted, Event, ItemsChanged, SendReady
from .exchange import Effect, Step
from .in_call import InCall
from .in_routes import InRoutes
from .incoming import Incoming, lost
from .items import Items
from .limits import Limits, bounds_for
from .message import Message
from .output import Output
from .sender import Sender


class Callee:
    def __init__(
        self,
        output: Output,
        routes: InRoutes,
        limits: Limits,
        debug: bool,
        expect: Callable[[float], None],
        on_ended: Callable[[int], object],
    ) -> None:
        """``debug``: stacks travel with errors. ``on_ended`` is told of each exchange that has ended."""
        self.calls = Incoming(limits.exchanges, expect)
        self.borrower = Borrower(output, self.calls, limits, on_ended)
        self._output = output
        self._link = output.link
        self._routes = routes
        self._limits = limits
        self._debug = debug
        self._on_ended = on_ended
        self.draining = False
        """Takes no further calls."""

    def _emit(self, event: Event) -> None:
        self._link.events.append(event)

    # What comes from the caller.

    def call(self, message: Message) -> None:
        """CALL, whole. One that was cut has been entered with its first fragment."""
        if not message.was_cut:
            self._link.accepted += 1
        is_new = not message.is_one_way and not message.was_cut
        if is_new and not self.calls.begin(message.id, message.has_upload):
            self._link.violation()
            return
        route = self._routes.get(message.route)
        method = route.methods.get(message.method) if route else None
        if route is None or method is None:
            self._refuse(message, "ROUTE_UNKNOWN")
            return
        served = method.served
        if served is None:
            self._refuse(message, "METHOD_NOT_FOUND")
        elif self.draining:
            self._refuse(message, "DRAINING")
        elif message.uses_dictionary and served.fingerprint != method.fingerprint:
            self._refuse(message, "SKEW")
        else:
            left = message.time_left
            call = InCall(
                message.id,
                route.source,
                served,
                message.flags & LANE,
                message.uses_dictionary,
                message.window,
                self._link.clock() + left if left else NEVER,
                message.is_one_way,
            )
            self._start(call, message)

    def _start(self, call: InCall, message: Message) -> None:
        if not call.is_one_way:
            self.calls.set(call)
        dictionary = call.method.input if call.dictionary else None
        try:
            functions = self.borrower.functions(call, message)
            bounds = bounds_for(call.peer, self._limits.bounds)
            value = message.read(dictionary, bounds, functions)
        except ViaductError as error:
            self.fail(call, named(error, call.method, "input"))
            return
        if message.has_upload and not call.is_one_way:
            self._accept_upload(call)
        self._emit(CallStarted(call, value))

    def _accept_upload(self, call: InCall) -> None:
        def grant(credit: int) -> None:
            self._link.control(Kind.CREDIT, ANSWER, id=call.id, window=credit)

        call.items = Items(grant)
        # The caller began with the least window; from here on it has the usual one.
        grant(WINDOW_BYTES - MIN_WINDOW_BYTES)

    def _refuse(self, message: Message, reason: str) -> None:
        if not message.is_one_way:
            self.refuse(message.id, reason)

    def refuse(self, id: int, reason: str) -> None:
        """Answers a call whose handler did not run, with a bare ERROR."""
        number, code, _ = REASONS[reason]
        self._link.control(
            Kind.ERROR,
            ANSWER,
            method=CODES[code],
            id=id,
            route=number,
            window=FATES["not-sent"],
        )
        self._end_exchange(id)

    def item(self, message: Message) -> None:
        """ITEM of the caller."""
        call, effect = self.calls.receive(message.id, Step.ITEM_UP)
        if effect == Effect.VIOLATION:
            self._link.violation()
        if effect != Effect.DELIVER or call is None or call.items is None:
            return
        dictionary = call.method.upload_item if message.uses_dictionary else None
        try:
            value = message.read(dictionary, bounds_for(call.peer, self._limits.bounds))
        except ViaductError as error:
            call.items.end(named(error, call.method, "upload"))
        else:
            call.items.push(value, message.cost)
        self._emit(ItemsChanged(call))

    def end_upload(self, id: int) -> None:
        """END of the caller: it has sent its last item."""
        call, effect = self.calls.receive(id, Step.END_UP)
        if effect == Effect.VIOLATION:
            self._link.violation()
        elif effect == Effect.FINISH and call is not None and call.items is not None:
            call.items.end()
            self._emit(ItemsChanged(call))

    def credit(self, id: int, credit: int) -> None:
        """CREDIT of the caller, for a stream."""
        call, effect = self.calls.receive(id, Step.CREDIT)
        if effect != Effect.CREDIT or call is None:
            return
        if call.sender is None:
            call.window += credit
        else:
            call.sender.grant(credit)

    def cancel(self, id: int, unfinished: bool) -> None:
        """CANCEL; ``unfinished``: the CALL itself had not come whole."""
        call, effect = self.calls.receive(id, Step.CANCEL)
        if effect != Effect.ABORT:
            return
        kept = self.calls.kept(id)
        if call is not None:
            self._abort(call, link_error("CANCELLED", call.method.name, "unknown"))
        elif kept is not None:
            self.borrower.cancel(kept)
        elif unfinished:
            self.refuse(id, "CANCELLED")

    def owe(self, id: int, cost: int) -> None:
        """A fragment of an unfinished item has come."""
        call = self.calls.get(id)
        if call is not None and call.items is not None:
            call.items.owe_unfinished(cost)

    def too_large(self, id: int) -> None:
        """An uploaded item is over the limit: the handler is told."""
        call = self.calls.get(id)
        if call is not None:
            self._abort(call, link_error("MESSAGE_TOO_LARGE", "an uploaded item", "unknown"))

    def sweep(self, now: float) -> float:
        """Aborts what has expired; returns the earliest deadline that is left."""
        expired, earliest = self.calls.expired(now)
        for call in expired:
            self._abort(call, link_error("DEADLINE_EXCEEDED", call.method.name, "unknown"))
        return min(earliest, self.borrower.sweep(now))

    def lose(self, reason: str) -> None:
        """The link has ended: handlers are told."""
        calls, kept = self.calls.clear()
        for call in calls:
            self._abort(call, lost(reason))
        for references in kept:
            references.end(lost(reason))

    def _abort(self, call: InCall, reason: ViaductError) -> None:
        if call.aborted:
            return
        call.abort_reason = reason
        if call.items is not None:
            call.items.end(reason)
            self._emit(ItemsChanged(call))
        if call.references is not None:
            call.references.end(reason)
        self._emit(CallAborted(call))
        if call.answers_items:
            self._cut_short(call)

    # What the handler gives.

    def begin_items(self, call: InCall) -> Sender:
        """The handler answers with items; ``may_send()`` of the sender says when."""
        sender = self._sender(call)
        call.answers_items = True
        if call.aborted:
            self._cut_short(call)
        return sender

    def _cut_short(self, call: InCall) -> None:
        if call.sender is not None:
            call.sender.clear()
        self.fail(call, link_error("CANCELLED", call.method.name, "unknown"))

    def _sender(self, call: InCall) -> Sender:
        if call.sender is None:
            call.sender = Sender(self._link.outbox, call.lane, call.id, call.window)
            call.sender.on_ready = lambda: self._emit(SendReady(call))
        return call.sender

    def send_item(self, call: InCall, value: object) -> None:
        """Sends an item. What cannot be sent fails the call."""
        if not self.calls.holds(call):
            return
        dictionary = call.method.item if call.dictionary else None
        try:
            self._answer(call, Kind.ITEM, value, dictionary)
        except ViaductError as error:
            self.fail(call, named(error, call.method, "item", ours=True))

    def progress(self, call: InCall, value: object) -> None:
        """Reports progress, where somebody still waits.

        :raises ViaductError: of what cannot be sent, or not in one frame.
        """
        if self.calls.holds(call) and not call.aborted:
            self._sender(call)
            self._answer(call, Kind.PROGRESS, value, None)

    def end(self, call: InCall, value: object) -> None:
        """Answers with the output. What cannot be sent fails the call."""
        if not self.calls.holds(call):
            return
        dictionary = call.method.output if call.dictionary else None
        references = call.references
        lease_ms = references.lease_ms if references is not None else 0
        if lease_ms:
            self._sender(call)
        try:
            self._answer(call, Kind.END, value, dictionary, lease_ms)
        except ViaductError as error:
            self.fail(call, named(error, call.method, "output", ours=True))
            return
        if references is None or not lease_ms:
            self._finish(call)
            return
        self._end_upload(call)
        self.borrower.keep(call, references)
        self._on_ended(call.id)

    def fail(self, call: InCall, raised: BaseException) -> None:
        """Answers with an error: a :class:`ViaductError` as it is, anything else as HANDLER_ERROR.

        What cannot be sent of it is left out.
        """
        if not self.calls.holds(call):
            return

        def write(value: ErrorValue) -> None:
            self._answer(call, Kind.ERROR, value, None)

        send_error(raised, self._debug, write)
        self._finish(call)

    def _answer(
        self,
        call: InCall,
        kind: Kind,
        value: object,
        dictionary: Dictionary | None,
        lease_ms: int = 0,
    ) -> None:
        flags = ANSWER | call.lane | (DICTIONARY if dictionary is not None else 0)
        message = self._output.message(kind, flags, value, dictionary)
        if kind == Kind.ERROR:
            message.method, message.route = numbers_of(value)
        message.window = lease_ms
        self._output.send(message, call.id, call.sender)

    def _end_upload(self, call: InCall) -> None:
        if call.items is not None:
            call.items.end()
            self._emit(ItemsChanged(call))

    def _finish(self, call: InCall) -> None:
        self._end_upload(call)
        if call.references is not None:
            call.references.end()
        self._end_exchange(call.id)

    def _end_exchange(self, id: int) -> None:
        self.calls.end(id)
        self._on_ended(id)
