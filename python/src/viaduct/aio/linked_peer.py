"""The life of a peer's link, and what becomes of its events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final

from ..core.connection import Connection
from ..core.events import (
    Admitted,
    Answered,
    CallAborted,
    CallStarted,
    Closed,
    Event,
    Failed,
    FunctionAnswered,
    FunctionCalled,
    FunctionFailed,
    ItemsChanged,
    Ponged,
    Progressed,
    PublicationRefused,
    Registered,
    SendReady,
)
from ..core.method import Method, MethodKind
from ..core.peer_info import NOBODY, PeerInfo
from ..core.references import Reference
from ..wire.limits import CALL_TIMEOUT_MS
from ..wire.reasons import link_error
from .callback import BlockingCallback, Callback
from .driver import Driver
from .functions import run_for
from .handlers import Invocation, Served

_MAX_NAMES: Final = 4096
DEFAULT_TIMEOUT: Final = CALL_TIMEOUT_MS / 1000
"""Seconds that a call may take when it names no time."""


class LinkedPeer:
    """One end of a link that runs handlers; :class:`Peer` adds what a program asks of it."""

    def __init__(self, connection: Connection, executor: Executor | None, resumes: bool) -> None:
        """``executor`` runs blocking handlers; None: the loop's. ``resumes``: see :meth:`resume`."""
        self._connection = connection
        self._driver = Driver(connection, self.heed)
        self._executor = executor
        self._served: dict[str, Served] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._functions: set[asyncio.Task[None]] = set()
        self._pings: dict[int, asyncio.Future[float]] = {}
        self._methods: dict[tuple[str, MethodKind], Method] = {}
        self._refused_listeners: dict[object, Callable[[str], object]] = {}
        loop = asyncio.get_running_loop()
        self._resumes = resumes
        self._closed: asyncio.Future[str] = loop.create_future()
        self._lost: asyncio.Future[str] = loop.create_future()
        self._moved = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._admitted: asyncio.Future[None] = loop.create_future()
        self.info: PeerInfo = NOBODY
        """Who this is, as the hub says; of a peer without a hub, nobody."""
        self.callbacks_block = False
        """Handlers run on other threads, and wait there for the functions that they are lent."""
        self._lend_to(self._driver)

    @property
    def driver(self) -> Driver:
        """What a transport is connected to."""
        return self._driver

    @property
    def id(self) -> str:
        return self.info.id

    # The life of the link.

    @property
    def closed(self) -> str | None:
        """Why the link has ended for good; None while it has not, or another is to come."""
        if self._closed.done():
            return self._closed.result()
        return None if self._resumes else self._connection.closed

    @property
    def is_connected(self) -> bool:
        """Whether there is a link now; a peer that joined by itself dials again when it was lost."""
        return self._connection.closed is None

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs what brings this peer further links, until it is closed."""
        self._keeper = asyncio.create_task(work)

    async def link_lost(self) -> str:
        """Returns the reason when the present link has ended."""
        return await asyncio.shield(self._lost)

    def resume(self, driver: Driver, info: PeerInfo) -> None:
        """Goes on over another link: what was served is served there, subscriptions go on."""
        self._driver = driver
        self._connection = driver.connection
        self._lost = asyncio.get_running_loop().create_future()
        self.info = info
        self._lend_to(driver)
        for served in self._served.values():
            self._connection.serve(served.method)
        self._wake()

    def finish(self, reason: str) -> None:
        """No further link will come."""
        if not self._closed.done():
            self._closed.set_result(reason)
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved.clear()

    async def _again(self) -> bool:
        """Returns when there is a link; False when there will be none."""
        while self.closed is None and not self.is_connected:
            await self._moved.wait()
        return self.closed is None

    async def admitted(self) -> str | None:
        """Returns when the hub has let this peer in: None, or why the link has ended before."""
        either: set[asyncio.Future[Any]] = {self._admitted, self._lost}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return None if self._admitted.done() else self._lost.result()

    def on_closed(self, act: Callable[[str], object]) -> None:
        """Calls back with the reason when the link has ended for good."""
        self._closed.add_done_callback(lambda closed: act(closed.result()))

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something that ends with this peer; it handles what it raises."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def wait_closed(self) -> str:
        """Returns the reason when the link has ended for good."""
        return await asyncio.shield(self._closed)

    async def close(self) -> None:
        """Ends the link now; what is open fails with LINK_LOST. Returns when handlers have cleaned up."""
        self._stop_dialling()
        self._connection.close()
        self._driver.kick()
        await self._driver.gone
        self.finish("GOING_AWAY")
        running = {task for task in self._running if task is not asyncio.current_task()}
        if running:
            await asyncio.wait(running, timeout=DEFAULT_TIMEOUT)

    async def drain(self, grace: float = DEFAULT_TIMEOUT) -> None:
        """Takes no new calls, finishes those that run, for ``grace`` at most, then closes."""
        self._stop_dialling()
        self._connection.drain(grace * 1000)
        self._driver.kick()
        await self.link_lost()
        await self.close()

    def _stop_dialling(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        self._resumes = False

    async def ping(self) -> float:
        """Seconds of a round trip to the far end of the link."""
        if not self.is_connected:
            raise link_error("LINK_LOST", "ping", "not-sent")
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        number = self._connection.ping()
        self._pings[number] = waiter
        self._driver.kick()
        try:
            return await waiter
        finally:
            self._pings.pop(number, None)

    # What every request needs.

    async def _room(self, method: Method) -> None:
        if not self.is_connected:
            raise link_error("LINK_LOST", method.name, "not-sent")
        await self._driver.room()

    def _method(self, method: str | Method, kind: MethodKind) -> Method:
        """Of one name there is one method, so that it is one on its route."""
        if isinstance(method, Method):
            return method
        known = self._methods.get((method, kind))
        if known is None:
            if len(self._methods) >= _MAX_NAMES:
                self._methods.clear()
            known = self._methods[method, kind] = Method(method, kind)
        return known

    # Events.

    def heed(self, event: Event) -> None:
        if isinstance(event, CallStarted):
            self._start(event)
        elif isinstance(event, Answered):
            event.call.context.answered(event.value)
        elif isinstance(event, ItemsChanged):
            if event.call.context is not None:
                event.call.context.items_changed()
        elif isinstance(event, SendReady):
            event.call.context.send_ready()
        elif isinstance(event, Failed):
            event.call.context.failed(event.error)
        elif isinstance(event, CallAborted):
            if event.call.context is not None:
                event.call.context.aborted()
        elif isinstance(event, Progressed):
            event.call.context.progressed(event.value)
        elif isinstance(event, FunctionCalled):
            self._run_function(event)
        elif isinstance(event, FunctionAnswered):
            if not event.back.context.done():
                event.back.context.set_result(event.value)
        elif isinstance(event, FunctionFailed):
            if not event.back.context.done():
                event.back.context.set_exception(event.error)
        elif isinstance(event, Registered):
            event.call.context.registered(event.gap)
        elif isinstance(event, PublicationRefused):
            for listener in self._refused_listeners.values():
                self._closed.get_loop().call_soon(listener, event.topic)
        elif isinstance(event, Ponged):
            waiter = self._pings.get(event.number)
            if waiter is not None and not waiter.done():
                waiter.set_result(event.round_trip_ms / 1000)
        elif isinstance(event, Admitted):
            self.info = event.you
            self._admitted.set_result(None)
        elif isinstance(event, Closed):
            self._end(event.reason)

    def _start(self, event: CallStarted) -> None:
        served = self._served.get(event.call.method.name)
        if served is None or served.method is not event.call.method:
            # Withdrawn between the frame and its event.
            self._connection.fail(
                event.call, link_error("METHOD_NOT_FOUND", event.call.method.name, "not-sent")
            )
            return
        invocation = Invocation(self._driver, served, self._executor, event.call)
        self.in_background(invocation.run(event.input))

    def _lend_to(self, driver: Driver) -> None:
        """Says what handlers of a link get for the functions of their callers."""

        def stand_in(reference: Reference) -> Callback | BlockingCallback:
            callback = Callback(driver, reference)
            served = self._served.get(reference.method.name)
            is_elsewhere = self.callbacks_block or (served is not None and served.blocking)
            return BlockingCallback(callback) if is_elsewhere else callback

        driver.connection.set_stand_in(stand_in)

    def _run_function(self, event: FunctionCalled) -> None:
        back = event.back
        task = self.in_background(run_for(self._driver, back, back.call.context.run_function))
        self._functions.add(task)
        task.add_done_callback(self._functions.discard)

    def _end(self, reason: str) -> None:
        for task in self._functions:
            task.cancel()
        for waiter in self._pings.values():
            if not waiter.done():
                waiter.set_exception(link_error("LINK_LOST", "ping", "unknown"))
        if not self._lost.done():
            self._lost.set_result(reason)
        if not self._resumes:
            self.finish(reason)
        self._driver.kick()


def milliseconds(seconds: float | None) -> float:
    """0 is no limit on the wire, so that no time left is the least there is."""
    return 0 if seconds is None else max(seconds * 1000, 0.001)
