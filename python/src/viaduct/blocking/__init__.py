"""Peers for programs that own their main thread.

>>> with viaduct.blocking.join(app="studio", id="render") as peer:
...     peer.serve("scene", {"render": render})
...     peer.run_forever()

The link lives on a thread of its own; every function here may be called from any other thread. Handlers run
on the thread that calls :meth:`Peer.pump` or :meth:`Peer.run_forever`. Functions that a call lends run on the
thread that waits for it; those that are kept beyond it, where handlers do.
"""

from __future__ import annotations

from ..aio.callback import BlockingCallback as Callback
from .call import Call
from .peer import Peer, join
from .streams import ItemStream, Subscription

__all__ = ["Call", "Callback", "ItemStream", "Peer", "Subscription", "join"]
