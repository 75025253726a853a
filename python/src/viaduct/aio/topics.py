"""Publishes and subscribes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..core.event_info import EventInfo, TopicEvent
from ..core.method import Method, Overflow
from ..core.pattern import is_name_or_pattern
from ..wire.errors import ViaductError
from ..wire.limits import WINDOW_BYTES
from .linked_peer import DEFAULT_TIMEOUT, LinkedPeer, milliseconds
from .link_subscription import LinkSubscription, OnGap, PendingSubscription
from .subscription import Subscription

T = TypeVar("T")


class TopicPeer(LinkedPeer):
    """One end of a link to a hub, as far as topics go."""

    async def publish(self, topic: str | Method, value: object, *, key: str | None = None) -> None:
        """Publishes an event on the hub, with its conflation ``key``; returns when the outbox has it."""
        known = self._method(topic, "topic")
        while not self._connection.publish(known, value, key=key):
            await self._room(known)
        self._driver.kick()

    def on_refused(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Calls back with each topic that is published here although no rule allows it, once for each link.

        Such an event is dropped, and :meth:`publish` waits for no answer that would say so. Ends by the
        returned function.
        """
        token = object()
        self._refused_listeners[token] = listener

        def end() -> None:
            self._refused_listeners.pop(token, None)

        return end

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
        """Subscribes to a topic on the hub.

        ``overflow``: what happens when this subscriber is too slow; default: what the topic says.
        ``max_age``: an event that has waited for more seconds at the hub is dropped, and counted.
        ``group``: of the subscriptions with this group, among peers of one type, one gets each event, once at
        most. ``last_event_id``: goes on after this event: what the hub kept of later ones comes first, see
        :attr:`Subscription.last_event_id`; what it does not keep any more ``on_gap`` is told of, before them,
        here and whenever a lost link has been followed by another.
        ``timeout`` bounds the registration alone.
        """
        return self._subscribe(
            topic,
            _data,
            overflow=overflow,
            max_age=max_age,
            group=group,
            last_event_id=last_event_id,
            on_gap=on_gap,
            timeout=timeout,
            window_bytes=window_bytes,
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
        """Subscribes to all topics that match ``pages.*`` or ``*``, as far as this peer may.

        Yields ``(topic, data)``. The options are those of :meth:`subscribe`.

        :raises ViaductError: INVALID_ARGUMENT / BAD_SUBSCRIPTION of what is no pattern.
        """
        if not is_name_or_pattern(pattern):
            raise ViaductError(
                "INVALID_ARGUMENT",
                f'subscribe_all({pattern!r}): "pages.*" or "*"',
                reason="BAD_SUBSCRIPTION",
                fate="not-sent",
            )

        def topic_event(data: Any, event: EventInfo | None) -> TopicEvent:
            return TopicEvent(pattern if event is None else event.topic, data)

        return self._subscribe(
            pattern,
            topic_event,
            overflow=overflow,
            max_age=max_age,
            group=group,
            last_event_id=last_event_id,
            on_gap=on_gap,
            timeout=timeout,
            window_bytes=window_bytes,
        )

    def _subscribe(
        self,
        topic: str | Method,
        yielded: Callable[[Any, EventInfo | None], T],
        *,
        overflow: Overflow | None,
        max_age: float | None,
        group: str | None,
        last_event_id: str | None,
        on_gap: OnGap | None,
        timeout: float | None,
        window_bytes: int,
    ) -> Subscription[T]:
        known = self._method(topic, "topic")

        def open(after: str | None) -> LinkSubscription[T]:
            call = self._connection.subscribe(
                known,
                overflow=overflow,
                max_age_ms=None if max_age is None else max_age * 1000,
                group=group,
                # What one member of a group missed, another had.
                last_event_id=last_event_id if after is None or group is not None else after,
                timeout_ms=milliseconds(timeout),
                window_bytes=window_bytes,
            )
            return LinkSubscription(call, PendingSubscription(self._driver, call, on_gap), yielded)

        return Subscription(open, self._again)


def _data(data: Any, event: EventInfo | None) -> Any:
    return data
