"""Runs a test that is a coroutine."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec

LIMIT_SECONDS: Final = 30

P = ParamSpec("P")


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The decorated test fails when it takes longer than :data:`LIMIT_SECONDS`."""

    @functools.wraps(test)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **options), LIMIT_SECONDS))

    return run
