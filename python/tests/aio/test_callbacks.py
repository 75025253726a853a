"""Functions in the input of a call, on event loops and on threads."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aio.asynchronous import asynchronous
from aio.pair import peer_pair
from viaduct import UNDEFINED, Call, Callback, Peer, ViaductError
from viaduct.aio.callback import BlockingCallback


async def error_of(work: Any) -> ViaductError:
    with pytest.raises(ViaductError) as failure:
        await work
    return failure.value


def held(callee: Peer, method: str = "m") -> asyncio.Future[Callback]:
    """Serves a method that keeps its function and answers."""
    got: asyncio.Future[Callback] = asyncio.get_running_loop().create_future()

    def keep(function: Callback, call: Call) -> str:
        function.keep()
        got.set_result(function)
        return "answered"

    callee.handle(method, keep)
    return got


@asynchronous
async def test_functions_of_either_kind_are_called_in_order_and_their_errors_come_back() -> None:
    caller, callee = await peer_pair()

    @callee.handler("m")
    async def use(given: dict[str, Any], call: Call) -> object:
        assert isinstance(given["step"], Callback)
        first = await asyncio.gather(*(given["step"](number) for number in range(100)))
        errors = [await error_of(given["broken"](how)) for how in ("plain", "ours")]
        nothing = await given["nothing"]()
        told = [(error.code, error.reason, error.message) for error in errors]
        return [first, told, nothing]

    seen: list[int] = []

    async def step(number: int) -> int:
        seen.append(number)
        await asyncio.sleep(0 if number % 2 else 0.001)
        return 2 * number

    def broken(how: str) -> None:
        if how == "plain":
            raise LookupError("no such page")
        raise ViaductError("NOT_FOUND", "nor this", reason="NoPage")

    given = {"step": step, "broken": broken, "nothing": functools.partial(list, ())}
    first, told, nothing = await caller.call("m", given)
    assert seen == list(range(100)) and first == [2 * number for number in seen]
    assert [(code, reason) for code, reason, _ in told] == [
        ("UNKNOWN", "HANDLER_ERROR"),
        ("NOT_FOUND", "NoPage"),
    ]
    assert "no such page" in told[0][2] and nothing == []
    assert caller._connection.open_calls == callee._connection.open_calls == 0
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_one_that_is_not_waited_for_runs_and_says_nothing_of_its_failure() -> None:
    caller, callee = await peer_pair()
    loop = asyncio.get_running_loop()
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    callee.handle("m", lambda step, call: [step(1), step(2), None][2])
    seen: list[int] = []

    def step(number: int) -> None:
        seen.append(number)
        raise ValueError

    await caller.call("m", step)
    assert seen == [1, 2]
    await caller.ping()
    gc.collect()
    assert unheard == []
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_a_function_may_be_lent_on() -> None:
    one, two = await peer_pair()
    three, four = await peer_pair()

    @two.handler("m")
    async def lend_on(function: Callback, call: Call) -> Any:
        return await three.call("m", [function])

    @four.handler("m")
    async def use(functions: list[Callback], call: Call) -> Any:
        return await functions[0]("there")

    assert await one.call("m", lambda where: f"{where} and back") == "there and back"
    await asyncio.gather(*(peer.close() for peer in (one, two, three, four)))


@asynchronous
async def test_kept_used_and_released() -> None:
    caller, callee = await peer_pair()
    got = held(callee)
    runs: list[int] = []
    assert await caller.call("m", lambda: runs.append(1)) == "answered"
    function = await got
    assert await function() is None and runs == [1]
    with function:
        assert await function() is None
    error = await error_of(function())
    assert (error.code, error.reason, error.fate) == (
        "FAILED_PRECONDITION",
        "LEASE_ENDED",
        "not-sent",
    )
    with pytest.raises(ViaductError):
        function.keep()
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_without_being_kept_it_ends_with_its_call() -> None:
    caller, callee = await peer_pair()
    got: list[Callback] = []
    callee.handle("m", lambda function, call: got.append(function))
    await caller.call("m", print)
    assert (await error_of(got[0]())).reason == "LEASE_ENDED"
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_the_lease_of_seconds_ends_by_itself() -> None:
    caller, callee = await peer_pair()
    got: list[Callback] = []

    def keep(function: Callback, call: Call) -> None:
        function.keep(lease=0.05)
        got.append(function)

    callee.handle("m", keep)
    await caller.call("m", asyncio.Event().wait)
    # What is under way ends with the lease.
    error = await error_of(got[0]())
    assert (error.reason, error.fate) == ("LEASE_ENDED", "unknown")
    await caller.ping()
    assert caller._connection._caller.calls._kept == set()
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_one_that_is_forgotten_is_released() -> None:
    caller, callee = await peer_pair()
    callee.handle("m", lambda function, call: function.keep())
    await caller.call("m", lambda: 1)
    gc.collect()
    await callee.ping()
    await caller.ping()
    assert caller._connection._caller.calls._kept == set()
    # One that is under way is not.
    pending: list[asyncio.Future[Any]] = []

    def keep_and_call(function: Callback, call: Call) -> None:
        function.keep()
        pending.append(function())

    callee.handle("slow", keep_and_call)
    go_on = asyncio.Event()

    async def slow() -> str:
        await go_on.wait()
        return "given"

    await caller.call("slow", slow)
    gc.collect()
    await callee.ping()
    go_on.set()
    assert await pending.pop() == "given"
    gc.collect()
    await callee.ping()
    await caller.ping()
    assert caller._connection._caller.calls._kept == set()
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_a_cancel_fails_what_is_under_way_there() -> None:
    caller, callee = await peer_pair()
    told: asyncio.Future[ViaductError] = asyncio.get_running_loop().create_future()
    started = asyncio.Event()

    @callee.handler("m")
    async def use(function: Callback, call: Call) -> None:
        waiting = function()
        try:
            await asyncio.Event().wait()
        finally:
            told.set_result(await error_of(waiting))

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    calling = asyncio.create_task(caller.call("m", hang))
    await started.wait()
    calling.cancel()
    assert (await told).reason == "CANCELLED"
    # What still runs here ends with the link.
    await asyncio.wait_for(asyncio.gather(caller.close(), callee.close()), 2)


@asynchronous
async def test_the_loss_of_the_link_ends_functions_and_those_who_wait_for_them() -> None:
    caller, callee = await peer_pair()
    got = held(callee)
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await caller.call("m", hang)
    waiting = (await got)()
    await started.wait()
    await caller.close()
    assert ended.is_set()
    assert (await error_of(waiting)).reason == "LINK_LOST"
    await callee.close()


@asynchronous
async def test_streams_lend_too_and_may_call_between_their_items() -> None:
    caller, callee = await peer_pair()

    @callee.handler("items")
    async def items(function: Callback, call: Call) -> AsyncIterator[object]:
        for number in range(3):
            yield await function(number)

    assert [item async for item in caller.stream("items", lambda number: -number)] == [0, -1, -2]
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_a_handler_in_a_thread_waits_for_the_function() -> None:
    caller, callee = await peer_pair()
    kept: list[BlockingCallback] = []

    @callee.handler("m", blocking=True)
    def use(function: BlockingCallback, call: Call) -> object:
        assert threading.current_thread() is not threading.main_thread()
        function.keep(lease=30)
        kept.append(function)
        return [function(number) for number in range(3)]

    assert await caller.call("m", lambda number: number + 1) == [1, 2, 3]
    assert await asyncio.to_thread(kept[0], 5) == 6
    with pytest.raises(RuntimeError):
        kept[0](1)

    def let_go() -> None:
        with kept[0]:
            pass
        with pytest.raises(ViaductError) as failure:
            kept[0](1)
        assert failure.value.reason == "LEASE_ENDED"

    await asyncio.to_thread(let_go)
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_where_functions_run_may_be_said() -> None:
    caller, callee = await peer_pair()

    @callee.handler("m")
    async def use(function: Callback, call: Call) -> Any:
        return await function()

    def name() -> str:
        return threading.current_thread().name

    async def elsewhere(function: Any, arguments: list[Any]) -> Any:
        return await asyncio.to_thread(function, *arguments)

    assert await caller.call("m", name) == threading.main_thread().name
    assert await caller.call("m", name, run_function=elsewhere) != threading.main_thread().name
    await asyncio.gather(caller.close(), callee.close())


@asynchronous
async def test_functions_where_nobody_can_call_them_are_refused() -> None:
    caller, callee = await peer_pair()
    for work in (caller.notify("m", [print]), caller.publish("t", [print])):
        error = await error_of(work)
        assert (error.reason, error.path, error.fate) == ("UNSENDABLE", "input[0]", "not-sent")
    callee.handle("m", lambda _, call: {"out": print})
    error = await error_of(caller.call("m", UNDEFINED))
    assert (error.code, error.path) == ("INTERNAL", "output.out")
    await asyncio.gather(caller.close(), callee.close())
