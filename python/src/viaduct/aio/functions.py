"""Runs the functions that our calls lend to their callees."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from ..core.functions import InBack
from ..wire.encoder import Function
from ..wire.reasons import link_error
from .driver import Driver

FunctionRunner = Callable[[Function, "list[Any]"], Awaitable[Any]]
"""Runs a function with these arguments, and gives what it gives."""


async def run_here(function: Function, arguments: list[Any]) -> Any:
    """Runs one on the loop; it may be a function of either kind."""
    result = function(*arguments)
    return await result if inspect.isawaitable(result) else result


async def run_for(driver: Driver, back: InBack, run: FunctionRunner) -> None:
    """Runs one for a callee, which hears what it gives or raises."""
    connection = driver.connection
    try:
        connection.answer_back(back, await run(back.function, back.arguments))
    except asyncio.CancelledError:
        connection.fail_back(back, link_error("CANCELLED", back.call.method.name, "unknown"))
    except Exception as raised:
        connection.fail_back(back, raised)
    finally:
        driver.kick()
