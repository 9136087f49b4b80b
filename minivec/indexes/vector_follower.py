"""One vector space as a follower of the log: picks the index its definition names and feeds it the stored vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from minivec.errors import InvalidInput
from minivec.indexes.feed import Feed
from minivec.indexes.flat import FlatIndex, empty_result
from minivec.indexes.hamming import HammingIndex
from minivec.indexes.hnsw import HnswIndex
from minivec.indexes.vector import Ids, VectorIndex, Vectors
from minivec.types.collection import VectorSpace

PAYLOAD_FORMAT = 1  # of what the indexes save; raise it when one of them saves something else
_DIMENSION_BYTES = 4


class VectorFollower:
    """The index of one space; it comes into being with the first vector, or with the dimension when that is known.

    `space` may be replaced by the same definition with its dimension filled in, or under another name with the same key.
    """

    def __init__(self, space: VectorSpace) -> None:
        self.space = space
        self._dimension = space.dimension
        self._index: VectorIndex | None = None
        self.reset()

    @property
    def name(self) -> str:
        """The name of its position in the truth."""
        return f"vector:{self.space.key}"

    @property
    def kind(self) -> str:
        """The index the definition names: "flat", "hnsw" or "binary"."""
        return self.space.index

    @property
    def signature(self) -> str:
        """A hash of what the bytes of a snapshot depend on. The dimension is inside, as it may be learnt later."""
        parts: list[object] = [PAYLOAD_FORMAT, self.space.index, self.space.distance]
        if self.space.index == "hnsw":
            parts += [self.space.hnsw.links, self.space.hnsw.ef_construction]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    @property
    def index(self) -> VectorIndex | None:
        """The index itself; None while the dimension is unknown, when there is nothing to find."""
        return self._index

    @property
    def exact(self) -> bool:
        """Whether search misses nothing."""
        return self.space.distance == "hamming" or self.space.index == "flat"

    @property
    def rescored(self) -> bool:
        """Whether the distances are only a guide and the caller must rescore with the stored vectors."""
        return self.space.distance != "hamming" and self.space.index == "binary"

    def __len__(self) -> int:
        index = self._index
        return 0 if index is None else len(index)

    def insert(self, doc_ids: Sequence[int], feed: Feed) -> None:
        """Add the stored vectors of these documents; those without one in this space are left out."""
        ids, vectors = feed.vectors(self.space.key, doc_ids)
        if not len(ids):
            return
        if self._index is None:
            self._dimension = int(vectors.shape[1])
            self._index = create_index(self.space, self._dimension)
        self._index.insert(ids, vectors)

    def delete(self, doc_ids: Sequence[int]) -> None:
        """Forget these documents."""
        if self._index is not None:
            self._index.delete(np.asarray(doc_ids, dtype=np.int64))

    def search(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The ids (int64) and distances (float32) of the nearest to `query`, shape (dimension,); see `VectorIndex`.

        Raises InvalidInput where the query has another dimension than the space.
        """
        if self._index is None or self._dimension is None:
            return empty_result()
        if np.shape(query) != (self._dimension,):
            raise InvalidInput(
                f"The query has {np.size(query)} numbers and the space {self.space.name!r} has {self._dimension}.",
                hint="Use a vector of the space's own model.",
                field="vector",
            )
        return self._index.search(query, k)

    def reset(self) -> None:
        """Become empty."""
        self._dimension = self.space.dimension
        self._index = None if self._dimension is None else create_index(self.space, self._dimension)

    def save(self) -> bytes:
        """The dimension, 0 while unknown, and what the index saves."""
        if self._index is None or self._dimension is None:
            return bytes(_DIMENSION_BYTES)
        return self._dimension.to_bytes(_DIMENSION_BYTES, "little") + self._index.save()

    def load(self, payload: memoryview) -> None:
        """Become what `save` described; ValueError when it does not fit the space."""
        dimension = int.from_bytes(payload[:_DIMENSION_BYTES], "little")
        if self.space.dimension not in (None, dimension or None):
            raise ValueError(f"its vectors have {dimension} dimensions, and the space has {self.space.dimension}")
        self.reset()
        if dimension:
            index = create_index(self.space, dimension)
            index.load(payload[_DIMENSION_BYTES:])
            self._dimension, self._index = dimension, index


def create_index(space: VectorSpace, dimension: int) -> VectorIndex:
    """An empty index as the space defines it. HNSW over Hamming distances is refused with InvalidInput."""
    if space.distance == "hamming" and space.index == "hnsw":
        raise InvalidInput(
            "An hnsw index cannot compare sign bits.", hint="Use the index flat or binary.", field="index"
        )
    if space.distance == "hamming" or space.index == "binary":
        return HammingIndex(dimension, space.distance, space.index)
    if space.index == "hnsw":
        return HnswIndex(dimension, space.distance, space.hnsw)
    return FlatIndex(dimension, space.distance)
