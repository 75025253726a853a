"""Frames as objects: the notation of vectors/README.md, as far as frames and talks use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from struct import pack
from typing import Any

from viaduct.wire.body import encode
from viaduct.wire.dictionary import Dictionary
from viaduct.wire.frame import FLAGS, Kind, make_frame, padded, read_header
from viaduct.wire.values import UNDEFINED

ROOT = Path(__file__).resolve().parents[3]
"""The repository, whose vectors every language is tested with."""

Json = dict[str, Any]


def load(name: str) -> Json:
    """A file of vectors."""
    found: Json = json.loads((ROOT / "vectors" / name).read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Function:
    """A function of a description; it is equal to what stands for it at the other side."""

    number: int

    def __call__(self, *arguments: object) -> object:
        raise AssertionError("players call nothing by themselves")


@lru_cache
def function(number: int) -> Function:
    """The same one each time."""
    return Function(number)


def value_from(described: Any) -> Any:
    """The value that a description stands for."""
    if isinstance(described, list):
        return [value_from(item) for item in described]
    if not isinstance(described, dict):
        return described
    if "$undefined" in described:
        return UNDEFINED
    if "$function" in described:
        return function(described["$function"])
    if "$repeat" in described:
        return described["$repeat"] * described["times"]
    if "$binary" in described:
        assert described["$binary"] == "Uint8Array"
        return bytes_from(described)
    return {key: value_from(value) for key, value in described.items()}


def bytes_from(described: Any) -> bytes:
    """Hexadecimal digits, or ``{bytes, fill}``."""
    if isinstance(described, str):
        return bytes.fromhex(described)
    if "hex" in described:
        return bytes.fromhex(described["hex"])
    return bytes([described["fill"]]) * int(described["bytes"])


def number_from(described: Any) -> int:
    return int(described, 16) if isinstance(described, str) else int(described)


def dictionary_from(shapes: list[list[str]] | None) -> Dictionary | None:
    """The dictionary of a list of key lists."""
    return None if shapes is None else Dictionary(shapes)


def _aligned(part: bytes | memoryview) -> bytes:
    return bytes(part) + bytes(padded(len(part)) - len(part))


def _head(entries: list[Json]) -> bytes:
    head = b""
    for entry in entries:
        value = entry["text"].encode() if "text" in entry else bytes.fromhex(entry["hex"])
        head += _aligned(pack("<HH", entry["tag"], len(value)) + value)
    return head


def payload_from(described: Json) -> tuple[bytes, int, int]:
    """The whole payload, the bytes of its head, and its number of segments."""
    if "payload" in described:
        payload = bytes_from(described["payload"])
        return payload, described.get("headBytes", 0), described.get("segments", 0)
    head = _head(described.get("head", []))
    table, body = b"", b""
    segments: list[bytes | memoryview] = []
    if "body" in described:
        value = value_from(described["body"])
        functions: list[Callable[..., object]] = []
        body, segments = encode(value, dictionary_from(described.get("shapes")), functions)
        assert functions == list(map(function, range(len(functions)))), "in the order in which they are met"
        if segments:
            table = _aligned(pack(f"<{len(segments)}I", *map(len, segments)))
            table += b"".join(map(_aligned, segments))
    return head + table + body, len(head), len(segments)


def frame_from(described: Json) -> bytes:
    """The frame that a description stands for."""
    if "hex" in described:
        return bytes.fromhex(described["hex"])
    name = described["kind"]
    kind = Kind[name] if name in Kind.__members__ else int(name, 16)
    flags = described.get("lane", 0)
    for flag in described.get("flags", []):
        flags |= FLAGS[flag]
    payload, head_bytes, segments = payload_from(described)
    part = described.get("part", {"from": 0, "to": len(payload)})
    here = payload[part["from"] : part["to"]]
    is_fragment = kind == Kind.FRAGMENT
    return bytes(
        make_frame(
            kind,
            flags,
            method=described.get("method", 0),
            id=number_from(described.get("id", 0)),
            route=number_from(described.get("route", 0)),
            time_left=described.get("timeLeft", 0),
            window=described.get("window", 0),
            payload=here,
            payload_bytes=described.get("payloadBytes", len(here if is_fragment else payload)),
            head_bytes=0 if is_fragment else head_bytes,
            segments=0 if is_fragment else segments,
        )
    )


def show(frame: bytes) -> str:
    """A frame for people to read."""
    header = read_header(frame)
    name = Kind(header.kind).name if header.kind in list(Kind) else hex(header.kind)
    return f"{name} {header} {frame[32:132].hex()}"


PREAMBLE: Json = {
    "kind": "PREAMBLE",
    "method": 0x0101,
    "id": "44414956",
    "route": "1a544355",
    "window": 10485760,
}
