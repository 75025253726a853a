"""One end of a link, for callers on any thread."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from .. import aio
from ..aio.calls import OnProgress
from ..aio.linked_peer import DEFAULT_TIMEOUT
from ..aio.pump import ItemSource
from ..core.method import Lane, Method
from ..core.peer_info import PeerInfo
from ..core.route import Target
from ..wire.limits import WINDOW_BYTES
from ..wire.values import UNDEFINED
from .desk import Desk
from .loop_thread import LoopThread
from .pump import Handler, Pump
from .streams import ItemStream
from .topics import TopicPeer

H = TypeVar("H", bound=Handler)


def join(
    *,
    app: str | None = None,
    id: str | None = None,
    type: str | None = None,
    base: str | os.PathLike[str] | None = None,
    ready: bool = True,
    exit_with_link: bool = True,
    reconnect: bool = True,
    debug: bool = False,
) -> Peer:
    """Joins a hub as :func:`viaduct.join` does.

    ``ready``: report to the hub that this peer takes work, at the first call or :meth:`Peer.pump`, before
    which everything is to be served. ``exit_with_link``: a supervised child gets SIGTERM when its link ends.
    ``reconnect``: a peer that joined by ``app`` and ``id`` dials again when its link is lost.
    """
    thread = LoopThread()
    try:
        peer = thread.run(
            aio.join(
                app=app,
                id=id,
                type=type,
                base=base,
                ready=False,
                exit_with_link=exit_with_link,
                reconnect=reconnect,
                debug=debug,
            )
        )
    except BaseException:
        thread.stop()
        raise
    return Peer(thread, peer, ready)


class Peer(TopicPeer):
    """As :class:`viaduct.Peer`, whose functions wait here. Times are in seconds; None is no limit."""

    def __init__(self, thread: LoopThread, peer: aio.Peer, reports_ready: bool) -> None:
        super().__init__(thread, peer, reports_ready)
        self._pump = Pump(thread)
        peer.callbacks_block = True
        thread.do(lambda: peer.on_closed(lambda _: self._pump.wake()))
        atexit.register(self.close)

    @property
    def info(self) -> PeerInfo:
        """Who this is, as the hub says."""
        return self._peer.info

    @property
    def closed(self) -> str | None:
        """Why the link has ended for good; None while it has not, or another is to come."""
        return self._peer.closed

    @property
    def is_connected(self) -> bool:
        """Whether there is a link now; a peer that joined by itself dials again when it was lost."""
        return self._peer.is_connected

    def busy(self, until_ms: float) -> None:
        """Tells the hub that this process may be silent until then, as :meth:`viaduct.Peer.busy` does.

        The link has a thread of its own: only code that keeps the interpreter's lock silences it.
        """
        self._report_ready()
        self._thread.run(self._peer.busy(until_ms))

    def close(self) -> None:
        """Ends the link now; what is open fails with LINK_LOST. Happens by itself when the program ends."""
        atexit.unregister(self.close)
        if self._thread.is_open:
            self._thread.run(self._peer.close())
            self._thread.stop()
        self._pump.wake()

    def drain(self, grace: float = DEFAULT_TIMEOUT) -> None:
        """Takes no new calls, finishes those that run, for ``grace`` at most, then closes.

        Handlers are run meanwhile.
        """
        draining = self._thread.do(lambda: asyncio.ensure_future(self._peer.drain(grace)))
        while not draining.done() and self._peer.closed is None:
            self._pump.run(grace)
        self.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self,
        method: str | Method,
        input: object = UNDEFINED,
        *,
        target: Target | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        lane: Lane | None = None,
        upload: ItemSource | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Calls a method and returns its output. ``upload`` is read, and ``on_progress`` called, on the
        link's thread; functions in the input are run on this thread while it waits, and later by
        :meth:`pump`.
        """
        self._report_ready()
        desk = Desk(self._thread, self._pump)
        try:
            return desk.wait(
                self._peer.call(
                    method,
                    input,
                    target=target,
                    timeout=timeout,
                    lane=lane,
                    upload=upload,
                    on_progress=on_progress,
                    run_function=desk.run_function,
                )
            )
        finally:
            desk.close()

    def stream(
        self,
        method: str | Method,
        input: object = UNDEFINED,
        *,
        target: Target | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        idle_timeout: float | None = None,
        lane: Lane | None = None,
        upload: ItemSource | None = None,
        window_bytes: int = WINDOW_BYTES,
    ) -> ItemStream:
        """Opens a stream: ``for item in peer.stream(…)``. Functions in the input run where it is read."""
        self._report_ready()
        desk = Desk(self._thread, self._pump)
        stream = self._thread.do(
            lambda: self._peer.stream(
                method,
                input,
                target=target,
                timeout=timeout,
                idle_timeout=idle_timeout,
                lane=lane,
                upload=upload,
                window_bytes=window_bytes,
                run_function=desk.run_function,
            )
        )
        return ItemStream(self._thread, desk, stream)

    def notify(
        self, method: str | Method, input: object = UNDEFINED, *, target: Target | None = None
    ) -> None:
        """Sends one way; returns when the outbox has taken it."""
        self._report_ready()
        self._thread.run(self._peer.notify(method, input, target=target))

    def handle(self, method: str | Method, handler: Handler) -> Callable[[], None]:
        """Serves a method until the returned function withdraws it.

        The handler gets the input and a :class:`Call`, and runs on the thread that pumps.
        """
        relay = self._pump.relay(handler)
        withdraw = self._thread.do(lambda: self._peer.handle(method, relay))
        return lambda: self._thread.do(withdraw)

    def serve(self, namespace: str, handlers: Mapping[str, Handler]) -> Callable[[], None]:
        """Serves ``namespace.name`` for each, until the returned function withdraws all."""
        relays = {name: self._pump.relay(handler) for name, handler in handlers.items()}
        withdraw = self._thread.do(lambda: self._peer.serve(namespace, relays))
        return lambda: self._thread.do(withdraw)

    def handler(self, method: str | Method) -> Callable[[H], H]:
        """The decorator of :meth:`handle`."""

        def decorate(handler: H) -> H:
            self.handle(method, handler)
            return handler

        return decorate

    def pump(self, timeout: float | None = 0) -> int:
        """Runs the handlers of the calls that wait, on this thread.

        Where none waits it waits for one, ``timeout`` seconds at most. A host calls it from its own loop.

        :returns: how many pieces of work were run: a handler, or an item of one that is a generator.
        """
        self._report_ready()
        return self._pump.run(timeout)

    def run_forever(self) -> str:
        """Runs handlers on this thread until the link has ended for good; returns the reason."""
        while self._peer.closed is None:
            self.pump(None)
        return self._peer.closed
