"""Every size and time that the protocol names, in one place; tests compare it with PROTOCOL.md.

Bytes unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

HEADER_BYTES: Final = 32
"""A frame's fixed header."""
FRAGMENT_BYTES: Final = 32 * 1024
"""The most payload that one frame carries; longer messages are cut into fragments of this size."""
MAX_FRAME_BYTES: Final = HEADER_BYTES + FRAGMENT_BYTES
"""The longest legal frame. A framer buffers at most this much."""
SEGMENT_BYTES: Final = 4096
"""Binary values of this size or more travel as segments beside the body."""
TRUSTED_MESSAGE_BYTES: Final = 10 * 1024 * 1024
"""Longest message a trusted peer may send."""
UNTRUSTED_MESSAGE_BYTES: Final = 1024 * 1024
"""Longest message any other peer may send."""
MAX_DEPTH: Final = 64
"""Deepest nesting of a body."""
MAX_KEYS: Final = 10_000
"""Most keys, items and map entries in one body of a peer that is not trusted."""
TRUSTED_MAX_KEYS: Final = TRUSTED_MESSAGE_BYTES
"""The same for trusted peers: bounded by the message's size alone."""
HUB_BODY_BYTES: Final = 16 * 1024
HUB_BODY_DEPTH: Final = 8
"""Bounds of ``$hub`` calls and of link frames."""
WINDOW_BYTES: Final = 256 * 1024
"""Bytes of items, headers included, that may be under way unacknowledged on one stream."""
MIN_WINDOW_BYTES: Final = 2 * MAX_FRAME_BYTES
"""Smallest window: two full frames, so that a half-used window always admits the next one."""
MAX_EXCHANGES: Final = 4096
"""Exchanges that one side may have open on a link at once; slots are numbered below this."""
TRUSTED_MAX_EXCHANGES: Final = 65_536
"""The same for a trusted peer."""
MAX_ROUTES: Final = 1024
"""Routes that one side may have open on a link."""
MAX_METHODS: Final = 8192
"""Methods that may be defined on one route."""
CALL_TIMEOUT_MS: Final = 5_000
"""Deadline of a call when the caller names none."""
ADMISSION_TIMEOUT_MS: Final = 2_000
ADMISSION_BYTES: Final = 4096
"""How long, and with how many bytes, a link may stay without having proved who it is."""
GATHER_BYTES: Final = 2048
"""Gathered bytes that are written without waiting for the end of the tick."""
MAX_REFERENCES: Final = 64
"""Functions that the input of one call may refer to."""
MAX_BACKS: Final = 256
"""Calls of a caller's functions that may be under way on one exchange."""
LEASE_MS: Final = 60_000
"""How long a kept function may stay unused when its keeper names no time."""
MAX_LEASE_MS: Final = 60 * 60 * 1000
"""The longest lease; what is over it counts as it."""
LEASE_GRACE_MS: Final = 1_000
"""So long after a lease the caller ends it, in case the callee has not."""
MAX_BUSY_MS: Final = 60 * 60 * 1000
"""The longest silence that a peer may declare at once; it may declare it again."""
HUB_REPLAY_BYTES: Final = 16 * 1024 * 1024
"""Events that a hub keeps for subscribers that come back, over all topics."""
TRUSTED_QUEUE_BYTES: Final = 64 * 1024 * 1024
"""What a peer holds for a link whose far end does not read."""


def credit_of(payload_bytes: int) -> int:
    """What a frame of an item costs in credit: all of it but its padding."""
    return HEADER_BYTES + payload_bytes
