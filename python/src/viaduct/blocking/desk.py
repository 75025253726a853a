"""Where the functions that a call has lent are run."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..wire.encoder import Function
from .loop_thread import LoopThread
from .pump import Pump

T = TypeVar("T")


class Desk:
    """While a thread waits for its call it runs the functions that this has lent.

    Those that are kept beyond the call are run by whoever pumps.
    """

    def __init__(self, thread: LoopThread, later: Pump) -> None:
        self._pump = Pump(thread)
        self._later = later
        self._is_closed = False
        self._lock = threading.Lock()

    async def run_function(self, function: Function, arguments: list[Any]) -> Any:
        """Has one run, for the loop's thread."""
        with self._lock:
            pump = self._later if self._is_closed else self._pump
            job = pump.add(lambda: function(*arguments))
        result = await job.done()
        return await result if inspect.isawaitable(result) else result

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop's thread, and functions here until it is done."""
        return self._pump.wait(work)

    def close(self) -> None:
        """Nobody waits here any more."""
        with self._lock:
            self._is_closed = True
            self._pump.leave_to(self._later)
