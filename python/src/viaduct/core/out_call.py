"""A call that this side has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .exchange import State
from .items import Items
from .method import Method
from .outbox import Entry
from .route import Route
from .sender import Sender
from .standing import Standing

if TYPE_CHECKING:
    from .functions import Functions


@dataclass(slots=True, eq=False)
class OutCall:
    """What its answer settles. ``id`` changes when the call is sent once more."""

    id: int
    route: Route
    method: Method
    input: object
    """Kept while the call may have to be sent once more."""
    lane: int
    window: int
    """Bytes of items that may be under way towards this side; 0: it takes none."""
    deadline: float
    """By the connection's clock, ms; :data:`~viaduct.core.clock.NEVER` without one."""
    has_upload: bool
    standing: Standing | None = None
    """Of a subscription; its items are handed over as (value, head)."""
    dictionary: bool = False
    """Whether the bodies of this side use the method's dictionary."""
    state: State = State.IDLE
    items: Items | None = None
    """Of a stream: what arrives."""
    sender: Sender | None = None
    number: int = 0
    """The how manieth CALL of its link it is; 0 until it has left."""
    entry: Entry | None = None
    """Where the CALL waits, so that it can be called off."""
    functions: Functions | None = None
    """Those that its input refers to."""
    idle_ms: float = 0
    """Streams: fails when no item came for so long; 0: never."""
    has_opened: bool = False
    """Streams: an item has come, so that the idle bound counts."""
    context: Any = None
    """The owner's."""

    def call_off(self) -> bool:
        """Takes the CALL out of the outbox. True when none of it had left."""
        if self.sender is not None and self.sender.clear():
            return True
        if self.entry is None or self.entry.sent:
            return False
        self.entry.call_off()
        return True
