"""vectors/frames.json and vectors/bad-frames.json."""

from __future__ import annotations

import pytest
from core.frame_notation import PREAMBLE, Json, frame_from, load

from viaduct.core.connection import Connection
from viaduct.core.events import CallStarted, Closed, Event
from viaduct.core.method import Method
from viaduct.wire.body import decode
from viaduct.wire.frame import Kind, make_frame, read_header
from viaduct.wire.framer import Framer
from viaduct.wire.limits import HEADER_BYTES

GOOD: list[Json] = load("frames.json")["frames"]
BAD: list[Json] = load("bad-frames.json")["frames"]
OPEN: Json = {"kind": "OPEN", "body": {"methods": [[0, "m", ""]]}}


def bad(keep: str) -> list[object]:
    """The bad frames that are met in one place."""
    at = [("link" if "closes" in case else "call") if "at" not in case else case["at"] for case in BAD]
    return [
        pytest.param(case, id=f"{case['name']}: {case['reason']}")
        for case, found in zip(BAD, at, strict=True)
        if found == keep
    ]


def test_every_kind_of_frame_is_there() -> None:
    kinds = {frame_from(case["frame"])[4] for case in GOOD}
    assert kinds >= set(Kind)


@pytest.mark.parametrize("case", GOOD, ids=[case["name"] for case in GOOD])
def test_frame(case: Json) -> None:
    made = frame_from(case["frame"])
    if "hex" in case:
        assert made.hex() == case["hex"]
    else:
        assert made[:HEADER_BYTES].hex() == case["header"]
        assert len(made) == case["bytes"]
    header = read_header(made)
    again = make_frame(
        header.kind,
        header.flags,
        method=header.method,
        id=header.id,
        route=header.route,
        time_left=header.time_left,
        window=header.window,
        payload=made[HEADER_BYTES:][: header.payload_bytes],
        payload_bytes=header.payload_bytes,
        head_bytes=header.head_bytes,
        segments=header.segments,
    )
    assert bytes(again) == made
    assert Framer().push(made) == [made]


@pytest.mark.parametrize("size", [1, 3, 4, 7, 31, 32, 33, 1000, 4097, 65536])
def test_frames_come_whole_however_they_are_cut(size: int) -> None:
    frames = [frame_from(case["frame"]) for case in GOOD]
    stream = b"".join(frames)
    framer = Framer()
    got: list[bytes] = []
    for at in range(0, len(stream), size):
        got += framer.push(stream[at : at + size])
    assert got == frames
    assert not framer.broken


@pytest.mark.parametrize("case", bad("framer"))
def test_illegal_length(case: Json) -> None:
    frame = bytes.fromhex(case["hex"])
    preamble = frame_from(PREAMBLE)
    framer = Framer()
    assert framer.push(preamble + frame) == [preamble]
    assert framer.broken
    by_bytes = Framer()
    broken = []
    for byte in frame[:4]:
        assert by_bytes.push(bytes([byte])) == []
        broken.append(by_bytes.broken)
    assert broken == [False, False, False, True]


@pytest.mark.parametrize("case", bad("start"))
def test_first_frame(case: Json) -> None:
    connection = Connection()
    events = connection.receive_data(bytes.fromhex(case["hex"]))
    assert events == [Closed(case["closes"])]


class Callee:
    """A peer that serves ``m`` and never answers, after OPEN."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.connection.serve(Method("m"))
        self.connection.receive_data(frame_from(PREAMBLE) + frame_from(OPEN))
        self.connection.data_to_send()

    def receive(self, case: Json) -> tuple[list[Event], list[bytes]]:
        """What happens, and the frames that are sent then."""
        events = self.connection.receive_data(bytes.fromhex(case["hex"]))
        return events, Framer().push(self.connection.data_to_send())


@pytest.mark.parametrize("case", bad("link"))
def test_violation(case: Json) -> None:
    events, sent = Callee().receive(case)
    assert events[-1] == Closed(case["closes"])
    last = read_header(sent[-1])
    assert (last.kind, last.route) == (Kind.GOAWAY, 1)
    started = [event for event in events if isinstance(event, CallStarted)]
    assert len(started) == (1 if case.get("opens") else 0)


@pytest.mark.parametrize("case", bad("call"))
def test_refused_call(case: Json) -> None:
    events, [frame] = Callee().receive(case)
    assert events == []
    header = read_header(frame)
    assert header.kind == Kind.ERROR
    error = decode(frame[HEADER_BYTES:][: header.payload_bytes])
    assert isinstance(error, dict)
    assert (error["code"], error["reason"]) == ("INVALID_ARGUMENT", case["refuses"])
