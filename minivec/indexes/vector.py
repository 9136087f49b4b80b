"""The vector index contract: ids and vectors in, nearest ids and distances out. Smaller is nearer, whatever the distance.

An id names a vector once and for all: inserting a known id again changes nothing, deleting an unknown one is no error.
An index is not thread-safe by itself; its follower holds the lock.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Vectors = NDArray[np.float32]


class VectorIndex(Protocol):
    """Holds vectors of one dimension under one distance."""

    kind: str  # "flat", "hnsw" or "binary", as in VectorSpace.index
    exact: bool  # whether search misses nothing
    rescored: bool  # whether distances are only a guide and the caller must rescore with the stored vectors

    def __len__(self) -> int:
        """How many live vectors it holds."""
        ...

    def insert(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors of shape (n, dimension) as given by the user; the index prepares (normalises, packs) its own copy."""
        ...

    def delete(self, ids: Ids) -> None:
        """Forget these ids; they never come back in a search."""
        ...

    def search(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The min(k, len) nearest to `query`, shape (dimension,), nearest first, equal distances by ascending id."""
        ...

    def save(self) -> bytes:
        """Everything needed to load it again; the snapshot file adds the checksum."""
        ...

    def load(self, payload: memoryview) -> None:
        """Become what `save` described. Raises ValueError when the payload does not fit this index."""
        ...
