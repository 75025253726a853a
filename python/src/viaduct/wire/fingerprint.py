"""Fingerprints of methods (PROTOCOL.md, section 10).

They tell whether two sides mean the same method; they prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from .json_text import Json, canonical_json
from .text import utf16_order

_OFFSET_BASIS: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_MASK: Final = 2**64 - 1


UNDECLARED: Final = "undeclared"
"""Stands for a schema that has no member in the canonical form at all."""


class Schemas(NamedTuple):
    """JSON Schemas of what travels, ``None`` where there is none. A topic's data stands under ``input``.

    ``progress`` has a member only where progress is declared, so that other fingerprints stay what they were.
    """

    input: Json = None
    output: Json = None
    item: Json = None
    upload: Json = None
    progress: Json = UNDECLARED


@dataclass(frozen=True, slots=True)
class MethodShape:
    """What a fingerprint is made of.

    ``name``: the full one, as ``pages.analyze``. ``errors``: names of the declared errors, in any order.
    ``codecs``: ``compress``, ``sealed``, ``signed``, as far as they are asked for.
    ``delivery``: ``at-least-once`` for what goes through a mailbox.
    A stream without items of its own has the kind ``call``.
    """

    name: str
    kind: Literal["call", "stream", "topic"]
    upload: bool = False
    errors: Iterable[str] = ()
    version: int | None = None
    codecs: Iterable[str] = ()
    delivery: Literal["at-least-once"] | None = None
    schemas: Schemas = Schemas()


def fingerprint(shape: MethodShape) -> str:
    """16 hexadecimal digits."""
    errors: list[str] = sorted(shape.errors, key=utf16_order)
    schemas = {key: value for key, value in shape.schemas._asdict().items() if value is not UNDECLARED}
    codecs: Json = sorted(shape.codecs)
    members: Json = {
        "name": shape.name,
        "kind": shape.kind,
        "upload": shape.upload,
        "errors": errors,
        "version": shape.version,
        "schemas": schemas,
        **({"codecs": codecs} if codecs else {}),
        **({"delivery": shape.delivery} if shape.delivery else {}),
    }
    return fnv1a64(canonical_json(members))


def fnv1a64(text: str) -> str:
    """FNV-1a 64 over the text's UTF-8, as 16 hexadecimal digits."""
    hashed = _OFFSET_BASIS
    for byte in text.encode():
        hashed = (hashed ^ byte) * _PRIME & _MASK
    return f"{hashed:016x}"
