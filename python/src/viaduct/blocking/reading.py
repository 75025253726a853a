"""The next item of an asynchronous iterator, for a thread that waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Wait(Protocol):
    """Runs a coroutine on the loop's thread and waits for it."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...


def read_next(wait: Wait, items: AsyncIterator[T]) -> T:
    """The next item.

    :raises StopIteration: there are no more.
    """

    async def read() -> tuple[T] | None:
        try:
            return (await anext(items),)
        except StopAsyncIteration:
            return None

    found = wait(read())
    if found is None:
        raise StopIteration
    return found[0]
