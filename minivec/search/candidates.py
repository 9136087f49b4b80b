"""Asks each index the plan names: the query's vector, the nearest documents, the documents with the words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.errors import InvalidInput, ObjectNotFound, StorageError
from minivec.indexes.distance import distances
from minivec.indexes.flat import scan
from minivec.indexes.follower import Following
from minivec.indexes.vector import Ids, Vectors
from minivec.indexes.vector_follower import VectorFollower
from minivec.ingest.values import read_uuid
from minivec.search.check import check_vector
from minivec.search.fuse import Candidate
from minivec.search.plan import Steps
from minivec.shard import Shard
from minivec.storage.reading import doc_ids
from minivec.storage.vectors import scan_vectors, vectors_of
from minivec.types.answer import PlanLeg
from minivec.types.collection import VectorSpace
from minivec.types.query import Hybrid, Keyword, NearObject, NearText, NearVector, Query
from minivec.vectorizer import Vectorizers

_SCAN_BLOCK = 8192
_TOLERANCE = 1e-6  # of the distance cut-off, for float32 noise


def query_vector(query: Query, space: VectorSpace, shard: Shard, vectorizers: Vectorizers) -> NDArray[np.float32]:
    """The vector to search near, float32 of shape (dimension,).

    Raises InvalidInput, ObjectNotFound, and what the embedder raises.
    """
    if isinstance(query, NearVector):
        return check_vector(space, query.vector)
    if isinstance(query, NearObject):
        return _stored_vector(read_uuid(query.uuid, "uuid"), space, shard)
    if isinstance(query, Hybrid) and query.vector is not None:
        return check_vector(space, query.vector)
    assert isinstance(query, (NearText, Hybrid))
    result = vectorizers.of(space).embed([query.text], input_type="query", truncate="end")
    if result.notes[0].error is not None:
        raise result.notes[0].error
    vector: NDArray[np.float32] = result.vectors[0]
    return vector


def nearest(shard: Shard, space: VectorSpace, vector: Vectors, steps: Steps) -> tuple[list[Candidate], PlanLeg]:
    """The documents nearest to the vector within the cut-off, nearest first, and how they were found."""
    follower, following = shard.follower_of(space)
    depth = steps.depth * (space.binary.oversampling if follower.rescored else 1)
    found = _search_index(shard, follower, following, vector, depth)
    if found is None:
        ids, values = _scan(shard, space, vector, steps.depth)
        leg = _leg(
            space, "scan", steps.depth, exact=True, reason="the index is catching up, so every stored vector is read"
        )
    else:
        ids, values = found
        if follower.rescored:
            ids, values = _rescore(shard, space, vector, ids, steps.depth)
        leg = _leg(space, space.index, depth, exact=follower.exact, reason=_REASONS[space.index])
    keep = values <= _furthest(steps) + _TOLERANCE
    return _as_candidates(space, ids[keep], values[keep]), leg


def _search_index(
    shard: Shard, follower: VectorFollower, following: Following, vector: Vectors, depth: int
) -> tuple[Ids, Vectors] | None:
    """What the index finds; None while it is behind or being rebuilt."""
    if not shard.fresh(following, wait=False):
        return None
    with following.reading():
        if following.cursor is None:  # a rebuild began since we asked
            return None
        return follower.search(vector, depth)


def with_words(shard: Shard, query: Keyword | Hybrid, steps: Steps) -> tuple[list[Candidate], PlanLeg]:
    """The documents that hold the query's words, best first. Raises InvalidInput for unknown properties."""
    index, following = shard.followers.words()
    if not shard.fresh(following, wait=True):
        raise StorageError(
            "The keyword index cannot catch up.", hint="See the server's log; `minivec check` finds damage."
        )
    with following.reading():
        hits = index.search(query.text, boosted(query.query_properties), steps.depth)
    found = [Candidate(hit.doc_id, hit.score, hit.score, hit.terms) for hit in hits]
    leg = PlanLeg(source="keyword", name="bm25f", index="bm25f", candidates=steps.depth, exact=True, reason="postings")
    return found, leg


def boosted(names: Sequence[str] | None) -> list[tuple[str, float]] | None:
    """`title^2` as ("title", 2.0). Raises InvalidInput for a boost that is not a positive number."""
    if names is None:
        return None
    return [_boost(name) for name in names]


def _boost(name: Any) -> tuple[str, float]:
    if not isinstance(name, str):
        raise InvalidInput(f"{name!r} is not a property's name.", field="query_properties")
    prop, caret, boost = name.partition("^")
    try:
        factor = float(boost) if caret else 1.0
    except ValueError:
        factor = -1.0
    if not 0 < factor < 1e6:
        raise InvalidInput(f"{name!r} has no boost that can be used.", field="query_properties", hint="Write title^2.")
    return prop, factor


_REASONS = {
    "flat": "exact by choice of index",
    "hnsw": "graph search among the live vectors",
    "binary": "Hamming scan over sign bits, rescored with the stored vectors",
}


def _leg(space: VectorSpace, index: str, candidates: int, *, exact: bool, reason: str) -> PlanLeg:
    return PlanLeg(source="vector", name=space.name, index=index, candidates=candidates, exact=exact, reason=reason)


def _furthest(steps: Steps) -> float:
    if steps.cutoff.certainty is not None:
        return 2.0 * (1.0 - steps.cutoff.certainty)
    return float("inf") if steps.cutoff.distance is None else steps.cutoff.distance


def _as_candidates(space: VectorSpace, ids: Ids, values: Vectors) -> list[Candidate]:
    better = 1.0 - values if space.distance == "cosine" else 0.0 - values
    return [
        Candidate(doc_id, raw, value)
        for doc_id, raw, value in zip(ids.tolist(), values.tolist(), better.tolist(), strict=True)
    ]


def _scan(shard: Shard, space: VectorSpace, vector: Vectors, k: int) -> tuple[Ids, Vectors]:
    with shard.truth.read() as connection:
        return scan(scan_vectors(connection, space.key, _SCAN_BLOCK), vector, k, space.distance)


def _rescore(shard: Shard, space: VectorSpace, vector: Vectors, ids: Ids, k: int) -> tuple[Ids, Vectors]:
    with shard.truth.read() as connection:
        ids, matrix = vectors_of(connection, space.key, ids.tolist())
    if not len(ids):
        return ids, np.empty(0, np.float32)
    values = distances(vector, matrix, space.distance)
    order = np.lexsort((ids, values))[:k]
    return ids[order], values[order]


def _stored_vector(uuid: str, space: VectorSpace, shard: Shard) -> NDArray[np.float32]:
    with shard.truth.read() as connection:
        found = doc_ids(connection, [uuid])
        if uuid not in found:
            raise ObjectNotFound(f"There is no object {uuid}.", field="uuid")
        _, matrix = vectors_of(connection, space.key, [found[uuid]])
    if not len(matrix):
        raise InvalidInput(
            f"Object {uuid} has no vector in space {space.name!r}.",
            field="uuid",
            hint="Choose another object or space.",
        )
    vector: NDArray[np.float32] = matrix[0]
    return vector
