"""The routes that this side has opened, by target and by number."""

from __future__ import annotations

from ..wire.errors import ViaductError
from ..wire.frame import Kind
from ..wire.limits import MAX_ROUTES
from .events import PublicationRefused
from .message import Message
from .method import Method
from .output import Output
from .peer_info import read_peer_info
from .route import Published, Route, Target, target_key


class OutRoutes:
    def __init__(self, output: Output) -> None:
        self._output = output
        self._by_target: dict[tuple[str, object] | None, Route] = {}
        self._by_number: list[Route] = []
        self.to(None)

    def to(self, target: Target | None) -> Route:
        """The route to a target; its number is taken at once, the far end is told with the first method.

        :raises ViaductError: RESOURCE_EXHAUSTED / TOO_MANY_ROUTES
        """
        key = target_key(target)
        route = self._by_target.get(key)
        if route is None:
            number = len(self._by_number)
            if number >= MAX_ROUTES:
                raise ViaductError(
                    "RESOURCE_EXHAUSTED",
                    f"over {MAX_ROUTES} targets on one link: call peers by type",
                    reason="TOO_MANY_ROUTES",
                    fate="not-sent",
                )
            route = self._by_target[key] = Route(number, target)
            self._by_number.append(route)
        return route

    def index(self, route: Route, method: Method) -> int:
        """The method's number on a route; its first use opens it, ahead of the call."""
        known = route.index_of(method)
        if known is not None:
            return known
        index = route.define(method)
        body: dict[str, object] = {} if route.target is None else {"target": dict(route.target)}
        body["methods"] = [[index, method.name, method.fingerprint]]
        self._output.control(Kind.OPEN, route.number, body)
        return index

    def sent(self, route: Route, topic: Method) -> None:
        """An event was published: if no rule allows that, its publisher is told, now or when the hub has said so."""
        index = route.index_of(topic)
        if index is None:
            return
        known = route.published[index]
        if known is Published.MAY_NOT:
            self._refused(route, index)
        elif known is None:
            route.published[index] = Published.SENT

    def _refused(self, route: Route, index: int) -> None:
        route.published[index] = Published.TOLD
        self._output.link.events.append(PublicationRefused(route.methods[index].name))

    def _learned(self, route: Route, index: int, may_publish: bool) -> None:
        before = route.published[index]
        if may_publish:
            route.published[index] = Published.MAY
        elif before is Published.SENT:
            self._refused(route, index)
        elif before is not Published.TOLD:
            route.published[index] = Published.MAY_NOT

    def receive(self, message: Message) -> None:
        """ROUTE: what the far end says of a route. What is not of the form is passed over."""
        body = message.read_link_body()
        if body is None:
            self._output.link.violation()
            return
        if message.route >= len(self._by_number):
            return
        route = self._by_number[message.route]
        route.peer = read_peer_info(body.get("peer")) or route.peer
        lines = body.get("methods")
        for line in lines if isinstance(lines, list) else []:
            if not isinstance(line, list) or len(line) < 3:
                continue
            index, status, same, max_bytes, idempotent, *_ = [*line, 0, False]
            if type(index) is int and type(status) is int and 0 <= index < len(route.methods):
                route.status[index] = status
                route.same[index] = same is True
                route.idempotent[index] = idempotent is True
                if route.is_topics:
                    is_open = type(max_bytes) in (int, float) and max_bytes > 0
                    self._learned(route, index, status == 0 and is_open)
