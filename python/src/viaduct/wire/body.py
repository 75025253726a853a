"""Values as bodies, and bodies as values (PROTOCOL.md, section 6).

What a value of JavaScript is here, both ways: ``null`` is ``None``; ``undefined`` is ``UNDEFINED``; a number
is an ``int`` where it is a safe integer other than −0, else a ``float``; a bigint is a ``BigInt``; a string
is a ``str``, a lone surrogate the code point of that number; an array is a ``list``, an object a ``dict``;
a Date is a ``datetime`` in UTC, or a ``Date`` where there is none; Map and Set are ``Map`` and ``Set``; an
Error is an ``ErrorValue``; a Uint8Array is ``bytes``, an ArrayBuffer an ``ArrayBuffer``, every other typed
array and DataView a ``TypedArray``.

Sent besides: a ``float`` that is integral is that integer; a ``tuple`` is an array; ``set`` and
``frozenset`` are Sets; ``bytearray`` and ``memoryview`` are Uint8Arrays. Subclasses of these types are
refused, except for the keys of objects, and so are integers beyond ±(2**53 − 1) that are no ``BigInt``, and
a ``datetime`` without a time zone; of one with a zone, what is finer than a millisecond is cut off. A callable
is a reference where such are collected, and refused elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from .cursor import malformed
from .decoder import Decoder
from .dictionary import Dictionary
from .encoder import Encoder, Function
from .limits import MAX_DEPTH, TRUSTED_MAX_KEYS
from .refusal import Unsendable, refusal
from .values import Binary

_NO_DICTIONARY: Final = Dictionary()


class Encoded(NamedTuple):
    """A body, and the binaries of ``SEGMENT_BYTES`` or more that it refers to, in order.

    Segments are views of the sender's own memory, which must not change until they are written.
    """

    body: bytes
    segments: list[bytes | memoryview]


class Bounds(NamedTuple):
    """What one body may hold. Both are checked before anything is allocated for it.

    ``max_depth``: deepest nesting, at most ``MAX_DEPTH``; what holds nothing has depth 0, ``[[]]`` has 2.
    ``max_keys``: most keys, items and entries over the whole body; absent keys of a shape count.
    """

    max_depth: int
    max_keys: int


TRUSTED_BOUNDS: Final = Bounds(MAX_DEPTH, TRUSTED_MAX_KEYS)


def encode(
    value: object, dictionary: Dictionary | None = None, functions: list[Function] | None = None
) -> Encoded:
    """Encodes one value. What is written depends on the value and the dictionary alone.

    ``functions``: an empty list, to which the callables of the value are added by their numbers; without it
    they are refused.

    :raises ViaductError: INVALID_ARGUMENT / UNSENDABLE with the ``path`` to what cannot be sent
    """
    encoder = Encoder(dictionary or _NO_DICTIONARY, functions)
    try:
        encoder.write(value, 0)
    except Unsendable:
        raise refusal(value, functions is not None) from None
    except ValueError as cause:
        raise refusal(value, functions is not None) from cause
    return Encoded(bytes(encoder.out), encoder.segments)


def decode(
    body: Binary,
    segments: Sequence[Binary] = (),
    dictionary: Dictionary | None = None,
    bounds: Bounds = TRUSTED_BOUNDS,
    functions: Sequence[object] = (),
) -> object:
    """Decodes the one value that a body is. ``functions``: what its references become, by their numbers.

    Typed arrays and ArrayBuffers that travelled as segments have those segments as their data; all else is
    a copy.

    :raises ViaductError: INVALID_ARGUMENT / MALFORMED_BODY on anything but one whole value within the bounds
    """
    shapes = (dictionary or _NO_DICTIONARY).shapes
    decoder = Decoder(bytes(body), segments, shapes, bounds, functions)
    try:
        value = decoder.read(0)
    except IndexError:
        raise malformed(decoder.at, "it ends too early") from None
    decoder.finish()
    return value
