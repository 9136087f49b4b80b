"""A vector space's rows by the space itself: its vectors lie under its key, which a switch of names leaves as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete
from sqlalchemy.engine import Connection

from minivec.storage.changes import forget_cursor
from minivec.storage.objects import VectorRow
from minivec.storage.statements import Prepared
from minivec.storage.tables import vectors
from minivec.storage.vectors import vector_rows
from minivec.types.collection import VectorSpace

_DROP = Prepared(delete(vectors).where(vectors.c.space == bindparam("of")), "of")


def rows_by_space(
    connection: Connection, doc_ids: Iterable[int], spaces: Sequence[VectorSpace]
) -> dict[int, dict[str, VectorRow]]:
    """The stored vectors of these documents by the spaces' names. Raises CorruptData."""
    names = {space.key: space.name for space in spaces}
    found = vector_rows(connection, doc_ids, names) if names else {}
    return {doc_id: {names[key]: row for key, row in rows.items()} for doc_id, rows in found.items()}


def drop_vectors(connection: Connection, space: VectorSpace) -> int:
    """Delete every vector of a space, and its index's place in the log; returns how many there were."""
    forget_cursor(connection, f"vector:{space.key}")
    return max(0, _DROP.one(connection, space.key).rowcount)
