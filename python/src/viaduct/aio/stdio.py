"""A link over two pipes, such as this process's standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys

from .driver import Driver


def claim_stdio() -> tuple[int, int]:
    """Takes descriptors 0 and 1 for the link, as (input, output).

    Everything else that reads standard input finds it empty, and what is printed goes to standard error, so
    that a stray ``print`` breaks no frame; that holds for code in other languages and child processes too.
    """
    sys.stdout.flush()
    link_in, link_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return link_in, link_out


class PipeTransport:
    """Two pipes as one transport: the end of either is the end of both."""

    def __init__(self) -> None:
        self._reader: asyncio.ReadTransport | None = None
        self._writer: asyncio.WriteTransport | None = None

    async def open(self, driver: Driver, read_fd: int, write_fd: int) -> None:
        """Connects two descriptors, which are this transport's from now on, with a driver."""
        loop = asyncio.get_running_loop()
        self._writer, _ = await loop.connect_write_pipe(
            lambda: _WriteSide(self, driver), os.fdopen(write_fd, "wb", 0)
        )
        driver.start(self)
        self._reader, _ = await loop.connect_read_pipe(
            lambda: _ReadSide(self, driver), os.fdopen(read_fd, "rb", 0)
        )

    def write(self, data: bytes) -> None:
        if self._writer is not None:
            self._writer.write(data)

    def close(self) -> None:
        """Ends reading at once, and writing when what was written is out."""
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def abort(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.abort()

    def pause_reading(self) -> None:
        if self._reader is not None:
            self._reader.pause_reading()

    def resume_reading(self) -> None:
        if self._reader is not None:
            self._reader.resume_reading()


class _ReadSide(asyncio.Protocol):
    def __init__(self, transport: PipeTransport, driver: Driver) -> None:
        self._transport = transport
        self._driver = driver

    def data_received(self, data: bytes) -> None:
        self._driver.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport.close()


class _WriteSide(asyncio.Protocol):
    def __init__(self, transport: PipeTransport, driver: Driver) -> None:
        self._transport = transport
        self._driver = driver

    def pause_writing(self) -> None:
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        self._driver.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """What was written is out, or never will be."""
        self._transport.close()
        self._driver.connection_lost(exc)
