"""The keyword index against rank_bm25, where the two definitions meet.

BM25Okapi multiplies by k1 + 1 and has an idf of its own (it may be negative and is then replaced). So: for one term the
scores are proportional, and with the idf put to Lucene's, everything else being theirs, equal but for the factor.
"""

from __future__ import annotations

import math
import random

import pytest
from rank_bm25 import BM25Okapi

from minivec.indexes.keyword import KeywordIndex
from minivec.types.collection import KeywordOptions, Property

from .plain_bm25f import feed_of

K1, B = 1.2, 0.75
RNG = random.Random(5)
WORDS = [f"w{number}" for number in range(40)]
CORPUS = [RNG.choices(WORDS, weights=range(1, 41), k=RNG.randrange(1, 30)) for _ in range(200)]


class LuceneIdf(BM25Okapi):
    """BM25Okapi with ln(1 + (N - n + 0.5) / (n + 0.5))."""

    def _calc_idf(self, nd: dict[str, int]) -> None:
        self.idf = {word: math.log(1 + (self.corpus_size - n + 0.5) / (n + 0.5)) for word, n in nd.items()}


@pytest.fixture(scope="module")
def index() -> KeywordIndex:
    made = KeywordIndex([Property(name="text")], KeywordOptions(k1=K1, b=B))
    made.insert(range(len(CORPUS)), feed_of({at: {"text": " ".join(words)} for at, words in enumerate(CORPUS)}))
    return made


@pytest.mark.parametrize("word", WORDS[:20])
def test_scores_of_one_term_are_proportional(index: KeywordIndex, word: str) -> None:
    judged = BM25Okapi(CORPUS, k1=K1, b=B).get_scores([word])
    hits = index.search(word, None, len(CORPUS))
    assert {hit.doc_id for hit in hits} == {at for at, words in enumerate(CORPUS) if word in words}
    ratios = [judged[hit.doc_id] / hit.score for hit in hits]
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-9)


@pytest.mark.parametrize("query", [RNG.choices(WORDS, k=5) for _ in range(20)], ids=" ".join)
def test_with_the_same_idf_scores_and_ranking_are_equal(index: KeywordIndex, query: list[str]) -> None:
    judged = LuceneIdf(CORPUS, k1=K1, b=B).get_scores(query) / (K1 + 1)
    hits = index.search(" ".join(query), None, len(CORPUS))
    assert [hit.score for hit in hits] == pytest.approx([judged[hit.doc_id] for hit in hits], rel=1e-9)
    assert [hit.score for hit in hits] == pytest.approx(sorted(judged[judged > 0], reverse=True), rel=1e-9)
