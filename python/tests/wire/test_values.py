"""The values and bodies of vectors/values.json, and what Python sends besides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from viaduct.wire.body import decode, encode
from viaduct.wire.dictionary import Dictionary
from viaduct.wire.keyed import Map, Set
from viaduct.wire.limits import SEGMENT_BYTES
from viaduct.wire.values import (
    UNDEFINED,
    ArrayBuffer,
    BigInt,
    Date,
    ErrorValue,
    TypedArray,
    Undefined,
)
from wire.notation import same, segment_from, value_from, vectors

CASES = vectors("values.json")


def by_name(case: Any) -> str:
    return str(case["name"])


def round_trip(value: object) -> object:
    body, segments = encode(value)
    return decode(body, segments)


def check_both_ways(
    value: object, hex: str, segments: Sequence[bytes], dictionary: Dictionary | None
) -> None:
    encoded = encode(value, dictionary)
    assert encoded.body.hex() == hex
    assert [bytes(segment) for segment in encoded.segments] == segments
    assert same(decode(bytes.fromhex(hex), segments, dictionary), value)


def test_there_are_enough_vectors() -> None:
    assert len(CASES["values"]) + len(CASES["accepted"]) >= 400


@pytest.mark.parametrize("case", CASES["values"], ids=by_name)
def test_value(case: Any) -> None:
    value = value_from(case["value"])
    segments = [segment_from(segment) for segment in case.get("segments", [])]
    check_both_ways(value, case["hex"], segments, None)
    if "shapedHex" in case:
        check_both_ways(value, case["shapedHex"], segments, Dictionary(case["shapes"]))


@pytest.mark.parametrize("case", CASES["accepted"], ids=by_name)
def test_accepted(case: Any) -> None:
    segments = [segment_from(segment) for segment in case.get("segments", [])]
    dictionary = Dictionary(case["shapes"]) if "shapes" in case else None
    assert same(decode(bytes.fromhex(case["hex"]), segments, dictionary), value_from(case["value"]))


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (1.0, 1),
        (-5.0, -5),
        (2.0**40, 2**40),
        (2.0**53, 2.0**53),
        ((1, (2,)), [1, [2]]),
        ({1}, Set([1])),
        (frozenset(["a"]), Set(["a"])),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (memoryview(bytearray(8)).cast("d"), bytes(8)),
        (TypedArray("Uint8Array", b"ab"), b"ab"),
        (Date(5), datetime(1970, 1, 1, 0, 0, 0, 5000, timezone.utc)),
        ("\ud83d\ude00", "\U0001f600"),
        ({"\ud83d\ude00": 1}, {"\U0001f600": 1}),
        ("\ud800\ud83d\ude00", "\ud800\U0001f600"),
        (
            ErrorValue("E", "m", {"code": 1, "stack": "s", "cause": 2}),
            ErrorValue("E", "m", {"cause": 2, "code": 1}),
        ),
    ],
    ids=repr,
)
def test_python_values_become_those_of_javascript(sent: object, received: object) -> None:
    assert same(round_trip(sent), received)


def test_a_datetime_is_a_moment_in_milliseconds() -> None:
    warsaw = timezone(timedelta(hours=2))
    sent = datetime(2024, 6, 1, 12, 0, 0, 123_999, warsaw)
    assert same(round_trip(sent), datetime(2024, 6, 1, 10, 0, 0, 123_000, timezone.utc))
    for moment in (datetime.min, datetime(9999, 12, 31, 23, 59, 59, 999_000)):
        assert same(round_trip(moment.replace(tzinfo=timezone.utc)), moment.replace(tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("hex", "moment"),
    [
        ("f3000000000000f83f", datetime(1970, 1, 1, 0, 0, 0, 1000, timezone.utc)),
        ("f3000000000000f07f", Date(None)),
        ("f30100dcc208b23e43", Date(None)),
        ("f30000dcc208b23ec3", Date(-8_640_000_000_000_000)),
        ("f30000000000000080", datetime(1970, 1, 1, tzinfo=timezone.utc)),
    ],
)
def test_a_date_is_what_javascript_makes_of_its_number(hex: str, moment: object) -> None:
    assert same(decode(bytes.fromhex(hex)), moment)


def test_short_bytes_are_keys_of_their_own() -> None:
    body = bytes.fromhex("f402f7010000f7010001")
    keys = decode(body)
    assert isinstance(keys, Map)
    assert list(keys.items()) == [(b"", 0), (b"", 1)]
    assert encode(keys).body == body
    assert encode(decode(bytes.fromhex("f502f7010141f7010141"))).body.hex() == "f502f7010141f7010141"


def test_float16_is_known_here() -> None:
    array = decode(bytes.fromhex("f70d04003c00c0"))
    assert isinstance(array, TypedArray)
    assert array.tolist() == [1.0, -2.0]


def test_large_binaries_are_views_of_what_was_given() -> None:
    content = bytearray(SEGMENT_BYTES)
    body, segments = encode([content, TypedArray("Float64Array", bytes(content)), b"small"])
    content[0] = 9
    assert segments[0][0] == 9
    received = decode(body, segments)
    assert isinstance(received, list)
    assert received[0] == bytes(content)
    assert received[1].data is segments[1]


def test_a_body_may_stand_in_any_kind_of_bytes() -> None:
    for body in (b"\xc1\x05", bytearray(b"\xc1\x05"), memoryview(b"\xc1\x05")):
        assert decode(body) == [5]


def test_thousands_of_key_lists_are_still_numbered_as_they_came() -> None:
    rows = [{f"k{row}": 0} for row in range(5000)]
    body = encode([*rows, {"k0": 1}]).body
    assert body.endswith(b"\xd0\x01")
    assert decode(body) == [*rows, {"k0": 1}]


def test_undefined_is_one_falsy_value() -> None:
    assert not UNDEFINED
    assert repr(UNDEFINED) == "UNDEFINED"
    assert Undefined("undefined") is UNDEFINED
    assert decode(b"\xe1") is UNDEFINED


def test_typed_arrays_are_made_of_elements_and_give_them_back() -> None:
    assert TypedArray.of("Int16Array", [1, -2]).data == b"\x01\x00\xfe\xff"
    assert TypedArray.of("BigUint64Array", [2**64 - 1]).tolist() == [2**64 - 1]
    assert TypedArray("Float32Array", memoryview(b"\x00\x00\x80\x3f")).tolist() == [1.0]
    for kind, data in (("Int16Array", b"abc"), ("ArrayBuffer", b""), ("Array", b"")):
        with pytest.raises(ValueError):
            TypedArray(kind, data)


def test_values_say_what_they_are() -> None:
    assert repr(BigInt(5)) == "BigInt(5)"
    assert ArrayBuffer(b"a") == ArrayBuffer(b"a") != ArrayBuffer(b"b")
    with pytest.raises(ValueError):
        Date(8_640_000_000_000_001)
