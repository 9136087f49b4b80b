"""Approximate search over FAISS's HNSW graph: ids, tombstones, always k results, and a successor built in small steps.

FAISS cannot take a vector out of a graph. A deleted one stays as a way for the search to walk but never as a result.
When more than a fifth are dead, every update moves some live vectors into a successor graph that at last takes over.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.indexes.distance import distances, from_faiss, prepare
from minivec.indexes.faiss_library import load_faiss
from minivec.indexes.flat import in_order, nearest_of
from minivec.indexes.rows import first_unknown
from minivec.indexes.vector import Ids, Vectors
from minivec.types.collection import Distance, HnswOptions

DEAD_SHARE = 5  # one in so many dead vectors starts a successor
SCAN_BELOW = 32  # an exact scan of up to so many vectors per ef takes no longer than the walk through the graph
MOVES = 4  # live vectors moved to the successor per updated one, so that it arrives before the graph is full of dead
LEAST_MOVES = 16

_HEAD = struct.Struct("<QQ")


class HnswIndex:
    """Finds nearly all of the nearest vectors without looking at most of the others."""

    kind = "hnsw"
    exact = False
    rescored = False

    def __init__(self, dimension: int, distance: Distance, options: HnswOptions) -> None:
        self._dimension = dimension
        self._distance = distance
        self._options = options
        self._graph = self._new_graph()
        self._successor: _Graph | None = None
        self._moved = 0

    def __len__(self) -> int:
        return len(self._graph)

    def insert(self, ids: Ids, vectors: Vectors) -> None:
        """Link vectors of shape (n, dimension) into the graph; known ids are passed over."""
        self._graph.add(ids, prepare(vectors, self._distance))
        self._renew(len(ids))

    def delete(self, ids: Ids) -> None:
        """Forget these ids."""
        self._graph.bury(ids)
        if self._successor is not None:
            self._successor.bury(ids)
        self._renew(len(ids))

    def search(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """About the min(k, len) nearest, always that many, nearest first, equal distances by ascending id."""
        graph, point = self._graph, prepare(query, self._distance)
        k = min(k, len(graph))
        breadth = max(self._options.ef, k)
        if len(graph) > SCAN_BELOW * breadth:
            found, away = graph.walk(point, k, breadth)
            if len(found) == k:
                return found, away
        return graph.scan(point, k)

    def save(self) -> bytes:
        """The graph with its ids and tombstones; a successor under way starts anew after loading."""
        return self._graph.save()

    def load(self, payload: memoryview) -> None:
        """Become what `save` described; ValueError when it does not fit."""
        graph = self._new_graph()
        graph.load(payload)
        self._graph, self._successor, self._moved = graph, None, 0

    def _new_graph(self) -> _Graph:
        return _Graph(self._dimension, self._distance, self._options)

    def _renew(self, updated: int) -> None:
        """Move the successor on by a share of the work, and let it take over when it holds all that is live."""
        graph = self._graph
        if self._successor is None:
            if graph.dead * DEAD_SHARE <= graph.slots:
                return
            self._successor, self._moved = self._new_graph(), 0
        stop = graph.slots if not len(graph) else self._moved + max(LEAST_MOVES, MOVES * updated)
        self._successor.add(*graph.live_between(self._moved, stop))
        self._moved = stop
        if stop >= graph.slots:
            self._graph, self._successor = self._successor, None


class _Graph:
    """One FAISS graph; slot i holds the i-th vector ever added, under `ids[i]`, and its bit says whether it is live."""

    def __init__(self, dimension: int, distance: Distance, options: HnswOptions) -> None:
        faiss = load_faiss()

        self._distance = distance
        metric = faiss.METRIC_L2 if distance == "l2-squared" else faiss.METRIC_INNER_PRODUCT
        self._faiss: Any = faiss.IndexHNSWFlat(dimension, options.links, metric)
        self._faiss.hnsw.efConstruction = options.ef_construction
        self._ids: Ids = np.empty(0, dtype=np.int64)
        self._bits: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._places: dict[int, int] = {}
        self._selector: Any = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def slots(self) -> int:
        """How many vectors the graph holds, dead ones too."""
        return int(self._faiss.ntotal)

    @property
    def dead(self) -> int:
        """How many of them are deleted."""
        return self.slots - len(self)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Link prepared vectors; known ids are passed over."""
        fresh = first_unknown(ids, self._places)
        if not len(fresh):
            return
        start, stop = self.slots, self.slots + len(fresh)
        if stop > len(self._ids):
            self._grow(stop)
        self._faiss.add(vectors[fresh])
        self._ids[start:stop] = ids[fresh]
        np.bitwise_or.at(self._bits, *_bit_of(np.arange(start, stop)))
        self._places.update(zip(ids[fresh].tolist(), range(start, stop), strict=True))

    def bury(self, ids: Ids) -> None:
        """Mark these ids dead."""
        places = [place for place in (self._places.pop(doc_id, -1) for doc_id in ids.tolist()) if place >= 0]
        number, bit = _bit_of(np.array(places, dtype=np.int64))
        np.bitwise_and.at(self._bits, number, ~bit)

    def walk(self, query: Vectors, k: int, breadth: int) -> tuple[Ids, Vectors]:
        """Up to k live vectors found along the links, the search as broad as if the dead were not in the way."""
        faiss = load_faiss()

        if self.dead:
            breadth = breadth * self.slots // len(self)
        parameters = faiss.SearchParametersHNSW(efSearch=breadth, sel=self._live_selector())
        scores, places = self._faiss.search(query[np.newaxis], k, params=parameters)
        found = places[0][places[0] >= 0]
        return in_order(self._ids[found], from_faiss(scores[0][: len(found)], self._distance), k)

    def scan(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The k nearest live vectors, exactly."""
        faiss = load_faiss()

        storage = faiss.downcast_index(self._faiss.storage)
        parameters = faiss.SearchParameters(sel=self._live_selector())

        def select(width: int) -> tuple[Vectors, Ids]:
            scores, places = storage.search(query[np.newaxis], width, params=parameters)
            return scores[0], places[0]

        found = nearest_of(select, self._ids, len(self), k, self._distance)
        if found is None:
            ids, vectors = self.live_between(0, self.slots)
            return in_order(ids, distances(query, vectors, self._distance), k)
        return found

    def live_between(self, start: int, stop: int) -> tuple[Ids, Vectors]:
        """The ids and prepared vectors of the live ones among the slots from `start` to `stop`."""
        places = np.arange(start, min(stop, self.slots))
        number, bit = _bit_of(places)
        live = places[(self._bits[number] & bit) != 0]
        return self._ids[live], self._vectors()[live]

    def save(self) -> bytes:
        """Slots, dimension, ids, live bits, and FAISS's own form of the graph."""
        faiss = load_faiss()

        head = _HEAD.pack(self.slots, self._faiss.d)
        ids, bits = self._ids[: self.slots], self._bits[: _bytes_for(self.slots)]
        return b"".join((head, ids.tobytes(), bits.tobytes(), faiss.serialize_index(self._faiss).data))

    def load(self, payload: memoryview) -> None:
        """Take over what `save` gave: its checksums must have been compared before, since FAISS believes every byte."""
        faiss = load_faiss()

        if len(payload) < _HEAD.size:
            raise ValueError("it holds no graph")
        slots, dimension = _HEAD.unpack_from(payload)
        bits_from = _HEAD.size + slots * 8
        graph_from = bits_from + _bytes_for(slots)
        if dimension != self._faiss.d or len(payload) <= graph_from:
            raise ValueError(f"its vectors do not have {self._faiss.d} dimensions")
        try:
            graph = faiss.deserialize_index(np.frombuffer(payload[graph_from:], dtype=np.uint8))
        except RuntimeError as error:
            raise ValueError("this FAISS cannot read its graph") from error
        if not isinstance(graph, faiss.IndexHNSWFlat) or (graph.d, graph.ntotal) != (dimension, slots):
            raise ValueError("its graph does not have the vectors it names")
        if graph.metric_type != self._faiss.metric_type:
            raise ValueError("its graph was built for another distance")
        self._faiss = graph
        self._selector = None
        self._ids = np.frombuffer(payload[_HEAD.size : bits_from], dtype=np.int64).copy()
        self._bits = np.frombuffer(payload[bits_from:graph_from], dtype=np.uint8).copy()
        number, bit = _bit_of(np.arange(slots))
        live = np.flatnonzero(self._bits[number] & bit)
        self._places = dict(zip(self._ids[live].tolist(), live.tolist(), strict=True))

    def _vectors(self) -> Vectors:
        """A view of FAISS's own rows, good until the next change."""
        faiss = load_faiss()

        rows = faiss.downcast_index(self._faiss.storage)
        view: Vectors = faiss.rev_swig_ptr(rows.get_xb(), self.slots * rows.d).reshape(self.slots, rows.d)
        return view

    def _live_selector(self) -> Any:
        """FAISS's filter over the live bits, or None where nothing is dead."""
        faiss = load_faiss()

        if not self.dead:
            return None
        if self._selector is None:
            self._selector = faiss.IDSelectorBitmap(self._bits)
        return self._selector

    def _grow(self, needed: int) -> None:
        room = max(needed, self.slots * 3 // 2)
        ids, bits = np.empty(room, dtype=np.int64), np.zeros(_bytes_for(room), dtype=np.uint8)
        ids[: self.slots], bits[: _bytes_for(self.slots)] = (
            self._ids[: self.slots],
            self._bits[: _bytes_for(self.slots)],
        )
        self._ids, self._bits, self._selector = ids, bits, None


def _bytes_for(slots: int) -> int:
    return (slots + 7) // 8


def _bit_of(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Which byte holds the bit of each slot, and the bit, in the order FAISS's bitmap has them."""
    return places >> 3, np.left_shift(np.uint8(1), (places & 7).astype(np.uint8))
