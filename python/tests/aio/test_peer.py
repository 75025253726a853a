"""Peers over socket pairs and pipes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import viaduct
from aio.asynchronous import asynchronous
from aio.pair import hosting_peer, peer_pair
from viaduct import Call, ViaductError
from viaduct.aio.stdio import PipeTransport
from viaduct.core.clock import system_clock

SOURCE = Path(viaduct.__file__).parents[1]

STDIO_CHILD = """
import asyncio, os, viaduct

async def main():
    async with await viaduct.join() as peer:
        print("printed")
        os.write(1, b"written\\n")
        peer.handle("child.echo", lambda value, call: value)
        await peer.wait_closed()

asyncio.run(main())
"""


@asynchronous
async def test_a_link_over_stdio() -> None:
    child_in, hub_out = os.pipe()
    hub_in, child_out = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", STDIO_CHILD],
        stdin=child_in,
        stdout=child_out,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(SOURCE), "VIADUCT_FD": "stdio", "VIADUCT_APP": "app"},
    )
    os.close(child_in)
    os.close(child_out)
    hub = hosting_peer()
    ready = asyncio.Event()
    hub.handle("$hub.serve", lambda methods, call: None)
    hub.handle("$hub.ready", lambda _, call: ready.set())
    await PipeTransport().open(hub.driver, hub_in, hub_out)
    await ready.wait()
    large = bytes(500_000)
    assert await hub.call("child.echo", {"large": large}) == {"large": large}
    await hub.close()
    _, errors = await asyncio.to_thread(child.communicate)
    assert errors.splitlines() == [b"printed", b"written"]
    assert child.returncode == 0


@asynchronous
async def test_a_deadline_ends_a_handler() -> None:
    # The caller's time stands still, so that no cancel of its comes before the handler's own clock has run down.
    start = system_clock()
    caller, callee = await peer_pair(lambda: start)
    ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @callee.handler("m")
    async def wait(_: object, call: Call) -> None:
        assert call.deadline > time.monotonic()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set_result(call.time_left)

    with pytest.raises(ViaductError) as failure:
        await caller.call("m", timeout=0.05)
    assert failure.value.reason == "DEADLINE_EXCEEDED"
    assert await ended <= 0
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_a_deadline_ends_a_call_and_its_handler_hears_of_it() -> None:
    # The handler's time stands still: the caller's own clock ends the call.
    start = system_clock()
    callee, caller = await peer_pair(lambda: start)
    ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @callee.handler("m")
    async def wait(_: object, call: Call) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set_result(call.time_left)

    with pytest.raises(ViaductError) as failure:
        await caller.call("m", timeout=0.05)
    assert (failure.value.reason, failure.value.fate) == ("DEADLINE_EXCEEDED", "unknown")
    assert await ended > 0
    with pytest.raises(ViaductError) as failure:
        await caller.call("m", timeout=-1)
    assert failure.value.fate == "not-sent"
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_a_reader_that_rests_stops_the_generator() -> None:
    caller, callee = await peer_pair()
    made = 0

    @callee.handler("items")
    async def items(_: object, call: Call) -> AsyncIterator[bytes]:
        nonlocal made
        for made in range(1000):
            yield bytes(10_000)

    stream = caller.stream("items", window_bytes=100_000)
    await anext(stream)
    for _ in range(50):
        await caller.ping()
    before = made
    await caller.ping()
    assert before == made < 12
    assert len([item async for item in stream]) == 999
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_a_handler_that_returns_nothing_sendable_and_one_that_raises_oddly() -> None:
    caller, callee = await peer_pair()

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even that")

    def odd(_: object, call: Call) -> None:
        raise Odd

    callee.handle("odd", odd)
    callee.handle("object", lambda _, call: object())

    def raises(error: ViaductError, code: str, reason: str) -> None:
        assert (error.code, error.reason) == (code, reason)

    for method, code, reason in [
        ("odd", "UNKNOWN", "HANDLER_ERROR"),
        ("object", "INTERNAL", "UNSENDABLE"),
        ("none", "UNIMPLEMENTED", "METHOD_NOT_FOUND"),
    ]:
        with pytest.raises(ViaductError) as failure:
            await caller.call(method)
        raises(failure.value, code, reason)
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_handlers_in_threads_that_raise_or_return_what_cannot_be_sent() -> None:
    caller, callee = await peer_pair()
    turned = asyncio.Event()

    def stop(_: object, call: Call) -> None:
        raise StopIteration(5)

    def leave(_: object, call: Call) -> None:
        raise ValueError("no")

    def declared(_: object, call: Call) -> None:
        raise call.error("TooLong", {"max": 3})

    def wait(_: object, call: Call) -> str:
        assert call.cancelled.is_set() is False
        # The loop turns while a handler blocks its thread.
        asyncio.run_coroutine_threadsafe(caller.ping(), loop).result(5)
        loop.call_soon_threadsafe(turned.set)
        return "waited"

    def items(_: object, call: Call) -> Iterator[object]:
        yield 1
        yield object()

    loop = asyncio.get_running_loop()
    for name, handler in {"stop": stop, "leave": leave, "declared": declared, "wait": wait}.items():
        callee.handle(name, handler, blocking=True)
    callee.handle("object", lambda _, call: [1, object()], blocking=True)
    callee.handle("items", items, blocking=True)
    for method, code, reason, path in [
        ("stop", "UNKNOWN", "HANDLER_ERROR", None),
        ("leave", "UNKNOWN", "HANDLER_ERROR", None),
        ("declared", "FAILED_PRECONDITION", "TooLong", None),
        ("object", "INTERNAL", "UNSENDABLE", "output[1]"),
    ]:
        with pytest.raises(ViaductError) as failure:
            await caller.call(method, timeout=5)
        error = failure.value
        assert (error.code, error.reason, error.path) == (code, reason, path)
    stream = caller.stream("items")
    assert await anext(stream) == 1
    with pytest.raises(ViaductError) as failure:
        await anext(stream)
    assert (failure.value.code, failure.value.reason, failure.value.path) == ("INTERNAL", "UNSENDABLE", "item")
    assert await caller.call("wait", timeout=5) == "waited"
    assert turned.is_set()
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_closing_settles_what_waits_on_both_sides() -> None:
    caller, callee = await peer_pair()
    cancelled = asyncio.Event()
    started = asyncio.Event()

    @callee.handler("m")
    async def hang(_: object, call: Call) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    waiting = asyncio.ensure_future(caller.call("m", timeout=None))
    await started.wait()
    await callee.close()
    assert cancelled.is_set()
    with pytest.raises(ViaductError) as failure:
        await waiting
    assert (failure.value.reason, failure.value.fate) == ("LINK_LOST", "unknown")
    assert await caller.wait_closed() == "GOING_AWAY"
    await caller.close()


@asynchronous
async def test_a_cancel_is_over_when_the_thread_of_its_handler_is() -> None:
    caller, callee = await peer_pair()
    steps: list[str] = []

    @callee.handler("items", blocking=True)
    def items(_: object, call: Call) -> Iterator[int]:
        yield 1
        try:
            while not call.cancelled.is_set():
                time.sleep(0.001)
            steps.append("seen")
            yield 2
        finally:
            steps.append("closed")

    async with caller.stream("items") as stream:
        assert await anext(stream) == 1
    await caller.ping()
    await callee.close()
    assert steps == ["seen", "closed"]
    await caller.close()
