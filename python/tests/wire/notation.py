"""Reads the notation of values in vectors/README.md, and tells whether two values are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Container
from datetime import datetime
from pathlib import Path
from typing import Any

from viaduct.wire.keyed import Map, Set
from viaduct.wire.times import moment_at
from viaduct.wire.values import UNDEFINED, ArrayBuffer, BigInt, Envelope, ErrorValue, TypedArray

VECTORS = Path(__file__).resolve().parents[3] / "vectors"


def vectors(name: str) -> Any:
    """The content of a file of vectors/."""
    return json.loads((VECTORS / name).read_text("utf-8"))


def segment_from(described: Any) -> bytes:
    """The bytes of a segment or a binary."""
    if "hex" in described:
        return bytes.fromhex(described["hex"])
    return bytes([described["fill"]]) * int(described["bytes"])


def number_from(number: float) -> float:
    """The number as a decoder gives it."""
    value = float(number)
    safe = value.is_integer() and abs(value) < 2**53
    return int(value) if safe and not is_negative_zero(value) else value


def is_negative_zero(value: object) -> bool:
    return isinstance(value, float) and value == 0 and math.copysign(1.0, value) < 0


class Foreign:
    """A class that only this program knows."""


def _function() -> None:
    """Cannot be sent."""


def value_from(described: Any) -> object:
    """The value that a description stands for."""
    if isinstance(described, list):
        return [value_from(item) for item in described]
    if isinstance(described, (int, float)) and not isinstance(described, bool):
        return number_from(described)
    if not isinstance(described, dict):
        return described
    tag, content = next(iter(described.items()), ("", None))
    return _tagged(tag, content, described)


def _tagged(tag: str, content: Any, described: dict[str, Any]) -> object:
    match tag:
        case "$undefined":
            return UNDEFINED
        case "$number":
            return float(content)
        case "$bigint":
            return BigInt(content)
        case "$units":
            units = b"".join(unit.to_bytes(2, "little") for unit in content)
            return units.decode("utf-16-le", "surrogatepass")
        case "$repeat":
            return content * described["times"]
        case "$items":
            return [value_from(content) for _ in range(described["times"])]
        case "$object":
            return {value_from(key): value_from(value) for key, value in content}
        case "$date":
            return moment_at(math.nan if content is None else content)
        case "$map":
            entries: Map[object, object] = Map()
            for key, value in content:
                entries[_own(value_from(key), entries)] = value_from(value)
            return entries
        case "$set":
            items: Set[object] = Set()
            for item in content:
                items.add(_own(value_from(item), items))
            return items
        case "$error":
            fields = {key: value_from(value) for key, value in content.items()}
            return ErrorValue(str(fields["name"]), str(fields["message"]), _without_name(fields))
        case "$envelope":
            return Envelope(content, segment_from(described))
        case "$function":
            return _function
        case "$instance":
            return Foreign()
        case "$cycle":
            itself: list[object] = []
            itself.append(itself)
            return itself
        case "$levels":
            value = value_from(described["of"]) if "of" in described else 1
            for _ in range(content):
                value = [value]
            return value
        case "$power":
            return BigInt((-1 if described.get("minus") else 1) << content)
        case "$binary":
            return binary_from(content, segment_from(described))
        case _:
            return {key: value_from(value) for key, value in described.items()}


def _own(key: object, others: Container[object]) -> object:
    """In Python short bytes of equal content are one object; in JavaScript no two are."""
    return bytearray(key) if isinstance(key, bytes) and key in others else key


def _without_name(fields: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in fields.items() if key not in ("name", "message")}


def binary_from(kind: str, data: bytes) -> object:
    """A binary of that class."""
    if kind == "Uint8Array":
        return data
    return ArrayBuffer(data) if kind == "ArrayBuffer" else TypedArray(kind, data)


def same(one: object, two: object) -> bool:
    """Whether two values are the same: types, bits, and order, also of keys."""
    if type(one) is not type(two):
        return False
    if isinstance(one, float) and isinstance(two, float):
        if math.isnan(one):
            return math.isnan(two)
        return one == two and is_negative_zero(one) == is_negative_zero(two)
    if isinstance(one, (dict, Map)) and isinstance(two, (dict, Map)):
        return same(_parts(one), _parts(two))
    if isinstance(one, (list, Set)) and isinstance(two, (list, Set)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, ErrorValue) and isinstance(two, ErrorValue):
        return (one.name, one.message) == (two.name, two.message) and same(dict(one.fields), dict(two.fields))
    if isinstance(one, datetime) and isinstance(two, datetime):
        return one == two and one.utcoffset() == two.utcoffset()
    return one == two


def _parts(entries: dict[Any, object] | Map[object, object]) -> list[object]:
    return [part for entry in entries.items() for part in entry]
