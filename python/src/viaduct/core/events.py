"""What a :class:`~viaduct.core.connection.Connection` has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from ..wire.errors import ViaductError
from .event_info import EventGap
from .peer_info import PeerInfo

if TYPE_CHECKING:
    from .functions import InBack
    from .in_call import InCall
    from .out_call import OutCall
    from .references import OutBack


@dataclass(slots=True)
class Admitted:
    """The hub has let this peer in; what was held back goes out."""

    you: PeerInfo
    hub: PeerInfo


@dataclass(slots=True)
class CallStarted:
    """A call has come: the handler of ``call.method`` is to be run with ``input``."""

    call: InCall
    input: object


@dataclass(slots=True)
class CallAborted:
    """The caller has cancelled, the deadline has passed, or the link has ended: ``call.abort_reason``."""

    call: InCall


@dataclass(slots=True)
class ItemsChanged:
    """``call.items`` has more, or has ended."""

    call: InCall | OutCall


@dataclass(slots=True)
class SendReady:
    """The next item of this call may be sent."""

    call: InCall | OutCall


@dataclass(slots=True)
class Answered:
    """A call of ours has its answer."""

    call: OutCall
    value: object


@dataclass(slots=True)
class Failed:
    """A call of ours has failed, or was cancelled."""

    call: OutCall
    error: ViaductError


@dataclass(slots=True)
class Progressed:
    """The handler of a call of ours reports progress."""

    call: OutCall
    value: object


@dataclass(slots=True)
class FunctionCalled:
    """A function of ours is to be run with ``back.arguments``, and the connection told what came of it."""

    back: InBack


@dataclass(slots=True)
class FunctionAnswered:
    """A function of the caller has given this."""

    back: OutBack
    value: object


@dataclass(slots=True)
class FunctionFailed:
    """A function of the caller has raised, or can give nothing any more."""

    back: OutBack
    error: ViaductError


@dataclass(slots=True)
class Registered:
    """The hub has registered a subscription; ``gap``: what it had to leave out of what it was to go on from."""

    call: OutCall
    gap: EventGap | None


@dataclass(slots=True)
class PublicationRefused:
    """No rule allows what is published to this topic here; said once."""

    topic: str


@dataclass(slots=True)
class Ponged:
    """The answer to a ping of ours."""

    number: int
    round_trip_ms: float


@dataclass(slots=True)
class GoingAway:
    """The far end takes no calls after the ``accepted``-th of this link."""

    accepted: int


@dataclass(slots=True)
class Closed:
    """The link has ended; nothing follows. ``reason`` is one of PROTOCOL.md's or TRANSPORT_CLOSED."""

    reason: str


Event = Union[
    Admitted,
    CallStarted,
    CallAborted,
    ItemsChanged,
    SendReady,
    Answered,
    Failed,
    Progressed,
    FunctionCalled,
    FunctionAnswered,
    FunctionFailed,
    Registered,
    PublicationRefused,
    Ponged,
    GoingAway,
    Closed,
]
