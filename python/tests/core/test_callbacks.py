"""Functions in the input of a call: both sides of what the talks do not say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from core.frame_notation import PREAMBLE, frame_from
from core.wire_pair import WirePair

from viaduct.core.connection import Connection
from viaduct.core.events import (
    Answered,
    CallStarted,
    Failed,
    FunctionAnswered,
    FunctionCalled,
    FunctionFailed,
)
from viaduct.core.in_call import InCall
from viaduct.core.limits import Limits
from viaduct.core.message import Message
from viaduct.core.method import Method
from viaduct.core.references import Reference
from viaduct.wire.errors import ViaductError
from viaduct.wire.frame import Kind, read_header
from viaduct.wire.limits import (
    FRAGMENT_BYTES,
    HEADER_BYTES,
    LEASE_GRACE_MS,
    LEASE_MS,
    MAX_BACKS,
    MAX_LEASE_MS,
    MAX_REFERENCES,
    SEGMENT_BYTES,
)

ECHO = Method("echo")
LIST = Method("list", kind="stream")


def here(*_: object) -> None:
    """Something to lend; the connection itself calls nothing."""


def made() -> WirePair:
    pair = WirePair()
    pair.far.serve(ECHO)
    pair.far.serve(LIST)
    return pair


def lent(pair: WirePair, value: object = here, **options: float) -> tuple[InCall, list[Reference]]:
    """A call that has come, and the functions of its input."""
    pair.near.call(ECHO, value, **options)  # type: ignore[arg-type]
    pair.settle()
    call = pair.only(CallStarted).call
    assert call.references is not None
    return call, call.references.all


def fails(act: Callable[[], object]) -> ViaductError:
    with pytest.raises(ViaductError) as failure:
        act()
    return failure.value


def give(pair: WirePair, value: object = None) -> None:
    """Every function that runs gives this."""
    for event in pair.take(FunctionCalled):
        pair.near.answer_back(event.back, value)
    pair.settle()


def test_a_method_of_an_object_is_one_function_however_often_it_is_read() -> None:
    pair = made()
    seen: list[object] = []
    pair.near.call(ECHO, {"a": seen.append, "b": [seen.append, here, here], "c": print})
    pair.settle()
    value = pair.only(CallStarted).input
    assert isinstance(value, dict)
    assert value["a"] is value["b"][0] and value["b"][1] is value["b"][2]
    assert [value[key].index for key in ("a", "c")] == [0, 2] and value["b"][1].index == 1


def test_functions_travel_with_inputs_in_many_frames_and_with_segments() -> None:
    pair = made()
    call, [function] = lent(pair, {"text": "x" * 100_000, "bytes": bytes(50_000), "f": here})
    function.call([1])
    pair.settle()
    assert pair.only(FunctionCalled).back.arguments == [1]
    assert len(pair.frames(Kind.FRAGMENT)) == 4


def test_where_functions_are_refused() -> None:
    pair = made()
    value = {"a": [here]}
    for act, path in [
        (lambda: pair.near.notify(ECHO, value), "input.a[0]"),
        (lambda: pair.near.publish(Method("t", kind="topic"), value), "input.a[0]"),
        (lambda: pair.near.call(ECHO, [*map(_numbered, range(MAX_REFERENCES + 1))]), "input[64]"),
    ]:
        error = fails(act)
        assert (error.code, error.reason, error.path) == ("INVALID_ARGUMENT", "UNSENDABLE", path)
        assert error.fate == "not-sent"
    call, [function, *_] = lent(pair, [*map(_numbered, range(MAX_REFERENCES))])
    assert fails(lambda: function.call([{"deep": here}])).path == "callbacks[0].arguments[0].deep"
    function.call([])
    pair.settle()
    give(pair, here)
    error = pair.only(FunctionFailed).error
    assert (error.code, error.reason) == ("INTERNAL", "UNSENDABLE")
    assert error.path == "callbacks[0].result"
    pair.far.progress(call, 1)
    assert fails(lambda: pair.far.progress(call, here)).reason == "UNSENDABLE"
    pair.far.end(call, {"out": here})
    pair.settle()
    assert pair.only(Failed).error.path == "output.out"
    pair.near.call(LIST, 1, stream=True)
    pair.settle()
    started = pair.only(CallStarted).call
    pair.far.begin_items(started)
    pair.far.send_item(started, here)
    pair.settle()
    assert pair.only(Failed).error.path == "item"
    assert pair.open_calls == (0, 0)


def _numbered(number: int) -> Callable[[], int]:
    return lambda: number


def test_a_message_that_wants_no_answer_has_no_functions() -> None:
    connection = Connection()
    connection.serve(ECHO)
    head = [{"tag": 6, "hex": "01000000"}]
    call = {"kind": "CALL", "lane": 2, "head": head, "body": {"$function": 0}}
    start = [PREAMBLE, {"kind": "OPEN", "body": {"methods": [[0, "echo", ""]]}}]
    frames = [*start, {**call, "flags": ["ONE_WAY"]}, {**call, "id": 1}]
    [started] = connection.receive_data(b"".join(map(frame_from, frames)))
    assert isinstance(started, CallStarted) and started.call.id == 1


def test_one_frame_is_the_most_to_and_fro() -> None:
    pair = made()
    _, [function] = lent(pair)
    # A segment and its table stand beside the body: all of them in one frame.
    for size in (SEGMENT_BYTES, FRAGMENT_BYTES - 16):
        function.call([bytes(size)])
        pair.settle()
        assert pair.take(FunctionCalled)[0].back.arguments == [bytes(size)]
    function.call([])
    pair.settle()
    give(pair, bytes(FRAGMENT_BYTES - 16))
    assert pair.take(FunctionAnswered)[-1].value == bytes(FRAGMENT_BYTES - 16)
    before = len(pair.frames(Kind.BACK))
    for value in (bytes(FRAGMENT_BYTES), "x" * FRAGMENT_BYTES):
        error = fails(lambda value=value: function.call([value]))  # type: ignore[misc]
        assert (error.reason, error.path) == ("MESSAGE_TOO_LARGE", "callbacks[0].arguments")
    assert len(pair.frames(Kind.BACK)) == before
    function.call([])
    pair.settle()
    give(pair, bytes(FRAGMENT_BYTES))
    error = pair.only(FunctionFailed).error
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
    assert pair.far.closed is None and pair.near.closed is None


def test_so_many_calls_at_a_time_and_more_when_they_are_answered() -> None:
    pair = made()
    _, [function] = lent(pair)
    for _ in range(MAX_BACKS):
        function.call([])
    error = fails(lambda: function.call([]))
    assert (error.reason, error.fate) == ("QUEUE_FULL", "not-sent")
    pair.settle()
    called = pair.take(FunctionCalled)
    assert len(called) == MAX_BACKS
    for event in called:
        pair.near.answer_back(event.back, None)
    pair.settle()
    assert len(pair.take(FunctionAnswered)) == MAX_BACKS
    function.call([])
    pair.settle()
    assert len(pair.take(FunctionCalled)) == 1


@pytest.mark.parametrize("how", ["DEADLINE_EXCEEDED", "LINK_LOST"])
def test_what_ends_the_call_ends_its_functions(how: str) -> None:
    pair = made()
    _, [function] = lent(pair, timeout_ms=100)
    function.call([])
    if how == "LINK_LOST":
        pair.far.close()
        pair.settle()
    else:
        pair.pass_time(105)
    assert pair.only(Failed).error.reason == how
    assert pair.only(FunctionFailed).error.reason in (how, "CANCELLED")
    assert fails(lambda: function.call([])).reason in (how, "CANCELLED")
    assert fails(function.keep).reason in (how, "CANCELLED")


def test_what_is_kept_is_no_open_call_and_gives_its_slot_back() -> None:
    pair = made()
    call, [a, b, c] = lent(pair, [_numbered(0), _numbered(1), _numbered(2)])
    a.keep()
    b.keep(5)
    pair.far.end(call, "answered")
    pair.settle()
    assert pair.only(Answered).value == "answered"
    assert pair.open_calls == (0, 0)
    assert pair.frames(Kind.END)[0].window == LEASE_MS
    assert fails(lambda: c.call([])).reason == "LEASE_ENDED"
    a.release()
    a.release()
    b.call([])
    pair.settle()
    give(pair, "b")
    assert pair.only(FunctionAnswered).value == "b"
    assert not pair.frames(Kind.RELEASE)
    b.call([])
    b.release()
    pair.settle()
    assert pair.only(FunctionFailed).error.reason == "LEASE_ENDED"
    assert len(pair.frames(Kind.RELEASE)) == 1
    lent(pair)
    first, second = (header.id for header in pair.frames(Kind.CALL))
    assert second - first == 1 << 20


def test_an_answer_of_a_function_is_a_use_too() -> None:
    pair = made()
    call, [function] = lent(pair)
    function.keep()
    pair.far.end(call, None)
    pair.settle()
    function.call([])
    pair.settle()
    pair.pass_time(LEASE_MS - 10)
    give(pair)
    pair.pass_time(LEASE_MS - 10)
    function.call([])
    pair.settle()
    pair.pass_time(LEASE_MS + 10)
    assert pair.only(FunctionFailed).error.fate == "unknown"
    assert len(pair.frames(Kind.RELEASE)) == 1 and not pair.frames(Kind.CANCEL)
    error = fails(function.keep)
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "LEASE_ENDED")
    assert fails(lambda: function.call([])).fate == "not-sent"


def test_no_lease_is_longer_than_the_longest() -> None:
    for lease_ms in (MAX_LEASE_MS + 1, 2**40, float("inf")):
        pair = made()
        call, [function] = lent(pair)
        function.keep(lease_ms)
        pair.far.end(call, None)
        pair.settle()
        assert pair.frames(Kind.END)[0].window == MAX_LEASE_MS


def test_a_caller_bounds_a_lease_that_its_callee_does_not() -> None:
    pair = made()
    call, [function] = lent(pair)
    function.keep()
    assert call.references is not None
    function.lease_ms = 2 * MAX_LEASE_MS
    pair.far.end(call, None)
    pair.settle()
    pair.pass_time(MAX_LEASE_MS + LEASE_GRACE_MS - 10)
    assert not pair.frames(Kind.CANCEL)
    pair.pass_time(20)
    assert len(pair.frames(Kind.CANCEL)) == len(pair.frames(Kind.RELEASE)) == 1
    assert fails(lambda: function.call([])).reason == "CANCELLED"


def test_a_caller_ends_a_lease_that_its_callee_does_not() -> None:
    pair = made()
    call, [function] = lent(pair)
    function.keep(100)
    pair.far.end(call, None)
    pair.settle()
    pair.far_is_stalled = True
    pair.pass_time(100 + LEASE_GRACE_MS + 10)
    assert len(pair.frames(Kind.CANCEL)) == 1 and not pair.frames(Kind.RELEASE)
    # Its slot is taken until the callee has said that it is over.
    assert pair.open_calls == (1, 0)
    pair.far_is_stalled = False
    pair.settle()
    assert pair.open_calls == (0, 0)


def test_nothing_is_kept_after_a_cancel() -> None:
    pair = made()
    calling = pair.near.call(ECHO, here)
    pair.settle()
    call = pair.only(CallStarted).call
    assert call.references is not None
    call.references.all[0].keep()
    pair.near.cancel(calling)
    pair.settle()
    pair.far.end(call, 1)
    pair.settle()
    assert [header.window for header in pair.frames(Kind.END)] == [0]
    assert pair.open_calls == (0, 0)


def test_a_reader_that_leaves_after_the_answer_ends_no_lease() -> None:
    pair = made()
    reading = pair.near.call(LIST, here, stream=True)
    pair.settle()
    call = pair.only(CallStarted).call
    assert call.references is not None
    [function] = call.references.all
    function.keep()
    pair.far.begin_items(call)
    pair.far.send_item(call, 1)
    pair.far.end(call, None)
    pair.settle()
    assert reading.items is not None and reading.items.waiting == 1
    pair.near.cancel(reading)
    function.call([])
    pair.settle()
    give(pair, "here")
    assert pair.only(FunctionAnswered).value == "here"
    assert not pair.frames(Kind.CANCEL) and not pair.take(Failed)


def test_an_answer_that_a_cancel_has_cut_short_is_forgotten_with_its_release() -> None:
    connection = Connection()
    connection.receive_data(frame_from(PREAMBLE))
    calling = connection.call(ECHO, here)
    connection.data_to_send()
    end = {"kind": "END", "lane": 2, "flags": ["ANSWER", "MORE"], "id": calling.id, "window": 1000}
    part = {"payload": {"bytes": 80_000, "fill": 0}, "part": {"from": 0, "to": FRAGMENT_BYTES}}
    connection.receive_data(frame_from({**end, **part}))
    assert connection._reception._assembly.bytes == 80_000
    connection.cancel(calling)
    release = {"kind": "RELEASE", "lane": 2, "flags": ["ANSWER"], "id": calling.id}
    connection.receive_data(frame_from(release))
    assert (connection._reception._assembly.bytes, connection.open_calls) == (0, 0)


def test_the_longest_of_those_that_are_kept_at_the_end_counts() -> None:
    pair = made()
    call, [long, short] = lent(pair, [_numbered(0), _numbered(1)])
    long.keep(5000)
    short.keep(1000)
    short.keep(10)
    long.release()
    pair.far.end(call, None)
    pair.settle()
    assert [header.window for header in pair.frames(Kind.END)] == [1000]


def test_no_function_runs_for_a_far_end_that_does_not_read() -> None:
    pair = WirePair(near=Limits(queue_bytes=400_000))
    pair.far.serve(ECHO)
    _, [function] = lent(pair)
    runs = 0
    pair.near_is_stalled = True
    for _ in range(100):
        function.call([])
        pair.settle()
        for event in pair.take(FunctionCalled):
            runs += 1
            pair.near.answer_back(event.back, bytes(20_000))
    assert 5 < runs < 15
    assert pair.near.link.outbox.queued_bytes < 200_000 + 20_100 + 100 * HEADER_BYTES
    pair.near_is_stalled = False
    pair.settle()
    refused = [event.error for event in pair.take(FunctionFailed)]
    assert len(pair.take(FunctionAnswered)) == runs and len(refused) == 100 - runs
    assert {(error.reason, error.fate) for error in refused} == {("QUEUE_FULL", "not-sent")}


def test_neither_answer_nor_release_overtakes_a_call_that_is_not_waited_for() -> None:
    pair = made()
    call, [function] = lent(pair)
    function.keep()
    pair.far_is_stalled = True
    for number in range(20):
        function.call([number, bytes(4000)])
    pair.far.end(call, "x" * 60_000)
    for number in range(20, 40):
        function.call([number, bytes(4000)])
    function.release()
    pair.far_is_stalled = False
    pair.settle()
    assert [event.back.arguments[0] for event in pair.take(FunctionCalled)] == list(range(40))
    assert pair.only(Answered).value == "x" * 60_000


def test_a_release_comes_behind_all_of_the_answer() -> None:
    pair = made()
    call, [function] = lent(pair)
    function.keep()
    pair.far.end(call, "x" * 500_000)
    function.release()
    pair.settle()
    assert pair.only(Answered).value == "x" * 500_000
    kinds = [header.kind for header in pair.sent]
    assert kinds.count(Kind.FRAGMENT) == 15
    assert kinds.index(Kind.RELEASE) > max(at for at, kind in enumerate(kinds) if kind == Kind.FRAGMENT)
    assert pair.open_calls == (0, 0)


def test_no_drain_waits_for_what_is_kept_and_the_end_of_the_link_ends_it() -> None:
    pair = made()
    call, [function] = lent(pair)
    function.keep()
    pair.far.end(call, None)
    pair.settle()
    pair.far.drain(1_000_000)
    pair.settle()
    assert pair.near.closed == pair.far.closed == "GOING_AWAY"
    assert fails(lambda: function.call([])).reason == "LINK_LOST"


def test_a_use_begins_the_idle_bound_of_an_open_stream_anew_and_opens_none() -> None:
    pair = made()
    pair.near.call(LIST, here, stream=True, timeout_ms=100, idle_ms=50)
    pair.settle()
    call = pair.only(CallStarted).call
    assert call.references is not None
    [function] = call.references.all
    pair.far.begin_items(call)
    pair.far.send_item(call, 1)
    for _ in range(5):
        pair.pass_time(40)
        function.call([])
        pair.settle()
        give(pair)
    assert not pair.take(Failed)
    pair.near.call(LIST, here, stream=True, timeout_ms=100, idle_ms=1000)
    pair.settle()
    call = pair.only(CallStarted).call
    assert call.references is not None
    pair.pass_time(40)
    call.references.all[0].call([])
    pair.settle()
    give(pair)
    pair.take(Failed)
    pair.pass_time(70)
    assert pair.only(Failed).error.reason == "DEADLINE_EXCEEDED"


def test_a_call_that_is_sent_once_more_lends_its_functions_anew() -> None:
    pair = WirePair()
    old, new = (Method("m", fingerprint=letter * 16) for letter in "ab")
    pair.far.serve(old)
    pair.near.call(old, here)
    pair.settle()
    pair.far.end(pair.only(CallStarted).call, None)
    pair.settle()
    # The route says that both are the same until the next one is refused.
    pair.far.withdraw(old)
    pair.far.serve(new)
    pair.near.call(old, here)
    pair.settle()
    call = pair.only(CallStarted).call
    assert call.references is not None
    call.references.all[0].call([7])
    pair.settle()
    assert pair.only(FunctionCalled).back.arguments == [7]
    assert len(pair.frames(Kind.CALL)) == 3 and pair.near.closed is None


def test_many_calls_with_functions_leave_nothing() -> None:
    pair = made()
    for _ in range(20):
        for number in range(100):
            pair.near.call(ECHO, _numbered(number))
        pair.settle()
        kept = []
        for number, event in enumerate(pair.take(CallStarted)):
            assert event.call.references is not None
            [function] = event.call.references.all
            if number % 2:
                function.keep()
                kept.append(function)
            pair.far.end(event.call, None)
        pair.settle()
        assert len(pair.take(Answered)) == 100
        for function in kept:
            function.call([])
        pair.settle()
        assert len(pair.take(FunctionCalled)) == 50
        for function in kept:
            function.release()
        pair.settle()
    assert max(header.id & 0xFFFFF for header in pair.frames(Kind.CALL)) == 99
    assert pair.open_calls == (0, 0)
    assert len(pair.far._callee.calls._exchanges) == len(pair.far._callee.calls._kept) == 0
    assert len(pair.near._caller.calls._kept) == 0
