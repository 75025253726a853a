"""A loop's work for those on other threads."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


def start_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> Future[T]:
    """Has a coroutine run there.

    :raises RuntimeError: on the loop's own thread, which would wait for itself; when it is closed.
    """
    if _is_here(loop):
        work.close()
        raise RuntimeError("a blocking peer may not be waited for on its own thread")
    if loop.is_closed():
        work.close()
        raise RuntimeError("this peer is closed")
    return asyncio.run_coroutine_threadsafe(work, loop)


def wait_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine there and returns what it returns. Interrupting the wait cancels it.

    :raises RuntimeError: as :func:`start_on`.
    """
    future = start_on(loop, work)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
