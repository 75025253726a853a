"""The one error class, its codes and its fates (PROTOCOL.md, section 8)."""

from __future__ import annotations

from typing import Final, Literal

Fate = Literal["not-sent", "unknown"]
"""Whether the far handler may have run: ``not-sent``: it did not and will not; ``unknown``: it may have."""

CODES: Final[dict[str, int]] = {
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}
"""The closed set of codes: gRPC's, with gRPC's numbers."""


class ViaductError(Exception):
    """What every failure of this package is. Decide by ``code``, ``reason`` and ``fate``, never by the text.

    * ``code``: one of :data:`CODES`.
    * ``message``: for people.
    * ``reason``: a stable word below the code (``TARGET_UNAVAILABLE``, ``HANDLER_ERROR``, a declared
      error's name); the code itself where nothing finer is known.
    * ``path``: where in a value the fault lies, as ``input.pages[3].url``.
    * ``fate``: set on errors that a hub or a link makes, ``None`` on those that a handler raised.
    * ``data``: a declared error's data.
    * ``retry_after_ms``: milliseconds after which another attempt may succeed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str | None = None,
        path: str | None = None,
        fate: Fate | None = None,
        data: object = None,
        retry_after_ms: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason if reason is not None else code
        self.path = path
        self.fate = fate
        self.data = data
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        where = f" (at {self.path})" if self.path else ""
        return f"{self.reason}: {self.message}{where}"

    def __repr__(self) -> str:
        return f"ViaductError({self.code!r}, {self.message!r}, reason={self.reason!r}, fate={self.fate!r})"
