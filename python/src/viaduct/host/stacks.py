"""What a hung program does, told to its supervisor, whose pings its loop does not answer.

A second thread tells the loop's stack in the supervisor's own form. Where code in C keeps the interpreter's lock
no thread of Python runs: there the handler of a signal prints what it finds.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
from collections.abc import MutableMapping
from types import FrameType
from typing import Final

_STACK_FD: Final = "VIADUCT_STACK_FD"
"""The descriptor of the supervisor's questions; there when it wants to know where a child hangs."""
_STDERR: Final = 2
_FRAMES: Final = 16
_NAME_CHARS: Final = 200
_FILE_CHARS: Final = 300


def tell_stacks(env: MutableMapping[str, str] = os.environ) -> bool:
    """Tells where the calling thread stands from now on, if the supervisor asks for that.

    :returns: whether SIGUSR2 prints the stacks of all threads on stderr.
    """
    number = env.pop(_STACK_FD, None)
    if number is None:
        return False
    if number.isascii() and number.isdigit() and int(number) > _STDERR:
        answering = (int(number), threading.get_ident())
        threading.Thread(target=_answer, args=answering, name="viaduct stack", daemon=True).start()
    try:
        # The descriptor itself: sys.stderr may be anything by now. The main thread comes last.
        faulthandler.register(signal.SIGUSR2, file=_STDERR, all_threads=True)
    except (AttributeError, OSError, RuntimeError, ValueError):
        return False
    return True


def _answer(fd: int, thread: int) -> None:
    """Each question is a byte, each answer a line of JSON. What goes wrong costs the stack alone."""
    try:
        os.set_inheritable(fd, False)
        while questions := os.read(fd, 64):
            line = json.dumps(_frames(sys._current_frames().get(thread))) + "\n"
            os.write(fd, line.encode() * len(questions))
    except OSError:
        pass


def _frames(innermost: FrameType | None) -> list[dict[str, object]]:
    frames: list[dict[str, object]] = []
    frame = innermost
    while frame is not None and len(frames) < _FRAMES:
        code = frame.f_code
        name, file = code.co_name[:_NAME_CHARS], code.co_filename[-_FILE_CHARS:]
        frames.append({"name": name, "file": file, "line": frame.f_lineno})
        frame = frame.f_back
    return frames
