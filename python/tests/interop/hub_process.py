"""A real hub in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

SCRIPT = Path(__file__).with_name("hub.mjs")
APP = "interop"


class HubProcess:
    """Started by ``with``, and ended with it."""

    def __enter__(self) -> HubProcess:
        self._folder = tempfile.TemporaryDirectory(prefix="viaduct-")
        self.base = Path(self._folder.name)
        self.start()
        return self

    def start(self) -> None:
        """Starts it, again where it has ended: in the same folder."""
        node = shutil.which("node")
        assert node is not None, "these tests need Node.js"
        self._process = subprocess.Popen(
            [node, str(SCRIPT), APP, str(self.base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", "the hub did not start; is it built?"

    def kill(self) -> None:
        """Ends the hub without a word."""
        self._process.kill()
        self._process.communicate(timeout=20)

    def end(self) -> None:
        """Ends the hub in good order."""
        self._process.communicate(timeout=20)

    def restart(self) -> None:
        """Kills the hub, and starts another one in its place."""
        self.kill()
        self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.end()
        self._folder.cleanup()
