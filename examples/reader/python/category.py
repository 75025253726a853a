"""Which of the corpus's subjects a text is about, exactly as ``category.ts`` decides it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypedDict

from tokens import terms_of

CATEGORIES = ("software", "business", "health", "sports", "travel")

_SMOOTHING = 0.3
"""Added to every count, so that no word rules a category out (Lidstone)."""
_LENGTHS = (4, 12, None)
"""Lengths, in terms, at which the calibration looks at each passage."""
_SHRINK = (2, 5, 10, 20)
_SHARPNESS = (1, 2, 4, 6, 8, 12, 16, 24, 32)


class Verdict(TypedDict):
    """``unknown`` with confidence 0 when no word of the document was ever seen in training."""

    category: str
    confidence: float


class _Evidence(NamedTuple):
    """Each category's log likelihood over the known terms, and how many of those there were."""

    sums: dict[str, float]
    known: int


class CategoryModel:
    """Multinomial naive Bayes whose confidence is calibrated on passages it has not seen."""

    def __init__(self, passages: Iterable[tuple[str, str]]) -> None:
        self._terms = {category: Counter[str]() for category in CATEGORIES}
        self._totals = dict.fromkeys(CATEGORIES, 0)
        self._vocabulary = Counter[str]()
        self._shrink, self._sharpness = 5, 8
        documents = [(category, list(terms_of(text))) for category, text in passages]
        for category, terms in documents:
            self._add(category, terms, 1)
        self._calibrate(documents)

    def classify(self, text: str) -> Verdict:
        """The most likely category and how likely it is, 0 to 1."""
        evidence = self._evidence(terms_of(text))
        if evidence.known == 0:
            return {"category": "unknown", "confidence": 0}
        shares = _probabilities(evidence, self._shrink, self._sharpness)
        best = max(CATEGORIES, key=lambda category: shares[category])
        return {"category": best, "confidence": math.floor(shares[best] * 1e6 + 0.5) / 1e6}

    def _add(self, category: str, terms: Iterable[str], sign: int) -> None:
        for term in terms:
            self._totals[category] += sign
            for counts in (self._terms[category], self._vocabulary):
                counts[term] += sign
                if counts[term] == 0:
                    del counts[term]

    def _evidence(self, terms: Iterable[str]) -> _Evidence:
        sums = dict.fromkeys(CATEGORIES, 0.0)
        space = _SMOOTHING * len(self._vocabulary)
        known = 0
        for term in terms:
            if term not in self._vocabulary:
                continue
            known += 1
            for category in CATEGORIES:
                count = self._terms[category].get(term, 0)
                sums[category] += math.log((count + _SMOOTHING) / (self._totals[category] + space))
        return _Evidence(sums, known)

    def _calibrate(self, documents: list[tuple[str, list[str]]]) -> None:
        judged: list[tuple[str, _Evidence]] = []
        for category, terms in documents:
            self._add(category, terms, -1)
            judged += [(category, self._evidence(islice(terms, length))) for length in _LENGTHS]
            self._add(category, terms, 1)
        _, self._shrink, self._sharpness = min(
            (_loss(judged, shrink, sharpness), shrink, sharpness)
            for shrink in _SHRINK
            for sharpness in _SHARPNESS
        )


def training_passages(corpus: Path) -> list[tuple[str, str]]:
    """The passages the categories are learned from: one file a category, blank lines between passages."""
    passages: list[tuple[str, str]] = []
    for category in CATEGORIES:
        text = (corpus / f"{category}.txt").read_text(encoding="utf-8")
        parts = (part.strip() for part in re.split(r"\r?\n[ \t]*\r?\n", text))
        passages += [(category, part) for part in parts if part]
    return passages


def _loss(judged: Iterable[tuple[str, _Evidence]], shrink: int, sharpness: int) -> float:
    """Log loss: the sum of how surprised the model is at what the passages really are."""
    loss = 0.0
    for category, evidence in judged:
        loss -= math.log(_probabilities(evidence, shrink, sharpness)[category])
    return loss


def _probabilities(evidence: _Evidence, shrink: int, sharpness: int) -> Mapping[str, float]:
    """Softmax of the shrunk, sharpened mean evidence."""
    scale = sharpness / (evidence.known + shrink)
    most = max(evidence.sums.values())
    odds = {category: math.exp((value - most) * scale) for category, value in evidence.sums.items()}
    total = sum(odds.values())
    return {category: odd / total for category, odd in odds.items()}
