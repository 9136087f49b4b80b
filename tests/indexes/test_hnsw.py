"""The graph, judged by exact search: recall, tombstones, always k results, the successor."""

import numpy as np
import pytest

from minivec.indexes.flat import FlatIndex
from minivec.indexes.hnsw import HnswIndex
from minivec.types.collection import HnswOptions
from tests.indexes.judges import clustered, numbered, recall, top

NARROW = HnswOptions(links=8, ef_construction=64, ef=40)  # so narrow that 3,000 vectors are searched by the graph


def pair(vectors, distance="cosine", options=NARROW):
    index, judge = HnswIndex(vectors.shape[1], distance, options), FlatIndex(vectors.shape[1], distance)
    for each in (index, judge):
        each.insert(numbered(len(vectors)), vectors)
    return index, judge


@pytest.fixture(scope="module")
def vectors():
    return clustered(3000, 24)


@pytest.fixture(scope="module")
def queries():
    return clustered(60, 24, seed=11)


@pytest.mark.parametrize("distance", ["cosine", "l2-squared", "dot"])
def test_the_graph_finds_nearly_what_exact_search_finds(vectors, queries, distance):
    index, judge = pair(vectors, distance)
    assert recall(index, judge, queries) >= 0.95


def test_distances_are_those_of_exact_search(vectors, queries):
    index, judge = pair(vectors)
    ids, away = index.search(queries[0], 10)
    expected = dict(zip(*(part.tolist() for part in judge.search(queries[0], 3000)), strict=True))
    np.testing.assert_allclose(away, [expected[doc_id] for doc_id in ids.tolist()], atol=2e-6)
    assert (ids.dtype, away.dtype) == (np.int64, np.float32)
    assert away.tolist() == sorted(away.tolist())


def test_the_deleted_are_never_found_and_recall_stays(vectors, queries):
    index, judge = pair(vectors)
    gone = np.random.default_rng(2).permutation(numbered(3000))[:590]
    for each in (index, judge):
        each.delete(gone)
    assert len(index) == 2410
    assert recall(index, judge, queries) >= 0.95
    assert not set(gone.tolist()) & {doc_id for query in queries for doc_id in top(index, query, 60)}


def test_deleting_a_whole_cluster_leaves_k_results(vectors):
    index, judge = pair(vectors)
    nearest = np.array(top(judge, vectors[0], 580))
    for each in (index, judge):
        each.delete(nearest)
    found = top(index, vectors[0], 50)
    assert len(found) == len(set(found)) == 50
    assert not set(found) & set(nearest.tolist())


@pytest.mark.parametrize("k", [1, 10, 40, 500, 2999, 3000, 4000])
def test_as_many_results_as_asked_for_or_as_there_are(vectors, k):
    index, _ = pair(vectors)
    found = top(index, vectors[5], k)
    assert len(found) == len(set(found)) == min(k, 3000)


def test_a_walk_that_comes_back_short_is_completed_by_a_scan(vectors, monkeypatch):
    index, judge = pair(vectors)
    walk = index._graph.walk
    monkeypatch.setattr(index._graph, "walk", lambda *given: tuple(part[:3] for part in walk(*given)))
    assert top(index, vectors[7], 10) == top(judge, vectors[7], 10)


def test_few_vectors_are_searched_exactly():
    vectors = np.tile(clustered(5, 8), (40, 1))
    index, judge = pair(vectors)
    for k in (1, 7, 40, 41, 200):
        assert top(index, vectors[2], k) == top(judge, vectors[2], k)


def test_numbers_beyond_float32_do_not_shorten_the_answer():
    vectors = np.array([[1e30, 1e30], [1, 1], [-1e30, 1e30], [3e38, -3e38]], dtype=np.float32)
    index, _ = pair(vectors, "l2-squared")
    assert sorted(top(index, vectors[0], 4)) == [1, 2, 3, 4]


def test_when_a_fifth_is_dead_later_updates_build_a_successor_without_them(vectors, queries):
    index, judge = pair(vectors)
    for each in (index, judge):
        each.delete(numbered(601, first=100))
    waiting = index._successor
    assert waiting is not None
    for doc_id in range(5000, 5130):
        for each in (index, judge):
            each.insert(np.array([doc_id]), vectors[doc_id - 5000 : doc_id - 4999])
            each.delete(np.array([doc_id - 4999]))
        assert len(index) == len(judge)
    assert index._graph is waiting
    assert index._successor is None
    assert index._graph.slots < 2700
    assert recall(index, judge, queries) >= 0.95


def test_all_deleted_leaves_an_empty_index_that_can_be_filled_again(vectors):
    index, _ = pair(vectors)
    index.delete(numbered(3000))
    assert (len(index), top(index, vectors[0], 5), index._graph.slots) == (0, [], 0)
    index.insert(numbered(10, first=9000), vectors[:10])
    assert top(index, vectors[3], 1) == [9003]


def test_a_deleted_id_may_come_back(vectors):
    index, _ = pair(vectors[:50])
    index.delete(np.array([3]))
    index.insert(np.array([3]), vectors[40:41] * -1)
    assert top(index, vectors[40] * -1, 1) == [3]
    assert len(index) == 50


def test_known_ids_are_passed_over(vectors):
    index, _ = pair(vectors[:50])
    index.insert(numbered(50), vectors[100:150])
    assert (len(index), index._graph.slots) == (50, 50)


def test_a_saved_graph_comes_back_with_its_dead(vectors, queries):
    index, judge = pair(vectors)
    for each in (index, judge):
        each.delete(numbered(200, first=300))
    loaded = HnswIndex(24, "cosine", NARROW)
    loaded.load(memoryview(index.save()))
    assert [top(loaded, query, 10) for query in queries] == [top(index, query, 10) for query in queries]
    loaded.insert(np.array([7000]), vectors[299:300])
    assert top(loaded, vectors[299], 1) == [7000]


def test_a_payload_that_does_not_fit_is_refused(vectors):
    index, _ = pair(vectors[:50])
    payload = index.save()
    for other in (HnswIndex(25, "cosine", NARROW), HnswIndex(24, "l2-squared", NARROW)):
        with pytest.raises(ValueError, match=r"dimensions|distance"):
            other.load(memoryview(payload))
    for cut in (0, 10, 16, 100):
        with pytest.raises(ValueError, match=r"no graph|dimensions"):
            HnswIndex(24, "cosine", NARROW).load(memoryview(payload[:cut]))


def test_a_graph_this_faiss_does_not_know_is_refused(vectors):
    index, _ = pair(vectors[:8])
    payload = bytearray(index.save())
    payload[16 + 8 * 8 + 1 : 16 + 8 * 8 + 5] = b"IxZZ"
    with pytest.raises(ValueError, match="cannot read its graph"):
        HnswIndex(24, "cosine", NARROW).load(memoryview(payload))
