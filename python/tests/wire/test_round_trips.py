"""Random values come back as they went, and no damaged body does more than be refused."""

from __future__ import annotations

from random import Random

from viaduct.wire.body import Bounds, decode, encode
from viaduct.wire.dictionary import Dictionary
from viaduct.wire.errors import ViaductError
from viaduct.wire.limits import MAX_DEPTH, MAX_KEYS
from wire.notation import same, vectors
from wire.random_values import RandomValues, damaged

SEED = 20_260_101
ROUND_TRIPS = 10_000
DAMAGED_BODIES = 100_000
LONGEST_BODY = 2048
SHAPES = (("a", "b"), ("c",), ("a", "c", "b", "d"))


def test_random_values_come_back_as_they_went() -> None:
    values = RandomValues(SEED)
    dictionary = Dictionary(SHAPES)
    for run in range(ROUND_TRIPS):
        value = values.value()
        used = dictionary if run % 2 == 0 else None
        body, segments = encode(value, used)
        received = decode(body, segments, used)
        assert same(received, value), f"run {run}: {value!r}"
        assert encode(received, used) == (body, segments), f"run {run}: {value!r}"


def test_damaged_bodies_are_read_or_refused() -> None:
    random = Random(SEED)
    bodies = corpus()
    dictionary = Dictionary(SHAPES)
    bounds = Bounds(MAX_DEPTH, MAX_KEYS)
    read = 0
    for _ in range(DAMAGED_BODIES):
        body = damaged(random.choice(bodies), bodies, random)
        segments = [bytes(8 * random.randrange(4))] if random.random() < 0.3 else []
        used = dictionary if random.random() < 0.5 else None
        try:
            value = decode(body, segments, used, bounds)
        except ViaductError as error:
            assert (error.code, error.reason) == ("INVALID_ARGUMENT", "MALFORMED_BODY")
        else:
            read += 1
            again = encode(value, used)
            assert encode(decode(again.body, again.segments, used), used) == again, body.hex()
    assert read > DAMAGED_BODIES // 50


def corpus() -> list[bytes]:
    """Bodies of the vectors, good and bad, and of random values."""
    cases = vectors("values.json")
    bodies = [bytes.fromhex(case["hex"]) for name in ("values", "accepted", "bad") for case in cases[name]]
    values = RandomValues(SEED)
    bodies += [encode(values.value()).body for _ in range(200)]
    return [body for body in bodies if len(body) <= LONGEST_BODY]
