"""A supervised child: joins over the link that it inherits, and serves until that ends."""

from __future__ import annotations

import asyncio
import os
import sys

import viaduct


async def main() -> None:
    async with await viaduct.join(type="python") as peer:
        print("what is printed breaks no frame")
        peer.serve(
            "child",
            {
                "pid": lambda _, call: os.getpid(),
                "me": lambda _, call: {"id": peer.info.id, "zone": peer.info.zone},
                "stuck": lambda _, call: asyncio.Event().wait(),
                "leave": lambda code, call: os._exit(code),
            },
        )
        await peer.wait_closed()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
