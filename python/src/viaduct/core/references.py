"""The functions of the caller that one call refers to, at the side that calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from ..wire.errors import ViaductError
from ..wire.limits import LEASE_MS, MAX_BACKS, MAX_LEASE_MS
from ..wire.reasons import link_error
from .clock import NEVER, Clock
from .events import FunctionFailed
from .link import Link
from .method import Method
from .peer_info import PeerInfo
from .sender import Sender

_MAX_U32 = 2**32 - 1


@dataclass(slots=True, eq=False)
class OutBack:
    """We call a function of the caller: it ends with a FunctionAnswered or FunctionFailed event."""

    reference: Reference
    number: int
    context: Any = None
    """The owner's."""


class Reference:
    """One function. It can be called while its call runs and, once it is kept, for longer."""

    __slots__ = ("index", "lease_ms", "owner", "released")

    def __init__(self, owner: References, index: int) -> None:
        self.owner = owner
        self.index = index
        self.lease_ms = 0
        """For how long it is kept; 0 when it is not."""
        self.released = False

    @property
    def method(self) -> Method:
        """Of the call that it came with."""
        return self.owner.method

    def call(self, arguments: Sequence[object]) -> OutBack:
        """Calls it.

        :raises ViaductError: FAILED_PRECONDITION / LEASE_ENDED when it may be called no more, or why its call
            ended; RESOURCE_EXHAUSTED / QUEUE_FULL with MAX_BACKS under way; what cannot be sent.
        """
        return self.owner.call(self, arguments)

    def keep(self, lease_ms: float = LEASE_MS) -> None:
        """Keeps it for after the answer, for so long after each use, at most ``MAX_LEASE_MS``; of those that
        are kept then the longest lease counts.

        :raises ViaductError: as :meth:`call`.
        """
        self.owner.keep(self, lease_ms)

    def release(self) -> None:
        """The caller may forget it. With the last one that was kept the exchange ends."""
        if not self.released:
            self.released = True
            self.lease_ms = 0
            self.owner.released()


@dataclass(frozen=True)
class ReferencesHost:
    """What references need of the end that answers their call."""

    clock: Clock
    link: Link
    write: Callable[[OutBack, Sequence[object]], None]
    """Writes BACK, or raises."""
    release: Callable[[References], None]
    """Nothing is kept any more: ends the exchange."""


class References:
    """Those of one call."""

    def __init__(
        self, host: ReferencesHost, id: int, lane: int, peer: PeerInfo, method: Method, count: int
    ) -> None:
        self._host = host
        self.id = id
        self.lane = lane
        self.peer = peer
        self.method = method
        self.all = [Reference(self, index) for index in range(count)]
        self._pending: dict[int, OutBack] = {}
        self._number = 0
        self._lease_ms = 0
        """That the caller was told of."""
        self._is_answered = False
        self._is_over = False
        self._reason: ViaductError | None = None
        self.expires = NEVER
        """When the lease ends, by the clock; NEVER before the answer."""
        self.sender: Sender | None = None
        """Of the exchange, so that its RELEASE comes behind all of its END."""

    @property
    def lease_ms(self) -> int:
        """The lease that is asked for with the answer; 0 when nothing is kept."""
        return 0 if self._is_over else max(one.lease_ms for one in self.all)

    def call(self, reference: Reference, arguments: Sequence[object]) -> OutBack:
        self._check(reference)
        if len(self._pending) >= MAX_BACKS:
            raise link_error("QUEUE_FULL", f"{self.what(reference)}, {MAX_BACKS} times", "not-sent")
        back = OutBack(reference, self._number % _MAX_U32 + 1)
        self._number = back.number
        self._host.write(back, arguments)
        self._pending[back.number] = back
        self._renew()
        return back

    def _check(self, reference: Reference) -> None:
        """:raises ViaductError: why the function can be called no more."""
        if self._is_over and self._reason is not None:
            raise self._reason.with_traceback(None)
        may = not self._is_over and not reference.released
        if not may or (self._is_answered and not reference.lease_ms):
            raise link_error("LEASE_ENDED", self.what(reference), "not-sent")

    def keep(self, reference: Reference, lease_ms: float) -> None:
        self._check(reference)
        # The caller was told of the lease with the answer.
        if not self._is_answered:
            asked = ceil(lease_ms) if isfinite(lease_ms) else MAX_LEASE_MS
            reference.lease_ms = max(reference.lease_ms, min(MAX_LEASE_MS, max(1, asked)))

    def released(self) -> None:
        """One was released."""
        if self._is_answered and not self._is_over and not self.lease_ms:
            self._host.release(self)

    def answered(self) -> None:
        """The call was answered, and what is kept outlives it."""
        self._lease_ms = self.lease_ms
        self._is_answered = True
        self._renew()

    def _renew(self) -> None:
        if self._is_answered:
            self.expires = self._host.clock() + self._lease_ms

    def take(self, number: int) -> OutBack | None:
        """What is answered by this number; None when that is late."""
        back = self._pending.pop(number, None)
        if back is not None:
            self._renew()
        return back

    def end(self, reason: ViaductError | None = None) -> None:
        """Nothing can be called from here on. ``reason``: why, where call and lease have not ended."""
        if self._is_over:
            return
        self._is_over = True
        self._reason = reason
        pending, self._pending = self._pending, {}
        for back in pending.values():
            error = reason or link_error("LEASE_ENDED", self.what(back.reference), "unknown")
            self._host.link.events.append(FunctionFailed(back, error))

    def what(self, reference: Reference) -> str:
        """The function, for messages of errors."""
        return f"{self.method.name}: callbacks[{reference.index}]"
