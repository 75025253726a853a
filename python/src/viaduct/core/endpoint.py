"""What joins the parts of one end of a link: bytes and time in, bytes and events out."""

from __future__ import annotations

from typing import Final

from ..wire.frame import Kind, read_header
from ..wire.framer import Framer
from ..wire.limits import CALL_TIMEOUT_MS
from .admission import Joining
from .announcer import Announcer
from .assembly import Assembly
from .callee import Callee
from .caller import Caller
from .clock import NEVER, Clock, system_clock
from .events import Admitted, Closed, Event, GoingAway, Ponged
from .in_routes import InRoutes
from .limits import TRUSTED_LIMITS, Limits
from .link import Link
from .message import Message
from .out_routes import OutRoutes
from .output import Output
from .peer_info import NOBODY, PeerInfo
from .reception import Reception
from .sweep import Sweep

_TURN_BYTES: Final = 256 * 1024


class Endpoint:
    """The life of a link, and the parts that make and answer calls; see :class:`Connection`."""

    def __init__(
        self,
        *,
        limits: Limits = TRUSTED_LIMITS,
        clock: Clock = system_clock,
        far: PeerInfo = NOBODY,
        is_hub: bool = False,
        joining: Joining | None = None,
        debug: bool = False,
    ) -> None:
        self.clock = clock
        self._joining = joining
        self._framer = Framer()
        self.link = Link(clock, limits.message_bytes)
        self._output = Output(self.link, limits)
        self._out_routes = OutRoutes(self._output)
        self._in_routes = InRoutes(self._output, limits.message_bytes, is_hub, far)
        self._sweep = Sweep(clock)
        self._caller = Caller(self._output, self._out_routes, limits, debug, self._sweep.expect)
        assembly = Assembly()
        self._callee = Callee(
            self._output,
            self._in_routes,
            limits,
            debug,
            self._sweep.expect,
            on_ended=lambda id: assembly.drop(id, answer=False),
        )
        self._reception = Reception(
            self.link,
            limits,
            assembly,
            self._caller,
            self._callee,
            self._in_routes,
            self._out_routes,
        )
        hub = self._out_routes.to(None)
        self._announcer = Announcer(self._caller, self._in_routes, hub) if is_hub else None
        self._drain_until = NEVER
        self._drain_ping = 0
        self._told_closed = False
        self.link.outbox.on_drained = self._wake_senders
        if joining is not None:
            self.link.outbox.held = True
            joining.begin(self.link)

    # Bytes, time and events.

    def receive_data(self, data: bytes) -> list[Event]:
        """Takes what the transport has read."""
        for frame in self._framer.push(data):
            if self.link.closed is not None:
                break
            self._receive_frame(frame)
        if self._framer.broken:
            self.link.violation()
        return self.events()

    def receive_eof(self) -> list[Event]:
        """The transport has ended."""
        self.link.end("TRANSPORT_CLOSED")
        return self.events()

    def data_to_send(self, max_bytes: int = _TURN_BYTES) -> bytes:
        """What is to be written next: about so many bytes at most, nothing when nothing waits.

        Ask again when the transport takes more, and look at :meth:`events` after.
        """
        self.announce()
        outbox = self.link.outbox
        data = outbox.take(max_bytes)
        if self._is_drained and outbox.is_empty:
            self.close()
            data += outbox.take(max_bytes)
        return data

    def events(self) -> list[Event]:
        """What has happened since events were last given out."""
        link = self.link
        if link.closed is not None and not self._told_closed:
            self._told_closed = True
            if link.closed == "GOING_AWAY":
                self._caller.calls.end_subscriptions()
            self._caller.calls.lose(link.closed)
            self._callee.lose(link.closed)
            self._sweep.stop()
            link.events.append(Closed(link.closed))
        events, link.events = link.events, []
        return events

    @property
    def timeout_at(self) -> float:
        """When :meth:`handle_timeout` wants to be called, by the connection's clock; NEVER for not at all."""
        return min(self._sweep.at, self._drain_until)

    def handle_timeout(self) -> list[Event]:
        """Time has passed: what has expired fails."""
        self._sweep.run(self._caller.calls.sweep, self._callee.sweep)
        if self._drain_until <= self.clock():
            self.close()
        return self.events()

    @property
    def closed(self) -> str | None:
        """Why the link has ended; None while it has not."""
        return self.link.closed

    @property
    def wants_rest(self) -> bool:
        """Whether the owner should stop reading: the far end causes answers and does not read them."""
        return self.link.outbox.unread

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing new may be begun."""
        return self._output.full

    @property
    def open_calls(self) -> int:
        """Calls that are open in both directions."""
        return self._caller.calls.open + self._callee.calls.open

    def _receive_frame(self, frame: bytes) -> None:
        header = read_header(frame)
        link = self.link
        if not link.greeted:
            link.greet(header)
        elif header.kind >= Kind.OPEN:
            self._reception.receive(header, frame)
        elif header.kind in (Kind.HELLO, Kind.PROOF, Kind.WELCOME):
            self._receive_admission(Message.of_frame(header, frame))
        else:
            event = link.receive(header)
            if event is not None:
                link.events.append(event)
                self._heed(event)

    def _heed(self, event: GoingAway | Ponged) -> None:
        """The connection's own interest in what the link has to say."""
        if isinstance(event, GoingAway):
            self._caller.far_draining = True
        elif event.number == self._drain_ping:
            # Calls that crossed our GOAWAY have come before this.
            self._drain_ping = 0

    def _receive_admission(self, message: Message | None) -> None:
        joining = self._joining
        if joining is None or message is None:
            self.link.violation()
            return
        joining.receive(self.link, message)
        welcome = joining.welcome
        if welcome is not None and self.link.closed is None:
            self._in_routes.set_far(welcome.hub)
            self.link.far_message_bytes = welcome.message_bytes
            self._caller.calls.lower_limit(welcome.exchanges)
            self.link.outbox.held = False
            self.link.events.append(Admitted(welcome.you, welcome.hub))

    def _wake_senders(self) -> None:
        for call in (*self._caller.calls, *self._callee.calls):
            if call.sender is not None:
                call.sender.wake()

    def announce(self) -> None:
        """Tells the hub what is served here; :meth:`data_to_send` does so by itself."""
        if self._announcer is not None and self.link.closed is None:
            self._announcer.tell()

    def ping(self) -> int:
        """Sends a PING; its Ponged event has the number that is returned."""
        return self.link.ping()

    def drain(self, grace_ms: float = CALL_TIMEOUT_MS) -> None:
        """Goes away in good order: takes no new calls, finishes those that run, then closes.

        ``grace_ms``: how long to wait for them.
        """
        if self.link.closed is None and not self._callee.draining:
            self._callee.draining = True
            self._drain_until = self.clock() + grace_ms
            self.link.go_away()
            self._drain_ping = self.link.ping()

    @property
    def _is_drained(self) -> bool:
        is_quiet = not self._drain_ping and not self.open_calls
        return self._callee.draining and is_quiet and self.link.closed is None

    def close(self, reason: str = "GOING_AWAY") -> None:
        """Ends the link now; what is open fails with LINK_LOST."""
        self._drain_until = NEVER
        self.link.close(reason)
