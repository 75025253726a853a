"""Joins a connection with a transport and the event loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from ..core.clock import NEVER
from ..core.connection import Connection
from ..core.events import Event

_HIGH_WATER_BYTES: Final = 256 * 1024
"""What the transport keeps for the kernel before frames wait in their lanes."""
_CLOSE_SECONDS: Final = 1.0
"""How long a transport may take to let its last bytes out."""


class ByteTransport(Protocol):
    """What a driver needs of its transport; ``asyncio.Transport`` has it."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Driver(asyncio.Protocol):
    """Everything that the program asks of a connection within a turn of the loop leaves in one write."""

    def __init__(self, connection: Connection, heed: Callable[[Event], None]) -> None:
        """``heed`` acts on each event."""
        self.connection = connection
        self._heed = heed
        self._loop = asyncio.get_running_loop()
        self._transport: ByteTransport | None = None
        self._paused = False
        self._resting = False
        self._turn_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_at = NEVER
        self._waiting_for_room: list[asyncio.Future[None]] = []
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when the transport has ended."""

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self.start(cast(ByteTransport, transport))

    def start(self, transport: ByteTransport) -> None:
        """There is a transport to write to."""
        self._transport = transport
        self.kick()

    def data_received(self, data: bytes) -> None:
        self._dispatch(self.connection.receive_data(data))
        self.kick()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._dispatch(self.connection.receive_eof())
        self._disarm()
        if not self.gone.done():
            self.gone.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._turn()

    # What the program tells.

    def kick(self) -> None:
        """The connection was asked for something: it is written at the end of the turn."""
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    async def room(self) -> None:
        """Returns when the outbox takes more, or the link has ended."""
        while self.connection.is_full and self.connection.closed is None:
            waiter = self._loop.create_future()
            self._waiting_for_room.append(waiter)
            await waiter

    def _turn(self) -> None:
        self._turn_due = False
        connection, transport = self.connection, self._transport
        while transport is not None and not self._paused:
            data = connection.data_to_send()
            if not data:
                break
            transport.write(data)
        self._dispatch(connection.events())
        self._wake_writers()
        if transport is not None:
            self._rest(transport)
            if connection.closed is not None:
                self._end(transport)
        self._arm()

    def _dispatch(self, events: list[Event]) -> None:
        for event in events:
            self._heed(event)

    def _wake_writers(self) -> None:
        if self._waiting_for_room and not self.connection.is_full:
            waiting, self._waiting_for_room = self._waiting_for_room, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    def _rest(self, transport: ByteTransport) -> None:
        """Reads no further while the far end causes answers and does not read them."""
        wants_rest = self.connection.wants_rest
        if wants_rest == self._resting or self.connection.closed is not None:
            return
        self._resting = wants_rest
        if wants_rest:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _end(self, transport: ByteTransport) -> None:
        self._transport = None
        self._disarm()
        if self._paused:
            transport.abort()
        else:
            transport.close()
            self._loop.call_later(_CLOSE_SECONDS, self._abort, transport)

    def _abort(self, transport: ByteTransport) -> None:
        if not self.gone.done():
            transport.abort()

    # Time.

    def _arm(self) -> None:
        at = self.connection.timeout_at
        if at >= self._armed_at or self.connection.closed is not None:
            return
        self._disarm()
        self._armed_at = at
        self._timer = self._loop.call_at(at / 1000, self._time_out)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._armed_at = NEVER

    def _time_out(self) -> None:
        self._timer = None
        self._armed_at = NEVER
        self._dispatch(self.connection.handle_timeout())
        self._turn()
