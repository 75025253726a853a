"""The AI process of the reader in Python: what ``ai.ts`` answers, and over the same contract."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import viaduct
from category import CategoryModel, training_passages
from sentiment import sentiment_of

_CORPUS = Path(__file__).resolve().parent.parent / "corpus"
_TEXT_UNITS = 200_000
_LEXICON = {"type": "lexicon"}


class Language:
    """Category, tone and names of documents. Names and valences are another process's to know."""

    def __init__(self, peer: viaduct.Peer) -> None:
        self._peer = peer
        self._model = CategoryModel(training_passages(_CORPUS))
        self._valences: dict[str, int] | None = None

    async def analyze(self, input: dict[str, Any], call: viaduct.Call) -> dict[str, Any]:
        title, headings, text = input["title"], input["headings"], input["text"]
        if len(text) > _TEXT_UNITS:
            raise call.error("TooLong", {"max": _TEXT_UNITS})
        left = call.time_left
        names = self._peer.call("lexicon.names", {"text": text}, target=_LEXICON, timeout=left)
        valences, entities = await asyncio.gather(self._known_valences(left), names)
        # A title may be a mere file name: alone it says nothing.
        blank = text == "" and not headings
        subject = "" if blank else "\n".join([title, *headings, text])
        verdict, sentiment = await asyncio.to_thread(
            lambda: (self._model.classify(subject), sentiment_of(text, valences))
        )
        return {**verdict, "sentiment": sentiment, "entities": entities}

    async def _known_valences(self, timeout: float | None) -> dict[str, int]:
        if self._valences is None:
            self._valences = await self._peer.call("lexicon.valences", target=_LEXICON, timeout=timeout)
        return self._valences


async def main() -> None:
    async with await viaduct.join(type="ai") as peer:
        peer.serve("analysis", {"analyze": Language(peer).analyze})
        await peer.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
