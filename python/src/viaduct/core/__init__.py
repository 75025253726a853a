"""The protocol without input or output: bytes and time go in, bytes and events come out."""

from __future__ import annotations

from .connection import Connection
from .limits import TRUSTED_LIMITS, Limits

__all__ = ["TRUSTED_LIMITS", "Connection", "Limits"]
