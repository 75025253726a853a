"""A supervised child: joins over the link that it inherits, and serves until that ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time

import viaduct


def spin_forever(_: object, call: viaduct.Call) -> None:
    while True:
        pass


def sleep_long(_: object, call: viaduct.Call) -> None:
    time.sleep(60)


def hold_the_lock(_: object, call: viaduct.Call) -> None:
    """Code in C that never lets another thread of this process run."""
    c, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    c.pthread_mutex_lock(mutex)
    # Unlike a sleep it is not ended by a signal.
    c.pthread_mutex_lock(mutex)


async def main() -> None:
    async with await viaduct.join(type="python") as peer:

        async def busy(seconds: float, call: viaduct.Call) -> int:
            await peer.busy(time.time() * 1000 + 60_000)
            time.sleep(seconds)
            await peer.busy(0)
            return os.getpid()

        print("what is printed breaks no frame")
        peer.serve(
            "child",
            {
                "pid": lambda _, call: os.getpid(),
                "me": lambda _, call: {"id": peer.info.id, "zone": peer.info.zone},
                "stuck": lambda _, call: asyncio.Event().wait(),
                "spin": spin_forever,
                "sleep": sleep_long,
                "hold": hold_the_lock,
                "busy": busy,
                "leave": lambda code, call: os._exit(code),
            },
        )
        await peer.wait_closed()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
