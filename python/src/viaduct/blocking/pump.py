"""Work that handlers of the loop's thread leave to a thread of the program's choice."""

from __future__ import annotations

import asyncio
import inspect
import queue
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, TypeVar

from .. import aio
from ..aio.handlers import advance, settling
from .call import Call
from .loop_thread import LoopThread

T = TypeVar("T")
Handler = Callable[[Any, Call], Any]
"""Answers a call: returns the output or, as a generator, yields the items."""


class Job:
    """A function to be run, and who waits for it on the loop's thread."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[Any] = self._loop.create_future()

    async def done(self) -> Any:
        return await self._waiter

    def run(self) -> None:
        if self._waiter.cancelled():
            return
        try:
            result = settling(self._act)
        except Exception as raised:
            self._tell(self._waiter.set_exception, raised)
        except BaseException as raised:
            # The program is being ended: the caller hears that the handler did not finish.
            self._tell(self._waiter.set_exception, RuntimeError(repr(raised)))
            raise
        else:
            self._tell(self._waiter.set_result, result)

    def _tell(self, settle: Callable[[Any], None], outcome: object) -> None:
        def tell() -> None:
            if not self._waiter.done():
                settle(outcome)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(tell)


class Pump:
    """A queue of such work."""

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def relay(self, handler: Handler) -> aio.handlers.Handler:
        """A handler for the loop's thread that has this one run by whoever pumps."""
        if inspect.isgeneratorfunction(handler):
            return self._relay_items(handler)

        async def answer(value: object, call: aio.Call) -> object:
            return await self._run(lambda: handler(value, Call(self._thread, call)))

        return answer

    def _relay_items(self, handler: Handler) -> aio.handlers.Handler:
        async def items(value: object, call: aio.Call) -> AsyncIterator[object]:
            generator: Generator[object, None, object] = handler(value, Call(self._thread, call))
            try:
                while True:
                    item, is_last = await self._run(lambda: advance(generator))
                    if is_last:
                        call.output = call.output if item is None else item
                        return
                    yield item
            finally:
                self.add(generator.close)

        return items

    def add(self, act: Callable[[], Any]) -> Job:
        """Has a function run, for the loop's thread."""
        job = Job(act)
        self._jobs.put(job)
        return job

    async def _run(self, act: Callable[[], Any]) -> Any:
        return await self.add(act).done()

    def run(self, timeout: float | None) -> int:
        """Runs what waits; where nothing does, waits for it, ``timeout`` seconds at most (None: for ever).

        :returns: how many pieces of work were run.
        """
        until = None if timeout is None else time.monotonic() + timeout
        done = 0
        while True:
            try:
                job = self._next(until, wait=done == 0)
            except queue.Empty:
                return done
            if job is None:
                return done
            job.run()
            done += 1

    def _next(self, until: float | None, wait: bool) -> Job | None:
        if not wait:
            return self._jobs.get_nowait()
        if until is None:
            return self._jobs.get()
        return self._jobs.get(timeout=max(0.0, until - time.monotonic()))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop's thread, and what comes here until it is done."""
        future = self._thread.start(work)
        future.add_done_callback(lambda _: self.wake())
        try:
            while True:
                while (job := self._jobs.get()) is not None:
                    job.run()
                if future.done():
                    return future.result()
        except BaseException:
            future.cancel()
            raise

    def leave_to(self, other: Pump) -> None:
        """Leaves what waits to another pump."""
        with suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    other._jobs.put(job)

    def wake(self) -> None:
        """Ends a wait for work."""
        self._jobs.put(None)
