"""Peers on asyncio."""

from __future__ import annotations

from .call import Call
from .callback import Callback
from .join import join, join_over
from .peer import Peer
from .streams import ItemStream
from .subscription import Subscription

__all__ = ["Call", "Callback", "ItemStream", "Peer", "Subscription", "join", "join_over"]
