"""Unsigned LEB128, in which every length of a body is written."""

from __future__ import annotations

from typing import Final

_SHORT: Final = tuple(bytes((value,)) for value in range(0x80))


def varint(value: int) -> bytes:
    """The bytes of a length, which is not negative."""
    if value < 0x80:
        return _SHORT[value]
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
