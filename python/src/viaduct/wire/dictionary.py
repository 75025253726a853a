"""The words that both sides of a method already have: the shapes of its objects.

They are derived from the method's JSON Schemas, so neither side keeps state for the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from .json_text import Json
from .schema_shapes import shapes_of_schema
from .shapes import Layouts, Shape, check_shape


class Dictionary:
    """A dictionary of shapes (ordered key lists), numbered as they come.

    :raises ValueError: a shape has a key twice, or over ``MAX_SHAPE_KEYS`` of them
    """

    __slots__ = ("layouts", "shapes")

    def __init__(self, shapes: Iterable[Iterable[str]] = ()) -> None:
        self.shapes: tuple[Shape, ...] = tuple(tuple(shape) for shape in shapes)
        for shape in self.shapes:
            check_shape(shape)
        self.layouts = Layouts(self.shapes)

    @classmethod
    def of_schema(cls, schema: Json) -> Dictionary:
        """The dictionary of what a JSON Schema describes; without shapes where it is ``None``."""
        return cls(shapes_of_schema(schema))
