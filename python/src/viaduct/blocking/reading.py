"""The next item of an asynchronous iterator, for a thread that waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

Wait = Callable[[Coroutine[Any, Any, "tuple[bool, Any]"]], "tuple[bool, Any]"]
"""Runs a coroutine on the loop's thread and waits for it."""


def read_next(wait: Wait, items: AsyncIterator[Any]) -> Any:
    """The next item.

    :raises StopIteration: there are no more.
    """

    async def read() -> tuple[bool, Any]:
        try:
            return True, await anext(items)
        except StopAsyncIteration:
            return False, None

    is_there, value = wait(read())
    if not is_there:
        raise StopIteration
    return value
