"""Ways into a hub."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import Executor
from typing import Final

from ..core.admission import Joining, admission_error
from ..core.connection import Connection
from ..host.credentials import read_credential
from ..host.inherited_link import InheritedLink, take_inherited_link
from ..host.runtime_folder import hub_address, runtime_folder
from ..host.stacks import tell_stacks
from ..wire.errors import ViaductError
from .driver import Driver
from .peer import Peer
from .rejoin import Connect, Way, keep_joined
from .stdio import PipeTransport, claim_stdio

_EXIT_WITH_LINK: Final = 0
"""The exit code of a child whose link has ended; its supervisor stops it so as a matter of course."""


async def join(
    *,
    app: str | None = None,
    id: str | None = None,
    type: str | None = None,
    base: str | os.PathLike[str] | None = None,
    ready: bool = True,
    exit_with_link: bool = True,
    reconnect: bool = True,
    debug: bool = False,
    executor: Executor | None = None,
) -> Peer:
    """Joins a hub.

    A supervised child leaves ``app`` and ``id`` out: it joins over the link that it inherited. Any other
    process gives both, and proves the id with the key that only the hub's own user can read.

    * ``type``: refuse to join as a peer of another type than this.
    * ``base``: stands in for the system's folder for temporary files.
    * ``ready``: report to the hub that this peer takes work, when the code that follows ``await join()`` has
      run to its first pause; otherwise call :meth:`Peer.ready`.
    * ``exit_with_link``: a supervised child ends its process when its link ends, so that it never outlives
      its hub.
    * ``reconnect``: a peer that joined by ``app`` and ``id`` dials again when its link is lost, until it is there or
      :meth:`Peer.close` is called. What was served is served again, subscriptions go on after the event that was
      read last.
    * ``debug``: stacks travel with errors.
    * ``executor``: runs blocking handlers; default: the loop's.

    :raises ViaductError: UNAVAILABLE / HUB_NOT_RUNNING · NOT_FOUND / CREDENTIAL_MISSING · UNAUTHENTICATED ·
        FAILED_PRECONDITION / NOT_SUPERVISED, / WRONG_TYPE · those of the runtime folder.
    """
    inherited = take_inherited_link() if app is None else None
    if inherited is not None:
        joining = Joining(pid=os.getpid())
        peer = await join_over(
            _inherit(inherited), joining, app=inherited.app, debug=debug, executor=executor
        )
        peer.prints_stacks = tell_stacks()
    elif app is not None and id is not None:
        way = _way(app, id, base)
        connect, joining = way()
        peer = await join_over(
            connect, joining, app=app, debug=debug, executor=executor, resumes=reconnect
        )
        if reconnect:
            peer.keep(keep_joined(peer, way, debug=debug))
    else:
        raise ViaductError(
            "FAILED_PRECONDITION",
            "join() without app and id works only in a process that a hub has started: "
            "give join(app=…, id=…)",
            reason="NOT_SUPERVISED",
        )
    if type is not None and peer.info.type != type:
        await peer.close()
        raise ViaductError(
            "FAILED_PRECONDITION",
            f"the hub knows {peer.id} as a peer of the type {peer.info.type}, not {type}",
            reason="WRONG_TYPE",
        )
    loop = asyncio.get_running_loop()
    if inherited is not None and exit_with_link:
        peer.on_closed(lambda _: loop.call_soon(_exit))
    if ready:
        loop.call_soon(_report_ready, peer)
    return peer


async def join_over(
    connect: Connect,
    joining: Joining,
    *,
    app: str,
    debug: bool = False,
    executor: Executor | None = None,
    resumes: bool = False,
) -> Peer:
    """Joins over any transport whose far end is a hub.

    :raises ViaductError: the hub did not let us in.
    """
    connection = Connection(is_hub=True, joining=joining, debug=debug)
    peer = Peer(connection, executor=executor, resumes=resumes)
    await connect(peer.driver)
    try:
        reason = await peer.admitted()
    except asyncio.CancelledError:
        connection.close()
        peer.driver.kick()
        raise
    if reason is not None:
        await peer.close()
        raise admission_error(reason, app)
    return peer


def _inherit(link: InheritedLink) -> Connect:
    if link.fd is None:
        return lambda driver: PipeTransport().open(driver, *claim_stdio())
    return _adopt(socket.socket(fileno=link.fd))


def _adopt(end: socket.socket) -> Connect:
    """Connects over a socket that is there."""

    async def connect(driver: Driver) -> object:
        end.setblocking(False)
        os.set_inheritable(end.fileno(), False)
        loop = asyncio.get_running_loop()
        if end.family == socket.AF_UNIX:
            return await loop.create_unix_connection(lambda: driver, sock=end)
        return await loop.create_connection(lambda: driver, sock=end)

    return connect


def _way(app: str, id: str, base: str | os.PathLike[str] | None) -> Way:
    """The way in by the key in the runtime folder."""

    def way() -> tuple[Connect, Joining]:
        folder = runtime_folder(app, base)
        joining = Joining(id=id, key=read_credential(folder, id), pid=os.getpid())
        return _dial(hub_address(folder), app), joining

    return way


def _dial(address: str, app: str) -> Connect:
    """Connects to a hub's socket."""

    async def connect(driver: Driver) -> object:
        try:
            return await asyncio.get_running_loop().create_unix_connection(lambda: driver, address)
        except OSError as error:
            raise ViaductError(
                "UNAVAILABLE",
                f"no hub of {app} answers at {address} ({error.strerror}): start it first",
                reason="HUB_NOT_RUNNING",
                fate="not-sent",
            ) from error

    return connect


def _report_ready(peer: Peer) -> None:
    peer.in_background(_ready(peer))


async def _ready(peer: Peer) -> None:
    try:
        await peer.ready()
    except ViaductError:
        # The link has ended, of which the peer tells by itself.
        pass


def _exit() -> None:
    raise SystemExit(_EXIT_WITH_LINK)
