"""Peers on asyncio."""

from __future__ import annotations

from .call import Call
from .join import join, join_over
from .peer import Peer
from .resuming import ResumingSubscription
from .streams import ItemStream
from .subscription import Subscription

__all__ = ["Call", "ItemStream", "Peer", "ResumingSubscription", "Subscription", "join", "join_over"]
