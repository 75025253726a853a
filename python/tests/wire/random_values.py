"""Random values of every kind, and random damage to bodies."""

from __future__ import annotations

import math
import struct
from datetime import datetime, timedelta, timezone
from random import Random

from viaduct.wire.keyed import Map, Set
from viaduct.wire.tags import BINARY_TYPES, NULL, SEGMENT, UINT8_ARRAY
from viaduct.wire.values import UNDEFINED, BigInt, Date, ErrorValue
from wire.notation import binary_from, number_from

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_KEYS = ("a", "b", "c", "d", "id", "__proto__", "constructor", "", "0", "é", "ł", "\ud800", "\U0001f600")
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "abc \x00\x7f\xe9\xff",
    "ab\xe9łź€\ufeff\uffff",
    "a\U0001f600\U0010ffff",
    "a\ud800b\udc00",
)
_MOST_ITEMS = 5


class RandomValues:
    """The same values for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def value(self, depth: int = 4) -> object:
        """A value as the decoder gives it, with at most so many levels."""
        kinds = (self.leaf, self.array, self.plain_object, self.map, self.set, self.error)
        kind = self._random.choices(kinds, (6, 2, 3, 1, 1, 1))[0] if depth > 0 else self.leaf
        return kind(depth - 1)

    def leaf(self, _depth: int) -> object:
        random = self._random
        match random.randrange(9):
            case 0:
                return random.choice((None, UNDEFINED, True, False, -0.0, math.nan, math.inf, -math.inf))
            case 1:
                return random.randrange(-300, 300)
            case 2:
                return random.randrange(-(2**53) + 1, 2**53) >> random.randrange(53)
            case 3:
                return number_from(struct.unpack("<d", random.randbytes(8))[0])
            case 4:
                return BigInt(random.randrange(-(2**200), 2**200) >> random.randrange(200))
            case 5:
                return self.moment()
            case 6:
                return self.binary()
            case _:
                return self.text()

    def text(self) -> str:
        length = self._random.choice((0, 1, 5, 20, 63, 64, 130))
        text = "".join(self._random.choices(self._random.choice(_ALPHABETS), k=length))
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def moment(self) -> object:
        ms = self._random.randrange(-62_135_596_800_000, 253_402_300_800_000)
        late = Date(self._random.randrange(253_402_300_800_000, 8_640_000_000_000_001))
        return self._random.choice((_EPOCH + timedelta(milliseconds=ms), late, Date(None)))

    def binary(self) -> object:
        kind = self._random.choice((BINARY_TYPES[UINT8_ARRAY], *BINARY_TYPES))
        elements = self._random.choice((0, 1, 3, 20, 700))
        return binary_from(kind.name, self._random.randbytes(elements * kind.element_bytes))

    def array(self, depth: int) -> list[object]:
        count = self._random.choice((0, 1, 2, 3, 17)) if depth < 2 else self._random.randrange(_MOST_ITEMS)
        return [self.value(depth) for _ in range(count)]

    def plain_object(self, depth: int) -> dict[str, object]:
        keys = self._random.sample(_KEYS, self._random.randrange(_MOST_ITEMS))
        return {key: self.value(depth) for key in keys}

    def map(self, depth: int) -> Map[object, object]:
        return Map((self.key(depth), self.value(depth)) for _ in range(self._random.randrange(_MOST_ITEMS)))

    def set(self, depth: int) -> Set[object]:
        return Set(self.key(depth) for _ in range(self._random.randrange(_MOST_ITEMS)))

    def key(self, depth: int) -> object:
        """A value that is a key as it stands: JavaScript makes 0 of −0."""
        key = self.value(depth)
        return 0 if isinstance(key, float) and key == 0 else key

    def error(self, depth: int) -> ErrorValue:
        fields: dict[str, object] = {}
        for key in ("cause", "errors", "code", "status"):
            if self._random.random() < 0.3:
                fields[key] = self.value(depth)
        return ErrorValue(self._random.choice(("Error", "TypeError", "Gone")), self.text(), fields)


def damaged(body: bytes, others: list[bytes], random: Random) -> bytes:
    """The body with up to three bits, bytes, tags or ends changed, or parts of others put in."""
    changed = bytearray(body)
    for _ in range(random.randrange(4)):
        if not changed:
            break
        at = random.randrange(len(changed))
        match random.randrange(5):
            case 0:
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at] = random.randrange(256)
            case 2:
                changed[at] = random.randrange(NULL, SEGMENT + 1)
            case 3:
                del changed[at:]
            case _:
                changed[at:at] = random.choice(others)[:64]
    return bytes(changed)
