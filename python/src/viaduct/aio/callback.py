"""Functions of the caller, as handlers get them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from ..core.references import Reference
from ..wire.errors import ViaductError
from ..wire.limits import LEASE_MS
from .driver import Driver
from .threads import wait_on

DEFAULT_LEASE = LEASE_MS / 1000
"""Seconds that a kept function may stay unused when its keeper names no time."""


class Callback:
    """A function of the caller: it runs there, and its result or error comes back: ``await callback(1)``.

    It works while its call runs; one that is kept, for longer. After that it raises FAILED_PRECONDITION /
    LEASE_ENDED. At the end of a ``with`` it is released; so is one that is forgotten.
    """

    def __init__(self, driver: Driver, reference: Reference) -> None:
        self._driver = driver
        self._reference = reference
        self._loop = asyncio.get_running_loop()

    def __call__(self, *arguments: object) -> asyncio.Future[Any]:
        """Calls it at once, whether or not the result is waited for, so that calls come in order.

        The result raises what the function raised; RESOURCE_EXHAUSTED / QUEUE_FULL with 256 calls under way,
        or when either process has more waiting than it may;
        the reason why the call ended when it was cancelled, expired or lost its link.
        """
        waiter: asyncio.Future[Any] = self._loop.create_future()
        waiter.add_done_callback(self._settled)
        try:
            back = self._reference.call(arguments)
        except ViaductError as error:
            waiter.set_exception(error)
        else:
            back.context = waiter
            self._driver.kick()
        return waiter

    def _settled(self, waiter: asyncio.Future[Any]) -> None:
        """A handler that does not wait hears nothing of a failure. It is not forgotten until here."""
        if not waiter.cancelled():
            waiter.exception()

    def keep(self, *, lease: float = DEFAULT_LEASE) -> None:
        """Keeps it for after the answer, until :meth:`release`, the end of the lease, or of the link.

        ``lease``: seconds for which it may stay unused once the call is answered, an hour at most; each use
        begins them anew. Of several in one call the longest counts.

        :raises ViaductError: FAILED_PRECONDITION / LEASE_ENDED when its call has been answered without it.
        """
        self._reference.keep(lease * 1000)

    def release(self) -> None:
        """The caller may forget it. What is under way fails with LEASE_ENDED when this was the last one kept."""
        self._reference.release()
        self._driver.kick()

    def __enter__(self) -> Callback:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        if self._reference.lease_ms and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_forget, self._driver, self._reference)


def _forget(driver: Driver, reference: Reference) -> None:
    reference.release()
    driver.kick()


class BlockingCallback:
    """As :class:`viaduct.Callback`, for handlers on other threads: ``callback(1)`` waits for the result."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()

    def __call__(self, *arguments: object) -> Any:
        async def call() -> Any:
            return await self._callback(*arguments)

        return wait_on(self._loop, call())

    def keep(self, *, lease: float = DEFAULT_LEASE) -> None:
        """Keeps it for after the answer; ``lease``: seconds for which it may stay unused then."""

        async def keep() -> None:
            self._callback.keep(lease=lease)

        wait_on(self._loop, keep())

    def release(self) -> None:
        """The caller may forget it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._callback.release)

    def __enter__(self) -> BlockingCallback:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
