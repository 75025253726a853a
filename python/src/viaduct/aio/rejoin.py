"""Brings a peer that joined by itself another link whenever it has lost one."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

from ..core.admission import Joining
from ..core.connection import Connection
from ..core.events import Admitted, Closed, Event
from ..wire.errors import ViaductError
from .driver import Driver
from .peer import Peer

_FIRST_DELAY_SECONDS: Final = 0.05
_LONGEST_DELAY_SECONDS: Final = 2.0
_FINAL: Final = frozenset({"REPLACED", "DENIED", "UNAUTHENTICATED"})
"""The hub has said that it does not want this peer, or has another in its place."""

Connect = Callable[[Driver], Awaitable[object]]
"""Connects a driver with a transport."""
Way = Callable[[], tuple[Connect, Joining]]
"""One way in; asked for each time, because a hub that was started again has written other keys."""
Jitter = Callable[[], float]
"""From 0 up to 1."""
Sleep = Callable[[float], Awaitable[object]]


class Backoff:
    """Delays that double, each by full jitter: the peers of a hub that comes back do not come all at once."""

    def __init__(self, jitter: Jitter = random.random) -> None:
        self._jitter = jitter
        self._longest = _FIRST_DELAY_SECONDS

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        delay = self._longest * self._jitter()
        self._longest = min(2 * self._longest, _LONGEST_DELAY_SECONDS)
        return delay


async def keep_joined(
    peer: Peer,
    way: Way,
    *,
    debug: bool,
    jitter: Jitter = random.random,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Dials until there is a link, whenever there is none; ends with the peer, or when the hub wants it no more."""
    while True:
        reason = await peer.link_lost()
        if reason in _FINAL:
            peer.finish(reason)
        if peer.closed is not None:
            return
        backoff = Backoff(jitter)
        while True:
            await sleep(backoff.next())
            try:
                if await _link(peer, way, debug):
                    break
            except (ViaductError, OSError):
                # Not there yet, or its folder not yet written: it is dialled until it is, or the peer is closed.
                pass
        if peer.is_ready:
            with contextlib.suppress(ViaductError):
                # The link has ended once more; the next one is told.
                await peer.ready()


async def _link(peer: Peer, way: Way, debug: bool) -> bool:
    """One attempt; False when the hub did not let this peer in."""
    connect, joining = way()
    connection = Connection(is_hub=True, joining=joining, debug=debug)
    landing = _Landing(peer, connection)
    try:
        await connect(landing.driver)
        return await landing.admitted
    except asyncio.CancelledError:
        connection.close()
        landing.driver.kick()
        raise


class _Landing:
    """Heeds a new link until it is the peer's: from its admission on, within the same read."""

    def __init__(self, peer: Peer, connection: Connection) -> None:
        self._peer = peer
        self.driver = Driver(connection, self._heed)
        self.admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def _heed(self, event: Event) -> None:
        if self.admitted.done():
            if self.admitted.cancelled() or not self.admitted.result():
                return
            self._peer.heed(event)
        elif isinstance(event, Admitted):
            self._peer.resume(self.driver, event.you)
            self.admitted.set_result(True)
        elif isinstance(event, Closed):
            self.admitted.set_result(False)
