"""The peer for programs that own their main thread."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import ViaductError, blocking

NODE = {"id": "main"}
PYTHON = {"id": "python-1"}
SOURCE = Path(viaduct.__file__).parents[1]


def join(hub: HubProcess) -> blocking.Peer:
    return blocking.join(app=APP, id="python-1", base=hub.base)


def test_calls_streams_and_topics(hub: HubProcess) -> None:
    with join(hub) as peer:
        assert peer.call("node.add", {"a": 1, "b": 2}, target=NODE) == 3
        assert list(peer.stream("node.count", {"upTo": 4}, target=NODE)) == [1, 2, 3, 4]
        with peer.stream("node.count", {"upTo": 2}, target=NODE) as numbers:
            assert [next(numbers), next(numbers)] == [1, 2]
            assert numbers.output() == 2
        assert peer.call("node.sum", target=NODE, upload=[1, 2, 3]) == 6
        with peer.subscribe("news") as events:
            peer.publish("news", {"page": 1})
            assert next(iter(events)) == {"page": 1}
            assert events.last is not None and events.last.source == "python-1"
        with pytest.raises(ViaductError) as failure:
            peer.call("node.fail", "declared", target=NODE)
        assert failure.value.data == {"max": 3}
        with pytest.raises(ViaductError) as failure:
            peer.call("node.hang", target=NODE, timeout=0.05)
        assert failure.value.reason == "DEADLINE_EXCEEDED"
    with pytest.raises(RuntimeError):
        peer.call("node.echo")


def test_handlers_run_on_the_thread_that_pumps(hub: HubProcess) -> None:
    threads: list[str] = []

    def add(pair: dict[str, int], call: blocking.Call) -> int:
        threads.append(threading.current_thread().name)
        # A handler may call too, while it is being waited for.
        total: int = peer.call("node.add", pair, target=NODE)
        return total

    def squares(up_to: int, call: blocking.Call) -> Iterator[int]:
        threads.append(threading.current_thread().name)
        for number in range(up_to):
            yield number * number
        return up_to

    def total(_: object, call: blocking.Call) -> int:
        return sum(call.upload)

    def broken(_: object, call: blocking.Call) -> None:
        raise call.error("TooLong", {"max": 3})

    with join(hub) as peer:
        peer.serve("py", {"add": add, "squares": squares, "sum": total, "broken": broken})
        found: dict[str, Any] = {}

        def node(what: str, method: str, input: object = None, items: object = None) -> Any:
            request = {"method": method, "target": PYTHON, "input": input, "items": items}
            return peer.call(f"node.{what}", request, target=NODE)

        def ask() -> None:
            try:
                found["add"] = node("call", "py.add", {"a": 1, "b": 2})
                found["squares"] = node("read", "py.squares", 4)
                found["sum"] = node("upload", "py.sum", items=[1, 2, 3])
                found["broken"] = node("call", "py.broken")["error"]["data"]
            finally:
                peer.close()

        asking = threading.Thread(target=ask)
        asking.start()
        assert peer.run_forever() == "GOING_AWAY"
        asking.join()
    assert found == {
        "add": {"value": 3},
        "squares": {"items": [0, 1, 4, 9], "value": 4},
        "sum": {"value": 6},
        "broken": {"max": 3},
    }
    assert set(threads) == {threading.main_thread().name}


def test_pumping_nothing_returns_in_time(hub: HubProcess) -> None:
    with join(hub) as peer:
        assert peer.pump() == 0
        assert peer.pump(timeout=0.01) == 0


def test_a_peer_that_is_forgotten_lets_the_program_end(hub: HubProcess) -> None:
    program = (
        "import viaduct.blocking\n"
        f"peer = viaduct.blocking.join(app={APP!r}, id='python-1', base={str(hub.base)!r})\n"
        "print(peer.call('node.add', {'a': 1, 'b': 2}, target={'id': 'main'}))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"3\n", b"")


def test_a_supervised_program_ends_with_its_hub(hub: HubProcess) -> None:
    program = (
        "import os, viaduct.blocking\n"
        "peer = viaduct.blocking.join()\n"
        "peer.handle('lone.pid', lambda _, call: os.getpid())\n"
        "peer.run_forever()\n"
        "import time; time.sleep(60)\n"
    )
    with join(hub) as peer:
        run = [sys.executable, "-c", program]
        spec = {"id": "lone", "type": "python", "run": run, "env": {"PYTHONPATH": str(SOURCE)}}
        peer.call("node.supervise", spec, target=NODE)
        peer.call("node.whenReady", "lone", target=NODE, timeout=20)
        assert peer.call("lone.pid", target={"id": "lone"}) > 0
        peer.call("node.stop", "lone", target=NODE, timeout=20)
        status = peer.call("node.status", "lone", target=NODE)
        assert status["lastExit"]["signal"] == signal.Signals.SIGTERM.name
