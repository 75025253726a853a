"""A subscription over one link: its events, in order, with what the hub says of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..core.event_info import EventGap, EventInfo
from ..core.out_call import OutCall
from .calls import PendingCall
from .driver import Driver
from .streams import ItemStream

T = TypeVar("T")
OnGap = Callable[[EventGap], object]
"""Told, before the first event after them, of events that are not kept any more."""


class PendingSubscription(PendingCall):
    """Besides waits for the hub to register it."""

    def __init__(self, driver: Driver, call: OutCall, on_gap: OnGap | None) -> None:
        super().__init__(driver, call)
        self._on_gap = on_gap
        self._is_registered = asyncio.Event()
        self.output.add_done_callback(lambda _: self._is_registered.set())

    def registered(self, gap: EventGap | None) -> None:
        """Of a listener that raises the loop is told, and the subscription goes on."""
        # It may refer to the subscription, which is to end once nobody else does.
        on_gap, self._on_gap = self._on_gap, None
        self._is_registered.set()
        if gap is None or on_gap is None:
            return
        try:
            on_gap(gap)
        except Exception as raised:
            context = {"message": "on_gap of a subscription raised", "exception": raised}
            self.output.get_loop().call_exception_handler(context)

    async def ready(self) -> None:
        await self._is_registered.wait()
        if self.output.done():
            self.output.result()


class LinkSubscription(Generic[T]):
    """Is sent to the hub when it is made, and ends with its link."""

    def __init__(
        self,
        call: OutCall,
        pending: PendingSubscription,
        yielded: Callable[[Any, EventInfo | None], T],
    ) -> None:
        """``yielded``: what is read of an event's data."""
        assert call.standing is not None
        self._standing = call.standing
        self._stream = ItemStream(call, pending)
        self._pending = pending
        self._yielded = yielded

    @property
    def last(self) -> EventInfo | None:
        return self._standing.last

    @property
    def last_event_id(self) -> str | None:
        return self._standing.last_event_id

    @property
    def dropped(self) -> int:
        last = self._standing.last
        return 0 if last is None else last.dropped

    async def ready(self) -> None:
        await self._pending.ready()

    def cancel(self) -> None:
        self._stream.cancel()

    async def __anext__(self) -> T:
        value, head = await anext(self._stream)
        return self._yielded(value, self._standing.read(head))
