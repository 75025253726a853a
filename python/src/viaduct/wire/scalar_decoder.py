"""Reads the values of a body that hold no others: numbers, strings and moments."""

from __future__ import annotations

from datetime import datetime
from math import copysign

from . import tags
from .cursor import Cursor
from .text import from_utf16_units
from .times import moment_at
from .values import UNDEFINED, BigInt, Date, Undefined


class ScalarDecoder(Cursor):
    """A method for each tag, which has just been read; nothing here looks at ``depth``."""

    __slots__ = ()

    def small_integer(self, tag: int, _depth: int) -> int:
        return tag

    def none(self, _tag: int, _depth: int) -> None:
        return None

    def undefined(self, _tag: int, _depth: int) -> Undefined:
        return UNDEFINED

    def boolean(self, tag: int, _depth: int) -> bool:
        return tag == tags.TRUE

    def u8(self, _tag: int, _depth: int) -> int:
        return self.byte()

    def u16(self, _tag: int, _depth: int) -> int:
        return self.integer(2, signed=False)

    def i32(self, _tag: int, _depth: int) -> int:
        return self.integer(4, signed=True)

    def negative(self, _tag: int, _depth: int) -> int:
        return ~self.byte()

    def number(self, _tag: int, _depth: int) -> int | float:
        value = self.float64()
        if not value.is_integer() or abs(value) > tags.MAX_SAFE_INTEGER:
            return value
        return value if value == 0 and copysign(1.0, value) < 0 else int(value)

    def bigint(self, tag: int, _depth: int) -> BigInt:
        count = self.length()
        if count > tags.BIGINT_BYTES:
            self.fail("a bigint is too long")
        magnitude = self.integer(count, signed=False)
        return BigInt(magnitude if tag == tags.BIGINT else -magnitude)

    def short_text(self, tag: int, _depth: int) -> str:
        return str(self.take(tag - tags.SHORT_TEXT), "latin-1")

    def latin1(self, _tag: int, _depth: int) -> str:
        return str(self.take(self.length()), "latin-1")

    def utf8(self, _tag: int, _depth: int) -> str:
        try:
            return str(self.take(self.length()), "utf-8")
        except UnicodeDecodeError:
            self.fail("a string is not UTF-8")

    def utf16(self, _tag: int, _depth: int) -> str:
        units = self.take(self.length())
        if len(units) % 2 != 0:
            self.fail("a UTF-16 string has half a unit")
        return from_utf16_units(units)

    def date(self, _tag: int, _depth: int) -> datetime | Date:
        return moment_at(self.float64())
