"""Tells the hub what is served here."""

from __future__ import annotations

from typing import Final

from .caller import Caller
from .in_routes import InRoutes
from .method import Method
from .route import Route

_SERVE: Final = Method("$hub.serve", lane="high")
_WITHDRAW: Final = Method("$hub.withdraw", lane="high")
_LINES: Final = 24
"""Methods in one announcement: with names of every length the hub takes it."""


class Announcer:
    """Gathers what is served in a turn, so that it is told at once."""

    def __init__(self, caller: Caller, in_routes: InRoutes, hub: Route) -> None:
        self._caller = caller
        self._in_routes = in_routes
        self._hub = hub
        self._untold: list[Method] = []

    def add(self, method: Method) -> None:
        """The method is served from now on."""
        self._untold.append(method)

    def tell(self) -> None:
        """Tells what the hub does not know yet; what the outbox does not take now is told the next time."""
        if not self._untold:
            return
        methods = [method for method in self._untold if self._in_routes.serves(method)]
        self._untold = []
        for start in range(0, len(methods), _LINES):
            some = methods[start : start + _LINES]
            lines = [_line(method) for method in some]
            if not self._caller.notify(self._hub, _SERVE, {"methods": lines}):
                self._untold = methods[start:]
                return

    def withdraw(self, method: Method) -> None:
        """The method is served no more."""
        self._caller.notify(self._hub, _WITHDRAW, {"methods": [method.name]})


def _line(method: Method) -> list[object]:
    """Name, fingerprint, and that it is a stream or may run twice where that is so."""
    line: list[object] = [method.name, method.fingerprint]
    if method.idempotent:
        return [*line, method.kind, True]
    return [*line, "stream"] if method.kind == "stream" else line
