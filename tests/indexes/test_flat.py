"""Exact search, judged by a plain loop."""

import numpy as np
import pytest

from minivec.indexes.flat import FlatIndex, scan
from tests.indexes.judges import clustered, numbered, plain_search, top

DISTANCES = ("cosine", "dot", "l2-squared")


def filled(vectors, distance="cosine"):
    index = FlatIndex(vectors.shape[1], distance)
    index.insert(numbered(len(vectors)), vectors)
    return index


@pytest.mark.parametrize("distance", DISTANCES)
def test_flat_finds_what_a_plain_loop_finds(distance):
    vectors, queries = clustered(300, 16), clustered(5, 16, seed=7)
    index = filled(vectors, distance)
    held = dict(enumerate(vectors, start=1))
    for query in queries:
        expected = plain_search(held, query, 20, distance)
        ids, away = index.search(query, 20)
        assert ids.tolist() == [doc_id for doc_id, _ in expected]
        assert ids.dtype == np.int64
        assert away.dtype == np.float32
        np.testing.assert_allclose(away, [value for _, value in expected], rtol=1e-5, atol=2e-6)


def test_the_index_announces_that_it_is_exact():
    assert (FlatIndex.kind, FlatIndex.exact, FlatIndex.rescored) == ("flat", True, False)


@pytest.mark.parametrize("k", [1, 3, 50, 250, 301, 1000])
def test_equal_distances_come_by_ascending_id_also_at_the_edge(k):
    vectors = np.tile(clustered(3, 8), (100, 1))
    order = np.random.default_rng(0).permutation(300)
    index = FlatIndex(8, "cosine")
    index.insert(numbered(300)[order], vectors[order])
    index.delete(np.array([4, 5, 6]))
    held = {doc_id: vectors[doc_id - 1] for doc_id in range(1, 301) if doc_id not in (4, 5, 6)}
    groups = [[doc_id for doc_id in held if doc_id % 3 == group] for group in (1, 2, 0)]
    expected = sorted(groups, key=lambda group: plain_search({1: held[group[0]]}, vectors[0], 1, "cosine")[0][1])
    assert top(index, vectors[0], k) == [doc_id for group in expected for doc_id in group][:k]


def test_it_returns_all_there_is_when_asked_for_more():
    assert len(top(filled(clustered(7, 4)), np.ones(4, dtype=np.float32), 100)) == 7


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_none_gives_none(k):
    assert top(filled(clustered(7, 4)), np.ones(4, dtype=np.float32), k) == []


def test_an_empty_index_finds_nothing():
    ids, away = FlatIndex(4, "dot").search(np.ones(4, dtype=np.float32), 5)
    assert (len(ids), len(away)) == (0, 0)


def test_known_ids_keep_their_first_vector():
    index = filled(np.eye(3, dtype=np.float32))
    index.insert(np.array([2, 9, 9]), np.array([[5, 5, 5], [1, 1, 0], [0, 0, 9]], dtype=np.float32))
    assert len(index) == 4
    ids, away = index.search(np.array([0, 1, 0], dtype=np.float32), 1)
    assert (ids.tolist(), away.tolist()) == ([2], [0.0])


@pytest.mark.parametrize("distance", DISTANCES)
def test_numbers_beyond_float32_are_far_away_but_not_lost(distance):
    vectors = np.array([[1e30, 1e30], [1, 1], [-1e30, 1e30], [3e38, -3e38]], dtype=np.float32)
    found = top(filled(vectors, distance), np.array([1e30, 2e30], dtype=np.float32), 4)
    assert sorted(found) == [1, 2, 3, 4]


@pytest.mark.parametrize("distance", [*DISTANCES, "hamming"])
def test_a_scan_over_blocks_finds_what_a_plain_loop_finds(distance):
    vectors, query = clustered(500, 12), clustered(1, 12, seed=5)[0]
    ids = numbered(500)
    blocks = ((ids[start : start + 64], vectors[start : start + 64]) for start in range(0, 500, 64))
    expected = plain_search(dict(enumerate(vectors, start=1)), query, 30, distance)
    found, away = scan(blocks, query, 30, distance)
    assert found.tolist() == [doc_id for doc_id, _ in expected]
    np.testing.assert_allclose(away, [value for _, value in expected], rtol=1e-5, atol=2e-6)


def test_a_scan_over_nothing_finds_nothing():
    assert len(scan([], np.ones(3, dtype=np.float32), 10, "cosine")[0]) == 0


def test_a_scan_ranks_equal_vectors_of_different_blocks_by_id():
    vector = clustered(1, 6)
    blocks = [(np.array([doc_id]), vector) for doc_id in (9, 3, 7, 1)]
    assert scan(blocks, vector[0], 3, "cosine")[0].tolist() == [1, 3, 7]
