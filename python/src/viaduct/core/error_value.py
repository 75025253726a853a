"""Errors as they travel in an ERROR's body (PROTOCOL.md, section 8)."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Final

from ..wire.errors import CODES, Fate, ViaductError
from ..wire.reasons import REASONS
from .method import Method

ErrorValue = dict[str, object]

UNREADABLE: Final[ErrorValue] = {
    "code": "UNKNOWN",
    "reason": "HANDLER_ERROR",
    "message": "handler raised something that cannot be read",
}
"""Stands for what cannot be read or sent."""


def error_value(raised: BaseException, debug: bool) -> ErrorValue:
    """The error value of anything that a handler raised; stacks leave the process only with ``debug``."""
    try:
        value = _describe(raised)
        if debug:
            value["stack"] = "".join(traceback.format_exception(raised))
        return value
    except Exception:
        return dict(UNREADABLE)


def plain_error_value(raised: BaseException) -> ErrorValue:
    """The same without what may be unsendable."""
    value = error_value(raised, debug=False)
    return {key: value[key] for key in ("code", "reason", "message")}


def send_error(raised: BaseException, debug: bool, write: Callable[[ErrorValue], None]) -> None:
    """Writes what a handler or function raised; what cannot be sent of it is left out."""
    for value in (error_value(raised, debug), plain_error_value(raised), UNREADABLE):
        try:
            write(value)
        except ViaductError:
            continue
        return


def _describe(raised: BaseException) -> ErrorValue:
    if not isinstance(raised, ViaductError):
        name, message = type(raised).__name__, str(raised)
        return {
            "code": "UNKNOWN",
            "reason": "HANDLER_ERROR",
            "message": message or name,
            "cause": {"name": name, "message": message},
        }
    value: ErrorValue = {
        "code": raised.code,
        "reason": raised.reason,
        "message": raised.message,
    }
    if raised.path is not None:
        value["path"] = raised.path
    if raised.data is not None:
        value["data"] = raised.data
    if raised.retry_after_ms is not None:
        value["retryAfterMs"] = raised.retry_after_ms
    cause = raised.__cause__
    if cause is not None:
        value["cause"] = {"name": type(cause).__name__, "message": str(cause)}
    return value


def error_from(value: object, what: str) -> ViaductError:
    """The error that a caller sees; anything malformed reads as UNKNOWN."""
    if not isinstance(value, dict):
        return ViaductError("UNKNOWN", f"{what}: the far side failed without saying how")
    code = value.get("code")
    if not isinstance(code, str) or code not in CODES:
        code = "UNKNOWN"
    retry_after = value.get("retryAfterMs")
    error = ViaductError(
        code,
        _text(value, "message") or "the far side failed without saying how",
        reason=_text(value, "reason"),
        path=_text(value, "path"),
        data=value.get("data"),
        retry_after_ms=retry_after if isinstance(retry_after, (int, float)) else None,
    )
    cause = value.get("cause")
    if isinstance(cause, dict):
        error.__cause__ = FarCause(f"{_text(cause, 'name')}: {_text(cause, 'message')}")
    return error


class FarCause(Exception):
    """What the far side named as the cause of an error, as ``name: message``."""


def _text(value: dict[str, object], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None


def named(error: Exception, method: Method, part: str, ours: bool = False) -> ViaductError:
    """The same error with the method and the part it happened in, as ``pages.analyze: input.url``.

    ``ours``: what our own side made cannot be sent; no fault of the other's argument, so INTERNAL.
    """
    if not isinstance(error, ViaductError):
        return ViaductError("INTERNAL", f"{method.name}: {part}: {error}")
    path = part if error.path is None else _renamed(error.path, part)
    code = "INTERNAL" if ours and error.code == "INVALID_ARGUMENT" else error.code
    fate: Fate = "not-sent" if part == "input" else "unknown"
    text = _renamed(error.message, part)
    return ViaductError(
        code, f"{method.name}: {text}", reason=error.reason, path=path, fate=fate
    )


def _renamed(text: str, part: str) -> str:
    """Encoders call what they are given ``value``."""
    return part + text[len("value") :] if text.startswith("value") else text


def numbers_of(value: object) -> tuple[int, int]:
    """Code and reason of an error value as an ERROR's header names them; 0 for what has no number."""
    if not isinstance(value, dict):
        return 0, 0
    reason = REASONS.get(str(value.get("reason")))
    return CODES.get(str(value.get("code")), 0), reason.number if reason else 0
