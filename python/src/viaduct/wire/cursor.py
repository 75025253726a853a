"""A place in the bytes of a body, and what is read from there without knowing what it is for."""

from __future__ import annotations

from struct import Struct
from typing import Final, NoReturn

from .errors import ViaductError

_FLOAT: Final = Struct("<d")
_LENGTH_BITS: Final = 32
_MAX_LENGTH_BYTES: Final = 5


def malformed(at: int, what: str) -> ViaductError:
    """The error for a body that is refused, at that byte."""
    return ViaductError("INVALID_ARGUMENT", f"malformed body at byte {at}: {what}", reason="MALFORMED_BODY")


class Cursor:
    """Every method moves on over what it read, and fails where the bytes end before it."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.end = len(data)

    def fail(self, what: str) -> NoReturn:
        """:raises ViaductError: INVALID_ARGUMENT / MALFORMED_BODY"""
        raise malformed(self.at, what)

    def take(self, count: int) -> bytes:
        start = self.at
        stop = start + count
        if stop > self.end:
            self.fail("it ends too early")
        self.at = stop
        return self.data[start:stop]

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self, count: int, signed: bool) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def float64(self) -> float:
        (value,) = _FLOAT.unpack(self.take(8))
        return float(value)

    def length(self) -> int:
        value = 0
        for place in range(_MAX_LENGTH_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if value >> _LENGTH_BITS:
                    break
                return value
        self.fail(f"a length is over {_LENGTH_BITS} bits")
