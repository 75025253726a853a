"""How a link before a hub proves who is there (PROTOCOL.md, section 2): both sides of it."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ..wire.body import Bounds, encode
from ..wire.errors import ViaductError
from ..wire.frame import Kind, make_frame
from ..wire.limits import (
    ADMISSION_BYTES,
    HUB_BODY_DEPTH,
    MAX_EXCHANGES,
    UNTRUSTED_MESSAGE_BYTES,
)
from .link import Link
from .message import Message, read_link_body
from .peer_info import PeerInfo, read_peer_info

Random = Callable[[int], bytes]
"""So many random bytes."""

_NONCE_BYTES: Final = 32
_BOUNDS: Final = Bounds(max_depth=HUB_BODY_DEPTH, max_keys=64)
_PEER_SAYS: Final = b"viaduct peer"
_HUB_SAYS: Final = b"viaduct hub"


def _mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), "sha256")


def _is_mac(found: object, expected: bytes) -> bool:
    """Compares in a time that says nothing of where the two differ."""
    return isinstance(found, (bytes, bytearray)) and hmac.compare_digest(bytes(found), expected)


def _send(link: Link, kind: Kind, payload: bytes) -> None:
    link.outbox.express(make_frame(kind, payload=payload))


@dataclass(frozen=True)
class Welcome:
    """What the hub tells a peer that it has admitted."""

    you: PeerInfo
    hub: PeerInfo
    message_bytes: int
    """Longest message that the hub takes from this peer."""
    exchanges: int
    """Calls that this peer may have open at once."""


class Joining:
    """The peer's side. Without a key the link itself is the proof, as an inherited socket pair is."""

    def __init__(
        self,
        *,
        id: str | None = None,
        key: bytes | None = None,
        pid: int | None = None,
        random: Random = os.urandom,
    ) -> None:
        self._key = key
        hello: dict[str, object] = {"features": []}
        if id is not None:
            hello["id"] = id
        hello["nonce"] = random(_NONCE_BYTES)
        if pid is not None:
            hello["pid"] = pid
        self._hello = encode(hello).body
        self._hub_hello: bytes | None = None
        self.welcome: Welcome | None = None
        """Set once the hub has let us in."""

    def begin(self, link: Link) -> None:
        _send(link, Kind.HELLO, self._hello)

    def receive(self, link: Link, message: Message) -> None:
        """HELLO or WELCOME of the hub; anything else, or anything twice, is a violation."""
        body = read_link_body(message.payload, _BOUNDS)
        if body is None or self.welcome is not None:
            link.violation()
        elif message.kind == Kind.HELLO and self._key is not None and self._hub_hello is None:
            self._hub_hello = message.payload
            mac = _mac(self._key, _PEER_SAYS, self._hello, message.payload)
            _send(link, Kind.PROOF, encode({"mac": mac}).body)
        elif message.kind == Kind.WELCOME:
            self._receive_welcome(link, body)
        else:
            link.violation()

    def _receive_welcome(self, link: Link, body: Mapping[str, object]) -> None:
        if self._key is not None and not self._is_proved(self._key, body.get("mac")):
            link.close("UNAUTHENTICATED")
            return
        you = read_peer_info(body)
        hub = body.get("hub")
        session = hub.get("session") if isinstance(hub, dict) else None
        if you is None or not isinstance(session, str):
            link.violation()
            return
        limits = body.get("limits")
        self.welcome = Welcome(
            you,
            PeerInfo("hub", "hub", "hub", session),
            _positive(limits, "messageBytes", UNTRUSTED_MESSAGE_BYTES),
            _positive(limits, "exchanges", MAX_EXCHANGES),
        )

    def _is_proved(self, key: bytes, mac: object) -> bool:
        if self._hub_hello is None:
            return False
        return _is_mac(mac, _mac(key, _HUB_SAYS, self._hello, self._hub_hello))


def _positive(limits: object, key: str, least: int) -> int:
    """A limit that the hub names; the least that any peer has when it does not."""
    value = limits.get(key) if isinstance(limits, dict) else None
    return int(value) if isinstance(value, (int, float)) and value >= 1 else least


@dataclass(frozen=True)
class Identity:
    """Whom a hub takes a link for."""

    id: str
    type: str


class Admitting:
    """The hub's side."""

    def __init__(
        self,
        *,
        keys: Mapping[str, tuple[Identity, bytes]] | None = None,
        identity: Identity | None = None,
        admit: Callable[[Identity, int | None], Mapping[str, object] | None],
        random: Random = os.urandom,
    ) -> None:
        """``keys``: those that have a credential. ``identity``: who is there, where the link says so.

        ``admit`` gives the body of WELCOME, without the mac; None refuses the identity.
        """
        self._keys = keys or {}
        self._identity = identity
        self._admit = admit
        self._random = random
        self._claim: tuple[Identity, bytes, int | None] | None = None
        self._transcript = b""
        self._bytes = 0
        self.admitted: Identity | None = None
        """Set once somebody was let in."""

    def receive(self, link: Link, message: Message) -> None:
        """HELLO or PROOF of the peer; anything else, or anything twice, is a violation."""
        self._bytes += len(message.payload)
        is_small = self._bytes <= ADMISSION_BYTES
        body = read_link_body(message.payload, _BOUNDS) if is_small else None
        if body is None or self.admitted is not None:
            link.violation()
        elif message.kind == Kind.HELLO and self._claim is None:
            self._receive_hello(link, message.payload, body)
        elif message.kind == Kind.PROOF and self._claim is not None:
            self._receive_proof(link, self._claim, body)
        else:
            link.violation()

    def _receive_hello(self, link: Link, payload: bytes, body: Mapping[str, object]) -> None:
        pid = body.get("pid")
        claimed_pid = int(pid) if isinstance(pid, (int, float)) else None
        if self._identity is not None:
            self._welcome(link, self._identity, claimed_pid, None)
            return
        id = body.get("id")
        known = self._keys.get(id) if isinstance(id, str) else None
        # An unknown id is answered like a known one, with a key that nobody has: who is known stays hidden.
        identity, key = known or (Identity("", ""), self._random(_NONCE_BYTES))
        self._claim = identity, key, claimed_pid
        nonce = self._random(_NONCE_BYTES)
        hello = encode({"features": [], "id": "hub", "nonce": nonce}).body
        self._transcript = payload + hello
        _send(link, Kind.HELLO, hello)

    def _receive_proof(
        self, link: Link, claim: tuple[Identity, bytes, int | None], body: Mapping[str, object]
    ) -> None:
        identity, key, pid = claim
        if _is_mac(body.get("mac"), _mac(key, _PEER_SAYS, self._transcript)):
            self._welcome(link, identity, pid, _mac(key, _HUB_SAYS, self._transcript))
        else:
            link.close("UNAUTHENTICATED")

    def _welcome(self, link: Link, identity: Identity, pid: int | None, mac: bytes | None) -> None:
        welcome = self._admit(identity, pid)
        if welcome is None:
            link.close("DENIED")
            return
        self.admitted = identity
        body: dict[str, object] = dict(welcome)
        if mac is not None:
            body["mac"] = mac
        _send(link, Kind.WELCOME, encode(body).body)


_FAILURES: Final = {
    "UNAUTHENTICATED": "the hub does not accept this credential; it may be of an earlier life of the hub",
    "DENIED": "the hub admits no such peer",
    "VERSION_MISMATCH": "hub and peer speak no common version of the protocol; update the older one",
    "ADMISSION_TIMEOUT": "the hub waited too long for a proof",
}


def admission_error(reason: str, app: str) -> ViaductError:
    """Why a link that was to be admitted has ended."""
    code = "UNAUTHENTICATED" if reason in ("UNAUTHENTICATED", "DENIED") else "UNAVAILABLE"
    text = _FAILURES.get(reason, "the link ended before the hub had admitted this peer")
    return ViaductError(code, f"hub {app}: {text}", reason=reason, fate="not-sent")
