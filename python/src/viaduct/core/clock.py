"""Time, given to the core as an argument so that a test's virtual clock can stand in."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Final

Clock = Callable[[], float]
"""Monotonic milliseconds."""

NEVER: Final = inf


def system_clock() -> float:
    return time.monotonic() * 1000
