"""Reasons that links and hubs give without a codec (PROTOCOL.md, section 8).

A bare ERROR carries the number; the text is made where it is read.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .errors import Fate, ViaductError


class Reason(NamedTuple):
    number: int
    code: str
    text: str


REASONS: Final[dict[str, Reason]] = {
    "TARGET_UNAVAILABLE": Reason(
        1, "UNAVAILABLE", "the target is not there or its link ended; see `viaduct who`"
    ),
    "PERMISSION_DENIED": Reason(
        2,
        "PERMISSION_DENIED",
        "no rule of the manifest allows this; add one for this peer and method",
    ),
    "METHOD_NOT_FOUND": Reason(
        3, "UNIMPLEMENTED", "the target does not serve this method; see `viaduct describe`"
    ),
    "ROUTE_UNKNOWN": Reason(
        4, "FAILED_PRECONDITION", "the route was never opened, or was dropped"
    ),
    "SKEW": Reason(
        5, "FAILED_PRECONDITION", "caller and server hold different versions of this method"
    ),
    "DEADLINE_EXCEEDED": Reason(6, "DEADLINE_EXCEEDED", "no answer came in time"),
    "QUEUE_FULL": Reason(
        7, "RESOURCE_EXHAUSTED", "the target does not keep up: its queue is full"
    ),
    "RATE_LIMITED": Reason(
        8, "RESOURCE_EXHAUSTED", "the rate limit of this sender and method is used up"
    ),
    "DRAINING": Reason(9, "UNAVAILABLE", "the target is going away and takes no new calls"),
    "MESSAGE_TOO_LARGE": Reason(
        10,
        "RESOURCE_EXHAUSTED",
        "the message is over the receiver's limit; send it as a stream",
    ),
    "CANCELLED": Reason(11, "CANCELLED", "the caller cancelled"),
    "OVERFLOW": Reason(
        12, "RESOURCE_EXHAUSTED", "the subscription fell behind and its topic does not drop"
    ),
    "LINK_LOST": Reason(13, "UNAVAILABLE", "the link ended before the answer came"),
    "TOO_MANY_CALLS": Reason(
        14, "RESOURCE_EXHAUSTED", "every exchange slot of this link is taken"
    ),
    "HANDLER_ERROR": Reason(15, "UNKNOWN", "the handler threw"),
    "WITHDRAWN": Reason(
        16, "UNAVAILABLE", "the method was withdrawn while the call ran, and its grace is over"
    ),
    "LEASE_ENDED": Reason(
        17,
        "FAILED_PRECONDITION",
        "the function was released, its call has ended or its lease is over; keep it while the handler runs",
    ),
}

FATES: Final[dict[Fate, int]] = {"not-sent": 1, "unknown": 2}
"""The numbers by which a bare ERROR carries a fate."""

CLOSE_REASONS: Final = (
    "TRANSPORT_CLOSED",
    "PROTOCOL_ERROR",
    "VERSION_MISMATCH",
    "UNAUTHENTICATED",
    "ADMISSION_TIMEOUT",
    "MESSAGE_TOO_LARGE",
    "HEARTBEAT_LOST",
    "GOING_AWAY",
    "REPLACED",
    "DENIED",
)
"""Why links close; the index is the number on the wire."""

_BY_NUMBER = {reason.number: name for name, reason in REASONS.items()}


def reason_name(number: int) -> str:
    """The name behind a bare ERROR's number; unknown ones of a newer peer read as TARGET_UNAVAILABLE."""
    return _BY_NUMBER.get(number, "TARGET_UNAVAILABLE")


def link_error(
    reason: str, what: str, fate: Fate, retry_after_ms: float | None = None
) -> ViaductError:
    """An error that a link or hub made about one call."""
    _, code, text = REASONS[reason]
    return ViaductError(
        code, f"{what}: {text}", reason=reason, fate=fate, retry_after_ms=retry_after_ms
    )


def close_reason(number: int) -> str:
    """The reason of a GOAWAY that closes; unknown numbers read as PROTOCOL_ERROR."""
    return CLOSE_REASONS[number] if number < len(CLOSE_REASONS) else "PROTOCOL_ERROR"
