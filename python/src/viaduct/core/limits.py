"""What one end of a link takes in, and the bounds within which bodies are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..wire import limits
from ..wire.body import TRUSTED_BOUNDS, Bounds
from .peer_info import PeerInfo


@dataclass(frozen=True)
class Limits:
    """Bounds of one end of a link."""

    message_bytes: int = limits.TRUSTED_MESSAGE_BYTES
    """Longest message taken in."""
    exchanges: int = limits.TRUSTED_MAX_EXCHANGES
    """Calls open at once in each direction."""
    queue_bytes: int = limits.TRUSTED_QUEUE_BYTES
    """Bytes that may wait to be written before calls are refused, and that unfinished messages may take."""
    bounds: Bounds = TRUSTED_BOUNDS
    """Depth and keys of bodies of those whom the hub does not bound."""


TRUSTED_LIMITS: Final = Limits()

UNTRUSTED_BOUNDS: Final = Bounds(max_depth=limits.MAX_DEPTH, max_keys=limits.MAX_KEYS)
LINK_BOUNDS: Final = Bounds(max_depth=limits.HUB_BODY_DEPTH, max_keys=limits.MAX_METHODS * 4)
"""Of what link frames say."""

_BOUNDED_ZONES: Final = frozenset({"untrusted", "remote", "other"})


def bounds_for(peer: PeerInfo | None, own: Bounds) -> Bounds:
    """The bounds within which a body of this peer is read, by the zone that the hub stamped."""
    return UNTRUSTED_BOUNDS if peer is not None and peer.zone in _BOUNDED_ZONES else own
