"""A way to a target as its caller sees it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from ..wire.errors import ViaductError
from .method import Method
from .peer_info import PeerInfo

Target = Mapping[str, object]
"""What OPEN names as its target: ``{"id": …}``, ``{"type": …}``, ``{"any": True}`` or ``{"topics": True}``."""

TOPICS: Final[Target] = {"topics": True}


class Published(Enum):
    """What is known of publishing a topic."""

    SENT = "sent"
    MAY = "may"
    MAY_NOT = "may not"
    TOLD = "told"


class Route:
    """A number, and the methods defined on it so far, numbered by first use."""

    def __init__(self, number: int, target: Target | None) -> None:
        self.number = number
        self.target = target
        self._indices: dict[tuple[str, str], int] = {}
        self.methods: list[Method] = []
        self.same: list[bool] = []
        """Whether the server's fingerprint equals ours, by method index; set by ROUTE."""
        self.status: list[int | None] = []
        """By method index: 0 allowed, a reason's number, None until ROUTE has come."""
        self.idempotent: list[bool] = []
        """Whether all who serve it say that it may run twice, by method index; set by ROUTE."""
        self.published: list[Published | None] = []
        """By index of a topic, from its first event or ROUTE on."""
        self.peer: PeerInfo | None = None
        """The peer behind a route bound to one, as the hub says."""

    @property
    def is_topics(self) -> bool:
        return self.target is not None and "topics" in self.target

    def index_of(self, method: Method) -> int | None:
        """The method's index, or None when it is not defined here yet."""
        return self._indices.get((method.name, method.fingerprint))

    def define(self, method: Method) -> int:
        index = self._indices[method.name, method.fingerprint] = len(self.methods)
        self.methods.append(method)
        self.same.append(False)
        self.status.append(None)
        self.idempotent.append(False)
        self.published.append(None)
        return index

    def is_idempotent(self, method: Method) -> bool:
        index = self.index_of(method)
        return method.idempotent or (index is not None and self.idempotent[index])

    def describe(self, method: Method) -> str:
        """The method, and on whom, for messages of errors."""
        if self.target is None or self.is_topics:
            return method.name
        who = self.target.get("id") or f"any {self.target.get('type', 'peer')}"
        return f"{method.name} on {who}"


def target_key(target: Target | None) -> tuple[str, object] | None:
    """Equal for equal targets.

    :raises ViaductError: INVALID_ARGUMENT / BAD_TARGET when it is none.
    """
    if target is None:
        return None
    if len(target) == 1:
        [(key, value)] = target.items()
        if key in ("id", "type") and isinstance(value, str) or key in ("any", "topics"):
            return key, value
    raise ViaductError(
        "INVALID_ARGUMENT",
        'a target is {"id": "…"}, {"type": "…"} or {"any": True}',
        reason="BAD_TARGET",
        fate="not-sent",
    )
