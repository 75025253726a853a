"""What waits for the answers of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..core.out_call import OutCall
from ..wire.errors import ViaductError
from .driver import Driver
from .functions import FunctionRunner, run_here
from .pump import ItemSource, Pump

OnProgress = Callable[[Any], None]


class PendingCall:
    """A call of ours until it has settled. The events of the connection come in here."""

    def __init__(
        self,
        driver: Driver,
        call: OutCall,
        upload: ItemSource | None = None,
        on_progress: OnProgress | None = None,
        run_function: FunctionRunner | None = None,
    ) -> None:
        self._driver = driver
        self._call = call
        self._on_progress = on_progress
        self.run_function = run_function or run_here
        """Runs the functions of its input."""
        self.output: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Event()
        """Set when there are more items, or they have ended."""
        self._pump = Pump(driver, call)
        self._uploading: asyncio.Task[None] | None = None
        call.context = self
        driver.kick()
        if upload is not None:
            self._uploading = asyncio.create_task(self._upload(upload))

    def answered(self, value: object) -> None:
        self._stop()
        if not self.output.done():
            self.output.set_result(value)

    def failed(self, error: ViaductError) -> None:
        self._stop()
        if not self.output.done():
            self.output.set_exception(error)

    def progressed(self, value: object) -> None:
        """Progress is advice: of a listener that raises the loop is told, and the call goes on."""
        if self._on_progress is not None and not self.output.done():
            self.output.get_loop().call_soon(self._on_progress, value)

    def items_changed(self) -> None:
        self.changed.set()

    def send_ready(self) -> None:
        self._pump.wake()

    def credit(self) -> None:
        """Items were read: what that earns is written."""
        self._driver.kick()

    def cancel(self, error: ViaductError | None = None) -> None:
        """Gives the call up; the far handler is told."""
        self._driver.connection.cancel(self._call, error)
        self._driver.kick()

    async def result(self) -> Any:
        """The answer. Whoever is cancelled while waiting for it cancels the call."""
        try:
            return await self.output
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def _upload(self, items: ItemSource) -> None:
        try:
            await self._pump.run(items)
        except Exception as raised:
            error = raised if isinstance(raised, ViaductError) else _upload_failed(raised)
            self.cancel(error)
        else:
            self._driver.connection.finish_upload(self._call)
            self._driver.kick()

    def _stop(self) -> None:
        if self._uploading is not None:
            self._uploading.cancel()


def _upload_failed(raised: Exception) -> ViaductError:
    error = ViaductError(
        "CANCELLED",
        f"the upload raised {type(raised).__name__}: {raised}",
        reason="CANCELLED",
        path="upload",
        fate="unknown",
    )
    error.__cause__ = raised
    return error
