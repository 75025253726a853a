"""How objects are written: their key lists found among a dictionary's shapes, or defined in the body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from .refusal import Unsendable
from .tags import ABSENT, DEFINE, MAX_SHAPE_KEYS, SHAPE, SHORT_SHAPE, SHORT_SHAPES
from .text import text_value
from .varint import varint

Shape = tuple[str, ...]
"""The keys of an object, in order."""

_MAX_LAYOUTS: Final = 4096
"""Key lists whose layouts are remembered from body to body."""


class Layout:
    """How objects with exactly these keys are written.

    * ``reference``: the bytes before the values, where the dictionary has the shape.
    * ``gaps``: for each value the bytes of absent keys before it, and at last those behind all; ``None``
      when no key is absent.
    * ``definition``: what defines the shape in a body, tag included, where the dictionary has none.
    """

    __slots__ = ("definition", "gaps", "reference")

    def __init__(self, reference: bytes | None, gaps: tuple[bytes, ...] | None, definition: bytes) -> None:
        self.reference = reference
        self.gaps = gaps
        self.definition = definition


class Layouts:
    """Finds layouts. What it remembers makes it faster and changes no byte."""

    __slots__ = ("_known", "_shapes")

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._shapes = shapes
        self._known: dict[Shape, Layout] = {}

    def find(self, keys: Shape) -> Layout:
        """The layout of an object with these keys, at most ``MAX_SHAPE_KEYS`` of them.

        :raises Unsendable: a key is no string, or stands there twice
        """
        layout = self._known.get(keys)
        if layout is None:
            layout = self._make(keys)
            if len(self._known) >= _MAX_LAYOUTS:
                self._known.clear()
            self._known[keys] = layout
        return layout

    def _make(self, keys: Shape) -> Layout:
        parts = key_values(keys)
        held = [(shape, number) for number, shape in enumerate(self._shapes) if _holds(shape, keys)]
        if held:
            shape, number = min(held, key=lambda candidate: len(candidate[0]))
            gaps = None if len(shape) == len(keys) else _gaps(shape, keys)
            return Layout(shape_reference(number), gaps, b"")
        content = b"".join(parts)
        head = bytes((DEFINE,)) + varint(len(keys)) + varint(len(content))
        return Layout(None, None, head + content)


def key_values(keys: Iterable[object]) -> list[bytes]:
    """The keys of one object as values of a body.

    :raises Unsendable: a key is no string, or stands there twice
    """
    parts = [_key_value(key) for key in keys]
    if len(set(parts)) != len(parts):
        raise Unsendable
    return parts


def _key_value(key: object) -> bytes:
    if not isinstance(key, str):
        raise Unsendable
    return text_value(key)


def check_shape(keys: Shape) -> None:
    """:raises ValueError: these cannot be the keys of a shape"""
    if len(keys) > MAX_SHAPE_KEYS:
        raise ValueError(f"a shape has over {MAX_SHAPE_KEYS} keys")
    if len(set(keys)) != len(keys):
        raise ValueError(f"a shape has a key twice: {', '.join(keys)}")


def shape_reference(number: int) -> bytes:
    """The bytes before the values of an object of that shape."""
    if number < SHORT_SHAPES:
        return bytes((SHORT_SHAPE | number,))
    return bytes((SHAPE,)) + varint(number)


def _holds(shape: Shape, keys: Shape) -> bool:
    """Whether the shape has the keys in order, perhaps with others between."""
    rest = iter(shape)
    return all(key in rest for key in keys)


def _gaps(shape: Shape, keys: Shape) -> tuple[bytes, ...]:
    places = [-1, *(shape.index(key) for key in keys), len(shape)]
    return tuple(bytes((ABSENT,)) * (place - last - 1) for last, place in pairwise(places))
