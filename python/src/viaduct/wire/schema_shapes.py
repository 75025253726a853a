"""The shapes of a JSON Schema (PROTOCOL.md, sections 6 and 10).

One fingerprint gives one dictionary: what is derived depends on the schema's canonical form alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from .json_text import Json
from .shapes import Shape
from .tags import MAX_SHAPE_KEYS
from .text import utf16_order

_NESTED: Final = (
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "contains",
    "else",
    "items",
    "oneOf",
    "prefixItems",
    "then",
    "unevaluatedProperties",
)
"""Keywords behind which a schema stands, or a list of them."""
_NAMED: Final = ("dependentSchemas", "patternProperties", "properties")
"""Keywords behind which schemas stand by name."""
_MAX_SCHEMAS: Final = 10_000
_MAX_SCHEMA_DEPTH: Final = 64
_MAX_SHAPES: Final = 256
_MAX_PARTS: Final = 64

_INTEGER_LIKE: Final = re.compile("0|[1-9][0-9]{0,9}")
_MAX_INTEGER_LIKE: Final = 2**32 - 2

_Schema = Mapping[str, Json]


def shapes_of_schema(schema: Json) -> list[Shape]:
    """The property names of every object that a value of the schema may hold, without repetitions.

    Names stand in this order: the required ones as ``required`` has them, then the optional ones sorted; as
    members of a JavaScript object, so that integer-like names come first. The outer shapes come before the
    inner; of one schema, keywords and names go in alphabetical order and lists in theirs. The parts of an
    ``allOf`` give a shape each and one together. Local references are followed, once each. What is over 256
    shapes, 64 keys, 64 levels or 10,000 schemas is left out.
    """
    collector = _Collector(schema)
    collector.visit(schema, 0)
    return list(collector.shapes)


class _Collector:
    def __init__(self, root: Json) -> None:
        self.shapes: dict[Shape, None] = {}
        self._root = root
        self._visited: set[int] = set()

    def visit(self, schema: Json, depth: int) -> None:
        if _is_list(schema):
            for each in schema:
                self.visit(each, depth)
        if not isinstance(schema, Mapping) or id(schema) in self._visited:
            return
        if depth > _MAX_SCHEMA_DEPTH or len(self._visited) >= _MAX_SCHEMAS:
            return
        self._visited.add(id(schema))
        self._add(self._properties(schema))
        self.visit(self._target(schema), depth + 1)
        for keyword in _NESTED:
            self.visit(schema.get(keyword), depth + 1)
        for keyword in _NAMED:
            named = schema.get(keyword)
            if isinstance(named, Mapping):
                for name in sorted(named, key=utf16_order):
                    self.visit(named[name], depth + 1)

    def _add(self, shape: Shape) -> None:
        if 0 < len(shape) <= MAX_SHAPE_KEYS and len(self.shapes) < _MAX_SHAPES:
            self.shapes[shape] = None

    def _properties(self, schema: _Schema) -> Shape:
        """Names of the schema's own properties and, behind them, those of the parts of its ``allOf``."""
        names: dict[str, None] = {}
        parts = [schema]  # Grows while it is gone through.
        for part in parts:
            names.update(dict.fromkeys(_ordered_properties(part)))
            for each in self._parts(part, with_target=part is not schema):
                if isinstance(each, Mapping) and len(parts) < _MAX_PARTS and not _is_among(each, parts):
                    parts.append(each)
        return tuple(names)

    def _parts(self, schema: _Schema, with_target: bool) -> Iterator[Json]:
        if with_target:
            yield self._target(schema)
        more = schema.get("allOf")
        if _is_list(more):
            yield from more

    def _target(self, schema: _Schema) -> Json:
        """What a ``$ref`` into this document points to, else None."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        place = self._root
        for part in reference.split("/")[1:]:
            if _is_list(place):
                place = _element(place, part)
            elif isinstance(place, Mapping):
                place = place.get(part.replace("~1", "/").replace("~0", "~"))
            else:
                return None
        return place


def _ordered_properties(schema: _Schema) -> list[str]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return []
    required = schema.get("required")
    first = [name for name in required if isinstance(name, str)] if _is_list(required) else []
    names = dict.fromkeys((*first, *sorted(properties, key=utf16_order)))
    return _in_member_order(name for name in names if name in properties)


def _in_member_order(names: Iterable[str]) -> list[str]:
    """The names in the order in which a JavaScript object lists members that were added in this one."""
    return sorted(names, key=lambda name: int(name) if _is_integer_like(name) else _MAX_INTEGER_LIKE + 1)


def _is_integer_like(name: str) -> bool:
    return _INTEGER_LIKE.fullmatch(name) is not None and int(name) <= _MAX_INTEGER_LIKE


def _is_among(schema: _Schema, others: Sequence[_Schema]) -> bool:
    return any(schema is other for other in others)


def _element(items: Sequence[Json], index: str) -> Json:
    return items[int(index)] if _is_integer_like(index) and int(index) < len(items) else None


def _is_list(value: Json) -> TypeGuard[Sequence[Json]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
