"""A reranker for tests: a passage's logit is the number of different words it shares with the query. No torch, no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import END, START, FakeTokenizer
from minivec.embedding.interface import ModelCard
from minivec.embedding.pairs import Pair, PairText
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.reranker import LoadedReranker
from minivec.embedding.tokens import TokenizedText


class FakePairTokenizer:
    """The words of query and passage, a token each, between special ones."""

    def pairs(self, query: str, passages: Sequence[str]) -> list[Pair]:
        """One pair a passage, in order."""
        asked, *read = (ids[1:-1] for ids in FakeTokenizer().ids([query, *passages]))
        second = len(asked) + 2
        return [
            Pair([START, *asked, END, *ids, END], range(1, second - 1), range(second, second + len(ids)), second)
            for ids in read
        ]


class FakeScorer:
    """Implements Backend: one number a pair."""

    device = "fake"
    dimension = 1
    batch_tokens = 4096
    pass_cost = 4096
    pads = True

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """How many words both parts have, float32 of shape (pairs, 1)."""
        return np.array([[_shared(text)] for text in batch], np.float32)


def fake_reranker(name: str, max_tokens: int) -> LoadedReranker:
    """The fake under this name."""
    card = ModelCard(name=name, fingerprint=f"fake-ranker-{name}", dimension=1, max_tokens=max_tokens)
    return LoadedReranker(card=card, tokenizer=FakePairTokenizer(), backend=FakeScorer())


def _shared(text: TokenizedText) -> float:
    assert isinstance(text, PairText)
    asked, read = (set(part[part > END].tolist()) for part in np.split(text.ids, [text.second]))
    return float(len(asked & read))
