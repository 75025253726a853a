"""Plays a talk of vectors/talks.json against a connection; the notation is in vectors/README.md."""

from __future__ import annotations

from collections import deque
from typing import Any

from core.frame_notation import (
    PREAMBLE,
    Json,
    dictionary_from,
    frame_from,
    function,
    show,
    value_from,
)

from viaduct.core.admission import Admitting, Identity, Joining
from viaduct.core.connection import Connection
from viaduct.core.events import (
    Admitted,
    Answered,
    CallAborted,
    CallStarted,
    Closed,
    Event,
    Failed,
    FunctionAnswered,
    FunctionCalled,
    FunctionFailed,
    Progressed,
    PublicationRefused,
    Registered,
)
from viaduct.core.functions import InBack
from viaduct.core.in_call import InCall
from viaduct.core.limits import Limits
from viaduct.core.link import Link
from viaduct.core.message import Message
from viaduct.core.method import Method
from viaduct.core.out_call import OutCall
from viaduct.core.references import Reference
from viaduct.wire.body import decode
from viaduct.wire.errors import ViaductError
from viaduct.wire.frame import Kind, read_header
from viaduct.wire.framer import Framer
from viaduct.wire.limits import HEADER_BYTES, LEASE_MS


class TalkError(Exception):
    """Something else happened than the talk says."""


class Party:
    """What the script knows by a name: a call that it made, or one whose handler has started."""

    def __init__(self, label: str, call: InCall | OutCall) -> None:
        self.label = label
        self.call = call
        self.to_send: deque[Json] = deque()
        """Items to be sent, and at last ``answer``, ``fail`` or ``finish``."""
        self.reads = 0
        """Reads that wait for an item."""
        self.called: deque[InBack] = deque()
        """Calls of functions of its input, which wait for their answers."""

    def reference(self, step: Json) -> Reference:
        """The function of its caller that a step means."""
        assert isinstance(self.call, InCall) and self.call.references is not None
        return self.call.references.all[step["function"]]

    def may_send(self) -> bool:
        """An answer that is one value waits for nothing."""
        call = self.call
        if call.sender is None or (isinstance(call, InCall) and not call.answers_items):
            return True
        return call.sender.may_send()


class TalkPlayer:
    """One talk: what it says is compared with what the connection does, step by step."""

    def __init__(self, talk: Json) -> None:
        self._talk = talk
        self._now = 1000.0
        self._methods: dict[str, Method] = {}
        self._parties: dict[str, Party] = {}
        self._started: list[CallStarted] = []
        self._seen: list[Json] = []
        self._sent: deque[bytes] = deque()
        self._sink = Framer()
        self._stalled = False
        self._takes = True
        nonces = talk.get("admission", {}).get("nonces", [])
        self._nonces = deque(map(bytes.fromhex, nonces))
        self._connection: Connection | None = None
        self._hub: tuple[Link, Admitting] | None = None

    def _random(self, size: int) -> bytes:
        return self._nonces.popleft() if self._nonces else bytes(size)

    def play(self) -> None:
        if self._talk.get("side") == "hub":
            self._be_hub()
        else:
            self._be_peer()
        self._settle()
        if self._talk.get("greeted", True):
            window = self._talk.get("limits", {}).get("messageBytes", PREAMBLE["window"])
            self._expect_frame({**PREAMBLE, "window": window})
            self._receive([PREAMBLE])
        for number, step in enumerate(self._talk["steps"]):
            try:
                self._step(step)
            except TalkError as error:
                raise TalkError(f"step {number} {step}: {error}") from None
        self._expect_quiet()
        if self._seen:
            raise TalkError(f"not looked at: {self._seen}")

    def _be_peer(self) -> None:
        given = self._talk.get("limits", {})
        limits = Limits(
            message_bytes=given.get("messageBytes", Limits.message_bytes),
            exchanges=given.get("exchanges", Limits.exchanges),
        )
        joining = None
        admission = self._talk.get("admission")
        if admission is not None:
            key = admission.get("key")
            joining = Joining(
                id=admission.get("id"),
                key=None if key is None else bytes.fromhex(key),
                pid=admission.get("pid"),
                random=self._random,
            )
        self._connection = Connection(
            limits=limits,
            clock=lambda: self._now,
            is_hub=self._talk.get("hub", False),
            joining=joining,
        )
        self._connection.set_stand_in(lambda reference: function(reference.index))
        for described in (*self._talk.get("methods", []), *self._talk.get("serves", [])):
            self._methods[described["name"]] = _method_from(described)
        for described in self._talk.get("serves", []):
            self._connection.serve(self._methods[described["name"]])

    def _be_hub(self) -> None:
        admission = self._talk["admission"]
        keys = {
            id: (Identity(id, id), bytes.fromhex(key))
            for id, key in admission.get("keys", {}).items()
        }
        welcome = admission.get("welcome")

        def admit(identity: Identity, pid: int | None) -> Json | None:
            return welcome and {**value_from(welcome), "id": identity.id or welcome["id"]}

        identity = admission.get("identity")
        admitting = Admitting(
            keys=keys,
            identity=identity and Identity(identity["id"], identity["type"]),
            admit=admit,
            random=self._random,
        )
        self._hub = Link(lambda: self._now, Limits.message_bytes), admitting

    @property
    def _peer(self) -> Connection:
        assert self._connection is not None
        return self._connection

    # Frames.

    def _receive(self, described: list[Json]) -> None:
        data = b"".join(map(frame_from, described))
        if self._hub is not None:
            self._receive_as_hub(*self._hub, data)
        else:
            self._heed(self._peer.receive_data(data))
        self._settle()

    def _receive_as_hub(self, link: Link, admitting: Admitting, data: bytes) -> None:
        for frame in Framer().push(data):
            header = read_header(frame)
            message = Message.of_frame(header, frame)
            assert message is not None
            if not link.greeted:
                link.greet(header)
            elif header.kind in (Kind.HELLO, Kind.PROOF):
                admitting.receive(link, message)
            else:
                link.violation()
        if link.closed is not None:
            self._seen.append({"see": "closed", "reason": link.closed})
        elif admitting.admitted is not None:
            self._seen.append({"see": "admitted"})

    def _settle(self) -> None:
        """Everything that is to happen now happens."""
        while self._write() or self._send_items() or self._read_items():
            pass

    def _write(self) -> bool:
        if not self._takes:
            return False
        if self._hub is not None:
            data = self._hub[0].outbox.take(HEADER_BYTES)
        else:
            data = self._peer.data_to_send(HEADER_BYTES)
            self._heed(self._peer.events())
        self._sent.extend(self._sink.push(data))
        # A transport that is full has taken what it was given.
        self._takes = not (self._stalled and data)
        return bool(data)

    def _expect_quiet(self) -> None:
        if self._sent:
            raise TalkError(f"sent and not expected: {show(self._sent[0])}")

    def _expect_frame(self, described: Json) -> None:
        if not self._sent:
            raise TalkError("nothing more was sent")
        frame = self._sent.popleft()
        body_has = described.get("bodyHas")
        if body_has is not None:
            payload = frame[HEADER_BYTES:][: read_header(frame).payload_bytes]
            body = decode(payload)
            assert isinstance(body, dict)
            if any(body.get(key) != value for key, value in body_has.items()):
                raise TalkError(f"sent {show(frame)}: {body}")
            described = {**described, "payload": payload.hex()}
        expected = frame_from(described)
        if frame != expected:
            raise TalkError(f"sent {show(frame)}\nexpected {show(expected)}")

    # Events.

    def _heed(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, CallStarted):
                self._started.append(event)
            elif isinstance(event, Admitted):
                self._see("admitted", id=event.you.id, zone=event.you.zone)
            elif isinstance(event, Closed):
                self._see("closed", reason=event.reason)
            elif isinstance(event, CallAborted):
                if event.call.context is not None:
                    self._see("aborted", of=event.call.context.label)
            elif isinstance(event, Answered):
                if event.call.method.kind != "topic":
                    self._see_of(event.call, "value", value=event.value)
            elif isinstance(event, Failed):
                self._see_of(event.call, "error", **_told(event.error))
            elif isinstance(event, FunctionCalled):
                back = event.back
                back.call.context.called.append(back)
                self._see_of(back.call, "called", function=back.index, value=back.arguments)
            elif isinstance(event, FunctionAnswered):
                self._see("value", of=event.back.context, value=event.value)
            elif isinstance(event, FunctionFailed):
                self._see("error", of=event.back.context, **_told(event.error))
            elif isinstance(event, Progressed):
                self._see_of(event.call, "progress", value=event.value)
            elif isinstance(event, Registered):
                self._see_registered(event)
            elif isinstance(event, PublicationRefused):
                self._see("refused", topic=event.topic)

    def _see_registered(self, event: Registered) -> None:
        gap = event.gap
        if gap is not None:
            missed = "unknown" if gap.missed is None else str(gap.missed)
            self._see_of(event.call, "gap", missed=missed, **{"from": gap.start, "to": gap.end})
        self._see_of(event.call, "value", value="ready")

    def _see(self, what: str, **fields: object) -> None:
        self._seen.append({"see": what, **fields})

    def _see_of(self, call: OutCall, what: str, **fields: object) -> None:
        self._see(what, of=call.context.label, **fields)

    def _send_items(self) -> bool:
        progressed = False
        for party in self._parties.values():
            while party.to_send and party.may_send():
                self._send(party, party.to_send.popleft())
                progressed = True
        return progressed

    def _send(self, party: Party, step: Json) -> None:
        call, peer = party.call, self._peer
        if step["do"] == "give":
            peer.send_item(call, value_from(step["item"]))
        elif isinstance(call, OutCall):
            peer.finish_upload(call)
        elif step["do"] == "answer":
            peer.end(call, value_from(step["value"]))
        else:
            peer.fail(call, _error_from(step["error"]))

    def _read_items(self) -> bool:
        progressed = False
        for party in self._parties.values():
            items = party.call.items
            while party.reads and items is not None and (items.waiting or items.ended):
                party.reads -= 1
                progressed = True
                self._read(party)
        return progressed

    def _read(self, party: Party) -> None:
        items = party.call.items
        assert items is not None
        if items.waiting:
            self._see("item", of=party.label, **_item_told(party.call, items.take()))
        elif items.error is not None:
            self._see("failed", of=party.label, **_told(items.error))
        else:
            self._see("done", of=party.label)

    # Steps.

    def _step(self, step: Json) -> None:
        if "out" in step:
            self._expect_frame(step["out"])
        elif "see" in step:
            self._expect_sight(step)
        else:
            self._expect_quiet()
            if "in" in step:
                self._receive(step["in"] if isinstance(step["in"], list) else [step["in"]])
            else:
                self._do(step)
                if self._connection is not None:
                    self._heed(self._connection.events())
                self._settle()

    def _expect_sight(self, step: Json) -> None:
        if step["see"] == "call":
            self._expect_call(step)
            return
        wanted = {key: value_from(value) for key, value in step.items()}
        wanted.pop("retryAfterMs", None)
        if "retryAfterMs" in step:
            wanted["retry_after_ms"] = step["retryAfterMs"]
        for seen in self._seen:
            if all(key in seen and seen[key] == value for key, value in wanted.items()):
                self._seen.remove(seen)
                return
        raise TalkError(f"not seen; there is {self._seen}, {len(self._started)} started")

    def _expect_call(self, step: Json) -> None:
        if not self._started:
            raise TalkError("no handler was started")
        event = self._started.pop(0)
        call = event.call
        if call.method.name != step["method"] or event.input != value_from(step["input"]):
            raise TalkError(f"started {call.method.name} with {event.input}")
        if "from" in step and call.peer.id != step["from"]:
            raise TalkError(f"its source is {call.peer.id}")
        party = Party(step["as"], call)
        call.context = party
        self._parties[step["as"]] = party
        if call.method.kind == "stream":
            self._peer.begin_items(call)

    def _do(self, step: Json) -> None:
        act = step["do"]
        party = self._parties.get(step.get("of", ""))
        method = self._methods.get(step.get("method", ""))
        if act in ("call", "stream", "subscribe"):
            self._ask(step)
        elif act in ("give", "finish", "answer", "fail"):
            assert party is not None
            party.to_send.append(step)
        elif act == "read":
            assert party is not None
            party.reads += 1
        elif act in ("cancel", "leave"):
            assert party is not None and isinstance(party.call, OutCall)
            self._peer.cancel(party.call)
        elif act == "where":
            assert party is not None and isinstance(party.call, OutCall)
            assert party.call.standing is not None
            self._see("where", of=party.label, lastEventId=party.call.standing.last_event_id)
        elif act == "progress":
            assert party is not None and isinstance(party.call, InCall)
            self._peer.progress(party.call, value_from(step["value"]))
        elif act == "ask":
            assert method is not None
            self._see("idempotent", idempotent=self._peer.is_idempotent(method, step.get("target")))
        elif act == "notify":
            assert method is not None
            taken = self._peer.notify(method, value_from(step["input"]), target=step.get("target"))
            self._see("taken", taken=taken)
        elif act == "publish":
            assert method is not None
            self._peer.publish(method, value_from(step["input"]), key=step.get("key"))
        elif act == "serve":
            assert method is not None
            self._peer.serve(method)
        elif act == "withdraw":
            assert method is not None
            self._peer.withdraw(method)
        elif act in ("return", "throw", "back", "keep", "release"):
            assert party is not None
            self._do_with_function(party, step)
        elif act == "pass":
            self._now += step["ms"]
            self._heed(self._peer.handle_timeout())
        else:
            self._do_to_link(act)

    def _do_with_function(self, party: Party, step: Json) -> None:
        act = step["do"]
        if act == "return":
            self._peer.answer_back(party.called.popleft(), value_from(step["value"]))
        elif act == "throw":
            self._peer.fail_back(party.called.popleft(), _error_from(step["error"]))
        elif act == "keep":
            party.reference(step).keep(step.get("leaseMs", LEASE_MS))
        elif act == "release":
            party.reference(step).release()
        else:
            try:
                back = party.reference(step).call(value_from(step["args"]))
            except ViaductError as error:
                self._see("error", of=step["as"], **_told(error))
            else:
                back.context = step["as"]

    def _do_to_link(self, act: str) -> None:
        if act == "drain":
            self._peer.drain()
        elif act == "close":
            self._peer.close()
        elif act == "lose":
            self._heed(self._peer.receive_eof())
        elif act == "stall":
            self._stalled = True
        elif act == "flow":
            self._stalled, self._takes = False, True
        else:
            raise TalkError(f"unknown action {act}")

    def _ask(self, step: Json) -> None:
        pattern = step.get("pattern")
        method = Method(pattern, "topic") if pattern else self._methods[step["method"]]
        label = step["as"]
        timeout_ms = step.get("timeoutMs", 0)
        try:
            if step["do"] == "subscribe":
                call = self._peer.subscribe(
                    method,
                    overflow=step.get("overflow"),
                    max_age_ms=step.get("maxAgeMs"),
                    group=step.get("group"),
                    last_event_id=step.get("lastEventId"),
                    timeout_ms=timeout_ms,
                )
            else:
                call = self._peer.call(
                    method,
                    value_from(step["input"]),
                    target=step.get("target"),
                    timeout_ms=timeout_ms,
                    lane=step.get("lane"),
                    upload=step.get("upload", False),
                    stream=step["do"] == "stream",
                    **({"window_bytes": step["window"]} if "window" in step else {}),
                )
        except ViaductError as error:
            self._see("error", of=label, **_told(error))
            return
        call.context = self._parties[label] = Party(label, call)


def _method_from(described: Json) -> Method:
    return Method(
        described["name"],
        kind=described.get("kind", "call"),
        fingerprint=described.get("fingerprint", ""),
        idempotent=described.get("idempotent", False),
        overflow=described.get("overflow", "drop-oldest"),
        input=dictionary_from(described.get("input")),
        output=dictionary_from(described.get("output")),
        item=dictionary_from(described.get("items")),
        upload_item=dictionary_from(described.get("uploads")),
    )


def _error_from(described: Any) -> Exception:
    if isinstance(described, str):
        return Error(described)
    if "code" not in described:
        return Error(described["message"])
    given = {key: value_from(value) for key, value in described.items()}
    return ViaductError(given.pop("code"), given.pop("message"), **given)


class Error(Exception):
    """Named as the talks' own language names its errors."""


def _item_told(call: InCall | OutCall, item: Any) -> Json:
    """Of a subscription the event is told too, of one of a pattern as what its subscribers read."""
    standing = call.standing if isinstance(call, OutCall) else None
    if standing is None:
        return {"value": item}
    value, head = item
    event = standing.read(head)
    if event is None:
        return {"value": value}
    if "*" in call.method.name:
        value = {"topic": event.topic, "data": value}
    return {"value": value, "topic": event.topic, "eventId": event.event_id}


def _told(error: ViaductError) -> Json:
    keys = ("code", "reason", "fate", "path", "retry_after_ms")
    return {key: getattr(error, key) for key in keys}


