"""The methods that are served here, and the routes by which callers have numbered them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ..wire.errors import ViaductError
from ..wire.frame import Kind
from ..wire.limits import MAX_METHODS, MAX_ROUTES
from ..wire.reasons import REASONS
from .message import Message
from .method import Method
from .output import Output
from .peer_info import PeerInfo, read_peer_info

LINK_METHODS: Final = 2 * MAX_METHODS
"""Methods that one far end may define on all its routes together; each costs memory here."""
_NAME_UNITS: Final = 256
_FINGERPRINT_UNITS: Final = 16

RouteLine = list[object]
"""One line of ROUTE: index, status, same fingerprint, largest message, and True where it may run twice."""


@dataclass(slots=True)
class InMethod:
    """One method as a far caller numbered it on its route."""

    name: str
    fingerprint: str
    served: Method | None


@dataclass(slots=True)
class InRoute:
    """A route that leads here: who is behind it, and what its numbers mean."""

    source: PeerInfo
    methods: dict[int, InMethod] = field(default_factory=dict)


class InRoutes:
    def __init__(self, output: Output, message_bytes: int, is_hub: bool, far: PeerInfo) -> None:
        """``is_hub``: the far end stamps sources, and knows from announcements what is served."""
        self._output = output
        self._message_bytes = message_bytes
        self._is_hub = is_hub
        self._far = far
        self._routes = {0: InRoute(far)}
        self._served: dict[str, Method] = {}
        self._defined = 0

    def set_far(self, far: PeerInfo) -> None:
        """Who is at the far end is known now."""
        self._far = far
        self._routes[0] = InRoute(far)

    def get(self, number: int) -> InRoute | None:
        return self._routes.get(number)

    def serves(self, method: Method) -> bool:
        """Whether this very method is served now."""
        return self._served.get(method.name) is method

    def serve(self, method: Method) -> None:
        """:raises ViaductError: ALREADY_EXISTS when the name is served here."""
        if method.name in self._served:
            raise ViaductError(
                "ALREADY_EXISTS", f"{method.name} is served here already; withdraw it first"
            )
        self._served[method.name] = method
        self._refresh(method.name)

    def withdraw(self, method: Method) -> bool:
        """False when it was withdrawn before."""
        if not self.serves(method):
            return False
        del self._served[method.name]
        self._refresh(method.name)
        return True

    def _refresh(self, name: str) -> None:
        """Tells callers who hold a route here what has become of a method."""
        for number, route in self._routes.items():
            lines: list[RouteLine] = []
            for index, method in route.methods.items():
                if method.name == name:
                    method.served = self._served.get(name)
                    lines.append(self._line(index, method))
            if lines:
                self._output.control(Kind.ROUTE, number, {"methods": lines})

    def _line(self, index: int, method: InMethod) -> RouteLine:
        served = method.served
        if served is None:
            return [index, REASONS["METHOD_NOT_FOUND"].number, False, self._message_bytes]
        same = method.fingerprint != "" and served.fingerprint == method.fingerprint
        line: RouteLine = [index, 0, same, self._message_bytes]
        return [*line, True] if served.idempotent else line

    def open(self, message: Message) -> None:
        """OPEN: a caller numbers methods on its route."""
        number = message.route
        body = message.read_link_body()
        lines = list(_open_lines(body.get("methods"))) if body is not None else [None]
        if body is None or None in lines or (number >= MAX_ROUTES and not self._is_hub):
            self._output.link.violation()
            return
        source = read_peer_info(body.get("source")) if self._is_hub else None
        route = self._routes.setdefault(number, InRoute(source or self._far))
        route.source = source or route.source
        answers: list[RouteLine] = []
        for line in lines:
            assert line is not None
            index, name, fingerprint = line
            if index not in route.methods:
                self._defined += 1
            if self._defined > LINK_METHODS and not self._is_hub:
                self._output.link.violation()
                return
            method = InMethod(name, fingerprint, self._served.get(name))
            route.methods[index] = method
            answers.append(self._line(index, method))
        if not self._is_hub:
            self._output.control(Kind.ROUTE, number, {"methods": answers})

    def drop(self, number: int) -> None:
        """DROP: the caller or the hub is done with a route."""
        route = self._routes.pop(number, None)
        if route is not None:
            self._defined -= len(route.methods)


def _open_lines(value: object) -> Iterator[tuple[int, str, str] | None]:
    """The lines of an OPEN body; None for one that is not of that form."""
    if not isinstance(value, list):
        yield None
        return
    for line in value:
        index, name, fingerprint = line if isinstance(line, list) and len(line) == 3 else (None,) * 3
        if (
            type(index) is int
            and 0 <= index < MAX_METHODS
            and isinstance(name, str)
            and len(name) <= _NAME_UNITS
            and isinstance(fingerprint, str)
            and len(fingerprint) <= _FINGERPRINT_UNITS
        ):
            yield index, name, fingerprint
        else:
            yield None
