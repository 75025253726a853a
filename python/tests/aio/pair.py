"""Peers without a hub process."""

from __future__ import annotations

import asyncio
import socket

from viaduct import Peer
from viaduct.aio.driver import Driver
from viaduct.core.admission import Joining, Welcome
from viaduct.core.clock import Clock, system_clock
from viaduct.core.connection import Connection
from viaduct.core.link import Link
from viaduct.core.message import Message
from viaduct.core.peer_info import PeerInfo
from viaduct.wire.body import encode
from viaduct.wire.frame import Kind, make_frame

HUB = PeerInfo("hub", "hub", "hub", "0" * 32)
CHILD = PeerInfo("child-1", "python", "semi", "1" * 32)


async def connect(driver: Driver, end: socket.socket) -> None:
    await asyncio.get_running_loop().create_unix_connection(lambda: driver, sock=end)


async def peer_pair(clock: Clock = system_clock) -> tuple[Peer, Peer]:
    """Two ends of one link, without admission; ``clock`` is the first one's."""
    peers = Peer(Connection(clock=clock)), Peer(Connection())
    for peer, end in zip(peers, socket.socketpair(), strict=True):
        await connect(peer.driver, end)
    return peers


class HostingHello(Joining):
    """The hub's part of an inherited link: whoever says HELLO is the child."""

    def begin(self, link: Link) -> None:
        pass

    def receive(self, link: Link, message: Message) -> None:
        assert message.kind == Kind.HELLO
        body = {
            "id": CHILD.id,
            "type": CHILD.type,
            "zone": CHILD.zone,
            "session": CHILD.session,
            "hub": {"session": HUB.session},
        }
        link.outbox.express(make_frame(Kind.WELCOME, payload=encode(body).body))
        self.welcome = Welcome(HUB, CHILD, 2**20, 64)


def hosting_peer() -> Peer:
    """A peer in the place of a hub."""
    return Peer(Connection(joining=HostingHello()))
