"""The answer of a stream, for one reader."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from ..core.items import Items
from ..core.out_call import OutCall
from .calls import PendingCall


class ItemReader:
    """Takes items as they come."""

    def __init__(self, items: Items, changed: asyncio.Event) -> None:
        self._items = items
        self._changed = changed

    async def next(self) -> Any:
        """The next item.

        :raises StopAsyncIteration: there are no more.
        :raises ViaductError: what ended them, behind the items that had come.
        """
        items = self._items
        while not items.waiting:
            if items.ended:
                error, items.error = items.error, None
                raise error or StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return items.take()


class ItemStream:
    """Iterate it once. Leaving the loop, or the ``async with`` around it, cancels the far handler."""

    def __init__(self, call: OutCall, pending: PendingCall) -> None:
        assert call.items is not None
        self._call = call
        self._pending = pending
        self._items = call.items
        self._reader = ItemReader(call.items, pending.changed)
        self._loop = asyncio.get_running_loop()
        # Whoever only reads the items learns of a failure there.
        pending.output.add_done_callback(_retrieve)

    @property
    def output(self) -> asyncio.Future[Any]:
        """What the handler returned, to be awaited; raises what ended the stream."""
        return asyncio.shield(self._pending.output)

    def __aiter__(self) -> ItemStream:
        return self

    async def __anext__(self) -> Any:
        value = await self._reader.next()
        # Reading earns credit, which has to be written.
        self._pending.credit()
        return value

    def cancel(self) -> None:
        """Ends the stream now; the far handler is told."""
        self._items.leave()
        self._pending.items_changed()
        self._pending.cancel()

    async def aclose(self) -> None:
        self.cancel()

    async def __aenter__(self) -> ItemStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        """A loop that was left by ``break`` has dropped the stream."""
        if not self._pending.output.done() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._pending.cancel)


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
