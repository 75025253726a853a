"""Items as they arrive, for one reader, and the credit that reading them earns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..wire.errors import ViaductError
from ..wire.limits import FRAGMENT_BYTES


class Items:
    """What the reader has taken is granted to the sender again, so a reader that rests stops the far side.

    The reader looks at :attr:`waiting`, takes with :meth:`take`, and finds the end in :attr:`ended` and
    :attr:`error`; what had arrived before an end or error is read first.
    """

    __slots__ = ("_costs", "_grant", "_owed", "_unfinished", "_values", "ended", "error")

    def __init__(self, grant: Callable[[int], None]) -> None:
        """``grant`` gives the sender credit for so many bytes."""
        self._grant = grant
        self._values: deque[Any] = deque()
        self._costs: deque[int] = deque()
        self._owed = 0
        self._unfinished = 0
        self.ended = False
        """No more items come."""
        self.error: ViaductError | None = None
        """Why, when the far side did not end them in good order."""

    @property
    def waiting(self) -> int:
        """Items that wait for the reader."""
        return len(self._values)

    def push(self, value: object, cost: int) -> None:
        """An item has come whole."""
        if not self.ended:
            self._values.append(value)
            self._costs.append(cost + self._unfinished)
            self._unfinished = 0

    def take(self) -> Any:
        """The next item; there is one :attr:`waiting`."""
        value = self._values.popleft()
        cost = self._costs.popleft()
        if not self._values:
            cost += self._unfinished
            self._unfinished = 0
        self.owe(cost)
        return value

    def owe(self, cost: int) -> None:
        """Bytes that have been taken in, granted again when they make a fragment."""
        self._owed += cost
        if self._owed >= FRAGMENT_BYTES and not self.ended:
            owed, self._owed = self._owed, 0
            self._grant(owed)

    def owe_unfinished(self, cost: int) -> None:
        """Bytes of an item that is being put together.

        They are granted at once only while no whole item waits, so that a reader that rests holds one item
        over its window at most, however large items are.
        """
        if self._values:
            self._unfinished += cost
        else:
            self.owe(cost)

    def end(self, error: ViaductError | None = None) -> None:
        if not self.ended:
            self.ended = True
            self.error = error

    def leave(self) -> None:
        """The reader takes no more: what waits is forgotten."""
        self._values.clear()
        self._costs.clear()
        self.ended = True
        self.error = None
