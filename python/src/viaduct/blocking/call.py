"""What a handler on a pumping thread is told of the call that it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import aio
from ..core.peer_info import PeerInfo
from ..wire.errors import ViaductError
from .loop_thread import LoopThread
from .reading import read_next


class Call:
    """As :class:`viaduct.Call`, for a handler that is no coroutine."""

    def __init__(self, thread: LoopThread, call: aio.Call) -> None:
        self._thread = thread
        self._call = call

    @property
    def peer(self) -> PeerInfo:
        """Who calls, as the hub says."""
        return self._call.peer

    @property
    def method(self) -> str:
        """The full name of the method."""
        return self._call.method

    @property
    def deadline(self) -> float:
        """By ``time.monotonic()``, in seconds, when the caller gives up; infinite without a deadline."""
        return self._call.deadline

    @property
    def time_left(self) -> float:
        """Seconds; infinite without a deadline."""
        return self._call.time_left

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the answer any more: a long handler looks from time to time."""
        return self._call.cancelled.is_set()

    @property
    def upload(self) -> Iterator[Any]:
        """The caller's items; none where it sends none."""
        while True:
            try:
                value = read_next(self._thread.run, self._call.upload)
            except StopIteration:
                return
            yield value

    def progress(self, value: object) -> None:
        """Reports progress to the caller."""
        self._call.progress(value)

    def error(
        self,
        name: str,
        data: object = None,
        *,
        code: str = "FAILED_PRECONDITION",
        message: str | None = None,
    ) -> ViaductError:
        """An error that the method declares, to be raised: its name, and data for the caller."""
        return self._call.error(name, data, code=code, message=message)
