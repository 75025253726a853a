"""What a subscriber is told, and when."""

from __future__ import annotations

from typing import Any

from aio.asynchronous import asynchronous
from core.frame_notation import PREAMBLE, frame_from

from viaduct import EventGap, Peer
from viaduct.core.connection import Connection

SESSION = "00112233445566778899aabbccddeeff"
ANSWER: dict[str, Any] = {"flags": ["ANSWER"], "id": "00100000"}
EVENT = {"tag": 1, "hex": "00000000" + "0900000000000000" + "0400000000000000" + "0200000000000000"}


@asynchronous
async def test_a_gap_is_told_before_an_event_that_came_in_the_same_read() -> None:
    peer = Peer(Connection(is_hub=True))
    gaps: list[EventGap] = []
    events = peer.subscribe("t", last_event_id=f"{SESSION}.1.1", on_gap=gaps.append)
    registered = {"kind": "PROGRESS", **ANSWER, "body": {"at": f"{SESSION}.7.3", "gap": {"missed": 2}}}
    item = {"kind": "ITEM", "lane": 2, **ANSWER, "head": [EVENT], "body": "kept"}
    peer.driver.data_received(b"".join(map(frame_from, [PREAMBLE, registered, item])))
    # A reader whose turn comes now finds both.
    assert await anext(events) == "kept"
    assert gaps == [EventGap(2, f"{SESSION}.1.1", f"{SESSION}.7.3")]
    assert events.last_event_id == f"{SESSION}.9.4"
    assert events.dropped == 2


@asynchronous
async def test_a_hub_that_keeps_nothing_names_no_events() -> None:
    peer = Peer(Connection(is_hub=True))
    events = peer.subscribe("t")
    item = {"kind": "ITEM", "lane": 2, **ANSWER, "head": [EVENT], "body": 1}
    frames = [PREAMBLE, {"kind": "PROGRESS", **ANSWER}, item]
    peer.driver.data_received(b"".join(map(frame_from, frames)))
    await events.ready()
    assert await anext(events) == 1
    assert events.last is not None
    assert (events.last.event_id, events.last.topic, events.last_event_id) == ("", "t", None)
