"""Values to bytes (PROTOCOL.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from math import copysign, isnan
from struct import Struct
from typing import Any, Final

from . import tags
from .dictionary import Dictionary
from .keyed import Map, Set
from .limits import MAX_DEPTH, MAX_REFERENCES, SEGMENT_BYTES, TRUSTED_MAX_KEYS
from .refusal import Unsendable, error_fields, is_same_function
from .shapes import Layout, key_values, shape_reference
from .text import text_value
from .times import milliseconds
from .values import ArrayBuffer, BigInt, Binary, Date, Envelope, ErrorValue, TypedArray, Undefined
from .varint import varint

_U16: Final = Struct("<BH")
_I32: Final = Struct("<Bi")
_FLOAT: Final = Struct("<Bd")
_NAN: Final = bytes.fromhex("000000000000f87f")

Function = Callable[..., object]
"""What a call lends to its callee: any callable."""


class Encoder:
    """Writes one body. A method for each type; ``depth`` counts the containers around the value."""

    __slots__ = ("_defined", "_dictionary", "_entries", "_functions", "out", "segments")

    def __init__(self, dictionary: Dictionary, functions: list[Function] | None = None) -> None:
        """``functions`` collects those that are met; None: they are refused."""
        self._functions = functions
        self.out = bytearray()
        self.segments: list[bytes | memoryview] = []
        self._dictionary = dictionary
        self._defined: dict[bytes, bytes] = {}
        self._entries = 0

    def write(self, value: object, depth: int) -> None:
        _ENCODERS[type(value)](self, value, depth)

    def write_none(self, _value: None, _depth: int) -> None:
        self.out.append(tags.NULL)

    def write_undefined(self, _value: Undefined, _depth: int) -> None:
        self.out.append(tags.UNDEFINED)

    def write_boolean(self, value: bool, _depth: int) -> None:
        self.out.append(tags.TRUE if value else tags.FALSE)

    def write_integer(self, value: int, _depth: int) -> None:
        if 0 <= value < 0x80:
            self.out.append(value)
        elif 0 <= value < 0x100:
            self.out += bytes((tags.U8, value))
        elif 0 <= value < 0x10000:
            self.out += _U16.pack(tags.U16, value)
        elif -0x100 <= value < 0:
            self.out += bytes((tags.NEGATIVE, ~value))
        elif -0x8000_0000 <= value < 0x8000_0000:
            self.out += _I32.pack(tags.I32, value)
        elif abs(value) <= tags.MAX_SAFE_INTEGER:
            self.out += _FLOAT.pack(tags.FLOAT, value)
        else:
            raise Unsendable

    def write_number(self, value: float, depth: int) -> None:
        if value.is_integer() and -0x8000_0000 <= value < 0x8000_0000 and not _is_negative_zero(value):
            self.write_integer(int(value), depth)
        elif isnan(value):
            self.out.append(tags.FLOAT)
            self.out += _NAN
        else:
            self.out += _FLOAT.pack(tags.FLOAT, value)

    def write_bigint(self, value: BigInt, _depth: int) -> None:
        size = (value.bit_length() + 7) // 8
        if size > tags.BIGINT_BYTES:
            raise Unsendable
        self.out.append(tags.BIGINT if value >= 0 else tags.NEGATIVE_BIGINT)
        self.out += varint(size)
        self.out += abs(value).to_bytes(size, "little")

    def write_text(self, value: str, _depth: int) -> None:
        self.out += text_value(value)

    def write_moment(self, value: datetime, _depth: int) -> None:
        self.out += _FLOAT.pack(tags.DATE, milliseconds(value))

    def write_date(self, value: Date, _depth: int) -> None:
        if value.ms is None:
            self.out.append(tags.DATE)
            self.out += _NAN
        else:
            self.out += _FLOAT.pack(tags.DATE, value.ms)

    def write_array(self, items: Sequence[object], depth: int) -> None:
        count = self._enter(items, depth)
        if count < tags.SHORT_ARRAY_ITEMS:
            self.out.append(tags.SHORT_ARRAY | count)
        else:
            self._head(tags.ARRAY, count)
        self._items(items, depth + 1)

    def write_set_items(self, items: Collection[object], depth: int) -> None:
        self._head(tags.SET, self._enter(items, depth))
        self._items(items, depth + 1)

    def write_entries(self, entries: Map[object, object], depth: int) -> None:
        self._head(tags.MAP, self._enter(entries, depth))
        for entry in entries.items():
            self._items(entry, depth + 1)

    def write_fields(self, fields: dict[str, object], depth: int) -> None:
        count = self._enter(fields, depth)
        layout = self._dictionary.layouts.find(tuple(fields)) if count <= tags.MAX_SHAPE_KEYS else None
        if layout is None or not self._refer(layout):
            self._record(fields, depth)
        elif layout.gaps is None:
            self._items(fields.values(), depth + 1)
        else:
            for gap, value in zip(layout.gaps, fields.values(), strict=False):
                self.out += gap
                self.write(value, depth + 1)
            self.out += layout.gaps[-1]

    def write_error(self, error: ErrorValue, depth: int) -> None:
        if type(error.name) is not str or type(error.message) is not str:
            raise Unsendable
        self.out.append(tags.ERROR)
        self.write_fields(error_fields(error), depth)

    def write_uint8_array(self, data: Binary, _depth: int) -> None:
        self._binary(tags.UINT8_ARRAY, data)

    def write_array_buffer(self, buffer: ArrayBuffer, _depth: int) -> None:
        self._binary(tags.ARRAY_BUFFER, buffer.data)

    def write_typed_array(self, array: TypedArray, _depth: int) -> None:
        self._binary(tags.VIEW_TYPES[array.kind], array.data)

    def write_other(self, value: object, _depth: int) -> None:
        """A callable becomes a reference, where there are such; the same one gets the same number."""
        functions = self._functions
        if functions is None or not callable(value):
            raise Unsendable
        same = (at for at, one in enumerate(functions) if is_same_function(one, value))
        number = next(same, len(functions))
        if number == len(functions):
            if number == MAX_REFERENCES:
                raise Unsendable
            functions.append(value)
        self._head(tags.REFERENCE, number)

    def write_envelope(self, envelope: Envelope, _depth: int) -> None:
        self.out += bytes((tags.ENVELOPE, envelope.codec))
        self._binary(tags.UINT8_ARRAY, envelope.data)

    def _enter(self, content: Collection[object], depth: int) -> int:
        """Checks what a container costs, and counts what it holds."""
        count = len(content)
        self._entries += count
        if depth >= MAX_DEPTH or self._entries > TRUSTED_MAX_KEYS:
            raise Unsendable
        return count

    def _head(self, tag: int, count: int) -> None:
        self.out.append(tag)
        self.out += varint(count)

    def _items(self, items: Iterable[object], depth: int) -> None:
        for item in items:
            _ENCODERS[type(item)](self, item, depth)

    def _refer(self, layout: Layout) -> bool:
        """Writes what stands before an object's values; False when the body may define no more shapes."""
        reference = layout.reference or self._defined.get(layout.definition)
        if reference is None:
            number = len(self._defined)
            if number >= tags.MAX_DEFINED_SHAPES:
                return False
            self._defined[layout.definition] = shape_reference(len(self._dictionary.shapes) + number)
            reference = layout.definition
        self.out += reference
        return True

    def _record(self, fields: dict[str, object], depth: int) -> None:
        self._head(tags.RECORD, len(fields))
        for key, value in zip(key_values(fields), fields.values(), strict=True):
            self.out += key
            self.write(value, depth + 1)

    def _binary(self, number: int, data: Binary) -> None:
        view = memoryview(data)
        if view.nbytes >= SEGMENT_BYTES:
            self.out += bytes((tags.SEGMENT, number))
            self.segments.append(view.cast("B") if view.c_contiguous else view.tobytes())
        else:
            self.out += bytes((tags.BINARY, number))
            self.out += varint(view.nbytes)
            self.out += view.tobytes()


def _is_negative_zero(value: float) -> bool:
    return value == 0 and copysign(1.0, value) < 0


class _Encoders(dict[type, Callable[[Encoder, Any, int], None]]):
    """By exact type: what a subclass adds would be lost without a word."""

    def __missing__(self, kind: type) -> Callable[[Encoder, Any, int], None]:
        return Encoder.write_other


_ENCODERS: Final = _Encoders(
    {
        type(None): Encoder.write_none,
        Undefined: Encoder.write_undefined,
        bool: Encoder.write_boolean,
        int: Encoder.write_integer,
        float: Encoder.write_number,
        BigInt: Encoder.write_bigint,
        str: Encoder.write_text,
        datetime: Encoder.write_moment,
        Date: Encoder.write_date,
        list: Encoder.write_array,
        tuple: Encoder.write_array,
        dict: Encoder.write_fields,
        Map: Encoder.write_entries,
        Set: Encoder.write_set_items,
        set: Encoder.write_set_items,
        frozenset: Encoder.write_set_items,
        ErrorValue: Encoder.write_error,
        bytes: Encoder.write_uint8_array,
        bytearray: Encoder.write_uint8_array,
        memoryview: Encoder.write_uint8_array,
        ArrayBuffer: Encoder.write_array_buffer,
        TypedArray: Encoder.write_typed_array,
        Envelope: Encoder.write_envelope,
    }
)
