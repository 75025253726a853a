"""Functions that are called back through a real hub, between Python and Node.js."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import Call, Callback, Peer, ViaductError, blocking
from viaduct.wire.limits import FRAGMENT_BYTES

NODE = {"id": "main"}
PYTHON = {"id": "python-1"}


async def join(hub: HubProcess, id: str = "python-1") -> Peer:
    return await viaduct.join(app=APP, id=id, base=hub.base)


async def error_of(work: Any) -> ViaductError:
    with pytest.raises(ViaductError) as failure:
        await work
    return failure.value


async def kept_exchanges(peer: Peer) -> int:
    """How many of its calls outlive their answers, once everything that was said has come."""
    await peer.call("node.echo", target=NODE)
    return len(peer._connection._caller.calls._kept)


@asynchronous
async def test_node_lends_and_python_calls_in_order_keeps_and_releases(hub: HubProcess) -> None:
    got: list[Callback] = []

    async def use(functions: dict[str, Callback], call: Call) -> object:
        double = functions["double"]
        got.append(double)
        given = [await double(number) for number in range(50)]
        given += await asyncio.gather(*(double(number) for number in range(50, 100)))
        error = await error_of(double("page 7"))
        double.keep(lease=30)
        return {"given": given, "error": [error.code, error.reason, error.message]}

    async with await join(hub) as peer:
        peer.handle("py.use", use)
        answer = await peer.call("node.lend", {"method": "py.use", "target": PYTHON}, target=NODE)
        assert answer["value"]["given"] == [2 * number for number in range(100)]
        assert answer["value"]["error"] == ["NOT_FOUND", "NoPage", "page 7"]
        assert await peer.call("node.seen", target=NODE) == [*range(100), "page 7"]
        # Answered, and kept: it is called on.
        [double] = got
        assert [await double(number) for number in range(100)] == [2 * n for n in range(100)]
        for size in (4096, 20_000, FRAGMENT_BYTES - 100):
            # Node's function gives back what is no number.
            assert (await double({"page": "x" * size}))["page"] == "x" * size
        error = await error_of(double(bytes(FRAGMENT_BYTES)))
        assert (error.reason, error.path) == ("MESSAGE_TOO_LARGE", "callbacks[0].arguments")
        double.release()
        error = await error_of(double(1))
        assert (error.reason, error.fate) == ("LEASE_ENDED", "not-sent")


@asynchronous
async def test_a_binary_below_a_frame_is_an_argument_and_a_result(hub: HubProcess) -> None:
    async def use(functions: dict[str, Callback], call: Call) -> object:
        await functions["double"]({"bytes": bytes(20_000)})
        return None

    def give(number: int) -> bytes:
        return bytes([number]) * (4095 + number)

    async with await join(hub) as peer:
        peer.handle("py.use", use)
        await peer.call("node.lend", {"method": "py.use", "target": PYTHON}, target=NODE)
        [seen] = await peer.call("node.seen", target=NODE)
        assert seen == {"bytes": bytes(20_000)}
        given = await peer.call("node.callBack", {"callback": give, "times": 3}, target=NODE)
        assert [one["value"] for one in given] == [give(number) for number in range(3)]
        too_large = {"callback": lambda number: bytes(FRAGMENT_BYTES), "times": 1}
        [refused] = await peer.call("node.callBack", too_large, target=NODE)
        assert refused["error"]["reason"] == "MESSAGE_TOO_LARGE"


@asynchronous
async def test_python_lends_and_node_calls_in_order_keeps_and_releases(hub: HubProcess) -> None:
    seen: list[int] = []

    async def step(number: int) -> int:
        seen.append(number)
        if number == 99:
            raise ViaductError("NOT_FOUND", "the last one", reason="NoPage", data={"page": 7})
        await asyncio.sleep(0)
        return -number

    async with await join(hub) as peer:
        given = await peer.call(
            "node.callBack", {"callback": step, "times": 100, "leaseMs": 30_000}, target=NODE
        )
        assert seen == list(range(100))
        assert [one["value"] for one in given[:99]] == [-number for number in range(99)]
        assert given[99]["error"]["reason"] == "NoPage" and given[99]["error"]["data"] == {"page": 7}
        assert await kept_exchanges(peer) == 1
        assert await peer.call("node.callKept", 5, target=NODE) == {"value": -5}
        await peer.call("node.release", target=NODE)
        assert await kept_exchanges(peer) == 0
        late = await peer.call("node.callKept", 5, target=NODE)
        assert late["error"]["reason"] == "LEASE_ENDED"
        assert seen == [*range(100), 5]


@asynchronous
async def test_a_lease_of_node_ends_what_is_under_way_here(hub: HubProcess) -> None:
    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    async with await join(hub) as peer:
        given = {"callback": hang, "times": 0, "leaseMs": 50}
        await peer.call("node.callBack", given, target=NODE)
        late = await peer.call("node.callKept", target=NODE)
        assert late["error"]["reason"] == "LEASE_ENDED"
        assert await kept_exchanges(peer) == 0


@asynchronous
async def test_a_caller_that_goes_ends_what_is_kept(hub: HubProcess) -> None:
    got: asyncio.Future[Callback] = asyncio.get_running_loop().create_future()

    def keep(function: Callback, call: Call) -> None:
        function.keep()
        got.set_result(function)

    async with await join(hub) as callee:
        callee.handle("py.keep", keep)
        caller = await join(hub, "python-2")
        started = asyncio.Event()

        async def hang() -> None:
            started.set()
            await asyncio.Event().wait()

        await caller.call("py.keep", hang, target=PYTHON)
        waiting = (await got)()
        await started.wait()
        await caller.close()
        assert (await error_of(waiting)).reason == "CANCELLED"
        assert (await error_of((await got)())).reason == "CANCELLED"


def test_a_program_that_owns_its_thread_lends_and_runs_what_it_lends_there(hub: HubProcess) -> None:
    threads: set[threading.Thread] = set()

    def step(number: int) -> object:
        threads.add(threading.current_thread())
        # It may call, and lend, while it is waited for.
        inner = {"callback": lambda number: number + 1, "times": 1}
        [given] = peer.call("node.callBack", inner, target=NODE)
        if number == 2:
            raise StopIteration
        return given["value"] + number

    with blocking.join(app=APP, id="python-1", base=hub.base) as peer:
        given = peer.call(
            "node.callBack", {"callback": step, "times": 3, "leaseMs": 30_000}, target=NODE
        )
        assert [one.get("value") for one in given] == [1, 2, None]
        assert given[2]["error"]["reason"] == "HANDLER_ERROR"
        assert threads == {threading.current_thread()}
        # What is kept beyond the call is run by whoever pumps.
        threads.clear()
        answers: list[object] = []

        def ask() -> None:
            answers.append(peer.call("node.callKept", 1, target=NODE))

        asking = threading.Thread(target=ask)
        asking.start()
        while not answers:
            peer.pump(0.05)
        asking.join()
        assert answers == [{"value": 2}] and threads == {threading.current_thread()}
        peer.call("node.release", target=NODE)


def test_a_handler_of_a_blocking_peer_calls_the_callers_function(hub: HubProcess) -> None:
    kept: list[blocking.Callback] = []

    def use(functions: dict[str, blocking.Callback], call: blocking.Call) -> object:
        double = functions["double"]
        double.keep(lease=30)
        kept.append(double)
        with pytest.raises(ViaductError) as failure:
            double("page 7")
        return [[double(number) for number in range(100)], failure.value.reason]

    with blocking.join(app=APP, id="python-1", base=hub.base) as peer:
        peer.handle("py.use", use)
        answers: list[Any] = []

        def ask() -> None:
            request = {"method": "py.use", "target": PYTHON}
            answers.append(peer.call("node.lend", request, target=NODE))

        asking = threading.Thread(target=ask)
        asking.start()
        while not answers:
            peer.pump(0.05)
        asking.join()
        assert answers == [{"value": [[2 * number for number in range(100)], "NoPage"]}]
        with kept[0]:
            assert kept[0](21) == 42
        with pytest.raises(ViaductError) as failure:
            kept[0](1)
        assert failure.value.reason == "LEASE_ENDED"


def test_a_blocking_stream_runs_what_it_lends_where_it_is_read(hub: HubProcess) -> None:
    threads: set[threading.Thread] = set()

    def step(number: int) -> int:
        threads.add(threading.current_thread())
        return 10 * number

    def items(function: Callback, call: Call) -> Any:
        async def give() -> Any:
            for number in range(3):
                yield await function(number)

        return give()

    served, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with await join(hub, "python-2") as peer:
            peer.handle(viaduct.Method("py.items", "stream"), items)
            # The hub has been told once it has answered this.
            await peer.ready()
            served.set()
            await asyncio.to_thread(over.wait)

    serving = threading.Thread(target=lambda: asyncio.run(serve()))
    serving.start()
    try:
        assert served.wait(10)
        with blocking.join(app=APP, id="python-1", base=hub.base) as peer:
            assert list(peer.stream("py.items", step, target={"id": "python-2"})) == [0, 10, 20]
        assert threads == {threading.current_thread()}
    finally:
        over.set()
        serving.join()
