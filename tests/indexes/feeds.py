"""A change log and documents in memory, behind the same contract as the stored ones; tests reach in and break it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minivec.indexes.feed import Change, Cursor, LogTrimmed
from minivec.indexes.vector import Ids, Vectors
from minivec.types.collection import Property


class MemoryFeed:
    """`add` and `remove` write the log; `trim` cuts it; `fail_after` makes the given call of `vectors` raise."""

    def __init__(self) -> None:
        self.documents: dict[int, Mapping[str, Any]] = {}
        self.stored: dict[str, dict[int, Vectors]] = {}
        self.log: list[Change] = []
        self.trimmed = 0
        self.reads = 0
        self.fail_after: int | None = None

    def add(
        self,
        doc_ids: Sequence[int],
        vectors: Vectors | None = None,
        *,
        space: str = "default",
        properties: Sequence[Mapping[str, Any]] | None = None,
    ) -> Cursor:
        """Store documents and return the cursor behind them."""
        for place, doc_id in enumerate(doc_ids):
            self.documents[doc_id] = properties[place] if properties is not None else {}
            if vectors is not None:
                self.stored.setdefault(space, {})[doc_id] = np.array(vectors[place], dtype=np.float32)
            self.log.append(Change(doc_id, "insert"))
        return self.head()

    def remove(self, doc_ids: Sequence[int]) -> Cursor:
        """Delete documents and return the cursor behind that."""
        for doc_id in doc_ids:
            self.documents.pop(doc_id, None)
            for vectors in self.stored.values():
                vectors.pop(doc_id, None)
            self.log.append(Change(doc_id, "delete"))
        return self.head()

    def trim(self) -> None:
        """Forget the log up to its head."""
        self.trimmed = len(self.log)

    def definition(self) -> Sequence[Property]:
        return ()

    def head(self) -> Cursor:
        return Cursor(f"1:{len(self.log)}")

    def reached(self, cursor: Cursor, target: Cursor) -> bool:
        return _sequence(cursor) >= _sequence(target)

    def behind(self, cursor: Cursor) -> int:
        return len(self.log) - _sequence(cursor)

    def changes(self, after: Cursor, limit: int) -> tuple[Sequence[Change], Cursor]:
        start = _sequence(after)
        if start < self.trimmed:
            raise LogTrimmed
        found = self.log[start : start + limit]
        return found, Cursor(f"1:{start + len(found)}")

    def live(self, after_doc: int, limit: int) -> Sequence[int]:
        return sorted(doc_id for doc_id in list(self.documents) if doc_id > after_doc)[:limit]

    def vectors(self, space: str, doc_ids: Sequence[int]) -> tuple[Ids, Vectors]:
        self.reads += 1
        if self.fail_after is not None and self.reads > self.fail_after:
            raise OSError("the disk does not answer")
        stored = self.stored.get(space, {})
        rows = [(doc_id, stored[doc_id]) for doc_id in doc_ids if doc_id in stored]
        if not rows:
            return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
        return np.array([doc_id for doc_id, _ in rows], dtype=np.int64), np.stack([row for _, row in rows])

    def properties(self, doc_ids: Sequence[int]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        return [(doc_id, self.documents[doc_id]) for doc_id in doc_ids if doc_id in self.documents]


def _sequence(cursor: Cursor) -> int:
    return int(cursor.removeprefix("1:"))
