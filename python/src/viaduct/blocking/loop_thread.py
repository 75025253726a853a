"""An event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from ..aio.threads import start_on, wait_on

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="viaduct", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        except SystemExit:
            # A supervised child ends with its link: the program's own way to end is that of any SIGTERM.
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine and returns what it returns. Interrupting the wait cancels it.

        :raises RuntimeError: on the loop's own thread, which would wait for itself; when the peer is closed.
        """
        return wait_on(self._loop, work)

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """The same without the wait."""
        return start_on(self._loop, work)

    def do(self, act: Callable[[], T]) -> T:
        """Runs a function there and returns what it returns."""

        async def once() -> T:
            return act()

        return self.run(once())

    def post(self, act: Callable[[], object]) -> None:
        """Has a function run there soon, if the loop still runs."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends the loop and its thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
