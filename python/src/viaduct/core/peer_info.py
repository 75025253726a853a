"""Who is at the other end, as the link and the hub say; nothing here is claimed by the sender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class PeerInfo:
    id: str
    type: str
    zone: str
    session: str
    """One life of the peer, 32 hexadecimal digits; another session is another process or connection."""
    pid: int | None = None
    """Stamped for supervised children; as claimed by the others."""


NOBODY: Final = PeerInfo("", "", "local", "")
"""Who is at the far end of a link that says nothing of it."""


def read_peer_info(value: object) -> PeerInfo | None:
    """Reads a peer's description out of a link body; None when it is not of that form."""
    if not isinstance(value, dict):
        return None
    id, type, zone, session = (value.get(key, "") for key in ("id", "type", "zone", "session"))
    if not (
        isinstance(id, str)
        and isinstance(type, str)
        and isinstance(zone, str)
        and isinstance(session, str)
    ):
        return None
    pid = value.get("pid")
    return PeerInfo(id, type, zone, session, int(pid) if isinstance(pid, (int, float)) else None)
