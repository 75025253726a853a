"""One time at which to look through the deadlines of all open exchanges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .clock import NEVER, Clock

_MIN_GAP_MS: Final = 4
"""Sweeps are at least so far apart, however many deadlines differ."""


class Sweep:
    """Nothing is done per call but a comparison: the open exchanges are read when :attr:`at` has come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at = NEVER

    def expect(self, deadline: float) -> None:
        """There is a deadline, by the clock."""
        if deadline < self.at:
            self.at = max(deadline, self._clock() + _MIN_GAP_MS)

    def run(self, *expire: Callable[[float], float]) -> None:
        """Has each fail what has expired by now; it returns the earliest deadline that it has left."""
        now = self._clock()
        if self.at <= now:
            self.at = NEVER
            self.expect(min(sweep(now) for sweep in expire))

    def stop(self) -> None:
        self.at = NEVER
