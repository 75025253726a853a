"""Functions as references, and the head that counts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from viaduct.wire.body import decode, encode
from viaduct.wire.dictionary import Dictionary
from viaduct.wire.encoder import Function
from viaduct.wire.errors import ViaductError
from viaduct.wire.head import key_head, references_head, references_of
from viaduct.wire.keyed import Map
from viaduct.wire.limits import MAX_REFERENCES


def one() -> None: ...


def two() -> None: ...


class Model:
    """Callable, and equal to everything."""

    def __call__(self) -> None: ...

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_they_are_numbered_as_they_are_met() -> None:
    functions: list[Function] = []
    value = {"b": two, "a": [one, two], "m": Map([(1, one)])}
    body, _ = encode(value, Dictionary([["a", "b"]]), functions)
    assert functions == [two, one]
    assert body.count(b"\xf9\x00") == body.count(b"\xf9\x01") == 2
    places = [object(), object()]
    again = decode(body, (), Dictionary([["a", "b"]]), functions=places)
    assert again == {"b": places[0], "a": [places[1], places[0]], "m": Map([(1, places[1])])}


def test_what_only_says_that_it_is_equal_is_another() -> None:
    functions: list[Function] = []
    models = [Model(), Model()]
    body, _ = encode([*models, models[0]], None, functions)
    assert body.hex() == "c3f900f901f900"
    assert functions[0] is models[0] and functions[1] is models[1]


def test_so_many_and_no_more() -> None:
    def numbered(number: int) -> Callable[[], int]:
        return lambda: number

    value = [numbered(number) for number in range(MAX_REFERENCES)]
    functions: list[Function] = []
    encode([value, value], None, functions)
    assert functions == value
    with pytest.raises(ViaductError, match="more than 64 functions") as refused:
        encode({"all": [*value, *value, one]}, None, [])
    assert refused.value.path == f"value.all[{2 * MAX_REFERENCES}]"


def test_what_else_cannot_be_sent_is_found_among_functions() -> None:
    with pytest.raises(ViaductError, match="an instance of object") as refused:
        encode([one, {"f": two, "x": object()}], None, [])
    assert refused.value.path == "value[1].x"
    with pytest.raises(ViaductError, match="only the input of a call to one peer"):
        encode([one])


@pytest.mark.parametrize("body", ["f900", "f901", "f9", "f98080808001", "c2f900f902"])
def test_one_that_is_not_counted_is_malformed(body: str) -> None:
    functions = [] if body == "f900" else [one]
    with pytest.raises(ViaductError) as refused:
        decode(bytes.fromhex(body), functions=functions)
    assert refused.value.reason == "MALFORMED_BODY"


def test_the_count_is_the_first_entry_or_none() -> None:
    assert references_head(3).hex() == "0600040003000000"
    assert references_of(references_head(3) + key_head("k")) == 3
    assert references_of(key_head("k") + references_head(3)) == 0
    assert references_of(bytes.fromhex("0600000003000000")) == 0
    assert references_of(references_head(3)[:7]) == references_of(b"") == 0
