"""A namespace's methods as attributes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

from ..core.route import Target
from ..wire.values import UNDEFINED

if TYPE_CHECKING:
    from .peer import Peer


class RemoteMethod(Protocol):
    """Calls its method; ``options`` are those of :meth:`Peer.call`."""

    def __call__(self, input: object = UNDEFINED, **options: Any) -> Awaitable[Any]: ...


class Client:
    """``await client.analyze(page, timeout=2)`` calls ``pages.analyze`` of the target."""

    def __init__(self, peer: Peer, namespace: str, target: Target | None) -> None:
        self._peer = peer
        self._namespace = namespace
        self._target = target

    def __getattr__(self, method: str) -> RemoteMethod:
        if method.startswith("_"):
            raise AttributeError(method)
        name = f"{self._namespace}.{method}"

        def call(input: object = UNDEFINED, **options: Any) -> Awaitable[Any]:
            return self._peer.call(name, input, target=self._target, **options)

        return call
