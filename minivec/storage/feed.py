"""A collection's truth as its followers see it: the change log, the live documents, their vectors and properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from minivec.indexes.feed import Change, Cursor, LogTrimmed
from minivec.indexes.vector import Ids, Vectors
from minivec.storage import changes, meta, reading, vectors
from minivec.storage.engine import Truth
from minivec.types.collection import Property


class TruthFeed:
    """Implements `indexes.feed.Feed` over one `Truth`. Cursors read `1:<sequence>`."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._definition: tuple[str | None, tuple[Property, ...]] = (None, ())

    def head(self) -> Cursor:
        """The end of the log now."""
        with self._truth.read() as connection:
            return Cursor(changes.cursor_at(changes.head(connection)))

    def reached(self, cursor: Cursor, target: Cursor) -> bool:
        """Whether a follower at `cursor` has seen everything up to `target`."""
        return (changes.sequence_of(cursor) or 0) >= (changes.sequence_of(target) or 0)

    def behind(self, cursor: Cursor) -> int:
        """How many changes lie between `cursor` and the head."""
        with self._truth.read() as connection:
            return max(0, changes.head(connection) - (changes.sequence_of(cursor) or 0))

    def changes(self, after: Cursor, limit: int) -> tuple[Sequence[Change], Cursor]:
        """Up to `limit` changes after the cursor, oldest first, and the cursor behind them.

        Raises LogTrimmed where lines are missing, or where the cursor is not of this log at all.
        """
        start = changes.sequence_of(after)
        with self._truth.read() as connection:
            if start is None or not changes.oldest(connection) - 1 <= start <= changes.head(connection):
                raise LogTrimmed(after)
            lines = changes.read(connection, start, limit)
        found = [Change(doc_id, "insert" if kind == changes.INSERT else "delete") for _, doc_id, kind in lines]
        return found, Cursor(changes.cursor_at(lines[-1][0])) if lines else after

    def live(self, after_doc: int, limit: int) -> Sequence[int]:
        """Up to `limit` live document ids greater than `after_doc`, ascending."""
        with self._truth.read() as connection:
            return reading.live(connection, after_doc, limit)

    def vectors(self, space: str, doc_ids: Sequence[int]) -> tuple[Ids, Vectors]:
        """The stored vectors of these documents, in this order; those without one, or with a damaged one, are left out."""
        with self._truth.read() as connection:
            return vectors.vectors_of(connection, space, doc_ids)

    def definition(self) -> Sequence[Property]:
        """The properties as they are stored now; read from the file, as a commit is visible there first."""
        with self._truth.read() as connection:
            text = meta.get(connection, "config")
            known = self._definition
            if text != known[0]:
                known = self._definition = (text, meta.load_config(connection).properties)
        return known[1]

    def properties(self, doc_ids: Sequence[int]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        """The properties of those of these documents that are live and undamaged."""
        with self._truth.read() as connection:
            rows = reading.sound_objects(connection, doc_ids)
        return [(row.doc_id, orjson.loads(row.properties)) for row in rows]
