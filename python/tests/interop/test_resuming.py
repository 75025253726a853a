"""Subscriptions and callbacks of peers that have lost their link and found another."""

from __future__ import annotations

import asyncio
import importlib
import threading
import uuid
from functools import partial
from typing import Any

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import Call, Callback, EventGap, Peer, Subscription, ViaductError, blocking
from viaduct.aio.rejoin import keep_joined

NODE = {"id": "main"}
PYTHON = {"id": "python-1"}


class Dialling:
    """Holds back the dialling of peers that join from here on, so that they are away for as long as a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._may = threading.Event()
        patched = partial(keep_joined, sleep=self._sleep)
        monkeypatch.setattr(importlib.import_module("viaduct.aio.join"), "keep_joined", patched)

    async def _sleep(self, _: float) -> None:
        while not self._may.is_set():
            await asyncio.sleep(0.001)

    def lose(self, peer: Peer) -> None:
        """Cuts the link of a peer, as its end of the socket."""
        self._may.clear()
        transport = peer.driver._transport
        assert transport is not None
        transport.abort()

    async def cut(self, peer: Peer) -> None:
        """Returns when it is away."""
        self.lose(peer)
        await peer.link_lost()
        assert not peer.is_connected

    def resume(self) -> None:
        self._may.set()

    async def back(self, peer: Peer) -> None:
        """Returns when it has a link again."""
        self.resume()
        assert await peer._again()


@pytest.fixture
def dialling(monkeypatch: pytest.MonkeyPatch) -> Dialling:
    return Dialling(monkeypatch)


async def join(hub: HubProcess, id: str = "python-1") -> Peer:
    return await viaduct.join(app=APP, id=id, base=hub.base)


def fresh(family: str = "resumed") -> str:
    """The hub is the module's: each test has topics of its own."""
    return f"{family}.t{uuid.uuid4().hex}"


async def take(events: Subscription[Any], count: int) -> list[Any]:
    return [await anext(events) for _ in range(count)]


async def publish(publisher: Peer, topic: str, *values: object) -> None:
    """Returns when the hub has them."""
    for value in values:
        await publisher.publish(topic, value)
    await publisher.call("$hub.ping")


def no_gap(gap: EventGap) -> None:
    pytest.fail(f"nothing is missing, but {gap}")


@asynchronous
async def test_what_was_published_meanwhile_comes_over_the_next_link(hub: HubProcess, dialling: Dialling) -> None:
    topic = fresh()
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        # Nothing was read of the second one: it goes on from where it began.
        async with peer.subscribe(topic, on_gap=no_gap) as events, peer.subscribe(topic, on_gap=no_gap) as unread:
            await publish(publisher, topic, 0)
            assert await take(events, 1) == [0]
            await publish(publisher, topic, 1)
            for number in (2, 4):
                await dialling.cut(peer)
                await publish(publisher, topic, number, number + 1)
                dialling.resume()
                # The first one had come before the link was lost.
                assert await take(events, 2) == [number - 1, number]
                assert events.last is not None and events.last.source == "python-2"
                assert (events.last.sequence, events.last_event_id) == (number + 1, events.last.event_id)
            assert await take(unread, 6) == [0, 1, 2, 3, 4, 5]
            assert (events.dropped, unread.dropped) == (0, 0)


@asynchronous
async def test_a_gap_is_told_before_what_follows_it(hub: HubProcess, dialling: Dialling) -> None:
    topic = fresh("brief")
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        told: list[object] = []
        async with peer.subscribe(topic, on_gap=told.append) as events:
            await publish(publisher, topic, 0)
            assert await take(events, 1) == [0]
            for first in (1, 6):
                after = events.last_event_id
                await dialling.cut(peer)
                await publish(publisher, topic, *range(first, first + 5))
                dialling.resume()
                told.append(await anext(events))
                gap, value = told
                assert isinstance(gap, EventGap)
                assert (gap.missed, gap.start, value) == (3, after, first + 3)
                assert await take(events, 1) == [first + 4]
                told.clear()


@pytest.mark.parametrize("in_order", [True, False], ids=["in good order", "killed"])
@asynchronous
async def test_a_hub_that_was_started_again_has_kept_nothing(in_order: bool) -> None:
    with HubProcess() as hub:
        async with await join(hub) as peer:
            gaps: asyncio.Queue[EventGap] = asyncio.Queue()
            pairs = peer.subscribe_all("pages.*")
            async with pairs, peer.subscribe("pages.one", on_gap=gaps.put_nowait) as events:
                await peer.publish("pages.one", "old")
                assert await take(events, 1) == ["old"]
                assert await take(pairs, 1) == [("pages.one", "old")]
                before, after = events.dropped, events.last_event_id
                waiting = asyncio.ensure_future(anext(events))
                waiting_for_pair = asyncio.ensure_future(anext(pairs))
                (hub.end if in_order else hub.kill)()
                await peer.link_lost()
                # What is known of the links before is known as long as there is none.
                assert (events.last_event_id, events.last is not None) == (after, True)
                hub.start()
                gap = await gaps.get()
                assert (gap.missed, gap.start, gap.end) == (None, after, events.last_event_id)
                await pairs.ready()
                await peer.publish("pages.one", "new")
                assert (await waiting, await waiting_for_pair) == ("new", ("pages.one", "new"))
                assert (events.dropped, gaps.qsize()) == (before, 0)


@asynchronous
async def test_the_topics_of_a_pattern_go_on_in_their_order(hub: HubProcess, dialling: Dialling) -> None:
    family = fresh()
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        async with peer.subscribe_all(f"{family}.*", on_gap=no_gap) as events:
            await publish(publisher, f"{family}.a", 0)
            assert await take(events, 1) == [(f"{family}.a", 0)]
            await dialling.cut(peer)
            await publish(publisher, f"{family}.b", 1)
            await publish(publisher, f"{family}.a", 2)
            dialling.resume()
            assert await take(events, 2) == [(f"{family}.b", 1), (f"{family}.a", 2)]


@asynchronous
async def test_a_member_of_a_group_goes_on_with_what_comes(hub: HubProcess, dialling: Dialling) -> None:
    topic = fresh()
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        async with peer.subscribe(topic, group="g", on_gap=no_gap) as events:
            await publish(publisher, topic, "before")
            assert await take(events, 1) == ["before"]
            assert events.last_event_id is not None
            await dialling.cut(peer)
            while await subscribers(publisher, topic):
                pass
            await publish(publisher, topic, "of nobody")
            waiting = asyncio.ensure_future(anext(events))
            dialling.resume()
            # Its reader subscribes when it hears of the link, in front of this.
            while not await subscribers(publisher, topic):
                pass
            await publish(publisher, topic, "after")
            assert await waiting == "after"


async def subscribers(peer: Peer, topic: str) -> int:
    rows: list[dict[str, Any]] = (await peer.call("$hub.stats"))["subscriptions"]
    return sum(row["topic"] == topic for row in rows)


@asynchronous
async def test_a_reader_that_gives_up_while_there_is_no_link_may_come_back(
    hub: HubProcess, dialling: Dialling
) -> None:
    topic = fresh()
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        events = peer.subscribe(topic, on_gap=no_gap)
        await events.ready()
        await dialling.cut(peer)
        for _ in range(3):
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await publish(publisher, topic, 1)
        dialling.resume()
        assert await take(events, 1) == [1]
        # One that was cancelled is not made again.
        events.cancel()
        await dialling.cut(peer)
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        dialling.resume()


@asynchronous
async def test_refusals_are_told_over_the_next_link_as_well(hub: HubProcess, dialling: Dialling) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with await join(hub, "guest") as peer:
        end = peer.on_refused(told.put_nowait)
        await peer.publish("secret", 1)
        assert await told.get() == "secret"
        await dialling.cut(peer)
        await dialling.back(peer)
        await peer.publish("secret", 2)
        assert await told.get() == "secret"
        end()
        assert told.empty()


def test_a_blocking_reader_goes_on_and_hears_of_gaps_itself(hub: HubProcess, dialling: Dialling) -> None:
    topic = fresh("brief")
    told: list[object] = []

    def on_gap(gap: EventGap) -> None:
        told.append((gap.missed, threading.current_thread()))
        raise ValueError("of this the loop is told, and the subscription goes on")

    with (
        blocking.join(app=APP, id="python-1", base=hub.base) as peer,
        blocking.join(app=APP, id="python-2", base=hub.base) as publisher,
    ):
        with peer.subscribe(topic, on_gap=on_gap) as events, peer.subscribe_all(f"{topic}.*") as pairs:
            publisher.publish(topic, 0)
            assert next(events) == 0
            peer._thread.run(dialling.cut(peer._peer))
            assert not peer.is_connected and peer.closed is None
            for number in range(1, 5):
                publisher.publish(topic, number)
            publisher.publish(f"{topic}.one", 5)
            publisher.call("$hub.ping")
            dialling.resume()
            assert [next(events)] + told == [3, (2, threading.main_thread())]
            assert next(events) == 4
            assert events.last is not None and events.last_event_id == events.last.event_id
            assert next(pairs) == (f"{topic}.one", 5)
            assert len(told) == 1


@asynchronous
async def test_callbacks_of_a_lost_link_fail_and_those_of_the_next_work(hub: HubProcess, dialling: Dialling) -> None:
    lent: asyncio.Queue[Callback] = asyncio.Queue()
    async with await join(hub) as peer:

        @peer.handler("py.use")
        async def use(function: Callback, call: Call) -> Any:
            assert isinstance(function, Callback)
            function.keep()
            lent.put_nowait(function)
            return await function(20)

        async def never(_: object) -> None:
            await asyncio.Event().wait()

        async def double(value: int) -> int:
            return value * 2

        async with await join(hub, "python-2") as caller:
            assert await caller.call("py.use", double, target=PYTHON) == 40
            kept = await lent.get()
            open = asyncio.ensure_future(caller.call("py.use", never, target=PYTHON))
            waiting = (await lent.get())(1)
            assert await kept(3) == 6

            await dialling.cut(peer)
            for failing in (waiting, kept(1)):
                with pytest.raises(ViaductError) as failure:
                    await failing
                assert failure.value.reason == "LINK_LOST"
            with pytest.raises(ViaductError) as failure:
                await open
            assert (failure.value.reason, failure.value.fate) == ("TARGET_UNAVAILABLE", "unknown")
            await dialling.back(peer)
            assert await caller.call("py.use", double, target=PYTHON) == 40
            assert await (await lent.get())(4) == 8
            with pytest.raises(ViaductError) as failure:
                await kept(1)
            assert failure.value.reason == "LINK_LOST"


@asynchronous
async def test_functions_that_run_for_a_lost_link_are_cancelled(hub: HubProcess, dialling: Dialling) -> None:
    async with await join(hub) as peer, await join(hub, "python-2") as other:
        running, cancelled = asyncio.Event(), asyncio.Event()

        async def run(_: object) -> None:
            running.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        def double(value: int) -> int:
            return value * 2

        request: dict[str, object] = {"callback": double, "times": 1, "leaseMs": 60_000}
        [given] = await peer.call("node.callBack", request, target=NODE)
        assert given == {"value": 0}
        assert await other.call("node.callKept", 4, target=NODE) == {"value": 8}
        open = asyncio.ensure_future(peer.call("node.callBack", {"times": 1, "callback": run}, target=NODE))
        await running.wait()
        await dialling.cut(peer)
        await cancelled.wait()
        with pytest.raises(ViaductError) as failure:
            await open
        assert (failure.value.reason, failure.value.fate) == ("LINK_LOST", "unknown")
        await dialling.back(peer)
        answer = await other.call("node.callKept", 4, target=NODE)
        assert answer["error"]["reason"] == "CANCELLED"
        [given] = await peer.call("node.callBack", request, target=NODE)
        assert given == {"value": 0}
        assert await other.call("node.callKept", 5, target=NODE) == {"value": 10}
