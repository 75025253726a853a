"""A subscription that outlives its link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from ..wire.errors import ViaductError
from ..wire.head import EventInfo
from .subscription import Subscription


class ResumingSubscription:
    """``async with peer.subscribe(topic) as events: async for event in events``.

    It is sent to the hub when it is made; the ``async with`` begins when the hub has registered it. When the link is
    lost it is made again over the next one, if there is to be one: events that were published between are not seen.
    """

    def __init__(self, open: Callable[[], Subscription], again: Callable[[], Awaitable[bool]]) -> None:
        """``open`` makes it over the present link; ``again`` says when there is one, False for never more.

        What is to go on after the event that was read last goes through ``_reopen`` alone.
        """
        self._open = open
        self._again = again
        self._present = open()
        self._before: EventInfo | None = None
        self._dropped_before = 0
        self._cancelled = False

    @property
    def last(self) -> EventInfo | None:
        """What the hub said of the event that was read last."""
        return self._present.last or self._before

    @property
    def dropped(self) -> int:
        """Events of this subscription that were dropped until :attr:`last`, over all links."""
        return self._dropped_before + self._present.dropped

    async def ready(self) -> None:
        """Returns when the hub has registered the subscription.

        :raises ViaductError: it did not.
        """
        await self._present.ready()

    def cancel(self) -> None:
        """Ends the subscription."""
        self._cancelled = True
        self._present.cancel()

    async def __aenter__(self) -> ResumingSubscription:
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def __aiter__(self) -> ResumingSubscription:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                return await anext(self._present)
            except StopAsyncIteration:
                # A hub that goes away in good order ends its streams.
                if self._cancelled or not await self._again():
                    raise
            except ViaductError as error:
                if error.reason != "LINK_LOST" or self._cancelled or not await self._again():
                    raise
            self._reopen()

    def _reopen(self) -> None:
        self._before = self.last
        self._dropped_before = self.dropped
        self._present = self._open()
