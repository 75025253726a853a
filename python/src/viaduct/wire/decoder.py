"""Bytes to values (PROTOCOL.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from . import tags
from .keyed import Map, Set
from .scalar_decoder import ScalarDecoder
from .shapes import Shape
from .values import ArrayBuffer, Binary, Envelope, ErrorValue, TypedArray

_MAX_KNOWN_SHAPES: Final = 256
_MAX_KNOWN_SHAPE_BYTES: Final = 512
_known_shapes: dict[bytes, Shape] = {}
"""Shapes by the bytes that define them: bodies of one kind define the same ones."""


class Decoder(ScalarDecoder):
    """Reads one body. A method for each tag; ``depth`` counts the containers around the value.

    Where the bytes end in front of a tag, an IndexError says so.
    """

    __slots__ = ("_functions", "_keys_left", "_known", "_max_depth", "_segments", "_shapes", "_used")

    def __init__(
        self,
        data: bytes,
        segments: Sequence[Binary],
        shapes: Sequence[Shape],
        bounds: tuple[int, int],
        functions: Sequence[object],
    ) -> None:
        """``bounds``: the deepest nesting, and the most keys."""
        super().__init__(data)
        self._segments = segments
        self._used = 0
        self._shapes = list(shapes)
        self._known = len(shapes)
        self._max_depth, self._keys_left = bounds
        self._functions = functions

    def finish(self) -> None:
        if self.at != self.end:
            self.fail("bytes are left over")
        if self._used != len(self._segments):
            self.fail("segments are left over")

    def read(self, depth: int) -> object:
        tag = self.data[self.at]
        self.at += 1
        return tag if tag < tags.SHORT_TEXT else _DECODERS[tag](self, tag, depth)

    def unknown(self, tag: int, _depth: int) -> object:
        self.at -= 1
        self.fail("only a key of a shape may be absent" if tag == tags.ABSENT else f"unknown tag {tag:#x}")

    def short_array(self, tag: int, depth: int) -> list[object]:
        return self._items(tag - tags.SHORT_ARRAY, depth)

    def array(self, _tag: int, depth: int) -> list[object]:
        return self._items(self.length(), depth)

    def _items(self, count: int, depth: int) -> list[object]:
        self._enter(count, 1, depth)
        return [self.read(depth + 1) for _ in range(count)]

    def short_shape(self, tag: int, depth: int) -> dict[str, object]:
        return self._shaped(tag - tags.SHORT_SHAPE, depth)

    def shape(self, _tag: int, depth: int) -> dict[str, object]:
        return self._shaped(self.length(), depth)

    def _shaped(self, number: int, depth: int) -> dict[str, object]:
        if number >= len(self._shapes):
            self.fail(f"shape {number} is not known")
        return self._object(self._shapes[number], depth)

    def define(self, _tag: int, depth: int) -> dict[str, object]:
        if len(self._shapes) - self._known >= tags.MAX_DEFINED_SHAPES:
            self.fail("it defines too many shapes")
        shape = self._definition()
        self._shapes.append(shape)
        return self._object(shape, depth)

    def _definition(self) -> Shape:
        count = self.length()
        size = self.length()
        if count > tags.MAX_SHAPE_KEYS:
            self.fail("a shape has too many keys")
        start = self.at
        content = self.take(size)
        known = _known_shapes.get(content)
        if known is not None and len(known) == count:
            return known
        self.at = start
        shape = tuple([self._key() for _ in range(count)])
        if self.at - start != size:
            self.fail("the keys of a shape have another length than it says")
        if len(set(shape)) != count:
            self.fail("a shape has a key twice")
        _remember(content, shape)
        return shape

    def _key(self) -> str:
        key = self.read(self._max_depth)
        if not isinstance(key, str):
            self.fail("a key is not a string")
        return key

    def _object(self, shape: Shape, depth: int) -> dict[str, object]:
        self._enter(len(shape), 1, depth)
        data = self.data
        fields: dict[str, object] = {}
        for key in shape:
            tag = data[self.at]
            self.at += 1
            if tag < tags.SHORT_TEXT:
                fields[key] = tag
            elif tag != tags.ABSENT:
                fields[key] = _DECODERS[tag](self, tag, depth + 1)
        return fields

    def record(self, _tag: int, depth: int) -> dict[str, object]:
        count = self.length()
        self._enter(count, 2, depth)
        fields: dict[str, object] = {}
        for _ in range(count):
            key = self._key()
            fields[key] = self.read(depth + 1)
        if len(fields) != count:
            self.fail("an object has a key twice")
        return fields

    def map(self, _tag: int, depth: int) -> Map[object, object]:
        count = self.length()
        self._enter(count, 2, depth)
        entries: Map[object, object] = Map()
        for _ in range(count):
            key = _own(self.read(depth + 1), entries)
            entries[key] = self.read(depth + 1)
        if len(entries) != count:
            self.fail("a map has a key twice")
        return entries

    def set(self, _tag: int, depth: int) -> Set[object]:
        count = self.length()
        self._enter(count, 1, depth)
        items: Set[object] = Set()
        for _ in range(count):
            items.add(_own(self.read(depth + 1), items))
        if len(items) != count:
            self.fail("a set has an item twice")
        return items

    def error(self, _tag: int, depth: int) -> ErrorValue:
        tag = self.byte()
        read = _OBJECT_DECODERS.get(tag)
        if read is None:
            self.fail("an error is not followed by an object")
        fields = read(self, tag, depth)
        name, message = fields.pop("name", None), fields.pop("message", None)
        if not isinstance(name, str) or not isinstance(message, str):
            self.fail("an error lacks its name or message")
        fields.pop("stack", None)
        return ErrorValue(name, message, fields)

    def inline(self, _tag: int, _depth: int) -> object:
        number = self._binary_type()
        return self._view(number, self.take(self.length()))

    def lifted(self, _tag: int, _depth: int) -> object:
        number = self._binary_type()
        if self._used >= len(self._segments):
            self.fail("a segment is missing")
        self._used += 1
        return self._view(number, self._segments[self._used - 1])

    def reference(self, _tag: int, _depth: int) -> object:
        number = self.length()
        if number >= len(self._functions):
            self.fail("a function is not among the references")
        return self._functions[number]

    def envelope(self, _tag: int, depth: int) -> Envelope:
        codec = self.byte()
        tag = self.byte()
        read = {tags.BINARY: Decoder.inline, tags.SEGMENT: Decoder.lifted}.get(tag)
        data = read(self, tag, depth) if read is not None else None
        if not isinstance(data, bytes):
            self.fail("an envelope holds no bytes")
        return Envelope(codec, data)

    def _binary_type(self) -> int:
        number = self.byte()
        if number >= len(tags.BINARY_TYPES):
            self.fail(f"unknown type of binary {number}")
        return number

    def _view(self, number: int, data: Binary) -> object:
        if number == tags.UINT8_ARRAY:
            return bytes(data)
        if number == tags.ARRAY_BUFFER:
            return ArrayBuffer(data)
        kind = tags.BINARY_TYPES[number]
        if memoryview(data).nbytes % kind.element_bytes != 0:
            self.fail("a binary has half an element")
        return TypedArray(kind.name, data)

    def _enter(self, count: int, least: int, depth: int) -> None:
        """Checks what a container of ``count`` entries, of ``least`` bytes each or more, may cost."""
        if depth >= self._max_depth:
            self.fail(f"it is nested deeper than {self._max_depth}")
        if count > self._keys_left:
            self.fail("it has too many keys and items")
        if count * least > self.end - self.at:
            self.fail("it ends too early")
        self._keys_left -= count


def _own(key: object, others: Container[object]) -> object:
    """The key as an object of its own: in Python short bytes of equal content are one and the same."""
    return bytearray(key) if isinstance(key, bytes) and key in others else key


def _remember(content: bytes, shape: Shape) -> None:
    if len(content) > _MAX_KNOWN_SHAPE_BYTES:
        return
    if len(_known_shapes) >= _MAX_KNOWN_SHAPES:
        _known_shapes.clear()
    _known_shapes[content] = shape


_OBJECT_DECODERS: Final[dict[int, Callable[[Decoder, int, int], dict[str, object]]]] = {
    **dict.fromkeys(range(tags.SHORT_SHAPE, tags.NULL), Decoder.short_shape),
    tags.SHAPE: Decoder.shape,
    tags.DEFINE: Decoder.define,
    tags.RECORD: Decoder.record,
}

_BY_TAG: Final[dict[int, Callable[[Decoder, int, int], object]]] = {
    **dict.fromkeys(range(tags.SHORT_TEXT), Decoder.small_integer),
    **dict.fromkeys(range(tags.SHORT_TEXT, tags.SHORT_ARRAY), Decoder.short_text),
    **dict.fromkeys(range(tags.SHORT_ARRAY, tags.SHORT_SHAPE), Decoder.short_array),
    **_OBJECT_DECODERS,
    tags.NULL: Decoder.none,
    tags.UNDEFINED: Decoder.undefined,
    tags.FALSE: Decoder.boolean,
    tags.TRUE: Decoder.boolean,
    tags.U8: Decoder.u8,
    tags.U16: Decoder.u16,
    tags.I32: Decoder.i32,
    tags.NEGATIVE: Decoder.negative,
    tags.FLOAT: Decoder.number,
    tags.BIGINT: Decoder.bigint,
    tags.NEGATIVE_BIGINT: Decoder.bigint,
    tags.LATIN1: Decoder.latin1,
    tags.UTF8: Decoder.utf8,
    tags.UTF16: Decoder.utf16,
    tags.ARRAY: Decoder.array,
    tags.DATE: Decoder.date,
    tags.MAP: Decoder.map,
    tags.SET: Decoder.set,
    tags.ERROR: Decoder.error,
    tags.BINARY: Decoder.inline,
    tags.SEGMENT: Decoder.lifted,
    tags.REFERENCE: Decoder.reference,
    tags.ENVELOPE: Decoder.envelope,
}
_DECODERS: Final = tuple(_BY_TAG.get(tag, Decoder.unknown) for tag in range(0x100))
