"""The tone of a text, exactly as ``sentiment.ts`` finds it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TypedDict

from tokens import words_of

_NEGATIONS = frozenset(
    "not no never none nobody nothing neither nor cannot without hardly barely lacks lack".split()
)
_REACH = 3
"""A negation turns the valence of the words that follow it as far as this, within the sentence."""
_TURN = -0.74
"""How much of the valence is left when turned: ``not good`` is less bad than ``bad`` (VADER, 2014)."""
_DOUBT = 6
"""Evidence that stands against any: a lone mild word does not make a document extreme."""
_NEUTRAL = 0.2
"""Beyond this, a document is no longer neutral."""


class Sentiment(TypedDict):
    """``score`` from -1 to 1; ``positive`` and ``negative`` are how many words said so."""

    label: str
    score: float
    positive: int
    negative: int


def sentiment_of(text: str, valences: Mapping[str, int]) -> Sentiment:
    """The balance of positive and negative valence, (P - N) / (P + N + 6)."""
    positive = negative = 0
    plus = minus = 0.0
    for sentence in re.split(r"[.!?;\n]+", text):
        reach = 0
        for word in words_of(sentence):
            if word in _NEGATIONS or word.endswith("n't"):
                reach = _REACH
                continue
            valence = valences.get(word, 0) * (_TURN if reach > 0 else 1)
            reach -= 1
            if valence > 0:
                positive += 1
                plus += valence
            elif valence < 0:
                negative += 1
                minus -= valence
    score = math.floor((plus - minus) / (plus + minus + _DOUBT) * 1000 + 0.5) / 1000
    label = "positive" if score > _NEUTRAL else "negative" if score < -_NEUTRAL else "neutral"
    return {"label": label, "score": score, "positive": positive, "negative": negative}
