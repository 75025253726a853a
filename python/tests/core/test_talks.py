"""Every talk of vectors/talks.json: frames in, frames out, byte for byte."""

from __future__ import annotations

import pytest
from core.frame_notation import Json, load
from core.talk_player import TalkPlayer

TALKS: list[Json] = load("talks.json")["talks"]


def test_each_talk_is_named_once() -> None:
    assert len({talk["name"] for talk in TALKS}) == len(TALKS) >= 80


@pytest.mark.parametrize("talk", [pytest.param(talk, id=talk["name"]) for talk in TALKS])
def test_talk(talk: Json) -> None:
    TalkPlayer(talk).play()
