"""Makes calls: writes them, and carries out what their answers mean."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from ..wire.body import Bounds
from ..wire.encoder import Function
from ..wire.errors import Fate, ViaductError
from ..wire.frame import DICTIONARY, ONE_WAY, UPLOAD, Kind
from ..wire.limits import FRAGMENT_BYTES, MIN_WINDOW_BYTES
from ..wire.reasons import FATES, link_error, reason_name
from ..wire.values import UNDEFINED
from .clock import NEVER
from .error_value import error_from, named
from .events import Event, ItemsChanged, Progressed, Registered, SendReady
from .exchange import Effect, State, Step
from .functions import Functions, Lender
from .items import Items
from .limits import Limits, bounds_for
from .message import Message
from .method import LANES, Method
from .out_call import OutCall
from .out_routes import OutRoutes
from .outgoing import Outgoing
from .output import Output
from .route import Route
from .sender import Sender

_MAX_U32 = 2**32 - 1
"""The longest time that fits into a header; beyond it the far end is told of none."""


class Caller:
    def __init__(
        self,
        output: Output,
        routes: OutRoutes,
        limits: Limits,
        debug: bool,
        expect: Callable[[float], None],
    ) -> None:
        """``debug``: stacks travel with errors. ``expect`` is told of each deadline."""
        self.calls = Outgoing(output.link, limits.exchanges, expect)
        self.lender = Lender(output, self.calls, limits, debug)
        self._output = output
        self._link = output.link
        self._routes = routes
        self._limits = limits
        self._expect = expect
        self.far_draining = False
        """The far end takes no further calls."""

    def _emit(self, event: Event) -> None:
        self._link.events.append(event)

    def _bounds(self, call: OutCall) -> Bounds:
        return bounds_for(call.route.peer, self._limits.bounds)

    def begin(self, call: OutCall) -> None:
        """Writes the CALL and enters it in the table.

        :raises ViaductError: it was refused, with the fate ``not-sent``; nothing is kept of it then.
        """
        method = call.method
        refusal = self._refusal(call)
        if refusal is not None:
            raise link_error(refusal, method.name, "not-sent")
        call.id = self.calls.take_id(method.name)
        try:
            self._write(call)
        except ViaductError as error:
            self.calls.give_back(call.id)
            raise _not_sent(error, method) from error
        if call.window and call.items is None:
            call.items = Items(lambda credit: self._grant(call, credit))
        self.calls.begin(call)

    def _refusal(self, call: OutCall) -> str | None:
        if self._link.closed is not None:
            return "LINK_LOST"
        if self.far_draining:
            return "DRAINING"
        if self._output.full:
            return "QUEUE_FULL"
        return "DEADLINE_EXCEEDED" if call.deadline < self._link.clock() else None

    def _write(self, call: OutCall) -> None:
        method, route = call.method, call.route
        index = self._routes.index(route, method)
        call.dictionary = route.same[index]
        flags = call.lane
        if call.dictionary:
            flags |= DICTIONARY
        if call.has_upload:
            flags |= UPLOAD
        dictionary = method.input if call.dictionary else None
        functions: list[Function] = []
        message = self._output.message(
            Kind.CALL, flags, call.input, dictionary, functions=functions
        )
        call.functions = Functions(functions) if functions else None
        message.method = index
        message.route = route.number
        message.window = call.window
        if call.deadline != NEVER:
            left = max(1, ceil(call.deadline - self._link.clock()))
            message.time_left = left if left <= _MAX_U32 else 0
        if call.has_upload or not call.dictionary:
            call.input = None
        if call.has_upload or len(message.payload) > FRAGMENT_BYTES:
            call.sender = Sender(self._link.outbox, call.lane, call.id, MIN_WINDOW_BYTES)
            call.sender.on_ready = lambda: self._emit(SendReady(call))
        call.entry = self._output.send(message, call.id, call.sender)

    def _grant(self, call: OutCall, credit: int) -> None:
        if call.state != State.CANCELLED:
            self._link.control(Kind.CREDIT, id=call.id, window=credit)

    def notify(self, route: Route, method: Method, value: object, head: bytes = b"") -> bool:
        """Sends one way. False when the outbox is full or the link has ended: it was not taken.

        :raises ViaductError: of what cannot be sent, with the fate ``not-sent``.
        """
        if self._link.closed is not None or self._output.full:
            return False
        index = self._routes.index(route, method)
        dictionary = method.input if route.same[index] else None
        flags = ONE_WAY | LANES[method.lane] | (DICTIONARY if dictionary is not None else 0)
        try:
            message = self._output.message(Kind.CALL, flags, value, dictionary, head)
        except ViaductError as error:
            raise _not_sent(error, method) from error
        message.method = index
        message.route = route.number
        if len(message.payload) <= FRAGMENT_BYTES:
            self._output.send(message, 0, None)
            return True
        # A one-way message that is cut borrows an id until its last fragment is written.
        id = self.calls.take_id(method.name)
        sender = Sender(self._link.outbox, flags & 3, id, 0)
        sender.on_idle = lambda: self.calls.give_back(id)
        sender.add(message)
        return True

    def send_item(self, call: OutCall, value: object) -> None:
        """Sends an item of the upload; ``call.sender.may_send()`` says when.

        What cannot be sent fails the call.
        """
        if call.state != State.OPEN or call.sender is None:
            return
        dictionary = call.method.upload_item if call.dictionary else None
        flags = call.lane | (DICTIONARY if dictionary is not None else 0)
        try:
            message = self._output.message(Kind.ITEM, flags, value, dictionary)
        except ViaductError as error:
            self.calls.abandon(call, "CANCELLED", named(error, call.method, "upload"))
        else:
            call.sender.add(message)

    def finish(self, call: OutCall) -> None:
        """The last item of the upload was sent."""
        if call.state == State.OPEN:
            message = self._output.message(Kind.END, call.lane, UNDEFINED)
            self._output.send(message, call.id, call.sender)
            self.calls.finished(call)

    def item(self, message: Message) -> None:
        """ITEM of the callee."""
        call, effect = self.calls.receive(message.id, Step.ITEM_DOWN)
        if call is None or effect != Effect.DELIVER:
            return
        if call.items is None:
            self.calls.abandon(call, "SKEW", _not_a_stream(call.method))
            return
        call.deadline = self._link.clock() + call.idle_ms if call.idle_ms else NEVER
        call.has_opened = True
        if call.idle_ms:
            self._expect(call.deadline)
        dictionary = call.method.item if message.uses_dictionary else None
        try:
            value = message.read(dictionary, self._bounds(call))
        except ViaductError as error:
            # One publisher's malformed event ends nobody's subscription: it is passed over.
            if call.standing is not None:
                call.items.owe(message.cost)
            else:
                self.calls.abandon(call, "CANCELLED", named(error, call.method, "item"))
            return
        call.items.push(value if call.standing is None else (value, message.head), message.cost)
        self._emit(ItemsChanged(call))

    def end(self, message: Message) -> None:
        """END of the callee."""
        id, lease_ms = message.id, message.window
        call = self.lender.keep(id, lease_ms) if lease_ms else self._settle(id)
        if call is None:
            return
        dictionary = call.method.output if message.uses_dictionary else None
        try:
            value = message.read(dictionary, self._bounds(call))
        except ViaductError as error:
            self.calls.fail(call, named(error, call.method, "output"))
        else:
            self.calls.answer(call, value)

    def error(self, message: Message) -> None:
        """ERROR of the callee, or of a hub or link on the way to it."""
        call = self._settle(message.id)
        if call is None:
            return
        error = self._error_of(call, message)
        is_skew = error.reason == "SKEW" and error.fate == "not-sent"
        if is_skew and call.dictionary and not call.has_upload:
            self._again(call)
        else:
            self.calls.fail(call, error)

    def _error_of(self, call: OutCall, message: Message) -> ViaductError:
        if not message.payload:
            fate: Fate = "not-sent" if message.window == FATES["not-sent"] else "unknown"
            what = call.route.describe(call.method)
            return link_error(reason_name(message.route), what, fate, message.time_left or None)
        try:
            return error_from(message.read(None, self._bounds(call)), call.method.name)
        except ViaductError as error:
            return named(error, call.method, "error")

    def _again(self, call: OutCall) -> None:
        """The server changed under the route: the call is sent once more, self-describing."""
        route = call.route
        route.same[self._routes.index(route, call.method)] = False
        try:
            self.begin(call)
        except ViaductError as error:
            self.calls.fail(call, error)

    def _settle(self, id: int) -> OutCall | None:
        """The call that an END or ERROR settles, if somebody still waits; its slot is free from here on."""
        call, effect = self.calls.receive(id, Step.END_DOWN)
        if call is None or effect == Effect.LATE:
            return None
        self.calls.free(call)
        return call if effect == Effect.SETTLE else None

    def progress(self, message: Message) -> None:
        """PROGRESS is advice: what cannot be read ends no call."""
        call = self.calls.get(message.id)
        if call is None or call.state == State.CANCELLED:
            return
        # A subscription is open once it is registered, however late its first event.
        if call.standing is not None:
            call.deadline = NEVER
        if call.idle_ms:
            call.deadline = self._link.clock() + call.idle_ms
        try:
            value = message.read(None, self._bounds(call))
        except ViaductError:
            return
        if call.standing is None:
            self._emit(Progressed(call, value))
        else:
            self._emit(Registered(call, call.standing.registered(value)))

    def credit(self, id: int, credit: int) -> None:
        """CREDIT of the callee, for an upload."""
        call, effect = self.calls.receive(id, Step.CREDIT)
        if call is not None and effect == Effect.CREDIT and call.sender is not None:
            call.sender.grant(credit)

    def owe(self, id: int, cost: int) -> None:
        """A fragment of an unfinished item has come."""
        call = self.calls.get(id)
        if call is not None and call.items is not None:
            call.items.owe_unfinished(cost)

    def too_large(self, id: int, goes_on: bool) -> None:
        """An answer is over the limit: its call fails, and what follows of it is late.

        ``goes_on``: the exchange does not end with it: it is an item, or functions are kept.
        """
        call = self.calls.get(id)
        if call is None:
            return
        error = link_error("MESSAGE_TOO_LARGE", f"{call.method.name}: its answer", "unknown")
        self.calls.abandon(call, "MESSAGE_TOO_LARGE", error)
        # Its terminal frame is what was over the limit.
        if not goes_on and self.calls.get(id) is call:
            self.calls.free(call)


def _not_sent(error: ViaductError, method: Method) -> ViaductError:
    if error.reason == "MESSAGE_TOO_LARGE":
        return link_error("MESSAGE_TOO_LARGE", f"{method.name}: input", "not-sent")
    return named(error, method, "input")


def _not_a_stream(method: Method) -> ViaductError:
    """Only a stream has items; the callee is of another mind."""
    return ViaductError(
        "FAILED_PRECONDITION",
        f"{method.name}: the far side answers with items; call it as a stream",
        reason="SKEW",
        fate="unknown",
    )
