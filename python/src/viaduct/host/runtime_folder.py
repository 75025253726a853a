"""Where a hub and its peers meet on one machine: a folder that nobody else may enter.

Whoever can open the socket in it is the same user; so every part of the way there is checked before a byte
is written or read.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final

from ..wire.errors import ViaductError

_APP: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SOCKET: Final = "hub.sock"
_MAX_SOCKET_PATH_BYTES: Final = 103
"""Longer socket paths are cut by the system without a word, and may then be somebody else's socket."""


def runtime_folder(app: str, base: str | os.PathLike[str] | None = None) -> Path:
    """The folder of one app, as its hub has made it.

    ``$XDG_RUNTIME_DIR/viaduct/<app>`` when that variable names a private folder of ours, else
    ``<tmp>/viaduct-<uid>/<app>``. ``base`` stands in for the system's folder for temporary files.

    :raises ViaductError: INVALID_ARGUMENT / BAD_APP_NAME · UNAVAILABLE / HUB_NOT_RUNNING: it is not there ·
        FAILED_PRECONDITION / RUNTIME_FOLDER_UNSAFE: others can enter, own or replace a part of it ·
        / RUNTIME_FOLDER_UNUSABLE · / SOCKET_PATH_TOO_LONG
    """
    if _APP.fullmatch(app) is None:
        raise ViaductError(
            "INVALID_ARGUMENT",
            f"{app!r} is no app name: use 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit",
            reason="BAD_APP_NAME",
        )
    root = _root(base)
    folder = root / app
    size = len(os.fsencode(folder / _SOCKET))
    if size > _MAX_SOCKET_PATH_BYTES:
        raise _failure(
            "SOCKET_PATH_TOO_LONG",
            f"the socket path {folder / _SOCKET} has {size} bytes and the system takes "
            f"{_MAX_SOCKET_PATH_BYTES}: set XDG_RUNTIME_DIR to a shorter one, or shorten the app name",
        )
    for path in (root, folder):
        fault = _private_fault(path)
        if fault is None:
            raise ViaductError(
                "UNAVAILABLE",
                f"no hub of app {app} runs here (nothing at {folder}): start it first, as the same user "
                "and with the same XDG_RUNTIME_DIR",
                reason="HUB_NOT_RUNNING",
                fate="not-sent",
            )
        if fault:
            raise _unsafe(fault)
    return folder


def hub_address(folder: Path) -> str:
    """The path of the hub's socket."""
    return str(folder / _SOCKET)


def _root(base: str | os.PathLike[str] | None) -> Path:
    """The folder that holds the runtime folders of all apps; it need not be there."""
    if base is None:
        private = _private_xdg()
        if private is not None:
            return private / "viaduct"
    given = Path(tempfile.gettempdir() if base is None else base)
    try:
        real = given.resolve(strict=True)
    except OSError as error:
        raise _failure(
            "RUNTIME_FOLDER_UNUSABLE",
            f"the runtime folder {given} cannot be used ({error}): set XDG_RUNTIME_DIR to a folder of "
            "your own with mode 0700",
        ) from error
    fault = _ancestor_fault(real)
    if fault:
        raise _unsafe(fault)
    return real / f"viaduct-{os.geteuid()}"


def _private_xdg() -> Path | None:
    """XDG_RUNTIME_DIR; one that is no private folder of ours (after ``sudo``, say) is passed over."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(given):
        return None
    try:
        real = Path(given).resolve(strict=True)
        return None if _private_fault(Path(given)) != "" or _ancestor_fault(real) else real
    except OSError:
        return None


def _private_fault(path: Path) -> str | None:
    """What keeps a folder from being ours alone: '' nothing, None it is not there. Follows no link."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link: remove it"
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is not a folder: remove it"
    if found.st_uid != os.geteuid():
        return (
            f"{path} belongs to user {found.st_uid}, not to us ({os.geteuid()}): have it removed, or set "
            "XDG_RUNTIME_DIR to a folder of your own with mode 0700"
        )
    mode = stat.S_IMODE(found.st_mode) & 0o777
    if mode != 0o700:
        return (
            f"{path} has mode {mode:#o}, so others may have been in it: look at what it holds, then "
            f"`chmod 700 {path}`"
        )
    return ""


def _ancestor_fault(path: Path) -> str:
    """What lets others replace the folder or one above it; '' if nothing does. ``path`` is a real path."""
    for folder in (path, *path.parents):
        found = folder.lstat()
        if found.st_uid not in (os.geteuid(), 0):
            return (
                f"{folder} belongs to user {found.st_uid}, who could replace what we keep below it: set "
                "XDG_RUNTIME_DIR to a folder of your own with mode 0700"
            )
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            return f"others may rename what lies in {folder}: `chmod go-w {folder}`"
    return ""


def _unsafe(fault: str) -> ViaductError:
    return _failure("RUNTIME_FOLDER_UNSAFE", f"the runtime folder is not safe: {fault}")


def _failure(reason: str, text: str) -> ViaductError:
    return ViaductError("FAILED_PRECONDITION", text, reason=reason)
