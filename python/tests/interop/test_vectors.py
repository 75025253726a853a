"""The awkward values of vectors/values.json, and what is refused, between TypeScript and Python through a hub."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aio.asynchronous import asynchronous
from wire.notation import same, segment_from, value_from, vectors

import viaduct
from interop.hub_process import APP, HubProcess
from viaduct import UNDEFINED, Call, Dictionary, Method, Peer, ViaductError
from viaduct.core import output
from viaduct.wire.body import Encoded, encode
from viaduct.wire.encoder import Function

NODE = {"id": "main"}
PYTHON = {"id": "python-1"}
CASES: dict[str, list[Any]] = vectors("values.json")
SHAPES = list(
    dict.fromkeys(
        json.dumps(case["shapes"]) for part in ("values", "accepted", "bad") for case in CASES[part] if "shapes" in case
    )
)
"""The dictionaries that cases name, each once, in the order of the file: each has a method of its own."""
BAD = [
    case for case in CASES["bad"] if case["hex"] and "maxDepth" not in case and "maxKeys" not in case
]
"""Bounds of their own, and no body at all, are nothing that a link has."""


class Raw:
    """Stands for a body that is sent as it is, by a sender that keeps no rule."""

    def __init__(self, case: Any) -> None:
        segments = [segment_from(segment) for segment in case.get("segments", [])]
        self.encoded = Encoded(bytes.fromhex(case["hex"]), segments)


@pytest.fixture(autouse=True)
def sends_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode_or_take(
        value: object, dictionary: Dictionary | None = None, functions: list[Function] | None = None
    ) -> Encoded:
        return value.encoded if isinstance(value, Raw) else encode(value, dictionary, functions)

    monkeypatch.setattr(output, "encode", encode_or_take)


def method_of(case: Any, prefix: str) -> Method:
    if "shapes" not in case:
        return Method(f"{prefix}vectors.echo")
    number = SHAPES.index(json.dumps(case["shapes"]))
    dictionary = Dictionary(case["shapes"])
    return Method(
        f"{prefix}vectors.{number}", fingerprint="00c0ffee00c0ffee", input=dictionary, output=dictionary
    )


ALL: list[Any] = [{}, *({"shapes": json.loads(shapes)} for shapes in SHAPES)]


def by_name(part: str, name: object) -> Any:
    return next(case for case in CASES[part] if case["name"] == name)


@asynccontextmanager
async def joined(hub: HubProcess) -> AsyncIterator[tuple[Peer, dict[str, Method]]]:
    """A peer that serves the echoes, and the methods of node that are the same, by their dictionaries.

    Each was called once: the first call over a route describes itself, those after it use the dictionary.
    """
    async with await viaduct.join(app=APP, id="python-1", base=hub.base) as peer:
        for case in ALL:
            peer.handle(method_of(case, ""), lambda value, call: value)
        peer.handle("vectors.bad", lambda name, call: Raw(by_name("bad", name)))
        peer.handle("vectors.unsendable", lambda name, call: value_from(by_name("unsendable", name)["value"]))

        @peer.handler("vectors.each")
        async def each(_: object, call: Call) -> AsyncIterator[object]:
            async for item in call.upload:
                yield item

        methods = {json.dumps(case.get("shapes")): method_of(case, "node.") for case in ALL}
        for method in methods.values():
            await peer.call(method, None, target=NODE)
        yield peer, methods


def method_for(methods: dict[str, Method], case: Any) -> Method:
    return methods[json.dumps(case.get("shapes"))]


def is_back(case: Any, value: object) -> bool:
    """Whether a value is that of the case, also bit by bit."""
    return same(value, value_from(case["value"])) and encode(value).body.hex() == case["hex"]


def without_needs() -> Iterator[Any]:
    """Those that every host has; envelopes are opened by whoever gets them."""
    return (
        case for case in CASES["values"] if "needs" not in case and "$envelope" not in str(case["value"])
    )


@asynchronous
async def test_good_values_of_typescript_come_back(hub: HubProcess) -> None:
    async with joined(hub) as (peer, _):
        found = await peer.call("node.vectorsChanged", PYTHON, target=NODE, timeout=25)
        assert found["changed"] == []
        assert found["sent"] > 430
        streamed = await peer.call("node.vectorsStreamed", PYTHON, target=NODE, timeout=25)
        assert streamed["changed"] == []
        assert streamed["sent"] >= len(list(without_needs()))


@asynchronous
async def test_good_values_of_python_come_back(hub: HubProcess) -> None:
    async with joined(hub) as (peer, methods):
        for case in without_needs():
            value = value_from(case["value"])
            assert is_back(case, await peer.call(methods["null"], value, target=NODE)), case["name"]
            if "shapes" in case:
                back = await peer.call(method_for(methods, case), value, target=NODE)
                assert is_back(case, back), case["name"]
        for case in CASES["accepted"]:
            back = await peer.call(method_for(methods, case), Raw(case), target=NODE)
            wanted = value_from(case["value"])
            # Node lists integer-like keys first, ascending.
            if isinstance(wanted, dict) and case["name"].startswith("integer-like"):
                assert list(back) == sorted(wanted, key=lambda key: (not key.isdigit(), key.isdigit() and int(key)))
                assert back == wanted
            else:
                assert same(back, wanted), case["name"]


def told(error: Any) -> tuple[object, ...]:
    if isinstance(error, ViaductError):
        return error.code, error.reason, error.path, error.fate
    fate = error["fate"]
    return error["code"], error["reason"], error["path"], None if fate is UNDEFINED else fate


async def refusal(peer: Peer, method: str | Method, value: object) -> tuple[object, ...]:
    with pytest.raises(ViaductError) as refused:
        await peer.call(method, value, target=NODE)
    return told(refused.value)


@asynchronous
async def test_hostile_bodies_are_refused_alike(hub: HubProcess) -> None:
    # The callee has answered: no fate.
    as_input = ("INVALID_ARGUMENT", "MALFORMED_BODY", "input", None)
    as_output = ("INVALID_ARGUMENT", "MALFORMED_BODY", "output", "unknown")
    async with joined(hub) as (peer, methods):
        by_python = {
            name: told(answer["error"])
            for name, answer in await peer.call("node.vectorsRefused", PYTHON, target=NODE, timeout=25)
        }
        assert by_python == {case["name"]: as_input for case in BAD}
        for case in BAD:
            assert await refusal(peer, method_for(methods, case), Raw(case)) == as_input, case["name"]
        plain = [case["name"] for case in BAD if "shapes" not in case]
        request = {"target": PYTHON, "list": "bad"}
        answers = await peer.call("node.vectorsAnswered", request, target=NODE, timeout=25)
        assert {name: told(answer["error"]) for name, answer in answers} == dict.fromkeys(plain, as_output)
        for name in plain:
            assert await refusal(peer, "node.vectors.bad", name) == as_output, name
        assert await peer.call("node.echo", "lives", target=NODE) == "lives"


@asynchronous
async def test_what_cannot_be_sent_is_refused_alike(hub: HubProcess) -> None:
    def as_part(case: Any, part: str, code: str, fate: str | None) -> tuple[object, ...]:
        return code, "UNSENDABLE", part + case["path"][len("value") :], fate

    cases = CASES["unsendable"]
    async with joined(hub) as (peer, _):
        for case in cases:
            # A function may be sent to one peer.
            if not case["name"].startswith("a function"):
                wanted = as_part(case, "input", "INVALID_ARGUMENT", "not-sent")
                assert await refusal(peer, "node.echo", value_from(case["value"])) == wanted, case["name"]
            found = await refusal(peer, "node.vectors.unsendable", case["name"])
            assert found == as_part(case, "output", "INTERNAL", None), case["name"]
        refused = await peer.call("node.vectorsUnsendable", PYTHON, target=NODE, timeout=25)
        assert len(refused) > 25
        for name, answer in refused:
            wanted = as_part(by_name("unsendable", name), "input", "INVALID_ARGUMENT", "not-sent")
            assert told(answer["error"]) == wanted, name
        request = {"target": PYTHON, "list": "unsendable"}
        for name, answer in await peer.call("node.vectorsAnswered", request, target=NODE, timeout=25):
            wanted = as_part(by_name("unsendable", name), "output", "INTERNAL", None)
            assert told(answer["error"]) == wanted, name
