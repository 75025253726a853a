"""Words and terms of a text, exactly as ``tokens.ts`` finds them."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator


def _class_of(*categories: str) -> str:
    """Ranges of all characters of these general categories, for use within brackets of a pattern."""
    ranges: list[str] = []
    start: int | None = None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code))[0] in categories
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(ranges)


_LETTER = f"[{_class_of('L', 'M')}]"
_WORD = re.compile(f"{_LETTER}+(?:['’]{_LETTER}+)*")
_WORD_UNITS = 40
"""Longer runs of letters are no words: encoded data, most often. In UTF-16 code units."""

_COMMON = frozenset(
    """a about after again all also an and any are as at be because been before being below between both but by
    can could did do does down during each either even every few first for from further had has have having he
    her here him his how i if in into is it its itself just last let like made make many may me might more most
    much must my new no nor not now of off on once one only or other our out over own per put said same say says
    second see she should since so some such than that the their them then there these they this those three
    through to too two under until up upon use used using very was we well were what when where which while who
    whom why will with within without would yet you your""".split()
)


def words_of(text: str) -> Iterator[str]:
    """Words in lower case, in order, without anything that is not a letter."""
    for match in _WORD.finditer(text):
        word = match.group()
        if len(word) + sum(character > "\uffff" for character in word) <= _WORD_UNITS:
            yield word.lower().replace("’", "'")


def terms_of(text: str) -> Iterator[str]:
    """Words that may tell a subject: common ones left out, endings taken off."""
    for word in words_of(text):
        plain = word.removesuffix("'s")
        if len(plain) > 2 and plain not in _COMMON:
            yield stem(plain)


def stem(word: str) -> str:
    """Takes plural, -ed, -ing and -ly away: the first step of Porter's stemmer, near enough for counting."""
    root = word
    if root.endswith("ies") and len(root) > 4:
        root = f"{root[:-3]}y"
    elif re.search(r"(?:s|x|z|ch|sh)es\Z", root):
        root = root[:-2]
    elif root.endswith("s") and not root.endswith(("ss", "us", "is")) and len(root) > 3:
        root = root[:-1]
    for ending in ("ing", "ed", "ly"):
        rest = root[: -len(ending)]
        if not root.endswith(ending) or len(rest) < 3 or not re.search("[aeiouy]", rest):
            continue
        root = rest[:-1] if re.search(r"([bdgklmnprt])\1\Z", rest) else rest
        break
    return root[:-1] if len(root) > 3 and root.endswith("e") else root
