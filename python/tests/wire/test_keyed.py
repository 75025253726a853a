"""Map and Set."""

from __future__ import annotations

import math

import pytest

from viaduct.wire.keyed import Map, Set
from viaduct.wire.values import UNDEFINED, BigInt


def test_keys_are_those_of_javascript() -> None:
    array: list[int] = []
    keys: list[object] = [1, True, BigInt(1), "1", None, UNDEFINED, math.nan, array, [], b"ab"]
    entries: Map[object, int] = Map((key, index) for index, key in enumerate(keys))
    assert list(entries) == keys
    assert list(entries.values()) == list(range(len(keys)))
    assert entries[1.0] == 0
    assert entries[float("nan")] == 6
    assert entries[array] == 7
    assert [1] not in entries
    assert "\U0001f600" in Set(["\ud83d\ude00"])
    assert len(Set([0, -0.0])) == 1


def test_a_map_is_a_mapping_in_order() -> None:
    entries = Map([("a", 1), ("b", 2)])
    entries["a"] = 3
    assert list(entries.items()) == [("a", 3), ("b", 2)]
    assert entries == Map([("a", 3), ("b", 2)]) != Map([("b", 2), ("a", 3)])
    assert entries != {"a": 3, "b": 2}
    assert repr(entries) == "Map([('a', 3), ('b', 2)])"
    del entries["a"]
    assert len(entries) == 1
    for missing in ("a", []):
        with pytest.raises(KeyError):
            entries[missing]  # type: ignore[index]
    with pytest.raises(KeyError):
        del entries["a"]


def test_a_set_is_a_set_in_order() -> None:
    items = Set([3, 1, 3, 2])
    assert list(items) == [3, 1, 2]
    items.discard(1)
    items.discard(7)
    assert items == Set([3, 2]) != Set([2, 3])
    assert items != {3, 2}
    assert list(items | Set([9])) == [3, 2, 9]
    assert repr(items) == "Set([3, 2])"
