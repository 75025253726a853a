"""Peers that joined by themselves, and hubs that go and come back."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import Call, Peer, ViaductError
from viaduct import blocking
from viaduct.aio.rejoin import Backoff

NODE = {"id": "main"}
PYTHON = {"id": "python-1"}
FIRST, LONGEST = 0.05, 2.0


def test_delays_double_up_to_a_bound_by_full_jitter() -> None:
    whole = Backoff(lambda: 1.0)
    delays = [whole.next() for _ in range(9)]
    assert delays == [FIRST * 2**number for number in range(6)] + [LONGEST] * 3
    half = Backoff(lambda: 0.5)
    assert [half.next() for _ in range(9)] == [delay / 2 for delay in delays]
    assert Backoff(lambda: 0.0).next() == 0


async def join(hub: HubProcess, id: str = "python-1") -> Peer:
    return await viaduct.join(app=APP, id=id, base=hub.base)


async def next_of(events: viaduct.Subscription[object], publisher: Peer, value: object) -> object:
    """The next event; published until it is there, as nobody says when a stranger has come back."""
    waiting = asyncio.ensure_future(anext(events))
    while not waiting.done():
        await publisher.publish("news", value)
        await asyncio.wait({waiting}, timeout=0.02)
    return await waiting


@pytest.mark.parametrize("in_order", [True, False], ids=["in good order", "killed"])
@asynchronous
async def test_a_peer_goes_on_with_a_hub_that_comes_back(in_order: bool) -> None:
    with HubProcess() as hub:
        peer = await join(hub)
        started, cancelled = asyncio.Event(), asyncio.Event()

        @peer.handler("py.hang")
        async def hang(_: object, call: Call) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        peer.serve("py", {"echo": lambda value, call: value, "all": lambda value, call: [value]})
        withdraw = peer.handle("py.gone", lambda value, call: value)
        events = peer.subscribe("news")
        await events.ready()
        assert await next_of(events, peer, "before") == "before"
        session = peer.info.session
        request = {"method": "py.hang", "target": PYTHON, "timeoutMs": 0}
        in_flight = asyncio.ensure_future(peer.call("node.call", request, target=NODE, timeout=None))
        await started.wait()

        lost = asyncio.ensure_future(peer.link_lost())
        (hub.end if in_order else hub.kill)()
        with pytest.raises(ViaductError) as failure:
            await in_flight
        assert (failure.value.reason, failure.value.fate) == ("LINK_LOST", "unknown")
        await lost
        await cancelled.wait()
        assert (peer.closed, peer.is_connected) == (None, False)
        for refused in (peer.call("node.echo"), peer.publish("news", 1), peer.ping(), peer.notify("m", 1)):
            with pytest.raises(ViaductError) as failure:
                await refused
            assert (failure.value.reason, failure.value.fate) == ("LINK_LOST", "not-sent")
        withdraw()
        peer.handle("py.new", lambda value, call: "new")

        hub.start()
        async with await join(hub, "python-2") as other:
            assert await next_of(events, other, "after") == "after"
            assert peer.is_connected and peer.info.session != session
            assert await other.call("py.echo", 7, target=PYTHON) == 7
            assert await other.call("py.new", 7, target=PYTHON) == "new"
            with pytest.raises(ViaductError) as failure:
                await other.call("py.gone", 7, target=PYTHON)
            assert failure.value.reason == "METHOD_NOT_FOUND"
            assert await peer.call("node.add", {"a": 1, "b": 2}, target=NODE) == 3
            # It says so by itself, in its own time.
            while not next(row for row in await peer.call("$hub.who") if row["id"] == "python-1")["ready"]:
                pass
        events.cancel()
        await peer.close()
        assert peer.closed == "GOING_AWAY"


@asynchronous
async def test_a_peer_that_is_closed_while_there_is_no_hub_stays_closed() -> None:
    with HubProcess() as hub:
        peer = await join(hub)
        events = peer.subscribe("news")
        await events.ready()
        waiting = asyncio.ensure_future(anext(events))
        lost = asyncio.ensure_future(peer.link_lost())
        hub.kill()
        await lost
        await peer.close()
        assert await peer.wait_closed() == "GOING_AWAY"
        with pytest.raises(ViaductError) as failure:
            await waiting
        assert failure.value.reason == "LINK_LOST"
        hub.start()
        async with await join(hub, "python-2") as other:
            assert "python-1" not in {row["id"] for row in await other.call("$hub.who")}


def test_a_blocking_peer_goes_on_too() -> None:
    with HubProcess() as hub:
        with blocking.join(app=APP, id="python-1", base=hub.base) as peer:
            peer.handle("py.echo", lambda value, call: value)
            serving = threading.Thread(target=peer.run_forever)
            serving.start()
            hub.kill()
            with pytest.raises(ViaductError) as failure:
                while True:
                    peer.call("node.echo", target=NODE)
            assert failure.value.reason == "LINK_LOST"
            hub.start()
            with blocking.join(app=APP, id="python-2", base=hub.base) as other:
                value = None
                while value != {"value": 5}:
                    request = {"method": "py.echo", "input": 5, "target": PYTHON}
                    value = other.call("node.call", request, target=NODE)
        serving.join(timeout=20)
        assert not serving.is_alive()
