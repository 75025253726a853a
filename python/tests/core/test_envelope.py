"""Values that come compressed are what they were; what is sealed is refused by name."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from viaduct.core.envelope import open_envelope
from viaduct.core.limits import UNTRUSTED_BOUNDS
from viaduct.core.message import Message
from viaduct.wire.body import TRUSTED_BOUNDS, encode
from viaduct.wire.errors import ViaductError
from viaduct.wire.frame import Header
from viaduct.wire.values import Envelope, TypedArray
from wire.notation import same, value_from, vectors

VALUE = {"text": "again " * 1000, "big": b"\x07" * 5000, "numbers": TypedArray("Float64Array", bytes(4800)), "n": 1}


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def content_of(value: object) -> bytes:
    body, segments = encode(value)
    parts = [bytes(segment) for segment in segments]
    table = b"".join(len(part).to_bytes(4, "little") for part in [*parts])
    head = padded(len(parts).to_bytes(4, "little") + table)
    return head + b"".join(map(padded, parts)) + body


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(content) + deflater.flush()


def refusal(envelope: Envelope, bounds: object = TRUSTED_BOUNDS) -> ViaductError:
    with pytest.raises(ViaductError) as raised:
        open_envelope(envelope, bounds)  # type: ignore[arg-type]
    return raised.value


@pytest.mark.parametrize("value", [None, "x", [], VALUE])
def test_what_is_compressed_or_plain_opens(value: object) -> None:
    content = content_of(value)
    assert open_envelope(Envelope(0, content), TRUSTED_BOUNDS) == value
    assert open_envelope(Envelope(1, deflated(content)), TRUSTED_BOUNDS) == value


@pytest.mark.parametrize("case", vectors("values.json")["contents"], ids=lambda case: str(case["name"]))
def test_content(case: Any) -> None:
    envelope = Envelope(case.get("codec", 0), bytes.fromhex(case["hex"]))
    assert same(open_envelope(envelope, TRUSTED_BOUNDS), value_from(case["value"]))


def test_a_message_is_read_as_what_was_compressed() -> None:
    body, segments = encode(Envelope(1, deflated(content_of("x" * 4000))))
    assert not segments
    header = Header(
        bytes=0,
        kind=0x10,
        flags=0,
        method=0,
        id=0,
        route=0,
        time_left=0,
        window=0,
        payload_bytes=len(body),
        head_bytes=0,
        segments=0,
    )
    assert Message(header, body, len(body), was_cut=False).read(None, TRUSTED_BOUNDS) == "x" * 4000


@pytest.mark.parametrize("codec", [2, 3, 4, 6, 7, 8, 255])
def test_what_is_sealed_or_signed_is_refused_by_name(codec: int) -> None:
    error = refusal(Envelope(codec, bytes(100)))
    assert (error.code, error.reason) == ("UNIMPLEMENTED", "CODEC_UNKNOWN")


def test_a_bomb_is_refused() -> None:
    bomb = deflated(bytes(200 * 1024 * 1024))
    error = refusal(Envelope(1, bomb))
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
    two_mebibytes = Envelope(1, deflated(content_of("x" * (2 * 1024 * 1024))))
    assert isinstance(open_envelope(two_mebibytes, TRUSTED_BOUNDS), str)
    assert refusal(two_mebibytes, UNTRUSTED_BOUNDS).reason == "MESSAGE_TOO_LARGE"


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(1, b"\xff\xff\xff"),
        Envelope(1, b""),
        Envelope(1, deflated(content_of(VALUE))[:-3]),
        Envelope(0, b""),
        Envelope(0, b"\xff\xff\xff\xff\x00\x00\x00\x00"),
        Envelope(0, b"\x01\x00\x00\x00\xff\xff\x00\x00"),
        Envelope(0, b"\x00\x00\x00\x00\x00\x00\x00\x00\xff"),
    ],
)
def test_what_is_no_content_is_malformed(envelope: Envelope) -> None:
    error = refusal(envelope)
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "MALFORMED_BODY")
