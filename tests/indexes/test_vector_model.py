"""Random inserts, deletes and reloads of every vector index, compared with a dict and a plain loop."""

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from minivec.indexes import hnsw
from minivec.indexes.vector_follower import create_index
from minivec.types.collection import HnswOptions, VectorSpace
from tests.indexes.judges import plain_search

DIMENSION = 5
NARROW = HnswOptions(links=4, ef_construction=16, ef=8)
KINDS = [
    ("flat", "cosine"),
    ("flat", "dot"),
    ("flat", "l2-squared"),
    ("flat", "hamming"),
    ("binary", "hamming"),
    ("binary", "cosine"),
    ("hnsw", "cosine"),
    ("hnsw", "l2-squared"),
]

doc_ids = st.lists(st.integers(1, 40), min_size=1, max_size=12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), doc_ids),
        st.tuples(st.just("delete"), doc_ids),
        st.tuples(st.just("reload"), st.just([])),
    ),
    max_size=25,
)


def vector_of(doc_id):
    """Small whole numbers, so that equal distances are common and every distance is exact."""
    return np.random.default_rng(doc_id % 17).integers(-2, 3, DIMENSION).astype(np.float32)


@pytest.mark.parametrize(("index", "distance"), KINDS)
@seed(20)
@settings(max_examples=150, deadline=None, database=None)
@given(steps=steps, k=st.integers(1, 45), query=st.integers(0, 16))
def test_an_index_agrees_with_a_dict_and_a_loop(index, distance, steps, k, query):
    space = VectorSpace(index=index, distance=distance, hnsw=NARROW)
    subject, held = apply(steps, space)
    found, away = subject.search(vector_of(query), k)
    expected = plain_search(held, vector_of(query), k, "hamming" if subject.rescored else distance)
    np.testing.assert_allclose(away, [value for _, value in expected], atol=1e-6)
    if distance == "cosine" and not subject.rescored:  # equal angles may differ in their last bit
        assert len(set(found.tolist()) & set(held)) == len(expected)
    else:
        assert found.tolist() == [doc_id for doc_id, _ in expected]


@pytest.mark.parametrize("distance", ["cosine", "dot", "l2-squared"])
@seed(21)
@settings(max_examples=150, deadline=None, database=None)
@given(steps=steps, k=st.integers(1, 45), query=st.integers(0, 16))
def test_whatever_the_graph_finds_is_live_and_as_far_as_it_says(distance, steps, k, query):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hnsw, "SCAN_BELOW", 0)
        subject, held = apply(steps, VectorSpace(index="hnsw", distance=distance, hnsw=NARROW))
        found, away = subject.search(vector_of(query), k)
    true = dict(plain_search(held, vector_of(query), len(held), distance))
    assert len(set(found.tolist())) == len(found) == min(k, len(held))
    np.testing.assert_allclose(away, [true[doc_id] for doc_id in found.tolist()], atol=1e-6)
    assert not np.any(np.diff(away) < 0)


def apply(steps, space):
    """The index after these steps, and the dict of what it must hold."""
    subject, held = create_index(space, DIMENSION), {}
    for action, ids in steps:
        named = np.array(ids, dtype=np.int64)
        if action == "insert":
            subject.insert(named, np.stack([vector_of(doc_id) for doc_id in ids]))
            held.update({doc_id: vector_of(doc_id) for doc_id in ids})  # an id always names the same vector
        elif action == "delete":
            subject.delete(named)
            held = {doc_id: vector for doc_id, vector in held.items() if doc_id not in ids}
        else:
            payload = subject.save()
            subject = create_index(space, DIMENSION)
            subject.load(memoryview(payload))
        assert len(subject) == len(held)
    return subject, held
