"""Sign bits, packed and scanned exhaustively: 1/32 of the memory of the floats, the candidates rescored by the caller."""

from __future__ import annotations

import numpy as np

from minivec.indexes.distance import code_bytes, sign_codes
from minivec.indexes.faiss_library import load_faiss
from minivec.indexes.flat import empty_result, in_order
from minivec.indexes.rows import Rows
from minivec.indexes.vector import Ids, Vectors
from minivec.types.collection import Distance


class HammingIndex:
    """Counts differing sign bits. In a space whose distance is hamming that is the answer, in any other only a guide."""

    def __init__(self, dimension: int, distance: Distance, kind: str = "binary") -> None:
        self.kind = kind
        self.exact = distance == "hamming"
        self.rescored = not self.exact
        self._rows: Rows[np.uint8] = Rows(code_bytes(dimension), np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def insert(self, ids: Ids, vectors: Vectors) -> None:
        """Add the sign bits of vectors of shape (n, dimension); known ids are passed over."""
        fresh = self._rows.unknown(ids)
        self._rows.append(ids[fresh], sign_codes(vectors[fresh]))

    def delete(self, ids: Ids) -> None:
        """Forget these ids."""
        self._rows.remove(ids)

    def search(self, query: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The min(k, len) nearest by Hamming distance, nearest first, equal distances by ascending id."""
        faiss = load_faiss()

        codes = self._rows.matrix
        if not len(codes) or k <= 0:
            return empty_result()
        code = sign_codes(query)
        differing = np.empty(len(codes), dtype=np.int32)
        faiss.hammings(
            faiss.swig_ptr(code), faiss.swig_ptr(codes), 1, len(codes), codes.shape[1], faiss.swig_ptr(differing)
        )
        if k < len(differing):  # counts are few and often equal: all at the edge compete by id
            near = np.flatnonzero(differing <= np.partition(differing, k - 1)[k - 1])
            return in_order(self._rows.ids[near], differing[near].astype(np.float32), k)
        return in_order(self._rows.ids, differing.astype(np.float32), k)

    def save(self) -> bytes:
        """The codes as they are."""
        return self._rows.save()

    def load(self, payload: memoryview) -> None:
        """Become what `save` described; ValueError when it does not fit."""
        self._rows.load(payload)
