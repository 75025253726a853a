"""Fingerprints and canonical JSON, as vectors/fingerprints.json has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from viaduct.wire.fingerprint import MethodShape, Schemas, fingerprint, fnv1a64
from viaduct.wire.json_text import Json, canonical_json
from wire.notation import vectors

CASES = vectors("fingerprints.json")


def by_name(case: Any) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", CASES["cases"], ids=by_name)
def test_fingerprint_of_canonical_json(case: Any) -> None:
    assert fnv1a64(case["canonical"]) == case["fingerprint"]


@pytest.mark.parametrize(
    "case", [case for case in CASES["cases"] if case["canonical"].startswith("{")], ids=by_name
)
def test_fingerprint_of_a_method(case: Any) -> None:
    members = json.loads(case["canonical"])
    shape = MethodShape(
        name=members["name"],
        kind=members["kind"],
        upload=members["upload"],
        errors=reversed(members["errors"]),
        version=members["version"],
        codecs=reversed(members.get("codecs", [])),
        delivery=members.get("delivery"),
        schemas=Schemas(**members["schemas"]),
    )
    assert fingerprint(shape) == case["fingerprint"]


@pytest.mark.parametrize("case", CASES["canonical"], ids=lambda case: str(case["json"]))
def test_canonical_form(case: Any) -> None:
    assert canonical_json(json.loads(case["json"])) == case["canonical"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (123456789012345680000, "123456789012345680000"),
        (1e21, "1e+21"),
        (0.000001, "0.000001"),
        (0.0000012, "0.0000012"),
        (1.5e-7, "1.5e-7"),
        (-12.5, "-12.5"),
        (2**53 + 1, "9007199254740992"),
        (10**400, "null"),
        ([True, False, None], "[true,false,null]"),
        ("\ud800x\ud83d\ude00", '"\\ud800x\U0001f600"'),
        ("\x7f\u2028", '"\x7f\u2028"'),
    ],
)
def test_numbers_and_strings_are_written_as_javascript_does(value: Json, text: str) -> None:
    assert canonical_json(value) == text
