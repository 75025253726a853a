"""Items and events for one reader on any thread."""

from __future__ import annotations

from types import TracebackType
from collections.abc import AsyncIterator
from typing import Any, Generic, Protocol, TypeVar

from .. import aio
from ..core.event_info import EventInfo
from .desk import Desk
from .loop_thread import LoopThread
from .pump import Pump
from .reading import read_next

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R", bound="_Reader[Any]")


class _Readable(Protocol[T_co]):
    """What a reader reads on the loop's thread."""

    def __aiter__(self) -> AsyncIterator[T_co]: ...
    def cancel(self) -> None: ...


class _Reader(Generic[T]):
    """Iterate it once. Leaving the ``with`` around it ends it."""

    def __init__(self, thread: LoopThread, source: _Readable[T]) -> None:
        self._thread = thread
        self._source = source

    def __iter__(self: R) -> R:
        return self

    def __next__(self) -> T:
        return read_next(self._thread.run, aiter(self._source))

    def cancel(self) -> None:
        """Ends it now; the far side is told."""
        self._thread.post(self._source.cancel)

    def __enter__(self: R) -> R:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()


class ItemStream(_Reader[Any]):
    """Iterate it once. Leaving the loop, or the ``with`` around it, cancels the far handler."""

    def __init__(self, thread: LoopThread, desk: Desk, stream: aio.ItemStream) -> None:
        """``desk``: where the functions that it lends are run while it is being read."""
        super().__init__(thread, stream)
        self._desk = desk
        self._stream = stream

    def __next__(self) -> Any:
        try:
            return read_next(self._desk.wait, aiter(self._stream))
        except BaseException:
            self._desk.close()
            raise

    def output(self) -> Any:
        """What the handler returned; raises what ended the stream."""

        async def wait() -> Any:
            return await self._stream.output

        return self._desk.wait(wait())

    def cancel(self) -> None:
        """Ends the stream now; the far handler is told."""
        self._desk.close()
        super().cancel()


class Subscription(_Reader[T]):
    """``with peer.subscribe(topic) as events: for event in events``; it is registered when it is made."""

    def __init__(self, thread: LoopThread, subscription: aio.Subscription[T], listeners: Pump) -> None:
        """``listeners``: what it has to tell its reader while that waits."""
        super().__init__(thread, subscription)
        self._subscription = subscription
        self._listeners = listeners

    def __next__(self) -> T:
        return read_next(self._listeners.wait, aiter(self._source))

    @property
    def last(self) -> EventInfo | None:
        """What the hub said of the event that was read last."""
        return self._subscription.last

    @property
    def last_event_id(self) -> str | None:
        """Where to go on from: the id of the event that was read last or, before the first, of the position
        where the subscription began. None of a hub that keeps no events.
        """
        return self._subscription.last_event_id

    @property
    def dropped(self) -> int:
        """Events of this subscription that were dropped until :attr:`last`."""
        return self._subscription.dropped
