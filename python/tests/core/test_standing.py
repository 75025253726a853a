"""Where a subscription stands, and the ids that say so."""

from __future__ import annotations

import pytest

from viaduct import BigInt
from viaduct.core.event_id import event_id, position_of
from viaduct.core.standing import Standing

SESSION = "00112233445566778899aabbccddeeff"
HERE = f"{SESSION}.7.3"
BEFORE = f"{SESSION}.1.1"
MOST = 2**53 - 1


def test_an_event_id_is_read_as_it_was_made() -> None:
    for number, sequence in ((0, 0), (7, 3), (MOST, MOST)):
        position = position_of(event_id(SESSION, number, sequence))
        assert position is not None
        assert (position.session, position.number, position.sequence) == (SESSION, number, sequence)


@pytest.mark.parametrize(
    "id",
    [
        None,
        7,
        "",
        f"{SESSION}.7",
        f"{SESSION}.7.3.1",
        f"{SESSION}.07.3",
        f"{SESSION}.7.03",
        f"{SESSION}.-7.3",
        f"{SESSION}.7.3\n",
        f"{SESSION}.7.\u0663",
        f"{SESSION.upper()}.7.3",
        f"{SESSION[1:]}.7.3",
        f"{SESSION}.{MOST + 1}.3",
        f"{SESSION}.7.{MOST + 1}",
        f"{SESSION}.7.{10**400}",
    ],
)
def test_what_is_no_event_id(id: object) -> None:
    assert position_of(id) is None


@pytest.mark.parametrize(
    "gap, missed",
    [
        ({"missed": 5}, 5),
        ({"missed": BigInt(2**60)}, 2**60),
        ({}, None),
        ({"missed": True}, None),
        ({"missed": 0.5}, None),
        ({"missed": "5"}, None),
        (None, None),
    ],
)
def test_a_gap(gap: object, missed: int | None) -> None:
    told = Standing("t", BEFORE).registered({"at": HERE, "gap": gap})
    assert told is not None
    assert (told.missed, told.start, told.end) == (missed, BEFORE, HERE)


def test_who_goes_on_from_nothing_has_no_gap() -> None:
    assert Standing("t", None).registered({"at": HERE, "gap": {}}) is None


@pytest.mark.parametrize("said", [None, HERE, [], {}, {"gap": {}}, {"at": "yesterday", "gap": {}}])
def test_what_a_hub_says_that_is_no_position(said: object) -> None:
    standing = Standing("t", BEFORE)
    assert standing.registered(said) is None
    assert standing.last_event_id == BEFORE
