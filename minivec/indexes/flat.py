"""Exact search over float32 rows: the judge of every other index, right when small, the stand-in while others rebuild."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from minivec.indexes.distance import distances, from_faiss, prepare
from minivec.indexes.faiss_library import load_faiss
from minivec.indexes.rows import Rows
from minivec.indexes.vector import Ids, Vectors
from minivec.types.collection import Distance

WIDER = 8  # how many times more rows are asked for when equal distances straddle the edge

Select = Callable[[int], tuple[Vectors, Ids]]  # k to FAISS's scores and row numbers, nearest first, -1 where none


class FlatIndex:
    """Scans its own matrix; for cosine the rows are of length 1. Misses nothing."""

    kind = "flat"
    exact = True
    rescored = False

    def __init__(self, dimension: int, distance: Distance) -> None:
        self._distance = distance
        self._rows: Rows[np.float32] = Rows(dimension, np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def insert(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors of shape (n, dimension); known ids are passed over."""
        fresh = self._rows.unknown(ids)
        self._rows.append(ids[fresh], prepare(vectors[fresh], self._distance))

    def delete(self, ids: Ids) -> None:
        """Forget these ids."""
        self._rows.remove(ids)

    def search(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The min(k, len) nearest, nearest first, equal distances by ascending id."""
        return nearest_rows(self._rows.ids, self._rows.matrix, prepare(query, self._distance), k, self._distance)

    def save(self) -> bytes:
        """The rows as they are."""
        return self._rows.save()

    def load(self, payload: memoryview) -> None:
        """Become what `save` described; ValueError when it does not fit."""
        self._rows.load(payload)


def scan(blocks: Iterable[tuple[Ids, Vectors]], query: Vectors, k: int, distance: Distance) -> tuple[Ids, Vectors]:
    """The k nearest among a stream of (ids, vectors as stored): exact, and holding one block at a time."""
    best_ids, best = empty_result()
    point = prepare(query, distance)
    for ids, vectors in blocks:
        if distance == "hamming":
            found, away = in_order(ids, distances(query, vectors, distance), k)
        else:
            found, away = nearest_rows(ids, prepare(vectors, distance), point, k, distance)
        best_ids, best = in_order(np.concatenate((best_ids, found)), np.concatenate((best, away)), k)
    return best_ids, best


def nearest_rows(ids: Ids, rows: Vectors, query: Vectors, k: int, distance: Distance) -> tuple[Ids, Vectors]:
    """The nearest of prepared rows to a prepared query."""
    faiss = load_faiss()

    metric = faiss.METRIC_L2 if distance == "l2-squared" else faiss.METRIC_INNER_PRODUCT

    def select(width: int) -> tuple[Vectors, Ids]:
        scores, places = faiss.knn(query[np.newaxis], rows, width, metric=metric)
        return scores[0], places[0]

    found = nearest_of(select, ids, len(ids), k, distance)
    if found is None:
        return in_order(ids, distances(query, rows, distance), k)
    return found


def nearest_of(select: Select, ids: Ids, count: int, k: int, distance: Distance) -> tuple[Ids, Vectors] | None:
    """The min(k, count) nearest of what an exact `select` finds, also right where equal distances straddle the edge.

    None when FAISS found fewer rows than there are: it passes over distances beyond float32.
    """
    k = min(k, count)
    if k <= 0:
        return empty_result()
    width = min(k + 1, count)
    while True:
        scores, places = select(width)
        if places[-1] < 0:
            return None
        away = from_faiss(scores, distance)
        if width == count or away[k - 1] < away[-1]:
            return in_order(ids[places], away, k)
        width = min(width * WIDER, count)


def in_order(ids: Ids, away: Vectors, k: int) -> tuple[Ids, Vectors]:
    """The k nearest, nearest first, equal distances by ascending id."""
    if 0 < k < len(away):
        near = np.flatnonzero(away <= np.partition(away, k - 1)[k - 1])
        ids, away = ids[near], away[near]
    order = np.lexsort((ids, away))[: max(k, 0)]
    return ids[order], away[order]


def empty_result() -> tuple[Ids, Vectors]:
    """No ids and no distances."""
    return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
