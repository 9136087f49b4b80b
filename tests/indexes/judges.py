"""Slow and plain: what near means, written out one vector at a time, and vectors that lie in clusters as real ones do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minivec.indexes.vector import Ids, VectorIndex, Vectors


def plain_distance(a: Vectors, b: Vectors, distance: str) -> float:
    """One distance in float64, by its definition."""
    first, second = [float(x) for x in a], [float(x) for x in b]
    if distance == "hamming":
        return float(sum((x > 0) != (y > 0) for x, y in zip(first, second, strict=True)))
    if distance == "l2-squared":
        return sum((x - y) ** 2 for x, y in zip(first, second, strict=True))
    product = sum(x * y for x, y in zip(first, second, strict=True))
    if distance == "dot":
        return -product
    lengths = (sum(x * x for x in first) * sum(y * y for y in second)) ** 0.5
    return 1.0 - product / lengths if lengths else 1.0


def plain_search(held: Mapping[int, Vectors], query: Vectors, k: int, distance: str) -> list[tuple[int, float]]:
    """The nearest by a loop over everything, equal distances by ascending id."""
    ranked = sorted((plain_distance(query, vector, distance), doc_id) for doc_id, vector in held.items())
    return [(doc_id, away) for away, doc_id in ranked[:k]]


def clustered(count: int, dimension: int, *, seed: int = 0, clusters: int = 40, spread: float = 0.35) -> Vectors:
    """Vectors around a few centres whose directions matter less and less, as those of a text model do."""
    shape = np.random.default_rng(1234)
    fading = 1.0 / np.sqrt(1.0 + np.arange(dimension))
    centres = shape.standard_normal((clusters, dimension)) * fading
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, dimension)) * fading * spread
    return (centres[rng.integers(0, clusters, count)] + noise).astype(np.float32)


def recall(index: VectorIndex, judge: VectorIndex, queries: Vectors, k: int = 10) -> float:
    """The share of the judge's k nearest that the index finds."""
    shares = [len(set(top(index, query, k)) & set(top(judge, query, k))) / k for query in queries]
    return float(np.mean(shares))


def top(index: VectorIndex, query: Vectors, k: int) -> list[int]:
    """The ids of the k nearest."""
    ids: Ids = index.search(query, k)[0]
    return ids.tolist()


def numbered(count: int, first: int = 1) -> Ids:
    """Document ids from `first` on."""
    return np.arange(first, first + count, dtype=np.int64)
