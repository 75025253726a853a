"""One end of a link, without input or output."""

from __future__ import annotations

from collections.abc import Callable

from ..wire.errors import ViaductError
from ..wire.head import key_head
from ..wire.limits import CALL_TIMEOUT_MS, MIN_WINDOW_BYTES, WINDOW_BYTES
from .clock import NEVER
from .endpoint import Endpoint
from .functions import InBack
from .in_call import InCall
from .method import LANES, Lane, Method, Overflow
from .out_call import OutCall
from .references import Reference
from .route import TOPICS, Target
from .sender import Sender
from .standing import Standing


class Connection(Endpoint):
    """Makes calls and answers them; both ends of a link are of this class.

    The owner feeds what it reads to :meth:`receive_data`, writes what :meth:`data_to_send` gives, calls
    :meth:`handle_timeout` when :attr:`timeout_at` has come, and acts on the events of all three.

    ``is_hub``: the far end is a hub, which is told what is served here and which stamps sources.
    ``joining``: takes part in an admission first; what is written before waits for it.
    ``debug``: stacks travel with errors.
    """

    # Calls of ours.

    def call(
        self,
        method: Method,
        value: object,
        *,
        target: Target | None = None,
        timeout_ms: float = CALL_TIMEOUT_MS,
        lane: Lane | None = None,
        upload: bool = False,
        stream: bool = False,
        window_bytes: int = WINDOW_BYTES,
        idle_ms: float = 0,
    ) -> OutCall:
        """Makes a call; it ends with an Answered or Failed event.

        ``target``: ``{"id": …}``, ``{"type": …}``, ``{"any": True}``; without one the far end itself.
        ``timeout_ms`` 0: none. ``stream``: takes items, of which ``window_bytes`` may be under way, into ``call.items``.
        ``upload``: items follow by :meth:`send_item`, then :meth:`finish_upload`.
        Callables in ``value`` are lent to the callee, which calls them by FunctionCalled events.

        :raises ViaductError: it was refused, with the fate ``not-sent``.
        """
        call = OutCall(
            id=0,
            route=self._out_routes.to(target),
            method=method,
            input=value,
            lane=LANES[lane or method.lane],
            window=max(MIN_WINDOW_BYTES, window_bytes) if stream else 0,
            deadline=self.clock() + timeout_ms if timeout_ms else NEVER,
            has_upload=upload,
            idle_ms=idle_ms,
        )
        self._caller.begin(call)
        return call

    def is_idempotent(self, method: Method, target: Target | None = None) -> bool:
        """Whether it may run twice: it says so, or who serves it has told. Known once a call of it has failed."""
        return self._out_routes.to(target).is_idempotent(method)

    def subscribe(
        self,
        topic: Method,
        *,
        overflow: Overflow | None = None,
        max_age_ms: float | None = None,
        group: str | None = None,
        last_event_id: str | None = None,
        timeout_ms: float = CALL_TIMEOUT_MS,
        window_bytes: int = WINDOW_BYTES,
    ) -> OutCall:
        """Subscribes to a topic, or to a pattern: items are (value, head), ``call.standing`` reads the heads.

        A Registered event comes before them. The options are those of PROTOCOL.md, section 3.

        :raises ViaductError: it was refused, with the fate ``not-sent``.
        """
        wish: dict[str, object] = {"overflow": overflow or topic.overflow}
        if max_age_ms is not None:
            wish["maxAgeMs"] = max_age_ms
        if group is not None:
            wish["group"] = group
        if last_event_id is not None:
            wish["lastEventId"] = last_event_id
        call = OutCall(
            id=0,
            route=self._out_routes.to(TOPICS),
            method=topic,
            input=wish,
            lane=LANES[topic.lane],
            window=max(MIN_WINDOW_BYTES, window_bytes),
            deadline=self.clock() + timeout_ms if timeout_ms else NEVER,
            has_upload=False,
            standing=Standing(topic.name, last_event_id),
        )
        self._caller.begin(call)
        return call

    def notify(self, method: Method, value: object, *, target: Target | None = None) -> bool:
        """Sends one way. False when it was not taken: the outbox is full, or the link has ended.

        :raises ViaductError: of what cannot be sent, with the fate ``not-sent``.
        """
        return self._caller.notify(self._out_routes.to(target), method, value)

    def publish(self, topic: Method, value: object, *, key: str | None = None) -> bool:
        """Publishes an event, with a conflation key where one is given. As :meth:`notify` otherwise.

        A PublicationRefused event says, once for each topic, that no rule allows it.
        """
        head = b"" if key is None else key_head(key)
        route = self._out_routes.to(TOPICS)
        is_taken = self._caller.notify(route, topic, value, head)
        if is_taken:
            self._out_routes.sent(route, topic)
        return is_taken

    def cancel(self, call: OutCall, error: ViaductError | None = None) -> None:
        """Fails a call now, with CANCELLED or the given error; the far handler is told."""
        self._caller.calls.abandon(call, "CANCELLED", error)

    def finish_upload(self, call: OutCall) -> None:
        """The last item of the upload was sent."""
        self._caller.finish(call)

    def answer_back(self, back: InBack, value: object) -> None:
        """What a function of ours gave. What cannot be sent is an error for the callee."""
        self._caller.lender.answer(back, value)

    def fail_back(self, back: InBack, raised: BaseException) -> None:
        """What a function of ours raised."""
        self._caller.lender.fail(back, raised)

    # Calls of the far end.

    def set_stand_in(self, make: Callable[[Reference], object]) -> None:
        """What handlers get for functions of their callers; the :class:`Reference` unless this is set."""
        self._callee.borrower.stand_in = make

    def serve(self, method: Method) -> None:
        """Calls of this method become CallStarted events until it is withdrawn.

        :raises ViaductError: ALREADY_EXISTS when the name is served here.
        """
        self._in_routes.serve(method)
        if self._announcer is not None:
            self._announcer.add(method)

    def withdraw(self, method: Method) -> None:
        """Calls that run are finished; further ones are refused."""
        if self._in_routes.withdraw(method) and self._announcer is not None:
            self._announcer.withdraw(method)

    def begin_items(self, call: InCall) -> Sender:
        """The handler answers with items, one when ``may_send()`` of the sender, or SendReady, says so."""
        return self._callee.begin_items(call)

    def send_item(self, call: InCall | OutCall, value: object) -> None:
        """Sends an item of an answer or an upload. What cannot be sent fails the call."""
        if isinstance(call, InCall):
            self._callee.send_item(call, value)
        else:
            self._caller.send_item(call, value)

    def progress(self, call: InCall, value: object) -> None:
        """Reports progress to the caller.

        :raises ViaductError: of what cannot be sent, or not in one frame.
        """
        self._callee.progress(call, value)

    def end(self, call: InCall, value: object) -> None:
        """Answers a call. What cannot be sent fails it."""
        self._callee.end(call, value)

    def fail(self, call: InCall, raised: BaseException) -> None:
        """Answers with an error: a ViaductError as it is, anything else as HANDLER_ERROR."""
        self._callee.fail(call, raised)
