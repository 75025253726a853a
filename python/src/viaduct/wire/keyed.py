"""Map and Set as JavaScript has them: ordered, and with values of any kind as keys.

Numbers, strings, bigints, booleans, ``None`` and ``UNDEFINED`` are the same key when they are equal; of one
type only, so that ``True`` is not ``1`` and ``BigInt(1)`` is not ``1``, while NaN is NaN and −0 is 0. All other values
are the same key only when they are one object.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, MutableMapping, MutableSet
from typing import TypeVar, cast

from .text import with_pairs_joined
from .values import BigInt

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


def _identity(key: object) -> Hashable:
    """What is equal for two keys that are the same. Lives no longer than the key is held."""
    if isinstance(key, str):
        return with_pairs_joined(key)
    if isinstance(key, BigInt):
        return BigInt, int(key)
    if isinstance(key, (int, float)) and not isinstance(key, bool):
        return float, key if key == key else None
    return id(key)


def _as_key(key: K) -> K:
    """The key as JavaScript keeps it: −0 is 0."""
    return cast(K, 0) if isinstance(key, float) and key == 0 else key


class Map(MutableMapping[K, V]):
    """A JavaScript Map. Equal to another Map with equal entries in the same order."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[tuple[K, V]] = ()) -> None:
        self._entries: dict[Hashable, tuple[K, V]] = {}
        for key, value in entries:
            self[key] = value

    def __getitem__(self, key: K) -> V:
        entry = self._entries.get(_identity(key))
        if entry is None:
            raise KeyError(key)
        return entry[1]

    def __setitem__(self, key: K, value: V) -> None:
        self._entries[_identity(key)] = (_as_key(key), value)

    def __delitem__(self, key: K) -> None:
        del self._entries[_identity(key)]

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Map):
            return NotImplemented
        return list(self.items()) == list(cast("Map[object, object]", other).items())

    def __repr__(self) -> str:
        return f"Map({list(self.items())!r})"


class Set(MutableSet[T]):
    """A JavaScript Set. Equal to another Set with equal items in the same order."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items: dict[Hashable, T] = {}
        for item in items:
            self.add(item)

    def __contains__(self, item: object) -> bool:
        return _identity(item) in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: T) -> None:
        self._items.setdefault(_identity(value), _as_key(value))

    def discard(self, value: T) -> None:
        identity = _identity(value)
        if identity in self._items:
            del self._items[identity]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Set):
            return NotImplemented
        return list(self) == list(cast("Set[object]", other))

    def __repr__(self) -> str:
        return f"Set({list(self)!r})"
