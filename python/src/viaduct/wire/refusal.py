"""Finds out why a value could not be sent, and where.

The encoder only notices that it cannot; this goes over the value again, so that paths cost nothing as long
as all is well.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from .errors import ViaductError
from .json_text import string_text
from .keyed import Map, Set
from .limits import MAX_DEPTH, MAX_REFERENCES
from .tags import BIGINT_BYTES, MAX_SAFE_INTEGER
from .text import with_pairs_joined
from .values import ArrayBuffer, BigInt, Date, Envelope, ErrorValue, TypedArray, Undefined

_FUNCTIONS: Final = (FunctionType, BuiltinFunctionType, MethodType)
_ALWAYS_SENDABLE: Final = frozenset(
    (type(None), Undefined, bool, float, str, Date)
    + (bytes, bytearray, memoryview, ArrayBuffer, TypedArray, Envelope)
)


class Unsendable(Exception):
    """Raised inside the encoder, where neither path nor cause is known."""


class _Fault(NamedTuple):
    path: str
    what: str


def refusal(value: object, lends: bool = False) -> ViaductError:
    """The error for a value that the encoder gave up on. ``lends``: it may have held functions."""
    path, what = _Search(lends).visit(value, "value", 0) or _Fault(
        "value", "it has too many keys and items, or it failed or changed while it was read"
    )
    return ViaductError("INVALID_ARGUMENT", f"{path} cannot be sent: {what}", reason="UNSENDABLE", path=path)


def error_fields(error: ErrorValue) -> dict[str, object]:
    """What is sent of an error, in the order in which it is."""
    fields: dict[str, object] = {"name": error.name, "message": error.message}
    for key in ("cause", "errors"):
        if key in error.fields:
            fields[key] = error.fields[key]
    for key, field in error.fields.items():
        if key != "stack":
            fields.setdefault(key, field)
    return fields


def is_same_function(one: object, other: object) -> bool:
    """A method is made anew each time that it is read off its object, and yet is the same."""
    return one is other or (isinstance(other, (MethodType, BuiltinFunctionType)) and one == other)


class _Search:
    """Looks for the first fault, in the order of the encoder."""

    def __init__(self, lends: bool) -> None:
        self._functions: list[object] | None = [] if lends else None
        self._open: set[int] = set()
        self._passed: dict[int, int] = {}

    def visit(self, value: object, path: str, depth: int) -> _Fault | None:
        kind = type(value)
        if kind in _ALWAYS_SENDABLE:
            return None
        search = _CONTAINERS.get(kind)
        if search is not None:
            return self._enter(search, value, path, depth)
        explain = _SOMETIMES_SENDABLE.get(kind)
        what = explain(value) if explain is not None else self._other(value)
        return None if what is None else _Fault(path, what)

    def _other(self, value: object) -> str | None:
        met = self._functions
        if met is None or not callable(value):
            return _foreign(value)
        if not any(is_same_function(one, value) for one in met):
            met.append(value)
        return None if len(met) <= MAX_REFERENCES else f"it is one of more than {MAX_REFERENCES} functions"

    def _enter(self, search: _Content, value: object, path: str, depth: int) -> _Fault | None:
        place = id(value)
        if place in self._open:
            return _Fault(path, "it contains itself")
        if self._passed.get(place, -1) >= depth:
            return None
        if depth >= MAX_DEPTH:
            return _Fault(path, f"it is nested deeper than {MAX_DEPTH}")
        self._open.add(place)
        fault = search(self, value, path, depth + 1)
        self._open.remove(place)
        self._passed[place] = depth
        return fault

    def items(self, items: Iterable[object], path: str, depth: int) -> _Fault | None:
        for index, item in enumerate(items):
            fault = self.visit(item, f"{path}[{index}]", depth)
            if fault is not None:
                return fault
        return None

    def set_values(self, values: Iterable[object], path: str, depth: int) -> _Fault | None:
        return self.items(values, f"{path}.values", depth)

    def entries(self, entries: Map[object, object], path: str, depth: int) -> _Fault | None:
        for index, (key, item) in enumerate(entries.items()):
            place = f"get({string_text(key)})" if isinstance(key, str) else f"values[{index}]"
            fault = self.visit(key, f"{path}.keys[{index}]", depth)
            fault = fault or self.visit(item, f"{path}.{place}", depth)
            if fault is not None:
                return fault
        return None

    def error(self, error: ErrorValue, path: str, depth: int) -> _Fault | None:
        for key, text in (("name", error.name), ("message", error.message)):
            if type(text) is not str:
                return _Fault(f"{path}.{key}", "it is not a string")
        return self.fields(error_fields(error), path, depth)

    def fields(self, fields: Mapping[Any, object], path: str, depth: int) -> _Fault | None:
        seen: set[str] = set()
        for key, field in fields.items():
            if not isinstance(key, str):
                return _Fault(f"{path}[{reprlib.repr(key)}]", "its key is not a string")
            place = path + _member(key)
            same = with_pairs_joined(key)
            if same in seen:
                return _Fault(place, "its key is there twice")
            seen.add(same)
            fault = self.visit(field, place, depth)
            if fault is not None:
                return fault
        return None


_Content = Callable[[_Search, Any, str, int], "_Fault | None"]

_CONTAINERS: Final[dict[type, _Content]] = {
    dict: _Search.fields,
    list: _Search.items,
    tuple: _Search.items,
    Map: _Search.entries,
    Set: _Search.set_values,
    set: _Search.set_values,
    frozenset: _Search.set_values,
    ErrorValue: _Search.error,
}


def _member(key: str) -> str:
    return f".{key}" if key.replace("$", "_").isidentifier() else f"[{string_text(key)}]"


def _integer(value: int) -> str | None:
    if abs(value) <= MAX_SAFE_INTEGER:
        return None
    return "it is an integer that a JavaScript number may not hold; wrap it in BigInt"


def _bigint(value: BigInt) -> str | None:
    return None if value.bit_length() <= 8 * BIGINT_BYTES else f"it is a bigint over {BIGINT_BYTES} bytes"


def _datetime(value: datetime) -> str | None:
    return None if value.utcoffset() is not None else "it is a datetime without a time zone"


def _foreign(value: object) -> str:
    if isinstance(value, _FUNCTIONS):
        return "it is a function, which only the input of a call to one peer may hold"
    return f"it is an instance of {type(value).__qualname__}"


_SOMETIMES_SENDABLE: Final[dict[type, Callable[[Any], str | None]]] = {
    int: _integer,
    BigInt: _bigint,
    datetime: _datetime,
}
