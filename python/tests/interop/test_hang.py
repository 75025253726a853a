"""Supervised children whose loop stands still: which are started again, and what is said of them."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aio.asynchronous import asynchronous

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import Peer, ViaductError

NODE = {"id": "main"}
CHILD = {"id": "child-1"}
SOURCE = Path(viaduct.__file__).parents[1]
EVERY_MS = 300
BOUND_SECONDS = (EVERY_MS * 2.8 + 600) / 1000
"""From the stop of a loop until its process is lost: the heartbeats' bound, and the look at it."""
SLACK_SECONDS = 2.0


@asynccontextmanager
async def supervised(hub: HubProcess, stack: bool = True) -> AsyncIterator[Peer]:
    async with await viaduct.join(app=APP, id="python-1", base=hub.base) as peer:
        spec = {
            "id": "child-1",
            "type": "python",
            "run": [sys.executable, str(Path(__file__).with_name("child.py"))],
            "env": {"PYTHONPATH": str(SOURCE)},
            "restart": {"delayMs": 1},
            "heartbeat": {"everyMs": EVERY_MS, "misses": 2},
            "stdio": {"out": "ignore", "err": "ignore"},
            "stackOnHang": stack,
        }
        await peer.call("node.supervise", spec, target=NODE)
        await peer.call("node.whenReady", "child-1", target=NODE, timeout=20)
        try:
            yield peer
        finally:
            await peer.call("node.stop", "child-1", target=NODE, timeout=20)


@pytest.mark.parametrize(
    ("method", "function", "state"),
    [
        ("spin", "spin_forever", "busy"),
        ("sleep", "sleep_long", "blocked"),
        ("hold", "hold_the_lock", "blocked"),
    ],
)
@asynchronous
async def test_a_hung_child_is_started_again_with_its_stack(
    hub: HubProcess, method: str, function: str, state: str
) -> None:
    async with supervised(hub) as peer:
        pid = await peer.call("child.pid", target=CHILD)
        lost = asyncio.ensure_future(peer.call("node.nextLoss", "child-1", target=NODE))
        await peer.call("node.echo", target=NODE)
        began = time.monotonic()
        with pytest.raises(ViaductError) as failure:
            await peer.call(f"child.{method}", target=CHILD, timeout=None)
        assert (failure.value.reason, failure.value.fate) == ("TARGET_UNAVAILABLE", "unknown")
        loss = await lost
        assert time.monotonic() - began < BOUND_SECONDS + SLACK_SECONDS
        assert loss["reason"].startswith("hung: no pong")
        assert loss["evidence"]["state"] == state
        assert f" in {function}\n" in loss["evidence"]["stderr"]
        stack = loss["evidence"]["stack"]
        if method == "hold":
            # No thread of Python runs then.
            assert stack == []
        else:
            assert (stack[0]["name"], Path(stack[0]["file"]).name) == (function, "child.py")
            assert loss["evidence"]["samples"] > 1
            assert f"its loop stood in {function} (" in loss["reason"]
        await peer.call("node.whenReady", "child-1", target=NODE, timeout=20)
        assert await peer.call("child.pid", target=CHILD) != pid


@asynchronous
async def test_no_stack_is_printed_where_none_was_asked_for(hub: HubProcess) -> None:
    async with supervised(hub, stack=False) as peer:
        lost = asyncio.ensure_future(peer.call("node.nextLoss", "child-1", target=NODE))
        await peer.call("node.echo", target=NODE)
        await peer.notify("child.sleep", target=CHILD)
        loss = await lost
        assert loss["reason"].startswith("hung: no pong")
        assert "File" not in loss["evidence"]["stderr"]
        assert loss["evidence"]["stack"] == []


@asynchronous
async def test_a_child_that_declared_it_is_not_taken_for_hung(hub: HubProcess) -> None:
    async with supervised(hub) as peer:
        pid = await peer.call("child.pid", target=CHILD)
        silent = BOUND_SECONDS + SLACK_SECONDS
        assert await peer.call("child.busy", silent, target=CHILD, timeout=20) == pid
        assert (await peer.call("node.status", "child-1", target=NODE))["restarts"] == 0
        # It has ended it: now silence counts again.
        lost = asyncio.ensure_future(peer.call("node.nextLoss", "child-1", target=NODE))
        await peer.call("node.echo", target=NODE)
        await peer.notify("child.sleep", target=CHILD)
        assert (await lost)["reason"].startswith("hung: no pong")


@asynchronous
async def test_what_busy_may_not_say(hub: HubProcess) -> None:
    async with await viaduct.join(app=APP, id="python-1", base=hub.base) as peer:
        now = time.time() * 1000
        for until in (60_000, math.nan, math.inf, -1, now - 1000, now + 3_700_000):
            with pytest.raises(ViaductError) as failure:
                await peer.busy(until)
            assert (failure.value.code, failure.value.reason) == ("INVALID_ARGUMENT", "BAD_BUSY")
        await peer.busy(now + 60_000)
        row = next(row for row in await peer.call("$hub.who") if row["id"] == "python-1")
        assert 0 < row["busyMs"] <= 60_000
        await peer.busy(0)
