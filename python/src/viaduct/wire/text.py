"""Strings as JavaScript has them: sequences of UTF-16 code units, of which surrogates may be alone.

A Python string has a lone surrogate as the code point of that number. A pair of surrogates that stand as
two code points is one character here, as it is in JavaScript.
"""

from __future__ import annotations

from typing import Final

from .tags import LATIN1, SHORT_TEXT, SHORT_TEXT_UNITS, UTF8, UTF16
from .varint import varint

_SHORT_HEADS: Final = tuple(bytes((SHORT_TEXT | units,)) for units in range(SHORT_TEXT_UNITS))
_LATIN1_HEAD: Final = bytes((LATIN1,))
_UTF8_HEAD: Final = bytes((UTF8,))
_UTF16_HEAD: Final = bytes((UTF16,))


def text_value(text: str) -> bytes:
    """The canonical bytes of a string in a body, tag included."""
    try:
        content = text.encode("latin-1")
    except UnicodeEncodeError:
        return _wide_value(text)
    units = len(content)
    if units < SHORT_TEXT_UNITS:
        return _SHORT_HEADS[units] + content
    return _LATIN1_HEAD + varint(units) + content


def _wide_value(text: str) -> bytes:
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        return _surrogate_value(text)
    return _UTF8_HEAD + varint(len(content)) + content


def _surrogate_value(text: str) -> bytes:
    units = utf16_units(text)
    try:
        content = units.decode("utf-16-le").encode("utf-8")
    except UnicodeDecodeError:
        return _UTF16_HEAD + varint(len(units)) + units
    return _UTF8_HEAD + varint(len(content)) + content


def utf16_units(text: str) -> bytes:
    """The code units, two bytes each, least first."""
    return text.encode("utf-16-le", "surrogatepass")


def from_utf16_units(units: bytes) -> str:
    """The text of whole code units, two bytes each, least first."""
    return units.decode("utf-16-le", "surrogatepass")


def with_pairs_joined(text: str) -> str:
    """The same text in the one form in which equal code units are equal strings."""
    return text if text.isascii() else from_utf16_units(utf16_units(text))


def utf16_order(text: str) -> bytes:
    """A key that sorts strings as JavaScript does: by code units."""
    return text.encode("utf-16-be", "surrogatepass")
