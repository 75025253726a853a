"""The bytes that begin each value of a body, and the bounds that come with them (PROTOCOL.md, section 6)."""

from __future__ import annotations

from struct import calcsize
from typing import Final, NamedTuple

SHORT_TEXT: Final = 0x80
"""Below this a tag is the integer itself; the ranges from here to :data:`NULL` carry a length or a number."""
SHORT_ARRAY: Final = 0xC0
SHORT_SHAPE: Final = 0xD0
NULL: Final = 0xE0
UNDEFINED: Final = 0xE1
FALSE: Final = 0xE2
TRUE: Final = 0xE3
ABSENT: Final = 0xE4
U8: Final = 0xE5
U16: Final = 0xE6
I32: Final = 0xE7
NEGATIVE: Final = 0xE8
FLOAT: Final = 0xE9
BIGINT: Final = 0xEA
NEGATIVE_BIGINT: Final = 0xEB
LATIN1: Final = 0xEC
UTF8: Final = 0xED
UTF16: Final = 0xEE
ARRAY: Final = 0xEF
SHAPE: Final = 0xF0
DEFINE: Final = 0xF1
RECORD: Final = 0xF2
DATE: Final = 0xF3
MAP: Final = 0xF4
SET: Final = 0xF5
ERROR: Final = 0xF6
BINARY: Final = 0xF7
SEGMENT: Final = 0xF8
REFERENCE: Final = 0xF9
ENVELOPE: Final = 0xFA

SHORT_TEXT_UNITS: Final = 64
"""Strings below this many Latin-1 units have a one-byte header."""
SHORT_ARRAY_ITEMS: Final = 16
"""Arrays below this many items have a one-byte header."""
SHORT_SHAPES: Final = 16
"""Shapes below this number have a one-byte header."""
MAX_SHAPE_KEYS: Final = 64
"""Objects with more keys are records: their keys are never defined as a shape."""
MAX_DEFINED_SHAPES: Final = 256
"""Shapes that one body may define."""
BIGINT_BYTES: Final = 1024
"""Longest magnitude of a bigint."""
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The greatest integer that a JavaScript number tells from its neighbours."""
MAX_DATE_MS: Final = 8_640_000_000_000_000
"""The greatest distance of a JavaScript Date from 1970, in milliseconds."""


class BinaryType(NamedTuple):
    """A binary type by its JavaScript name, with the :mod:`struct` format of its elements."""

    name: str
    format: str

    @property
    def element_bytes(self) -> int:
        return calcsize(f"<{self.format}")


BINARY_TYPES: Final = (
    BinaryType("ArrayBuffer", "B"),
    BinaryType("Uint8Array", "B"),
    BinaryType("Int8Array", "b"),
    BinaryType("Uint8ClampedArray", "B"),
    BinaryType("Int16Array", "h"),
    BinaryType("Uint16Array", "H"),
    BinaryType("Int32Array", "i"),
    BinaryType("Uint32Array", "I"),
    BinaryType("Float32Array", "f"),
    BinaryType("Float64Array", "d"),
    BinaryType("BigInt64Array", "q"),
    BinaryType("BigUint64Array", "Q"),
    BinaryType("DataView", "B"),
    BinaryType("Float16Array", "e"),
)
"""Each stands at its number on the wire."""

ARRAY_BUFFER: Final = 0
UINT8_ARRAY: Final = 1
VIEW_TYPES: Final = {type.name: number for number, type in enumerate(BINARY_TYPES) if number != ARRAY_BUFFER}
"""Numbers of the types that are views of a buffer, by name."""
