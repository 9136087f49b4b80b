"""The scan over sign bits, judged by counting bits one by one, and by exact search after rescoring."""

import numpy as np
import pytest

from minivec.indexes.distance import distances
from minivec.indexes.flat import FlatIndex, in_order
from minivec.indexes.hamming import HammingIndex
from tests.indexes.judges import clustered, numbered, plain_search, top


def filled(vectors, distance="hamming"):
    index = HammingIndex(vectors.shape[1], distance)
    index.insert(numbered(len(vectors)), vectors)
    return index


@pytest.mark.parametrize("dimension", [1, 7, 64, 100, 384, 600])
def test_the_scan_counts_differing_bits(dimension):
    vectors, query = clustered(120, dimension), clustered(1, dimension, seed=8)[0]
    expected = plain_search(dict(enumerate(vectors, start=1)), query, 120, "hamming")
    ids, away = filled(vectors).search(query, 120)
    assert list(zip(ids.tolist(), away.tolist(), strict=True)) == expected
    assert (ids.dtype, away.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize("k", [1, 5, 17, 60])
def test_at_the_edge_equal_counts_compete_by_id(k):
    vectors = np.random.default_rng(4).standard_normal((400, 8)).astype(np.float32)
    index = filled(vectors)
    index.delete(numbered(50, first=10))
    held = {doc_id: vectors[doc_id - 1] for doc_id in range(1, 401) if not 10 <= doc_id < 60}
    expected = [doc_id for doc_id, _ in plain_search(held, vectors[0], k, "hamming")]
    assert top(index, vectors[0], k) == expected


def test_only_a_hamming_space_is_answered_exactly():
    own, guide = HammingIndex(8, "hamming", "flat"), HammingIndex(8, "cosine")
    assert (own.kind, own.exact, own.rescored) == ("flat", True, False)
    assert (guide.kind, guide.exact, guide.rescored) == ("binary", False, True)


def test_rescoring_sixteen_times_the_candidates_finds_nearly_all():
    vectors, queries = clustered(4000, 128), clustered(40, 128, seed=21)
    guide, judge = filled(vectors, "cosine"), FlatIndex(128, "cosine")
    judge.insert(numbered(4000), vectors)
    found = 0
    for query in queries:
        ids, _ = guide.search(query, 160)
        best, _ = in_order(ids, distances(query, vectors[ids - 1], "cosine"), 10)
        found += len(set(best.tolist()) & set(top(judge, query, 10)))
    assert found / 400 >= 0.9


def test_an_empty_index_finds_nothing():
    assert top(HammingIndex(8, "hamming"), np.ones(8, dtype=np.float32), 3) == []


def test_saved_codes_come_back():
    vectors = clustered(100, 20)
    index, loaded = filled(vectors), HammingIndex(20, "hamming")
    loaded.load(memoryview(index.save()))
    assert top(loaded, vectors[3], 100) == top(index, vectors[3], 100)


def test_a_payload_of_another_dimension_is_refused():
    with pytest.raises(ValueError, match="wide"):
        HammingIndex(900, "hamming").load(memoryview(filled(clustered(5, 20)).save()))
