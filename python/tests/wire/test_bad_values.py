"""Bodies that are refused, and values that cannot be sent."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import datetime
from enum import IntEnum
from typing import Any

import pytest

from viaduct.wire.body import Bounds, decode, encode
from viaduct.wire.dictionary import Dictionary
from viaduct.wire.errors import ViaductError
from viaduct.wire.keyed import Map, Set
from viaduct.wire.limits import MAX_DEPTH, MAX_KEYS
from viaduct.wire.values import BigInt, ErrorValue
from wire.notation import segment_from, value_from, vectors

BAD = vectors("values.json")["bad"]
UNSENDABLE = vectors("values.json")["unsendable"]
MIB = 1024 * 1024


class Color(IntEnum):
    RED = 1


class Page:
    def open(self) -> None:
        """Does nothing."""


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def loop() -> object:
    value: dict[str, object] = {}
    value["list"] = [1, {"again": value}]
    return value


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def filled(head: str, unit: str) -> bytes:
    """A body of one MiB: the head, and the unit again and again."""
    start, repeated = bytes.fromhex(head), bytes.fromhex(unit)
    return start + repeated * ((MIB - len(start)) // len(repeated))


def test_there_are_enough_vectors() -> None:
    assert len(BAD) >= 150
    assert len(UNSENDABLE) >= 30


@pytest.mark.parametrize("case", BAD, ids=lambda case: str(case["name"]))
def test_bad_body(case: Any) -> None:
    segments = [segment_from(segment) for segment in case.get("segments", [])]
    dictionary = Dictionary(case["shapes"]) if "shapes" in case else None
    bounds = Bounds(case.get("maxDepth", MAX_DEPTH), case.get("maxKeys", MAX_KEYS))
    with pytest.raises(ViaductError) as refused:
        decode(bytes.fromhex(case["hex"]), segments, dictionary, bounds)
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "MALFORMED_BODY")


@pytest.mark.parametrize("case", UNSENDABLE, ids=lambda case: str(case["name"]))
def test_what_no_language_can_send(case: Any) -> None:
    with pytest.raises(ViaductError, match="cannot be sent") as refused:
        encode(value_from(case["value"]))
    error = refused.value
    assert (error.code, error.reason, error.path) == ("INVALID_ARGUMENT", "UNSENDABLE", case["path"])


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("", "c1"),
        ("", "f6f201816e"),
        ("ef808040", "f10000"),
        ("ef808020", "8161"),
        ("effcff3f", "00"),
        ("", "f501"),
        ("ecfbff3f", "61"),
        ("edfaff3f", "c3a9"),
        ("eefaff3f", "00d8"),
        ("f4ffff1f", "01"),
    ],
)
def test_hostile_bodies_are_done_with_in_time(head: str, unit: str) -> None:
    body = filled(head, unit)
    began = time.process_time()
    for max_keys in (MAX_KEYS, 10_000_000):
        try:
            decode(body, bounds=Bounds(MAX_DEPTH, max_keys))
        except ViaductError as error:
            assert error.reason == "MALFORMED_BODY"
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("value", "path", "what"),
    [
        ({"pages": [1, 2, 3, {"url": nested}]}, "value.pages[3].url", "a function"),
        (print, "value", "a function"),
        ([Page().open], "value[0]", "a function"),
        ([Page()], "value[0]", "an instance of Page"),
        ([Page], "value[0]", "an instance of type"),
        ({"a-b": object()}, 'value["a-b"]', "an instance of object"),
        ({"\ud800": object()}, 'value["\\ud800"]', "an instance of object"),
        ({"$a": {"_ł": 1j}}, "value.$a._ł", "an instance of complex"),
        (Color.RED, "value", "an instance of Color"),
        ({"a": OrderedDict()}, "value.a", "an instance of OrderedDict"),
        (Map([("k", Page())]), 'value.get("k")', "an instance of Page"),
        (Map([(1, Page())]), "value.values[0]", "an instance of Page"),
        (Map([(Page, 1)]), "value.keys[0]", "an instance of type"),
        (Set([1, ...]), "value.values[1]", "an instance of ellipsis"),
        ({Color.RED}, "value.values[0]", "an instance of Color"),
        (ErrorValue("E", "m", {"cause": {"f": print}}), "value.cause.f", "a function"),
        ({"a": {1: 2}}, "value.a[1]", "key is not a string"),
        ({f"k{index}": 1 for index in range(70)} | {None: 2}, "value[None]", "key is not a string"),
        ({"\ud83d\ude00": 1, "\U0001f600": 2}, 'value["\U0001f600"]', "twice"),
        ({"big": 2**53}, "value.big", "wrap it in BigInt"),
        ([-(2**70)], "value[0]", "wrap it in BigInt"),
        ({"big": BigInt(1 << 8192)}, "value.big", "over 1024 bytes"),
        ({"at": datetime(2024, 1, 1)}, "value.at", "without a time zone"),
        ([released()], "value", "failed"),
        (loop(), "value.list[1].again", "contains itself"),
        (nested(MAX_DEPTH + 1), "value" + "[0]" * MAX_DEPTH, "deeper than 64"),
        (nested(100_000), "value" + "[0]" * MAX_DEPTH, "deeper than 64"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_cannot_be_sent_is_refused_with_its_path(value: object, path: str, what: str) -> None:
    for dictionary in (None, Dictionary([["pages", "a", "list"], ["url"]])):
        with pytest.raises(ViaductError, match=what) as refused:
            encode(value, dictionary)
        error = refused.value
        assert (error.code, error.reason, error.path) == ("INVALID_ARGUMENT", "UNSENDABLE", path)


def test_an_error_has_a_name_and_a_message() -> None:
    with pytest.raises(ViaductError) as refused:
        encode([ErrorValue("E", 5)])  # type: ignore[arg-type]
    assert refused.value.path == "value[0].message"


def test_a_value_that_holds_itself_many_times_is_refused_in_time() -> None:
    value: list[object] = []
    for _ in range(40):
        value = [value, value]
    with pytest.raises(ViaductError, match="too many keys and items"):
        encode(value)
