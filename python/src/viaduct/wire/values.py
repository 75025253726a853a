"""What JavaScript has and Python lacks, as values that go there and come back bit by bit.

Maps and Sets are in :mod:`viaduct.wire.keyed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from struct import Struct
from typing import Final, Literal

from .tags import BINARY_TYPES, MAX_DATE_MS, VIEW_TYPES

Binary = bytes | bytearray | memoryview
"""What counts as bytes. What a memoryview shows is taken as bytes, whatever its format."""


class Undefined(Enum):
    """The type of :data:`UNDEFINED`."""

    UNDEFINED = "undefined"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"

    __str__ = __repr__


UNDEFINED: Final = Undefined.UNDEFINED
"""JavaScript's ``undefined``, which is not ``None``: that is ``null``."""


class BigInt(int):
    """A bigint. Arithmetic gives a plain ``int``, which travels as a number."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"BigInt({int(self)})"


@dataclass(frozen=True, slots=True)
class Date:
    """A Date that ``datetime`` cannot be: outside of the years 1 to 9999, or invalid.

    ``ms``: whole milliseconds since 1970 in UTC, at most 8.64e15 from it; ``None`` for the invalid Date.
    """

    ms: int | None

    def __post_init__(self) -> None:
        if self.ms is not None and abs(self.ms) > MAX_DATE_MS:
            raise ValueError(f"a Date is at most {MAX_DATE_MS} ms from 1970")


@dataclass(frozen=True, slots=True)
class ErrorValue:
    """An Error as a value.

    ``fields``: what it says besides name and message, by key: ``cause``, ``errors`` (of an AggregateError)
    and data of its own, such as ``code``. It has no stack: that is not sent, and dropped when one comes.
    """

    name: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class ArrayBuffer:
    """Bytes that are an ArrayBuffer in JavaScript; plain ``bytes`` are a Uint8Array."""

    data: Binary


@dataclass(frozen=True, slots=True)
class TypedArray:
    """A typed array or a DataView.

    ``kind``: its class in JavaScript, as ``Float64Array``. ``data``: its bytes, little-endian. Raises
    ``ValueError`` when there is no such class or ``data`` ends within an element.
    """

    kind: str
    data: Binary

    def __post_init__(self) -> None:
        if memoryview(self.data).nbytes % _elements(self.kind, 1).size != 0:
            raise ValueError(f"the data of a {self.kind} ends within an element")

    @classmethod
    def of(cls, kind: str, elements: Iterable[float]) -> TypedArray:
        """A typed array of these elements. Raises ``struct.error`` for one that the class cannot hold."""
        numbers = tuple(elements)
        return cls(kind, _elements(kind, len(numbers)).pack(*numbers))

    def tolist(self) -> list[int] | list[float]:
        """The elements; those of a DataView are its bytes."""
        count = memoryview(self.data).nbytes // _elements(self.kind, 1).size
        return list(_elements(self.kind, count).unpack(self.data))


@dataclass(frozen=True, slots=True)
class Envelope:
    """A value that is compressed, signed or sealed.

    ``codec``: which of them, as bits. ``data``: what only the two ends can read.
    """

    codec: int
    data: Binary


def _elements(kind: str, count: int) -> Struct:
    number = VIEW_TYPES.get(kind)
    if number is None:
        raise ValueError(f"there is no typed array of the class {kind}")
    return Struct(f"<{count}{BINARY_TYPES[number].format}")
