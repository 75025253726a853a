"""Sends what an iterable yields as items, as fast as credit and transport allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Union

from ..core.in_call import InCall
from ..core.out_call import OutCall
from .driver import Driver

ItemSource = Union[AsyncIterable[object], Iterable[object]]


class Pump:
    """The items of one direction of a call."""

    def __init__(self, driver: Driver, call: InCall | OutCall) -> None:
        self._driver = driver
        self._call = call
        self._ready = asyncio.Event()

    def wake(self) -> None:
        """The next item may be sent."""
        self._ready.set()

    async def send(self, value: object) -> None:
        """Sends one item; returns when the next one should be made."""
        self._driver.connection.send_item(self._call, value)
        self._driver.kick()
        sender = self._call.sender
        while sender is not None and not sender.may_send():
            self._ready.clear()
            await self._ready.wait()

    async def run(self, items: ItemSource) -> None:
        """Sends them all. Whatever ends it, the iterable is closed."""
        source = iterate(items)
        try:
            async for value in source:
                await self.send(value)
        finally:
            await close_source(source)


def iterate(items: ItemSource) -> AsyncIterator[object]:
    """Any iterable as an asynchronous one."""
    return aiter(items) if isinstance(items, AsyncIterable) else _each(items)


async def _each(items: Iterable[object]) -> AsyncIterator[object]:
    for value in items:
        yield value


async def close_source(source: AsyncIterator[object]) -> None:
    """Lets a generator clean up."""
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
