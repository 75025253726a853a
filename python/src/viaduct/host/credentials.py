"""The keys of peers that no supervisor started: one file each, which only our own user can read.

The key is never sent: both sides of a link prove with an HMAC over what was said that they have it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Final

from ..wire.errors import ViaductError

_KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[a-z0-9_-]{1,64}")


def read_credential(folder: Path, id: str) -> bytes:
    """The key of ``id``, from a regular file that belongs to us and that nobody else may read.

    :raises ViaductError: INVALID_ARGUMENT / BAD_ID · NOT_FOUND / CREDENTIAL_MISSING ·
        FAILED_PRECONDITION / CREDENTIAL_UNSAFE
    """
    if _ID.fullmatch(id) is None:
        raise ViaductError(
            "INVALID_ARGUMENT",
            f"{id!r} is no peer id: use 1 to 64 of a-z, 0-9, _ and -",
            reason="BAD_ID",
        )
    path = folder / "credentials" / id
    file = _open(path, id)
    try:
        fault = _fault(os.fstat(file))
        key = b"" if fault else os.read(file, _KEY_BYTES)
    finally:
        os.close(file)
    if fault or len(key) != _KEY_BYTES:
        raise _unsafe(path, fault or "became shorter while it was read")
    return key


def _open(path: Path, id: str) -> int:
    try:
        # Without O_NONBLOCK a FIFO in this place would hold us for ever.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ViaductError(
            "NOT_FOUND",
            f"there is no credential for {id} at {path}: start the hub, and name {id} in its manifest or "
            "call hub.admit",
            reason="CREDENTIAL_MISSING",
        ) from error
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        fault = "is a symbolic link" if is_link else f"cannot be opened ({error.strerror})"
        raise _unsafe(path, fault) from error


def _fault(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}"
    if found.st_mode & 0o077:
        return "can be read by others"
    if found.st_nlink > 1:
        return "has a second name somewhere else"
    return "" if found.st_size == _KEY_BYTES else f"has {found.st_size} bytes, not {_KEY_BYTES}"


def _unsafe(path: Path, fault: str) -> ViaductError:
    return ViaductError(
        "FAILED_PRECONDITION",
        f"the credential {path} {fault}: remove it and have the hub write a new one",
        reason="CREDENTIAL_UNSAFE",
    )
