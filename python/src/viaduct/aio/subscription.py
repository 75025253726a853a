"""A subscription that outlives its link."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

from ..core.event_info import EventInfo
from ..wire.errors import ViaductError
from .link_subscription import LinkSubscription

T = TypeVar("T")


class Subscription(Generic[T]):
    """``async with peer.subscribe(topic) as events: async for event in events``.

    It is sent to the hub when it is made; the ``async with`` begins when the hub has registered it. When the link is
    lost it is made again over the next one, if there is to be one, and goes on after the event that was read last.
    """

    def __init__(
        self, open: Callable[[str | None], LinkSubscription[T]], again: Callable[[], Awaitable[bool]]
    ) -> None:
        """``open`` makes it over the present link, from the beginning or after an event; ``again`` says when there
        is one once more, False for never.
        """
        self._open = open
        self._again = again
        self._present = open(None)
        self._last_before: EventInfo | None = None
        self._id_before: str | None = None
        self._dropped_before = 0
        self._cancelled = False

    @property
    def last(self) -> EventInfo | None:
        """What the hub said of the event that was read last."""
        return self._present.last or self._last_before

    @property
    def last_event_id(self) -> str | None:
        """Where to go on from: the id of the event that was read last or, before the first, of the position
        where the subscription began. None until the hub has registered it, and of a hub that keeps no events.
        """
        return self._present.last_event_id or self._id_before

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

    async def __aenter__(self) -> Subscription[T]:
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            try:
                return await self._present.__anext__()
            except StopAsyncIteration:
                # A hub that goes away in good order ends its streams.
                if self._cancelled or not await self._again():
                    raise
            except ViaductError as error:
                if error.reason != "LINK_LOST" or self._cancelled or not await self._again():
                    raise
            self._reopen()

    def _reopen(self) -> None:
        present = self._open(self.last_event_id)
        self._last_before = self.last
        self._id_before = self.last_event_id
        self._dropped_before = self.dropped
        self._present = present
