"""Puts messages together and hands each to the side that it concerns."""

from __future__ import annotations

from ..wire.frame import (
    ANSWER,
    FIRST_OPTIONAL_KIND,
    MORE,
    ONE_WAY,
    UPLOAD,
    Header,
    Kind,
    padded,
)
from ..wire.limits import HEADER_BYTES, credit_of
from .assembly import Assembly, Misfit, is_cut
from .callee import Callee
from .caller import Caller
from .in_routes import InRoutes
from .limits import Limits
from .link import Link
from .message import Message
from .out_routes import OutRoutes


class Reception:
    """Frames of exchanges and routes, after the preamble and the admission."""

    def __init__(
        self,
        link: Link,
        limits: Limits,
        assembly: Assembly,
        caller: Caller,
        callee: Callee,
        in_routes: InRoutes,
        out_routes: OutRoutes,
    ) -> None:
        self._link = link
        self._limits = limits
        self._assembly = assembly
        self._caller = caller
        self._callee = callee
        self._in_routes = in_routes
        self._out_routes = out_routes

    def receive(self, header: Header, frame: bytes) -> None:
        """One whole frame."""
        if header.kind == Kind.CALL and header.flags & ANSWER:
            self._link.violation()
        elif header.flags & MORE or header.kind == Kind.FRAGMENT:
            self._receive_part(header, frame)
        else:
            message = Message.of_frame(header, frame)
            if message is None:
                self._link.violation()
            else:
                self._dispatch(message)

    def _dispatch(self, message: Message) -> None:
        if message.flags & ANSWER:
            self._dispatch_answer(message)
        else:
            self._dispatch_request(message)

    def _dispatch_answer(self, message: Message) -> None:
        """A frame of a callee, about a call of ours."""
        kind, id = message.kind, message.id
        if kind == Kind.ITEM:
            self._caller.item(message)
        elif kind == Kind.END or kind == Kind.ERROR:
            # An item may have been cut short: by the error, or by a hub after a cancel.
            self._assembly.drop(id, answer=True)
            if kind == Kind.END:
                self._caller.end(message)
            else:
                self._caller.error(message)
        elif kind == Kind.CREDIT:
            self._caller.credit(id, message.window)
        elif kind == Kind.PROGRESS:
            self._caller.progress(message)
        elif kind == Kind.BACK:
            self._caller.lender.receive(message)
        elif kind == Kind.RELEASE:
            self._assembly.drop(id, answer=True)
            self._caller.lender.released(id)
        elif kind != Kind.CANCEL:
            self._dispatch_other(message)

    def _dispatch_request(self, message: Message) -> None:
        """A frame of a caller, about a call to us."""
        kind, id = message.kind, message.id
        if kind == Kind.CALL:
            self._callee.call(message)
        elif kind == Kind.ITEM:
            self._callee.item(message)
        elif kind == Kind.END:
            self._callee.end_upload(id)
        elif kind == Kind.CREDIT:
            self._callee.credit(id, message.window)
        elif kind == Kind.CANCEL:
            self._callee.cancel(id, unfinished=self._assembly.drop(id, answer=False))
        elif kind == Kind.BACK:
            self._callee.borrower.receive(message)
        elif kind not in (Kind.ERROR, Kind.PROGRESS, Kind.RELEASE):
            self._dispatch_other(message)

    def _dispatch_other(self, message: Message) -> None:
        """A frame about routes, or of a kind that may be skipped."""
        kind = message.kind
        if kind == Kind.OPEN:
            self._in_routes.open(message)
        elif kind == Kind.ROUTE:
            self._out_routes.receive(message)
        elif kind == Kind.DROP:
            self._in_routes.drop(message.route)
        elif kind < FIRST_OPTIONAL_KIND:
            self._link.violation()

    def _receive_part(self, header: Header, frame: bytes) -> None:
        """A fragment, or the first frame of a message in fragments."""
        is_first = header.kind != Kind.FRAGMENT
        if header.flags & MORE:
            well_formed = is_cut(header)
        else:
            well_formed = header.bytes == HEADER_BYTES + padded(header.payload_bytes)
        if not well_formed:
            self._link.violation()
            return
        try:
            if is_first:
                self._begin(header, frame[HEADER_BYTES:])
            else:
                part = frame[HEADER_BYTES : HEADER_BYTES + header.payload_bytes]
                self._continue(header, part)
        except Misfit:
            self._link.violation()

    def _begin(self, header: Header, part: bytes) -> None:
        if header.kind == Kind.CALL:
            # By its first frame: in that order the far end counts too.
            self._link.accepted += 1
        if not self._admits(header):
            return
        self._assembly.begin(header, part)
        if header.kind == Kind.ITEM:
            self._side(header).owe(header.id, credit_of(len(part)))

    def _continue(self, header: Header, part: bytes) -> None:
        partial = self._assembly.find(header)
        if partial is None:
            return
        message = self._assembly.add(partial, header, part)
        if message is not None:
            self._dispatch(message)
        elif partial.header.kind == Kind.ITEM:
            self._side(header).owe(header.id, credit_of(len(part)))

    def _side(self, header: Header) -> Caller | Callee:
        return self._caller if header.flags & ANSWER else self._callee

    def _admits(self, header: Header) -> bool:
        """Whether a message of which the first fragment has come is put together."""
        id, kind = header.id, header.kind
        is_answer = header.flags & ANSWER != 0
        is_one_way = header.flags & ONE_WAY != 0
        # Of an exchange that is not open it is late, and so are the fragments after it.
        if kind != Kind.CALL and self._side(header).calls.get(id) is None:
            return False
        if kind == Kind.ERROR:
            self._assembly.drop(id, is_answer)
        total = header.payload_bytes
        limits = self._limits
        if total > limits.message_bytes or self._assembly.bytes + total > limits.queue_bytes:
            self._refuse(header)
            return False
        if kind != Kind.CALL or is_one_way:
            return True
        if self._callee.calls.begin(id, header.flags & UPLOAD != 0):
            return True
        self._link.violation()
        return False

    def _refuse(self, header: Header) -> None:
        """Its call fails, the link lives, its fragments are dropped as late."""
        if header.flags & ANSWER:
            keeps = header.kind == Kind.END and header.window > 0
            self._caller.too_large(header.id, header.kind == Kind.ITEM or keeps)
        elif header.kind != Kind.CALL:
            self._callee.too_large(header.id)
        elif not header.flags & ONE_WAY:
            self._callee.refuse(header.id, "MESSAGE_TOO_LARGE")
