"""Turns values into messages and hands them to the outbox."""

from __future__ import annotations

from struct import Struct

from ..wire.body import encode
from ..wire.dictionary import Dictionary
from ..wire.encoder import Function
from ..wire.errors import ViaductError
from ..wire.frame import LANE, Kind, make_frame, padded
from ..wire.head import references_head
from ..wire.limits import FRAGMENT_BYTES
from ..wire.reasons import link_error
from ..wire.values import UNDEFINED
from .limits import Limits
from .link import Link
from .outbox import Entry
from .sender import OutMessage, Sender


class Output:
    """Everything that a connection writes: messages of exchanges, and what routes say."""

    def __init__(self, link: Link, limits: Limits) -> None:
        self.link = link
        self._limits = limits

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing new may be begun."""
        outbox = self.link.outbox
        limit = self._limits.queue_bytes
        return outbox.queued_bytes > limit / 2 or outbox.held_bytes > limit

    def control(self, kind: int, route: int, value: object) -> None:
        """Writes a link frame with a body, in the control lane."""
        body, _ = encode(value)
        if len(body) > FRAGMENT_BYTES:
            raise ViaductError(
                "RESOURCE_EXHAUSTED",
                "a link frame is over its limit",
                reason="MESSAGE_TOO_LARGE",
            )
        self.link.outbox.write(make_frame(kind, route=route, payload=body), 0)

    def message(
        self,
        kind: int,
        flags: int,
        value: object,
        dictionary: Dictionary | None = None,
        head: bytes = b"",
        functions: list[Function] | None = None,
    ) -> OutMessage:
        """A message that is ready to be sent.

        ``functions``: an empty list for those of the value, which the head then counts; None: they are
        refused.

        :raises ViaductError: INVALID_ARGUMENT / UNSENDABLE with the path of what cannot be sent,
            RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE
        """
        if value is UNDEFINED:
            payload, segments = head, 0
        else:
            body, lifted = encode(value, dictionary, functions)
            if functions:
                head = references_head(len(functions))
            segments = len(lifted)
            payload = head + _table(lifted) + body if head or segments else body
        is_whole = kind in (Kind.PROGRESS, Kind.BACK)
        if len(payload) > self._most or (is_whole and len(payload) > FRAGMENT_BYTES):
            what = "progress" if kind == Kind.PROGRESS else "value"
            raise link_error("MESSAGE_TOO_LARGE", what, "unknown")
        return OutMessage(kind, flags, payload, head_bytes=len(head), segments=segments)

    @property
    def _most(self) -> int:
        """The longest message: before the far end has said what it takes, our own limit stands for its."""
        own = self._limits.message_bytes
        return min(own, self.link.far_message_bytes or own)

    def send(self, message: OutMessage, id: int, sender: Sender | None) -> Entry | None:
        """Sends a message of an exchange, behind what its sender still has.

        :returns: the entry that it waits in, unless it is its sender's.
        """
        lane = message.flags & LANE
        outbox = self.link.outbox
        if sender is None:
            if len(message.payload) <= FRAGMENT_BYTES:
                return outbox.write(_whole(message, id), lane)
            sender = Sender(outbox, lane, id, 0)
        sender.add(message)
        return None


def _whole(message: OutMessage, id: int) -> bytearray:
    return make_frame(
        message.kind,
        message.flags,
        method=message.method,
        id=id,
        route=message.route,
        time_left=message.time_left,
        window=message.window,
        payload=message.payload,
        head_bytes=message.head_bytes,
        segments=message.segments,
    )


def _table(segments: list[bytes | memoryview]) -> bytes:
    """The segment table and the segments, each part padded to 8."""
    if not segments:
        return b""
    parts: list[bytes | memoryview] = []
    for part in (Struct(f"<{len(segments)}I").pack(*map(len, segments)), *segments):
        parts.append(part)
        parts.append(bytes(padded(len(part)) - len(part)))
    return b"".join(parts)
