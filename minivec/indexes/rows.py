"""A growable matrix whose rows are named by document ids. Deletion moves the last row into the gap."""

from __future__ import annotations

import struct
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from minivec.indexes.vector import Ids

Number = TypeVar("Number", np.float32, np.uint8)

_HEAD = struct.Struct("<QQ")
FIRST_ROWS = 64


class Rows(Generic[Number]):
    """`ids` (n,) and `matrix` (n, width), both views that the next change may overwrite."""

    def __init__(self, width: int, dtype: type[Number]) -> None:
        self.width = width
        self._dtype: np.dtype[Number] = np.dtype(dtype)
        self._ids: Ids = np.empty(0, dtype=np.int64)
        self._matrix: NDArray[Number] = np.empty((0, width), dtype=dtype)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def ids(self) -> Ids:
        """The document id of each row."""
        return self._ids[: len(self)]

    @property
    def matrix(self) -> NDArray[Number]:
        """The rows, in no order that means anything."""
        return self._matrix[: len(self)]

    def unknown(self, ids: Ids) -> NDArray[np.intp]:
        """Where in `ids` the ids that have no row yet stand, each once."""
        return first_unknown(ids, self._places)

    def append(self, ids: Ids, rows: NDArray[Number]) -> None:
        """Add rows under ids that have none yet."""
        start, stop = len(self), len(self) + len(ids)
        if stop > len(self._ids):
            self._grow(stop)
        self._ids[start:stop] = ids
        self._matrix[start:stop] = rows
        self._places.update(zip(ids.tolist(), range(start, stop), strict=True))

    def remove(self, ids: Ids) -> None:
        """Drop the rows of these ids; an id without one is passed over."""
        for doc_id in ids.tolist():
            place = self._places.pop(doc_id, None)
            last = len(self._places)
            if place is None or place == last:
                continue
            moved = int(self._ids[last])
            self._ids[place] = moved
            self._matrix[place] = self._matrix[last]
            self._places[moved] = place

    def save(self) -> bytes:
        """Number of rows, width, ids, rows."""
        head = _HEAD.pack(len(self), self.width)
        return b"".join((head, self.ids.data, self.matrix.data))

    def load(self, payload: memoryview) -> None:
        """Take over what `save` gave. Raises ValueError when its lengths do not fit together or ids repeat."""
        if len(payload) < _HEAD.size:
            raise ValueError("it holds no rows")
        count, width = _HEAD.unpack_from(payload)
        middle = _HEAD.size + count * 8
        if width != self.width or len(payload) != middle + count * width * self._dtype.itemsize:
            raise ValueError(f"its rows are not {self.width} wide")
        self._ids = np.frombuffer(payload[_HEAD.size : middle], dtype=np.int64).copy()
        self._matrix = np.frombuffer(payload[middle:], dtype=self._dtype).reshape(count, width).copy()
        self._places = dict(zip(self._ids.tolist(), range(count), strict=True))
        if len(self._places) != count:
            raise ValueError("an id has more than one row")

    def _grow(self, needed: int) -> None:
        room = max(needed, len(self._ids) * 3 // 2, FIRST_ROWS)
        ids = np.empty(room, dtype=np.int64)
        matrix = np.empty((room, self.width), dtype=self._dtype)
        ids[: len(self)], matrix[: len(self)] = self.ids, self.matrix
        self._ids, self._matrix = ids, matrix


def first_unknown(ids: Ids, known: dict[int, int]) -> NDArray[np.intp]:
    """Where in `ids` those that are not in `known` stand, each at its first occurrence."""
    seen: set[int] = set()
    places = []
    for place, doc_id in enumerate(ids.tolist()):
        if doc_id not in known and doc_id not in seen:
            seen.add(doc_id)
            places.append(place)
    return np.array(places, dtype=np.intp)
