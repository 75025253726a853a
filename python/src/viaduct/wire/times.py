"""Moments as JavaScript counts them: milliseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from .tags import MAX_DATE_MS
from .values import Date

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EARLIEST_MS: Final = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND
_LATEST_MS: Final = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970; what is finer is cut off.

    :raises ValueError: the moment has no time zone
    """
    if moment.utcoffset() is None:
        raise ValueError("a datetime without a time zone names no moment")
    return (moment - _EPOCH) // _MILLISECOND


def moment_at(ms: float) -> datetime | Date:
    """The Date that JavaScript makes of this number; a datetime in UTC wherever there is one."""
    if not abs(ms) <= MAX_DATE_MS:
        return Date(None)
    whole = int(ms)
    if _EARLIEST_MS <= whole <= _LATEST_MS:
        return _EPOCH + timedelta(milliseconds=whole)
    return Date(whole)
