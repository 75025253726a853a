"""Items and events for one reader on any thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from .. import aio
from ..wire.head import EventInfo
from .loop_thread import LoopThread


def read_next(thread: LoopThread, items: AsyncIterator[Any]) -> Any:
    """The next item.

    :raises StopIteration: there are no more.
    """

    async def read() -> tuple[bool, Any]:
        try:
            return True, await anext(items)
        except StopAsyncIteration:
            return False, None

    is_there, value = thread.run(read())
    if not is_there:
        raise StopIteration
    return value


class ItemStream:
    """Iterate it once. Leaving the loop, or the ``with`` around it, cancels the far handler."""

    def __init__(self, thread: LoopThread, stream: aio.ItemStream) -> None:
        self._thread = thread
        self._stream = stream

    def __iter__(self) -> ItemStream:
        return self

    def __next__(self) -> Any:
        return read_next(self._thread, aiter(self._stream))

    def output(self) -> Any:
        """What the handler returned; raises what ended the stream."""

        async def wait() -> Any:
            return await self._stream.output

        return self._thread.run(wait())

    def cancel(self) -> None:
        """Ends the stream now; the far handler is told."""
        self._thread.post(self._stream.cancel)

    def __enter__(self) -> ItemStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()


class Subscription:
    """``with peer.subscribe(topic) as events: for event in events``; it is registered when it is made."""

    def __init__(self, thread: LoopThread, subscription: aio.ResumingSubscription) -> None:
        self._thread = thread
        self._subscription = subscription

    @property
    def last(self) -> EventInfo | None:
        """What the hub said of the event that was read last."""
        return self._subscription.last

    @property
    def dropped(self) -> int:
        """Events of this subscription that were dropped until :attr:`last`."""
        return self._subscription.dropped

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Any:
        return read_next(self._thread, aiter(self._subscription))

    def cancel(self) -> None:
        """Ends the subscription."""
        self._thread.post(self._subscription.cancel)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()
