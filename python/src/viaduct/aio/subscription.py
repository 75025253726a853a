"""A subscription's events, in order, with what the hub says of each."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from ..core.out_call import OutCall
from ..wire.head import EventInfo, read_event
from .calls import PendingCall
from .streams import ItemStream


class Subscription:
    """``async with peer.subscribe(topic) as events: async for event in events``.

    It is sent to the hub when it is made; the ``async with`` begins when the hub has registered it.
    """

    def __init__(self, call: OutCall, pending: PendingCall, registered: asyncio.Event) -> None:
        self._stream = ItemStream(call, pending)
        self._pending = pending
        self._registered = registered
        pending.output.add_done_callback(lambda _: registered.set())
        self.last: EventInfo | None = None
        """What the hub said of the event that was read last."""

    @property
    def dropped(self) -> int:
        """Events of this subscription that were dropped until :attr:`last`."""
        return self.last.dropped if self.last is not None else 0

    async def ready(self) -> None:
        """Returns when the hub has registered the subscription.

        :raises ViaductError: it did not.
        """
        await self._registered.wait()
        output = self._pending.output
        if output.done():
            output.result()

    def cancel(self) -> None:
        """Ends the subscription."""
        self._stream.cancel()

    async def __aenter__(self) -> Subscription:
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Any:
        value, head = await anext(self._stream)
        self.last = read_event(head) or self.last
        return value
