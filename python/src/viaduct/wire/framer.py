"""Chunks of a byte stream, cut anywhere, into whole frames."""

from __future__ import annotations

from .frame import U32
from .limits import HEADER_BYTES, MAX_FRAME_BYTES


def is_legal(length: int) -> bool:
    """Whether a frame may have this length: whole, aligned, within bounds."""
    return HEADER_BYTES <= length <= MAX_FRAME_BYTES and length & 7 == 0


class Framer:
    """Holds at most one unfinished frame: a length is checked as soon as its four bytes are there."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.broken = False
        """Set for good by an illegal length: the link has to be closed."""

    def push(self, chunk: bytes) -> list[bytes]:
        """The frames that are whole now, those before an illegal length included."""
        if not self._rest:
            frames, used = self._cut(chunk)
            if used < len(chunk):
                self._rest += chunk[used:]
            return frames
        self._rest += chunk
        frames, used = self._cut(self._rest)
        del self._rest[:used]
        return frames

    def _cut(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        frames: list[bytes] = []
        at = 0
        end = len(data)
        while end - at >= 4 and not self.broken:
            length: int = U32.unpack_from(data, at)[0]
            if not is_legal(length):
                self.broken = True
            elif end - at < length:
                break
            else:
                frames.append(bytes(data[at : at + length]))
                at += length
        return frames, end if self.broken else at
