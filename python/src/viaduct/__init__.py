"""Viaduct: one typed way across every process boundary. This is a peer on asyncio.

>>> async with await viaduct.join(app="reader", id="indexer") as peer:
...     peer.serve("pages", {"analyze": analyze, "lines": lines})
...     page = await peer.call("store.page", {"id": 7}, target={"type": "store"})

Programs that own their main thread use :mod:`viaduct.blocking`; :mod:`viaduct.core` has the protocol without
input or output.
"""

from __future__ import annotations

from .aio import Call, Callback, ItemStream, Peer, Subscription, join
from .core.event_info import EventGap, EventInfo, TopicEvent
from .core.method import Method
from .core.peer_info import PeerInfo
from .wire.dictionary import Dictionary
from .wire.errors import ViaductError
from .wire.keyed import Map, Set
from .wire.values import (
    UNDEFINED,
    ArrayBuffer,
    BigInt,
    Date,
    ErrorValue,
    TypedArray,
)

__all__ = [
    "UNDEFINED",
    "ArrayBuffer",
    "BigInt",
    "Call",
    "Callback",
    "Date",
    "Dictionary",
    "ErrorValue",
    "EventGap",
    "EventInfo",
    "ItemStream",
    "Map",
    "Method",
    "Peer",
    "PeerInfo",
    "Set",
    "Subscription",
    "TopicEvent",
    "TypedArray",
    "ViaductError",
    "join",
]
