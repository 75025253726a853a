"""Publishes and subscribes, and waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import aio
from ..aio.linked_peer import DEFAULT_TIMEOUT
from ..aio.link_subscription import OnGap
from ..core.event_info import EventGap, TopicEvent
from ..core.method import Method, Overflow
from ..wire.errors import ViaductError
from ..wire.limits import WINDOW_BYTES
from .loop_thread import LoopThread
from .pump import Pump
from .streams import Subscription

T = TypeVar("T")


class TopicPeer:
    """A peer on a loop's thread, as far as topics go."""

    def __init__(self, thread: LoopThread, peer: aio.Peer, reports_ready: bool) -> None:
        self._thread = thread
        self._peer = peer
        self._is_unready = reports_ready

    def ready(self) -> None:
        """Tells the hub that this peer takes work now."""
        self._is_unready = False
        self._thread.run(self._peer.ready())

    def _report_ready(self) -> None:
        if not self._is_unready or self._peer.closed is not None:
            return
        try:
            self.ready()
        except ViaductError as error:
            # A link that is lost: the next one is told.
            if error.reason != "LINK_LOST":
                raise

    def publish(self, topic: str | Method, value: object, *, key: str | None = None) -> None:
        """Publishes an event on the hub; ``key`` is its conflation key."""
        self._report_ready()
        self._thread.run(self._peer.publish(topic, value, key=key))

    def on_refused(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Calls back, on the link's thread, with each topic that is published here although no rule allows
        it, once for each link. Ends by the returned function.
        """
        end = self._thread.do(lambda: self._peer.on_refused(listener))
        return lambda: self._thread.do(end)

    def subscribe(
        self,
        topic: str | Method,
        *,
        overflow: Overflow | None = None,
        max_age: float | None = None,
        group: str | None = None,
        last_event_id: str | None = None,
        on_gap: OnGap | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        window_bytes: int = WINDOW_BYTES,
    ) -> Subscription[Any]:
        """Subscribes to a topic on the hub; returns when it is registered.

        The options are those of :meth:`viaduct.Peer.subscribe`; ``on_gap`` is called where it waits: before
        it returns, and by whoever reads on over another link.
        """
        return self._subscribe(
            on_gap,
            lambda tell: self._peer.subscribe(
                topic,
                overflow=overflow,
                max_age=max_age,
                group=group,
                last_event_id=last_event_id,
                on_gap=tell,
                timeout=timeout,
                window_bytes=window_bytes,
            ),
        )

    def subscribe_all(
        self,
        pattern: str,
        *,
        overflow: Overflow | None = None,
        max_age: float | None = None,
        group: str | None = None,
        last_event_id: str | None = None,
        on_gap: OnGap | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        window_bytes: int = WINDOW_BYTES,
    ) -> Subscription[TopicEvent]:
        """Subscribes to all topics that match ``pages.*`` or ``*``; yields ``(topic, data)``.

        As :meth:`subscribe` otherwise.
        """
        return self._subscribe(
            on_gap,
            lambda tell: self._peer.subscribe_all(
                pattern,
                overflow=overflow,
                max_age=max_age,
                group=group,
                last_event_id=last_event_id,
                on_gap=tell,
                timeout=timeout,
                window_bytes=window_bytes,
            ),
        )

    def _subscribe(
        self, on_gap: OnGap | None, make: Callable[[OnGap], aio.Subscription[T]]
    ) -> Subscription[T]:
        self._report_ready()
        listeners = Pump(self._thread)
        tell = on_gap or _ignore

        async def registered() -> aio.Subscription[T]:
            subscription = make(lambda gap: listeners.add(lambda: tell(gap)))
            await subscription.ready()
            return subscription

        return Subscription(self._thread, listeners.wait(registered()), listeners)


def _ignore(gap: EventGap) -> None:
    pass
