"""JSON text as JavaScript's ``JSON.stringify`` writes it, and its canonical form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, Union

from .text import utf16_order, with_pairs_joined

Json = Union[None, bool, int, float, str, Sequence["Json"], Mapping[str, "Json"]]
"""A tree as ``json.loads`` gives it."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MOST_DIGITS: Final = 21
"""Numbers with more digits before the point are written with an exponent."""
_MOST_ZEROS: Final = 6
"""So are those below one with as many zeros right behind the point."""


def canonical_json(value: Json) -> str:
    """JSON without white space, the members of each object sorted by their names' UTF-16 code units."""
    if isinstance(value, str):
        return string_text(value)
    if isinstance(value, Sequence):
        return f"[{','.join(map(canonical_json, value))}]"
    if isinstance(value, Mapping):
        names = sorted(value, key=utf16_order)
        return "{" + ",".join(f"{string_text(name)}:{canonical_json(value[name])}" for name in names) + "}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value)


def string_text(text: str) -> str:
    """A string in quotes; lone surrogates, which have no UTF-8, are escaped."""
    quoted = json.dumps(with_pairs_joined(text), ensure_ascii=False)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", quoted)


def number_text(value: float) -> str:
    """The float64 of this value in the fewest digits that name it; ``null`` where there is none."""
    try:
        number = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(number):
        return "null"
    if number == 0:
        return "0"
    digits, point = _decimal(abs(number))
    return ("-" if number < 0 else "") + _placed(digits, point)


def _decimal(number: float) -> tuple[str, int]:
    """The digits of a positive number, without zeros around them, and where among them the point stands."""
    mantissa, _, exponent = repr(number).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    zeros = len(whole + fraction) - len(digits)
    return digits.rstrip("0"), len(whole) - zeros + int(exponent or 0)


def _placed(digits: str, point: int) -> str:
    if not -_MOST_ZEROS < point <= _MOST_DIGITS:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{point - 1:+d}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits.ljust(point, "0")
    return f"{digits[:point]}.{digits[point:]}"
