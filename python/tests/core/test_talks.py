"""Every talk of vectors/talks.json: frames in, frames out, byte for byte."""

from __future__ import annotations

import pytest
from core.frame_notation import Json, load
from core.talk_player import TalkPlayer

TALKS: list[Json] = load("talks.json")["talks"]

NOT_SPOKEN: frozenset[str] = frozenset(
    {
    }
)
"""What this implementation leaves out so far. Each has to fail: once it is spoken, its name goes from here."""


def marked(talk: Json) -> object:
    name = talk["name"]
    marks = [pytest.mark.xfail(strict=True, reason="not spoken yet")] if name in NOT_SPOKEN else []
    return pytest.param(talk, id=name, marks=marks)


def test_each_talk_is_named_once() -> None:
    names = {talk["name"] for talk in TALKS}
    assert len(names) == len(TALKS) >= 80
    assert names >= NOT_SPOKEN


@pytest.mark.parametrize("talk", [marked(talk) for talk in TALKS])
def test_talk(talk: Json) -> None:
    TalkPlayer(talk).play()
