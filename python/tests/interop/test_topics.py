"""Positions, gaps, patterns and groups of subscriptions through a real hub."""

from __future__ import annotations

import asyncio
import gc
import threading
import uuid
from typing import Any

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import EventGap, Peer, Subscription, ViaductError, blocking

NODE = {"id": "main"}


async def join(hub: HubProcess, id: str = "python-1") -> Peer:
    return await viaduct.join(app=APP, id=id, base=hub.base)


def fresh(family: str = "topics") -> str:
    """The hub is the module's: each test has topics of its own."""
    return f"{family}.t{uuid.uuid4().hex}"


async def take(events: Subscription[Any], count: int) -> list[Any]:
    return [await anext(events) for _ in range(count)]


def no_gap(gap: EventGap) -> None:
    pytest.fail(f"nothing is missing, but {gap}")


@asynchronous
async def test_who_comes_back_gets_what_was_missed(hub: HubProcess) -> None:
    topic = fresh()
    async with await join(hub, "python-2") as publisher:
        async with await join(hub) as peer:
            unregistered = peer.subscribe(topic)
            assert unregistered.last_event_id is None
            async with unregistered as events:
                await publisher.publish(topic, "read")
                assert await take(events, 1) == ["read"]
                assert events.last is not None
                assert (events.last.topic, events.last.source) == (topic, "python-2")
                after = events.last_event_id
                assert after == events.last.event_id
        assert after is not None and after.split(".")[2] == "1"
        await publisher.publish(topic, "missed")
        await publisher.publish(topic, "missed too")
        async with await join(hub) as peer:
            async with peer.subscribe(topic, last_event_id=after, on_gap=no_gap) as events:
                assert events.last_event_id == after
                await publisher.publish(topic, "new")
                assert await take(events, 3) == ["missed", "missed too", "new"]


@asynchronous
async def test_who_has_read_nothing_goes_on_from_where_it_began(hub: HubProcess) -> None:
    topic = fresh()
    async with await join(hub) as peer:
        await peer.publish(topic, "before")
        async with peer.subscribe(topic) as events:
            begun = events.last_event_id
        assert begun is not None
        await peer.publish(topic, "after")
        async with peer.subscribe(topic, last_event_id=begun, on_gap=no_gap) as events:
            assert await take(events, 1) == ["after"]


@asynchronous
async def test_what_is_kept_no_more_is_told_as_a_gap(hub: HubProcess) -> None:
    topic = fresh("brief")
    async with await join(hub) as peer:
        async with peer.subscribe(topic) as events:
            await peer.publish(topic, 0)
            assert await take(events, 1) == [0]
            after = events.last_event_id
        for number in range(1, 6):
            await peer.publish(topic, number)
        told: list[object] = []
        events = peer.subscribe(topic, last_event_id=after, on_gap=told.append)
        # Whoever reads without waiting for the registration hears of the gap first too.
        told.append(await anext(events))
        gap, value = told
        assert isinstance(gap, EventGap)
        assert (gap.missed, gap.start, value) == (3, after, 4)
        assert await take(events, 1) == [5]
        # The position behind the gap is one to go on from.
        async with peer.subscribe(topic, last_event_id=gap.end, on_gap=no_gap) as again:
            assert await take(again, 2) == [4, 5]


@asynchronous
async def test_a_gap_of_another_hubs_life_has_no_known_size() -> None:
    with HubProcess() as hub:
        async with await join(hub) as peer:
            async with peer.subscribe("news") as events:
                await peer.publish("news", "old")
                assert await take(events, 1) == ["old"]
                after = events.last_event_id
            assert after is not None
            hub.restart()
        async with await join(hub) as peer:
            gaps: list[EventGap] = []
            async with peer.subscribe("news", last_event_id=after, on_gap=gaps.append) as events:
                [gap] = gaps
                assert (gap.missed, gap.start, gap.end) == (None, after, events.last_event_id)
                assert gap.end.split(".")[0] != after.split(".")[0]
                await peer.publish("news", "new")
                assert await take(events, 1) == ["new"]


@asynchronous
async def test_a_listener_that_raises_ends_no_subscription(hub: HubProcess) -> None:
    topic = fresh("brief")
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
    async with await join(hub) as peer:
        async with peer.subscribe(topic) as events:
            begun = events.last_event_id
        for number in range(3):
            await peer.publish(topic, number)

        def on_gap(gap: EventGap) -> None:
            raise ValueError(gap.missed)

        async with peer.subscribe(topic, last_event_id=begun, on_gap=on_gap) as events:
            assert await take(events, 2) == [1, 2]
    assert [str(error) for error in raised] == ["1"]


@asynchronous
async def test_where_nothing_is_kept_all_that_was_missed_is_a_gap(hub: HubProcess) -> None:
    topic = fresh("unkept")
    async with await join(hub) as peer:
        async with peer.subscribe(topic) as events:
            await peer.publish(topic, 1)
            assert await take(events, 1) == [1]
            after = events.last_event_id
        await peer.publish(topic, 2)
        gaps: list[EventGap] = []
        async with peer.subscribe(topic, last_event_id=after, on_gap=gaps.append) as events:
            assert [(gap.missed, gap.start) for gap in gaps] == [(1, after)]
            await peer.publish(topic, 3)
            assert await take(events, 1) == [3]


@asynchronous
async def test_what_cannot_be_asked_for(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        async with peer.subscribe("news") as events:
            known = events.last_event_id
        wishes: list[tuple[str, dict[str, Any]]] = [
            ("lastEventId", {"last_event_id": "yesterday"}),
            ("lastEventId", {"last_event_id": known, "group": "workers"}),
            ("maxAgeMs", {"max_age": 0}),
            ("group", {"group": ""}),
            ("overflow", {"overflow": "never"}),
        ]
        for path, wish in wishes:
            subscription = peer.subscribe("news", **wish)
            with pytest.raises(ViaductError) as failure:
                await subscription.ready()
            assert (failure.value.reason, failure.value.path) == ("BAD_SUBSCRIPTION", path)
            with pytest.raises(ViaductError):
                await anext(subscription)
        for pattern in ("", "pages*", "*.opened", "*.o"):
            with pytest.raises(ViaductError) as failure:
                peer.subscribe_all(pattern)
            assert (failure.value.reason, failure.value.fate) == ("BAD_SUBSCRIPTION", "not-sent")


@asynchronous
async def test_a_group_shares_each_event_once(hub: HubProcess) -> None:
    topic = fresh()
    async with await join(hub) as publisher:
        ids = ("worker-1", "worker-2")
        for id in ids:
            await publisher.call("node.admit", {"id": id, "type": "python"}, target=NODE)
        async with await join(hub, ids[0]) as one, await join(hub, ids[1]) as two:
            got: asyncio.Queue[tuple[str, object]] = asyncio.Queue()

            async def read(peer: Peer, ready: asyncio.Event) -> None:
                async with peer.subscribe(topic, group="workers") as events:
                    ready.set()
                    async for value in events:
                        got.put_nowait((peer.id, value))

            registered = [asyncio.Event(), asyncio.Event()]
            readers = [
                asyncio.create_task(read(peer, ready))
                for peer, ready in zip((one, two), registered, strict=True)
            ]
            for ready in registered:
                await ready.wait()
            for number in range(20):
                await publisher.publish(topic, number)
            shares: dict[str, list[object]] = {id: [] for id in ids}
            for _ in range(20):
                who, value = await got.get()
                shares[who].append(value)
            # Nobody gets one again: an event behind all others is what each reads next.
            ended: set[str] = set()
            while len(ended) < 2:
                await publisher.publish(topic, "end")
                who, value = await got.get()
                assert value == "end"
                ended.add(who)
            assert all(shares.values())
            shared = [number for share in shares.values() for number in share]
            assert sorted(map(str, shared)) == sorted(map(str, range(20)))
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


@asynchronous
async def test_all_topics_of_a_pattern(hub: HubProcess) -> None:
    family = fresh()
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        async with peer.subscribe_all(f"{family}.*") as events:
            await publisher.publish("elsewhere", 0)
            await publisher.publish(f"{family}.opened", {"tab": 1})
            await publisher.publish(f"{family}.closed", 7)
            topic, data = await anext(events)
            assert (topic, data) == (f"{family}.opened", {"tab": 1})
            event = await anext(events)
            assert (event.topic, event.data) == (f"{family}.closed", 7)
            assert events.last is not None
            assert (events.last.topic, events.last.source) == (f"{family}.closed", "python-2")
            after = events.last_event_id
        await publisher.publish(f"{family}.opened", {"tab": 2})
        async with peer.subscribe_all(f"{family}.*", last_event_id=after, on_gap=no_gap) as events:
            assert await anext(events) == (f"{family}.opened", {"tab": 2})


@pytest.mark.parametrize("max_age, least, most", [(0.5, 200, 400), (60, 0, 0)])
@asynchronous
async def test_events_that_waited_too_long_are_dropped_and_counted(
    hub: HubProcess, max_age: float, least: int, most: int
) -> None:
    topic = fresh()
    async with await join(hub) as peer, await join(hub, "python-2") as publisher:
        async with peer.subscribe(topic, max_age=max_age, window_bytes=1) as events:
            for _ in range(400):
                await publisher.publish(topic, bytes(1000))
            # What they wait for at the hub is that time passes.
            await asyncio.sleep(0.6)
            seen = len(await take(events, 1))
            await publisher.publish(topic, "last")
            async for value in events:
                seen += 1
                if value == "last":
                    break
            # Fewer than the hub's queue takes: nothing else could have dropped them.
            assert seen + events.dropped == 401
            assert least <= events.dropped <= most


@asynchronous
async def test_node_gets_what_python_publishes(hub: HubProcess) -> None:
    family = fresh()
    async with await join(hub) as peer:
        one = peer.stream("node.listen", f"{family}.opened", target=NODE)
        all_ = peer.stream("node.listen", f"{family}.*", target=NODE)
        for listening in (one, all_):
            assert await anext(listening) == "ready"
        await peer.publish(f"{family}.closed", 7)
        await peer.publish(f"{family}.opened", {"tab": 1})
        closed = {"data": 7, "source": "python-1", "topic": f"{family}.closed"}
        opened = {"data": {"tab": 1}, "source": "python-1", "topic": f"{family}.opened"}
        assert await anext(one) == opened
        assert [await anext(all_), await anext(all_)] == [closed, opened]
        for listening in (one, all_):
            listening.cancel()


@asynchronous
async def test_who_publishes_in_vain_is_told_once(hub: HubProcess) -> None:
    async with await join(hub, "guest") as peer:
        told: asyncio.Queue[str] = asyncio.Queue()
        end = peer.on_refused(told.put_nowait)
        for _ in range(3):
            await peer.publish("secret.one", 1)
        assert await told.get() == "secret.one"
        await peer.publish("secret.one", 1)
        await peer.publish("secret.two", 1)
        assert await told.get() == "secret.two"
        end()
        heard = asyncio.Event()
        peer.on_refused(lambda _: heard.set())
        await peer.publish("secret.three", 1)
        await heard.wait()
        assert told.empty()


@pytest.mark.parametrize("refers", [False, True])
@asynchronous
async def test_a_loop_that_is_left_ends_its_subscription(hub: HubProcess, refers: bool) -> None:
    topic = fresh()
    async with await join(hub) as peer:

        async def subscribers() -> int:
            rows: list[dict[str, Any]] = (await peer.call("$hub.stats"))["subscriptions"]
            return sum(row["topic"] == topic for row in rows)

        async def read_one(after: str | None) -> None:
            # What is told of a gap may well refer to the subscription, which the collector finds then.
            def cancel(_: EventGap) -> None:
                events.cancel()

            events = peer.subscribe(topic, last_event_id=after, on_gap=cancel if refers else no_gap)
            async for _ in events:
                assert await subscribers() == 1
                break

        async with peer.subscribe(topic) as events:
            after = events.last_event_id
        await peer.publish(topic, 1)
        await read_one(after)
        while await subscribers():
            if refers:
                gc.collect()


def test_the_blocking_face(hub: HubProcess) -> None:
    topic = fresh("brief")
    with blocking.join(app=APP, id="python-1", base=hub.base) as peer:
        with peer.subscribe(topic) as events:
            after = events.last_event_id
        assert after is not None
        for number in range(5):
            peer.publish(topic, number)
        told: list[object] = []

        def on_gap(gap: EventGap) -> None:
            told.append((gap.missed, gap.start, threading.current_thread()))

        with peer.subscribe(topic, last_event_id=after, on_gap=on_gap) as events:
            assert told == [(3, after, threading.main_thread())]
            assert [next(events), next(events)] == [3, 4]
            assert events.last is not None and events.last_event_id == events.last.event_id
        left = threading.Thread(target=lambda: told.append(list(events)), daemon=True)
        left.start()
        left.join(20)
        assert told[1:] == [[]]
        with peer.subscribe_all(f"{topic}.*", max_age=5, group="all") as pairs:
            peer.publish(f"{topic}.opened", 1)
            assert next(pairs) == (f"{topic}.opened", 1)
        with pytest.raises(ViaductError) as failure:
            peer.subscribe(topic, last_event_id="yesterday")
        assert failure.value.path == "lastEventId"
    with blocking.join(app=APP, id="guest", base=hub.base, ready=False) as peer:
        refused = threading.Event()
        peer.on_refused(lambda name: refused.set() if name == "secret" else None)
        peer.publish("secret", 1)
        assert refused.wait(20)
