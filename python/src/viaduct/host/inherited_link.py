"""A supervised child's end of its link."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

from ..wire.errors import ViaductError

STDIO: Final = "stdio"
"""What VIADUCT_FD says when the link is this process's standard input and output."""


@dataclass(frozen=True)
class InheritedLink:
    app: str
    id: str
    fd: int | None
    """The descriptor of a socket, the caller's to open; None: standard input and output."""


def take_inherited_link(env: MutableMapping[str, str] = os.environ) -> InheritedLink | None:
    """The link that a supervisor gave this process, or None for one that no supervisor started.

    It may be taken once: VIADUCT_FD is removed, so that programs which this process starts do not take the
    link for theirs.

    :raises ViaductError: FAILED_PRECONDITION / BAD_LINK_DESCRIPTOR: VIADUCT_FD names no open socket
    """
    number = env.pop("VIADUCT_FD", None)
    if number is None:
        return None
    app, id = env.get("VIADUCT_APP", ""), env.get("VIADUCT_ID", "")
    if number == STDIO:
        return InheritedLink(app, id, None)
    fault = _fault(number)
    if fault:
        raise ViaductError(
            "FAILED_PRECONDITION",
            f"VIADUCT_FD is {number!r}, which {fault}: a program between the supervisor and this one must "
            "pass the descriptor on, or VIADUCT_FD is left over and must be removed",
            reason="BAD_LINK_DESCRIPTOR",
        )
    return InheritedLink(app, id, int(number))


def _fault(number: str) -> str:
    if re.fullmatch(r"[0-9]{1,9}", number) is None:
        return "is no descriptor number"
    try:
        found = os.fstat(int(number))
    except OSError as error:
        return f"is not open ({error.strerror})"
    return "" if stat.S_ISSOCK(found.st_mode) else "is no socket"
