"""Whatever comes, a connection takes it or closes its link: nothing is raised."""

from __future__ import annotations

import random

import pytest
from core.frame_notation import PREAMBLE, Json, frame_from, load

from viaduct.core.connection import Connection
from viaduct.core.events import CallStarted, Event, FunctionCalled
from viaduct.core.method import Method
from viaduct.wire.errors import ViaductError
from viaduct.wire.frame import U32

FRAMES = [frame_from(case["frame"]) for case in load("frames.json")["frames"]]
TALKS: list[Json] = load("talks.json")["talks"]
ROUNDS = 3000


def incoming(talk: Json) -> list[bytes]:
    """The frames that come in a talk."""
    frames = []
    for step in talk["steps"]:
        given = step.get("in", [])
        frames += [frame_from(one) for one in (given if isinstance(given, list) else [given])]
    return frames


def mutated(frame: bytes, dice: random.Random) -> bytes:
    """The frame with some bytes or a field of its header changed, and a length that is legal mostly."""
    changed = bytearray(frame)
    for _ in range(dice.randrange(4)):
        changed[dice.randrange(4, len(changed))] = dice.randrange(256)
    if dice.random() < 0.3:
        value = dice.choice([0, 1, 7, 32, 32768, 2**31, 2**32 - 1])
        U32.pack_into(changed, dice.choice([8, 12, 16, 20, 24, 28]), value)
    if dice.random() < 0.02:
        changed[0] ^= 8
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_changed_frames(seed: int) -> None:
    dice = random.Random(seed)
    talks = [incoming(talk) for talk in TALKS if talk.get("side") != "hub"]
    for _ in range(ROUNDS):
        connection = Connection(is_hub=dice.random() < 0.3)
        connection.serve(Method("m"))
        connection.serve(Method("s", kind="stream"))
        connection.serve(Method("up"))
        pending = connection.call(Method("s", kind="stream"), {"f": print}, stream=True)
        frames = [frame_from(PREAMBLE), *dice.choice(talks), dice.choice(FRAMES)]
        for frame in frames[:1] + [mutated(frame, dice) for frame in frames[1:]]:
            answer(connection, connection.receive_data(frame), dice)
            if pending.items is not None and pending.items.waiting:
                pending.items.take()
        connection.data_to_send()
        answer(connection, connection.handle_timeout(), dice)
        connection.receive_eof()
        assert connection.open_calls == 0


def answer(connection: Connection, events: list[Event], dice: random.Random) -> None:
    """Handlers end in one way or the other, or not at all."""
    for event in events:
        if isinstance(event, FunctionCalled):
            if dice.random() < 0.5:
                connection.answer_back(event.back, event.back.arguments)
            else:
                connection.fail_back(event.back, ValueError("no"))
        if not isinstance(event, CallStarted):
            continue
        borrow(event, dice)
        act = dice.randrange(4)
        if act == 0:
            connection.end(event.call, event.input)
        elif act == 1:
            connection.fail(event.call, ValueError("no"))
        elif act == 2 and not event.call.is_one_way:
            connection.begin_items(event.call)
            connection.send_item(event.call, event.input)


def borrow(event: CallStarted, dice: random.Random) -> None:
    """The functions of a call are called, kept and released, or not."""
    for reference in event.call.references.all if event.call.references else ():
        try:
            for _ in range(dice.randrange(3)):
                act = dice.choice(["keep", "release", "call"])
                if act == "call":
                    reference.call([1])
                else:
                    getattr(reference, act)()
        except ViaductError as error:
            assert error.reason in ("LEASE_ENDED", "CANCELLED", "LINK_LOST", "QUEUE_FULL")


@pytest.mark.parametrize("seed", range(4))
def test_noise(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(ROUNDS):
        connection = Connection()
        if dice.random() < 0.8:
            connection.receive_data(frame_from(PREAMBLE))
        connection.receive_data(dice.randbytes(dice.randrange(200)))
        connection.data_to_send()
