"""Links that end: everything that waits settles."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import Call, ViaductError

NODE = {"id": "main"}
CHILD = {"id": "child-1"}
SOURCE = Path(viaduct.__file__).parents[1]


async def settled(waiting: asyncio.Future[Any]) -> ViaductError:
    with pytest.raises(ViaductError) as failure:
        await waiting
    return failure.value


@asynchronous
async def test_a_hub_that_is_killed_settles_all_that_waits() -> None:
    with HubProcess() as hub:
        peer = await viaduct.join(app=APP, id="python-1", base=hub.base, reconnect=False)
        started, cancelled = asyncio.Event(), asyncio.Event()

        @peer.handler("py.hang")
        async def hang(_: object, call: Call) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        calls = [
            asyncio.ensure_future(peer.call("node.hang", target=NODE, timeout=None)) for _ in range(50)
        ]
        stream = peer.stream("node.forever", target=NODE, window_bytes=1)
        events = peer.subscribe("news")
        async with events:
            reading = asyncio.ensure_future(anext(aiter(events)))
            request = {"method": "py.hang", "target": {"id": "python-1"}, "timeoutMs": 0}
            calls.append(asyncio.ensure_future(peer.call("node.call", request, target=NODE)))
            await peer.call("node.echo", target=NODE)
            await started.wait()
            hub.kill()
            for waiting in (*calls, reading, stream.output):
                error = await settled(waiting)
                assert (error.reason, error.fate) == ("LINK_LOST", "unknown")
        await cancelled.wait()
        assert await peer.wait_closed() == "TRANSPORT_CLOSED"
        error = await settled(asyncio.ensure_future(peer.call("node.echo")))
        assert (error.reason, error.fate) == ("LINK_LOST", "not-sent")
        error = await settled(asyncio.ensure_future(peer.publish("news", 1)))
        assert (error.reason, error.fate) == ("LINK_LOST", "not-sent")
        await peer.close()


@asynchronous
async def test_a_second_link_of_an_id_replaces_the_first() -> None:
    with HubProcess() as hub:
        first = await viaduct.join(app=APP, id="python-1", base=hub.base)
        second = await viaduct.join(app=APP, id="python-1", base=hub.base)
        assert await first.wait_closed() == "REPLACED"
        assert await second.call("node.add", {"a": 1, "b": 1}, target=NODE) == 2
        await first.close()
        await second.close()


@asynchronous
async def test_a_supervised_child_is_started_again() -> None:
    with HubProcess() as hub:
        async with await viaduct.join(app=APP, id="python-1", base=hub.base) as peer:
            node = peer.client("node", NODE)
            child = str(Path(__file__).with_name("child.py"))
            await node.supervise(
                {
                    "id": "child-1",
                    "type": "python",
                    "run": [sys.executable, child],
                    "env": {"PYTHONPATH": str(SOURCE)},
                    "restart": {"delayMs": 1},
                }
            )
            await node.whenReady("child-1", timeout=20)
            assert await peer.call("child.me", target=CHILD) == {"id": "child-1", "zone": "trusted"}
            pid = await peer.call("child.pid", target={"type": "python"})
            stuck = asyncio.ensure_future(peer.call("child.stuck", target=CHILD, timeout=None))
            await peer.call("child.pid", target=CHILD)
            os.kill(pid, signal.SIGKILL)
            error = await settled(stuck)
            assert (error.reason, error.fate) == ("TARGET_UNAVAILABLE", "unknown")
            await node.whenReady("child-1", timeout=20)
            assert await peer.call("child.pid", target=CHILD) != pid
            assert (await node.status("child-1"))["restarts"] == 1
            await node.stop("child-1", timeout=20)
            status = await node.status("child-1")
            assert (status["state"], status["lastExit"]["code"]) == ("stopped", 0)
