"""What a hung program did, told to its supervisor: its loop answers nobody, but a signal's handler still runs."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import MutableMapping
from typing import Final

_STACK_FD: Final = "VIADUCT_STACK_FD"
"""There when the supervisor wants to know where a child hangs."""
_STDERR: Final = 2


def print_stacks_on_signal(env: MutableMapping[str, str] = os.environ) -> bool:
    """Has SIGUSR2 print the stacks of all threads on stderr, if the supervisor asks for stacks.

    It needs neither the event loop nor the interpreter's lock, so code in C may hold both.

    :returns: whether it does.
    """
    if env.pop(_STACK_FD, None) is None or not hasattr(faulthandler, "register"):
        return False
    try:
        # The descriptor itself: sys.stderr may be anything by now. The main thread comes last.
        faulthandler.register(signal.SIGUSR2, file=_STDERR, all_threads=True)
    except (OSError, RuntimeError, ValueError):
        return False
    return True
