"""Runs handlers, and hands what they give to the connection."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable, Generator, Iterable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..core.in_call import InCall
from ..core.method import Method
from ..wire.reasons import link_error
from .call import Call
from .driver import Driver
from .pump import Pump

Handler = Callable[[Any, Call], Any]
"""Answers a call: returns or awaits the output, or, as a generator of either kind, yields the items."""


@dataclass(frozen=True)
class Served:
    """A handler under its name. ``blocking``: it runs in a thread of the executor."""

    method: Method
    handler: Handler
    blocking: bool


def is_generator(handler: Handler) -> bool:
    """Whether a handler answers with items."""
    return inspect.isasyncgenfunction(handler) or inspect.isgeneratorfunction(handler)


class Invocation:
    """One call that is being answered. The events of the connection come in here."""

    def __init__(self, driver: Driver, served: Served, executor: Executor | None, call: InCall) -> None:
        self._driver = driver
        self._served = served
        self._executor = executor
        self._in_call = call
        self._call = Call(driver, call)
        self._pump = Pump(driver, call)
        self._task: asyncio.Task[None] | None = None
        call.context = self

    def aborted(self) -> None:
        """Nobody wants the answer any more: the handler's task is cancelled."""
        self._call.cancelled.set()
        if self._task is not None:
            self._task.cancel()

    def items_changed(self) -> None:
        self._call.upload.changed.set()

    def send_ready(self) -> None:
        self._pump.wake()

    async def run(self, value: object) -> None:
        """Runs the handler, in a task of its own."""
        connection, call = self._driver.connection, self._in_call
        self._task = asyncio.current_task()
        try:
            if call.aborted:
                raise asyncio.CancelledError
            connection.end(call, await self._answer(value))
        except asyncio.CancelledError:
            what = call.method.name
            connection.fail(call, call.abort_reason or link_error("CANCELLED", what, "unknown"))
        except Exception as raised:
            connection.fail(call, raised)
        finally:
            self._driver.kick()

    async def _answer(self, value: object) -> object:
        served = self._served
        if served.blocking and not inspect.isgeneratorfunction(served.handler):
            answer = await self._in_thread(served.handler, value, self._call)
        else:
            answer = served.handler(value, self._call)
        if inspect.isawaitable(answer):
            answer = await answer
        if served.method.kind != "stream" or not isinstance(answer, (AsyncIterable, Iterable)):
            return answer
        self._driver.connection.begin_items(self._in_call)
        if not inspect.isgenerator(answer):
            await self._pump.run(answer)
            return self._call.output
        with closing(answer):
            return await self._send_yielded(answer)

    async def _send_yielded(self, items: Generator[object, None, object]) -> object:
        """Sends what a generator yields; what it returns is the output."""
        while True:
            if self._served.blocking:
                value, is_last = await self._in_thread(advance, items)
            else:
                value, is_last = advance(items)
            if is_last:
                return self._call.output if value is None else value
            await self._pump.send(value)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A thread cannot be cancelled: the call is not over before the function has returned."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._executor, settling, function, *arguments)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running})
            raise


def settling(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function whose outcome a future will hold: one that raised StopIteration would never be done."""
    try:
        return function(*arguments)
    except StopIteration as raised:
        raise RuntimeError(f"the handler raised {raised!r}") from raised


def advance(items: Generator[object, None, object]) -> tuple[object, bool]:
    """The next item, or the generator's return value and True."""
    try:
        return next(items), False
    except StopIteration as end:
        return end.value, True
