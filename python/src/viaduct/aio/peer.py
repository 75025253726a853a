"""One end of a link: calls and answers, streams, publishes and subscribes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from types import TracebackType
from typing import Any, Final, TypeVar

from ..core.connection import Connection
from ..core.method import Lane, Method, MethodKind
from ..core.route import Target
from ..wire.errors import ViaductError
from ..wire.limits import MAX_BUSY_MS, WINDOW_BYTES
from ..wire.values import UNDEFINED
from .calls import OnProgress, PendingCall
from .client import Client
from .functions import FunctionRunner
from .handlers import Handler, Served, is_generator
from .linked_peer import DEFAULT_TIMEOUT, milliseconds
from .pump import ItemSource
from .streams import ItemStream
from .topics import TopicPeer

_READY: Final = Method("$hub.ready")
_BUSY: Final = Method("$hub.busy")

H = TypeVar("H", bound=Handler)


class Peer(TopicPeer):
    """Belongs to the event loop that it was made on; nothing of it may be called from other threads.

    Times are in seconds; ``timeout=None`` is no limit. A ``target`` is ``{"id": …}`` or ``{"type": …}``;
    without one, calls go to the far end of the link, which for a peer of a hub is the hub. Every failure is
    a :class:`ViaductError`; its ``fate`` says whether the far handler may have run.
    """

    def __init__(
        self, connection: Connection, *, executor: Executor | None = None, resumes: bool = False
    ) -> None:
        """``executor`` runs blocking handlers; default: the loop's. ``resumes``: further links are to come."""
        super().__init__(connection, executor, resumes)
        self.is_ready = False
        """Whether it has said that it takes work; it says so again over further links."""
        self.prints_stacks = False
        """Whether SIGUSR2 prints the stacks of this process on stderr."""

    async def __aenter__(self) -> Peer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ready(self) -> None:
        """Tells the hub that this peer takes work now; :func:`join` does so by itself unless told not to."""
        self.is_ready = True
        self._connection.announce()
        await self.call(_READY, {"stack": "stderr"} if self.prints_stacks else UNDEFINED)

    async def busy(self, until_ms: float) -> None:
        """Tells the hub that the loop may stand still until then: its supervisor does not take that for a hang.

        Await it before the work begins, because what is sent leaves only while the loop turns. The next one
        replaces it; 0 ends it. It ends with the link as well.

        ``until_ms``: milliseconds since 1970, as ``time.time() * 1000 + 60_000``; at most an hour from now.

        :raises ViaductError: INVALID_ARGUMENT / BAD_BUSY
        """
        for_ms = until_ms - time.time() * 1000 if until_ms else 0
        if not 0 <= for_ms <= MAX_BUSY_MS:
            raise ViaductError(
                "INVALID_ARGUMENT",
                f"busy({until_ms}): give a time from now to {MAX_BUSY_MS} ms from now in milliseconds since "
                "1970, as time.time() * 1000 + 60_000, or 0 to end it",
                reason="BAD_BUSY",
                path="until_ms",
            )
        await self.call(_BUSY, {"forMs": for_ms})

    # Calls.

    async def call(
        self,
        method: str | Method,
        input: object = UNDEFINED,
        *,
        target: Target | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        lane: Lane | None = None,
        upload: ItemSource | None = None,
        on_progress: OnProgress | None = None,
        run_function: FunctionRunner | None = None,
    ) -> Any:
        """Calls a method and returns its output. Cancelling the task that waits cancels the far handler.

        ``upload``: items that are sent along as fast as the far handler reads them. Functions in the input,
        of either kind, are lent: the far handler calls them while the call runs, or as long as it keeps
        them. ``run_function`` runs them, given the function and its arguments; without it the loop does.
        """
        call = self._connection.call(
            self._method(method, "call"),
            input,
            target=target,
            timeout_ms=milliseconds(timeout),
            lane=lane,
            upload=upload is not None,
        )
        pending = PendingCall(self._driver, call, upload, on_progress, run_function)
        return await pending.result()

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
        on_progress: OnProgress | None = None,
        run_function: FunctionRunner | None = None,
    ) -> ItemStream:
        """Opens a stream: ``async for item in peer.stream(…)``.

        ``timeout`` bounds the opening, up to the first item; ``idle_timeout`` the wait for each further one,
        where the reader is not the slow one. ``window_bytes``: what may be under way, headers included.
        """
        call = self._connection.call(
            self._method(method, "stream"),
            input,
            target=target,
            timeout_ms=milliseconds(timeout),
            lane=lane,
            upload=upload is not None,
            stream=True,
            window_bytes=window_bytes,
            idle_ms=milliseconds(idle_timeout),
        )
        pending = PendingCall(self._driver, call, upload, on_progress, run_function)
        return ItemStream(call, pending)

    async def notify(
        self, method: str | Method, input: object = UNDEFINED, *, target: Target | None = None
    ) -> None:
        """Sends one way; returns when the outbox has taken it."""
        known = self._method(method, "call")
        while not self._connection.notify(known, input, target=target):
            await self._room(known)
        self._driver.kick()

    def client(self, namespace: str, target: Target | None = None) -> Client:
        """The methods of a namespace as attributes."""
        return Client(self, namespace, target)

    # Answers.

    def handle(
        self,
        method: str | Method,
        handler: Handler,
        *,
        blocking: bool = False,
    ) -> Callable[[], None]:
        """Serves a method until the returned function withdraws it; calls that run then are finished.

        The handler gets the input, in which each function of the caller is a :class:`Callback`, and a
        :class:`Call`. It is a function of either kind, or a generator of either kind, whose items are sent as
        fast as the caller reads them. A cancel reaches it as ``CancelledError``; one that runs in a thread looks
        at ``call.cancelled``. What it raises becomes the caller's error: a :class:`ViaductError` as it is,
        anything else as UNKNOWN / HANDLER_ERROR. ``blocking``: it is no coroutine, and runs in a thread.

        :raises ViaductError: ALREADY_EXISTS when the name is served here.
        """
        kind: MethodKind = "stream" if is_generator(handler) else "call"
        known = Method(method, kind) if isinstance(method, str) else method
        served = Served(known, handler, blocking)
        self._connection.serve(known)
        self._served[known.name] = served
        self._driver.kick()

        def withdraw() -> None:
            if self._served.get(known.name) is served:
                del self._served[known.name]
                self._connection.withdraw(known)
                self._driver.kick()

        return withdraw

    def serve(self, namespace: str, handlers: Mapping[str, Handler]) -> Callable[[], None]:
        """Serves ``namespace.name`` for each, until the returned function withdraws all."""
        withdrawals: list[Callable[[], None]] = []

        def withdraw() -> None:
            for withdraw_one in withdrawals:
                withdraw_one()

        try:
            for name, handler in handlers.items():
                withdrawals.append(self.handle(f"{namespace}.{name}", handler))
        except ViaductError:
            withdraw()
            raise
        return withdraw

    def handler(self, method: str | Method, *, blocking: bool = False) -> Callable[[H], H]:
        """The decorator of :meth:`handle`."""

        def decorate(handler: H) -> H:
            self.handle(method, handler, blocking=blocking)
            return handler

        return decorate
