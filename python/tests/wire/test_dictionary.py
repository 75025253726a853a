"""Dictionaries, and the shapes that JSON Schemas give."""

from __future__ import annotations

import json
from typing import Any

import pytest

from viaduct.wire.body import decode, encode
from viaduct.wire.dictionary import Dictionary
from viaduct.wire.json_text import Json
from viaduct.wire.schema_shapes import shapes_of_schema


def properties(*names: str) -> dict[str, Json]:
    """The schema of an object with these properties, all of them required."""
    return {"properties": {name: {} for name in names}, "required": list(names)}


def test_the_outer_shape_stands_before_the_inner_and_names_as_required() -> None:
    schema: Json = {
        "properties": {
            "options": {"properties": {"lang": {}, "deep": {}}, "required": ["deep"]},
            "pages": {"type": "array", "items": properties("title", "at")},
            "either": {"anyOf": [properties("left"), properties("right")]},
            "url": {},
            "by_name": {"additionalProperties": properties("size")},
        },
        "required": ["url", "pages"],
    }
    assert shapes_of_schema(schema) == [
        ("url", "pages", "by_name", "either", "options"),
        ("size",),
        ("left",),
        ("right",),
        ("deep", "lang"),
        ("title", "at"),
    ]


def test_the_order_of_members_in_the_schema_does_not_matter() -> None:
    one: Json = {"items": properties("i"), "properties": {"b": properties("x"), "a": {}}, "required": ["b"]}
    two: Json = {"required": ["b"], "properties": {"a": {}, "b": properties("x")}, "items": properties("i")}
    assert shapes_of_schema(one) == shapes_of_schema(two) == [("b", "a"), ("i",), ("x",)]


def test_names_stand_as_in_a_javascript_object() -> None:
    names = ("b", "10", "9", "01", "4294967295", "4294967294", "a")
    assert shapes_of_schema(properties(*names)) == [("9", "10", "4294967294", "b", "01", "4294967295", "a")]
    unordered: Json = {"properties": {"\uffff": {}, "\U0001f600": {}}}
    assert shapes_of_schema(unordered) == [("\U0001f600", "\uffff")]


def test_local_references_are_followed_also_round_in_circles() -> None:
    odd: Json = {
        "$ref": "#/$defs/a~1b",
        "$defs": {
            "a/b": {"properties": {"m": {"$ref": "#/$defs/list/0"}, "n": {"$ref": "#"}}},
            "list": [properties("z")],
        },
    }
    assert shapes_of_schema(odd) == [("m", "n"), ("z",)]
    assert shapes_of_schema({"allOf": [{"$ref": "#"}], "properties": {"a": {}}}) == [("a",)]
    circle: dict[str, Any] = properties("a")
    circle["items"] = circle
    assert shapes_of_schema(circle) == [("a",)]


def test_parts_of_all_of_stand_one_by_one_and_together() -> None:
    schema: Json = {
        "$defs": {"two": properties("b", "a")},
        "properties": {"c": {}},
        "allOf": [properties("a"), {"$ref": "#/$defs/two"}],
    }
    assert shapes_of_schema(schema) == [("c", "a", "b"), ("a",), ("b", "a")]


@pytest.mark.parametrize(
    "schema",
    [None, True, 3, "x", [], {}, {"properties": 4}, {"$ref": "http://x/y"}, {"$ref": "#/a/7/b"}],
    ids=json.dumps,
)
def test_what_is_no_schema_gives_no_shapes(schema: Json) -> None:
    assert shapes_of_schema(schema) == []
    assert Dictionary.of_schema(schema).shapes == ()


def test_shapes_are_bounded() -> None:
    many: Json = {"anyOf": [properties(f"k{index}") for index in range(20_000)]}
    assert len(shapes_of_schema(many)) == 256
    deep: Json = properties("bottom")
    for _ in range(10_000):
        deep = {"items": deep}
    assert shapes_of_schema(deep) == []
    assert shapes_of_schema(properties(*(f"k{index}" for index in range(65)))) == []
    assert shapes_of_schema({"allOf": [{"$ref": "#"}] * 50}) == []


def test_shapes_are_numbered_as_they_come() -> None:
    dictionary = Dictionary([["a", "b"], ["c"]])
    assert dictionary.shapes == (("a", "b"), ("c",))
    assert encode({"c": 1}, dictionary).body == b"\xd1\x01"


def test_shapes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Dictionary([["a", "a"]])
    with pytest.raises(ValueError, match="over 64"):
        Dictionary([[f"k{index}" for index in range(65)]])


def test_bodies_do_not_depend_on_what_was_encoded_before() -> None:
    shapes = [["a", "b", "c"], ["a", "c"]]
    values: list[object] = [{"a": 1}, {"q": [{"q": 1}]}, {"a": 1, "c": 2}, {"b": 1}, {}, {"q": 1}]
    used = Dictionary(shapes)
    for value in reversed(values):
        encode(value, used)
    assert [encode(value, used) for value in values] == [
        encode(value, Dictionary(shapes)) for value in values
    ]


def test_any_of_40_keys_may_be_absent() -> None:
    keys = [f"k{index}" for index in range(40)]
    dictionary = Dictionary([keys, keys[:20]])
    for run in range(500):
        count = 40 if run % 2 == 0 else 20
        chosen = [key for index, key in enumerate(keys[:count]) if (run + 1) * 2654435761 >> index % 32 & 1]
        value = {key: index for index, key in enumerate(chosen)}
        assert decode(encode(value, dictionary).body, (), dictionary) == value
