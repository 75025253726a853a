"""Calls, streams and topics through a real hub, between Python and Node.js."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import UNDEFINED, Call, Dictionary, Method, Peer, ViaductError
from viaduct.wire.body import decode, encode

NODE = {"id": "main"}
PYTHON = {"id": "python-1"}


async def join(hub: HubProcess, id: str = "python-1") -> Peer:
    return await viaduct.join(app=APP, id=id, base=hub.base)


async def from_node(peer: Peer, method: str, input: object = UNDEFINED, **more: object) -> Any:
    """Has Node call a method of this peer; its answer as ``{value}`` or ``{error}``."""
    request = {"method": method, "input": input, "target": PYTHON, "timeoutMs": 5000, **more}
    return await peer.call("node.call", request, target=NODE)


@asynchronous
async def test_joining(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        assert (peer.id, peer.info.zone, len(peer.info.session)) == ("python-1", "trusted", 32)
        assert 0 <= await peer.ping() < 5
        rows = await peer.call("$hub.who")
        assert {"main", "python-1"} <= {row["id"] for row in rows}
    assert peer.closed == "GOING_AWAY"
    with pytest.raises(ViaductError) as failure:
        await peer.call("node.echo", 1, target=NODE)
    assert (failure.value.reason, failure.value.fate) == ("LINK_LOST", "not-sent")


@asynchronous
async def test_who_may_not_join(hub: HubProcess, tmp_path: Path) -> None:
    for options, reason in [
        ({"app": "nobody", "id": "python-1", "base": hub.base}, "HUB_NOT_RUNNING"),
        ({"app": APP, "id": "stranger", "base": hub.base}, "CREDENTIAL_MISSING"),
        ({"app": "No App", "id": "python-1", "base": hub.base}, "BAD_APP_NAME"),
        ({"app": APP, "id": "../x", "base": hub.base}, "BAD_ID"),
        ({"app": APP, "id": "python-1", "base": hub.base, "type": "ai"}, "WRONG_TYPE"),
        ({}, "NOT_SUPERVISED"),
    ]:
        with pytest.raises(ViaductError) as failure:
            await viaduct.join(**options)  # type: ignore[arg-type]
        assert failure.value.reason == reason
    key = next(hub.base.glob("*/interop/credentials/python-2"))
    right = key.read_bytes()
    key.write_bytes(bytes(32))
    with pytest.raises(ViaductError) as failure:
        await join(hub, "python-2")
    assert (failure.value.code, failure.value.fate) == ("UNAUTHENTICATED", "not-sent")
    key.chmod(0o644)
    with pytest.raises(ViaductError) as failure:
        await join(hub, "python-2")
    assert failure.value.reason == "CREDENTIAL_UNSAFE"
    key.write_bytes(right)
    key.chmod(0o600)


@asynchronous
async def test_calls_to_node(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        node = peer.client("node", NODE)
        assert await node.add({"a": 1, "b": 2}) == 3
        assert await node.nothing() is UNDEFINED
        who = await node.whoCalls(timeout=2)
        assert who["id"] == "python-1" and 0 < who["timeLeftMs"] <= 2000
        sums = await asyncio.gather(*(node.add({"a": a, "b": a}) for a in range(500)))
        assert sums == [2 * a for a in range(500)]
        steps: list[object] = []
        assert await node.progress([0.5, "almost"], on_progress=steps.append) == 2
        assert steps == [0.5, "almost"]
        large = bytes(range(256)) * 12_000
        assert await node.echo({"large": large, "small": large[:100]}) == {
            "large": large,
            "small": large[:100],
        }


@asynchronous
async def test_errors_of_node(hub: HubProcess) -> None:
    async with await join(hub) as peer:

        async def error_of(
            method: str, input: object = UNDEFINED, target: dict[str, str] = NODE
        ) -> ViaductError:
            with pytest.raises(ViaductError) as failure:
                await peer.call(method, input, target=target)
            return failure.value

        declared = await error_of("node.fail", "declared")
        assert (declared.code, declared.reason, declared.data, declared.fate) == (
            "FAILED_PRECONDITION",
            "TooLong",
            {"max": 3},
            None,
        )
        thrown = await error_of("node.fail", "error")
        assert (thrown.code, thrown.reason, thrown.message) == ("UNKNOWN", "HANDLER_ERROR", "broken")
        assert str(thrown.__cause__) == "TypeError: broken"
        missing = await error_of("node.missing")
        assert (missing.reason, missing.fate) == ("METHOD_NOT_FOUND", "not-sent")
        gone = await error_of("node.echo", target={"id": "nobody"})
        assert (gone.reason, gone.fate) == ("TARGET_UNAVAILABLE", "not-sent")
        unsendable = await error_of("node.echo", {"pages": [1, object()]})
        assert (unsendable.reason, unsendable.fate) == ("UNSENDABLE", "not-sent")
        assert unsendable.path == "input.pages[1]"
        too_large = await error_of("node.echo", bytes(11 * 1024 * 1024))
        assert (too_large.reason, too_large.fate) == ("MESSAGE_TOO_LARGE", "not-sent")
        bad_target = await error_of("node.echo", target={"name": "x"})
        assert bad_target.reason == "BAD_TARGET"


@asynchronous
async def test_a_deadline_and_a_cancel_reach_node(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        before = await peer.call("node.aborted", 0, target=NODE)
        with pytest.raises(ViaductError) as failure:
            await peer.call("node.hang", target=NODE, timeout=0.05)
        # Of both sides, whose clocks tell the same, either may be the one that says so.
        assert failure.value.reason == "DEADLINE_EXCEEDED"
        hanging = asyncio.create_task(peer.call("node.hang", target=NODE, timeout=None))
        # The echo's answer says that the call before it has arrived.
        await asyncio.sleep(0)
        await peer.call("node.echo", target=NODE)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await peer.call("node.aborted", before + 2, target=NODE) == before + 2


@asynchronous
async def test_rules_of_the_manifest(hub: HubProcess) -> None:
    async with await join(hub, "guest") as peer:
        assert await peer.call("node.echo", [1], target=NODE) == [1]
        with pytest.raises(ViaductError) as failure:
            await peer.call("node.add", {"a": 1, "b": 2}, target=NODE)
        assert (failure.value.code, failure.value.fate) == ("PERMISSION_DENIED", "not-sent")


@asynchronous
async def test_calls_from_node(hub: HubProcess) -> None:
    async with await join(hub) as peer:

        async def add(pair: dict[str, int], call: Call) -> int:
            assert call.peer.id == "main" and 0 < call.time_left <= 5
            await asyncio.sleep(0)
            return pair["a"] + pair["b"]

        def fail(how: str, call: Call) -> None:
            if how == "declared":
                raise call.error("TooLong", {"max": 3})
            if how == "error":
                raise ValueError("broken")
            raise ViaductError("NOT_FOUND", "no such page", reason="PAGE_GONE")

        peer.serve(
            "py",
            {
                "add": add,
                "fail": fail,
                "unsendable": lambda _, call: {"it": [print]},
                "huge": lambda _, call: bytes(11 * 1024 * 1024),
            },
        )

        @peer.handler("py.blocks", blocking=True)
        def blocks(steps: list[object], call: Call) -> int:
            for step in steps:
                call.progress(step)
            return len(steps)

        await peer.call("node.echo", target=NODE)
        assert await from_node(peer, "py.add", {"a": 1, "b": 2}) == {"value": 3}
        assert await from_node(peer, "py.blocks", [1, 2]) == {"value": 2}
        for how, code, reason in [
            ("declared", "FAILED_PRECONDITION", "TooLong"),
            ("error", "UNKNOWN", "HANDLER_ERROR"),
            ("other", "NOT_FOUND", "PAGE_GONE"),
        ]:
            error = (await from_node(peer, "py.fail", how))["error"]
            assert (error["code"], error["reason"], error["fate"]) == (code, reason, UNDEFINED)
        error = (await from_node(peer, "py.unsendable"))["error"]
        assert (error["code"], error["reason"], error["path"]) == (
            "INTERNAL",
            "UNSENDABLE",
            "output.it[0]",
        )
        error = (await from_node(peer, "py.huge"))["error"]
        assert (error["code"], error["reason"]) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
        with pytest.raises(ViaductError) as failure:
            peer.handle("py.add", add)
        assert failure.value.code == "ALREADY_EXISTS"


@asynchronous
async def test_a_cancel_of_node_reaches_the_handler(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        started, cancelled = asyncio.Event(), asyncio.Event()

        @peer.handler("py.hang")
        async def hang(_: object, call: Call) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                assert call.cancelled.is_set()
                cancelled.set()
                raise

        request = {"method": "py.hang", "target": PYTHON}
        answer = asyncio.create_task(peer.call("node.abandon", request, target=NODE))
        await started.wait()
        await peer.call("node.cancel", "py.hang", target=NODE)
        await cancelled.wait()
        assert (await answer)["error"]["code"] == "CANCELLED"
        cancelled.clear()
        error = (await from_node(peer, "py.hang", timeoutMs=50))["error"]
        assert error["code"] == "DEADLINE_EXCEEDED"
        await cancelled.wait()


@asynchronous
async def test_withdrawing(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        withdraw = peer.serve("py", {"one": lambda _, call: 1})
        assert await from_node(peer, "py.one") == {"value": 1}
        withdraw()
        assert (await from_node(peer, "py.one"))["error"]["reason"] == "METHOD_NOT_FOUND"
        peer.serve("py", {"one": lambda _, call: 2})
        assert await from_node(peer, "py.one") == {"value": 2}


@asynchronous
async def test_streams_of_node(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        stream = peer.stream("node.count", {"upTo": 5}, target=NODE)
        assert [item async for item in stream] == [1, 2, 3, 4, 5]
        assert await stream.output == 5
        # Each item is larger than the window, and all of them many times as large.
        large = peer.stream(
            "node.count", {"upTo": 12, "size": 300_000}, target=NODE, window_bytes=1
        )
        sizes = [(len(item), item[0]) async for item in large]
        assert sizes == [(300_000, number) for number in range(1, 13)]
        breaking = peer.stream("node.breaks", 2, target=NODE)
        items = []
        with pytest.raises(ViaductError) as failure:
            async for item in breaking:
                items.append(item)
        assert items == [0, 1]
        assert (failure.value.code, failure.value.reason) == ("DATA_LOSS", "TORN")


@asynchronous
async def test_leaving_a_stream_cancels_its_generator(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        before = await peer.call("node.aborted", 0, target=NODE)
        async for item in peer.stream("node.forever", target=NODE):
            if item == 1000:
                break
        async with peer.stream("node.forever", target=NODE) as numbers:
            assert await anext(aiter(numbers)) == 0
        await peer.call("node.echo", target=NODE)
        assert await peer.call("node.aborted", before + 2, target=NODE) == before + 2


@asynchronous
async def test_streams_to_node(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        ended = asyncio.Event()

        async def count(given: dict[str, int], call: Call) -> AsyncIterator[object]:
            try:
                for number in range(given["upTo"]):
                    yield bytes([number % 256]) * given["size"]
                call.output = given["upTo"]
            finally:
                ended.set()

        def squares(up_to: int, call: Call) -> Iterator[int]:
            for number in range(up_to):
                yield number * number
            return up_to

        peer.serve("py", {"count": count, "squares": squares})

        async def read(method: str, input: object, **more: object) -> Any:
            request = {"method": method, "input": input, "target": PYTHON, **more}
            return await peer.call("node.read", request, target=NODE, timeout=20)

        found = await read("py.squares", 4)
        assert found == {"items": [0, 1, 4, 9], "value": 4}
        found = await read("py.count", {"upTo": 12, "size": 300_000}, windowBytes=65_600)
        assert found["value"] == 12
        assert [len(item) for item in found["items"]] == [300_000] * 12
        assert ended.is_set()
        ended.clear()
        found = await read("py.count", {"upTo": 100_000, "size": 1000}, leaveAfter=3)
        assert len(found["items"]) == 3
        await ended.wait()


@asynchronous
async def test_uploads(hub: HubProcess) -> None:
    async with await join(hub) as peer:

        async def items() -> AsyncIterator[object]:
            yield 1
            for _ in range(10):
                yield bytes(200_000)

        total = await peer.call("node.sum", target=NODE, upload=items())
        assert total == 2_000_001
        doubled = peer.stream("node.double", target=NODE, upload=[1, 2, 3])
        assert [item async for item in doubled] == [2, 4, 6]
        assert await doubled.output == "done"

        def broken() -> Iterator[object]:
            yield 1
            raise ValueError("no more")

        with pytest.raises(ViaductError) as failure:
            await peer.call("node.sum", target=NODE, upload=broken())
        assert failure.value.code == "CANCELLED"

        @peer.handler("py.sum")
        async def add_up(_: object, call: Call) -> int:
            return sum([item async for item in call.upload])

        request = {"method": "py.sum", "target": PYTHON, "items": list(range(100))}
        assert await peer.call("node.upload", request, target=NODE) == {"value": 4950}


@asynchronous
async def test_topics(hub: HubProcess) -> None:
    async with await join(hub) as peer, await join(hub, "python-2") as other:
        async with peer.subscribe("news.page", overflow="block") as events:
            await other.publish("news.page", {"number": 1})
            await peer.call("node.publish", {"topic": "news.page", "value": 2}, target=NODE)
            reader = aiter(events)
            sources = {}
            for _ in range(2):
                value = await anext(reader)
                assert events.last is not None
                sources[events.last.source] = value
            assert sources == {"python-2": {"number": 1}, "main": 2}
            assert events.last is not None and events.last.sequence == 2
            assert events.dropped == 0
        async with peer.subscribe("news.latest", overflow="conflate") as events:
            await peer.publish("news.latest", "a", key="k")
            assert await anext(aiter(events)) == "a"


@asynchronous
async def test_events_that_were_dropped_are_counted(hub: HubProcess) -> None:
    async with await join(hub) as peer, await join(hub, "python-2") as other:
        async with peer.subscribe("news.flood", overflow="drop-oldest", window_bytes=1) as events:
            for number in range(3000):
                await other.publish("news.flood", [number, "x" * 200])
            await other.publish("news.flood", "last")
            seen = 0
            async for value in events:
                seen += 1
                if value == "last":
                    break
            assert seen + events.dropped == 3001
            assert events.dropped > 0


@asynchronous
async def test_every_value_survives_the_way_there_and_back(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        for value in (UNDEFINED, None, viaduct.BigInt(2**70), viaduct.Date(None)):
            assert await peer.call("node.echo", value, target=NODE) == value
        body, segments = encode([1.5, "\ud800", {"a": UNDEFINED}])
        assert encode(await peer.call("node.echo", decode(body, segments), target=NODE)).body == body


@asynchronous
async def test_compressed_inputs_are_opened_and_sealed_ones_refused(hub: HubProcess) -> None:
    async with await join(hub) as peer:
        seen: list[object] = []

        def echo(value: object, _call: object) -> object:
            seen.append(value)
            return value

        peer.handle("bulky.echo", echo)
        for text in ("short", "again " * 5000):
            assert await peer.call("node.compressed", {"target": PYTHON, "text": text}, target=NODE) == text
        assert seen == ["short", "again " * 5000]
        refused = await peer.call("node.sealed", {"target": PYTHON}, target=NODE)
        assert (refused["error"]["code"], refused["error"]["reason"]) == ("UNIMPLEMENTED", "CODEC_UNKNOWN")
        assert len(seen) == 2


@asynchronous
async def test_dictionaries_both_ways(hub: HubProcess) -> None:
    def shaped(name: str) -> Method:
        return Method(
            name,
            fingerprint="00c0ffee00c0ffee",
            input=Dictionary([["left", "right", "note"]]),
            output=Dictionary([["right", "left"]]),
        )

    async with await join(hub) as peer:
        given = {"left": 1, "right": 2}
        for _ in range(3):
            # Self-describing at first, by the dictionary once the route says so.
            assert await peer.call(shaped("node.swap"), given, target=NODE) == {"right": 1, "left": 2}
        peer.handle(shaped("shaped.swap"), lambda pair, call: {"right": pair["left"], "left": pair["right"]})
        for _ in range(3):
            found = await from_node(peer, "shaped.swap", given)
            assert found == {"value": {"right": 1, "left": 2}}


@asynchronous
async def test_one_way(hub: HubProcess) -> None:
    async with await join(hub) as peer, await join(hub, "python-2") as other:
        got: asyncio.Queue[object] = asyncio.Queue()
        other.handle("py.note", lambda value, call: got.put_nowait(value))
        assert (await peer.call("$hub.ping"))["session"]
        await other.call("$hub.ping")
        await peer.notify("py.note", "short", target={"id": "python-2"})
        await peer.notify("py.note", "x" * 100_000, target={"id": "python-2"})
        assert await got.get() == "short"
        assert await got.get() == "x" * 100_000


@asynchronous
async def test_draining(hub: HubProcess) -> None:
    async with await join(hub) as peer, await join(hub, "python-2") as other:
        started, finish = asyncio.Event(), asyncio.Event()

        @other.handler("py.slow")
        async def slow(_: object, call: Call) -> str:
            started.set()
            await finish.wait()
            return "finished"

        await other.call("$hub.ping")
        target = {"id": "python-2"}
        answer = asyncio.create_task(peer.call("py.slow", target=target))
        await started.wait()
        draining = asyncio.create_task(other.drain())
        await other.ping()
        with pytest.raises(ViaductError) as failure:
            await peer.call("py.slow", target=target)
        assert failure.value.fate == "not-sent"
        finish.set()
        assert await answer == "finished"
        await draining
        assert other.closed == "GOING_AWAY"
