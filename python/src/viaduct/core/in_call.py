"""A call that this side answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..wire.errors import ViaductError
from .items import Items
from .method import Method
from .peer_info import PeerInfo
from .references import References
from .sender import Sender


@dataclass(slots=True, eq=False)
class InCall:
    """What a callee keeps of a call while its handler runs."""

    id: int
    peer: PeerInfo
    """Who calls, as the link and the hub say."""
    method: Method
    lane: int
    dictionary: bool
    """Whether bodies of this exchange use the method's dictionary."""
    window: int
    """Bytes of items that the caller takes at first."""
    deadline: float
    """By the connection's clock, ms; :data:`~viaduct.core.clock.NEVER` without one."""
    is_one_way: bool
    """Nobody waits for an answer."""
    items: Items | None = None
    """What the caller uploads."""
    references: References | None = None
    """The functions of the caller that its input refers to."""
    sender: Sender | None = None
    answers_items: bool = False
    """The handler has begun to answer with items: a cancel ends it at once."""
    abort_reason: ViaductError | None = None
    """Why nobody wants the answer any more."""
    context: Any = None
    """The owner's."""

    @property
    def aborted(self) -> bool:
        return self.abort_reason is not None
