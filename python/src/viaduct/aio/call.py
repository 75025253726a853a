"""What a handler is told of the call that it answers."""

from __future__ import annotations

import asyncio
import threading
from math import inf
from typing import Any

from ..core.clock import NEVER
from ..core.in_call import InCall
from ..core.peer_info import PeerInfo
from ..wire.errors import ViaductError
from ..wire.values import UNDEFINED
from .driver import Driver
from .streams import ItemReader


class Cancellation:
    """Set when nobody wants the answer any more. :meth:`is_set` may be asked from any thread."""

    def __init__(self) -> None:
        self._flag = threading.Event()
        self._waiters: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        return self._flag.is_set()

    async def wait(self) -> None:
        """Returns when it is set."""
        if not self._flag.is_set():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def set(self) -> None:
        self._flag.set()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


class Upload:
    """The caller's items, for one reader; none where it sends none."""

    def __init__(self, driver: Driver, call: InCall) -> None:
        self._driver = driver
        self._call = call
        self.changed = asyncio.Event()

    def __aiter__(self) -> Upload:
        return self

    async def __anext__(self) -> Any:
        items = self._call.items
        if items is None:
            raise StopAsyncIteration
        value = await ItemReader(items, self.changed).next()
        # Reading earns credit, which has to be written.
        self._driver.kick()
        return value


class Call:
    """``peer``: who calls, as the hub says. ``upload``: the caller's items. ``cancelled``: see there.

    ``output``: what a generator answers with besides its items, set by the handler before it ends.
    """

    def __init__(self, driver: Driver, call: InCall) -> None:
        self._driver = driver
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.upload = Upload(driver, call)
        self.cancelled = Cancellation()
        self.output: object = UNDEFINED

    @property
    def peer(self) -> PeerInfo:
        return self._call.peer

    @property
    def method(self) -> str:
        """The full name of the method."""
        return self._call.method.name

    @property
    def deadline(self) -> float:
        """By ``time.monotonic()``, in seconds, when the caller gives up; infinite without a deadline."""
        return self._call.deadline / 1000 if self._call.deadline != NEVER else inf

    @property
    def time_left(self) -> float:
        """Seconds; infinite without a deadline."""
        return self.deadline - self._driver.connection.clock() / 1000

    def progress(self, value: object) -> None:
        """Reports progress to the caller. From any thread; passed over when nobody waits any more.

        :raises ViaductError: of what cannot be sent, where it is called on the loop's thread.
        """
        if threading.get_ident() == self._thread:
            self._progress(value)
        else:
            self._loop.call_soon_threadsafe(self._progress, value)

    def _progress(self, value: object) -> None:
        self._driver.connection.progress(self._call, value)
        self._driver.kick()

    def error(
        self,
        name: str,
        data: object = None,
        *,
        code: str = "FAILED_PRECONDITION",
        message: str | None = None,
    ) -> ViaductError:
        """An error that the method declares, to be raised: its name, and data for the caller."""
        return ViaductError(code, message or f"{self.method}: {name}", reason=name, data=data)
