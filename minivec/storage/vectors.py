"""Vectors read inside a snapshot, checked against their checksums. A damaged one is left out and logged, with its uuid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.engine import Connection

from minivec.errors import CorruptData
from minivec.storage.checksums import space_seed, vector_checksum
from minivec.storage.objects import VectorRow
from minivec.storage.reading import log_damage, uuids_of
from minivec.storage.statements import Prepared, PreparedList
from minivec.storage.tables import vectors

Ids = NDArray[np.int64]
Matrix = NDArray[np.float32]


def _columns() -> Select[Any]:
    return select(
        vectors.c.doc_id, vectors.c.text_hash, vectors.c.tokens, vectors.c.cut, vectors.c.data, vectors.c.checksum
    )


_OF = PreparedList(
    lambda members: _columns().where(vectors.c.doc_id.in_(members), vectors.c.space == bindparam("of")),
    after=("of",),
)
_SCAN = Prepared(
    _columns()
    .where(vectors.c.doc_id > bindparam("after"), vectors.c.space == bindparam("of"))
    .order_by(vectors.c.doc_id)
    .limit(bindparam("most")),
    "after",
    "of",
    "most",
)


_COUNT = Prepared(select(func.count()).select_from(vectors).where(vectors.c.space == bindparam("of")), "of")


def vectors_of(connection: Connection, space: str, doc_ids: Iterable[int]) -> tuple[Ids, Matrix]:
    """The vectors of these documents, in this order: ids (n,) int64 and rows (n, dimension) float32, writable.

    Documents without one, and damaged ones, are left out; with none left the matrix is (0, 0).
    """
    wanted = list(dict.fromkeys(map(int, doc_ids)))
    rows = {row[0]: row for row in _OF.rows(connection, wanted, after=(space,))}
    return _as_matrix(connection, space, [rows[doc_id] for doc_id in wanted if doc_id in rows])


def scan_vectors(connection: Connection, space: str, block: int) -> Iterator[tuple[Ids, Matrix]]:
    """All vectors of a space by ascending doc id, in pieces of at most `block`; as `vectors_of`."""
    after = -1
    while rows := _SCAN.one(connection, after, space, block).all():
        after = rows[-1][0]
        ids, matrix = _as_matrix(connection, space, rows)
        if len(ids):
            yield ids, matrix


def vector_rows(
    connection: Connection, doc_ids: Iterable[int], spaces: Iterable[str]
) -> dict[int, dict[str, VectorRow]]:
    """The stored vectors of these documents in these spaces, with hash and token counts. Raises CorruptData."""
    wanted = list(map(int, doc_ids))
    found: dict[int, dict[str, VectorRow]] = {}
    for space in spaces:
        seed = space_seed(space)
        for row in _OF.rows(connection, wanted, after=(space,)):
            if not _sound(seed, row):
                raise CorruptData(_complaint(connection, space, row[0]), hint="Import the object again.")
            vector = VectorRow(vector=_numbers(row[4]), text_hash=row[1], tokens=row[2], cut=row[3])
            found.setdefault(row[0], {})[space] = vector
    return found


def count_vectors(connection: Connection, space: str) -> int:
    """How many documents have a vector of a space."""
    return int(_COUNT.one(connection, space).scalar_one())


def _as_matrix(connection: Connection, space: str, rows: Sequence[Sequence[Any]]) -> tuple[Ids, Matrix]:
    seed = space_seed(space)
    sound = [row for row in rows if _sound(seed, row)]
    if len(sound) < len(rows):
        good = {row[0] for row in sound}
        for row in rows:
            if row[0] not in good:
                log_damage(str(connection.engine.url.database), _complaint(connection, space, row[0]))
    if not sound:
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    ids = np.array([row[0] for row in sound], np.int64)
    return ids, _numbers(bytearray().join([row[4] for row in sound])).reshape(len(sound), -1)


def _sound(seed: int, row: Sequence[Any]) -> bool:
    doc_id, text_hash, tokens, cut, data, checksum = row
    return bool(vector_checksum(seed, (doc_id, tokens, cut), text_hash, data) == checksum)


def _numbers(data: bytes | bytearray) -> NDArray[np.float32]:
    return np.frombuffer(bytearray(data) if isinstance(data, bytes) else data, "<f4").astype(np.float32, copy=False)


def _complaint(connection: Connection, space: str, doc_id: int) -> str:
    uuid = uuids_of(connection, [doc_id]).get(doc_id, "unknown")
    return f"The vector of object {uuid} (document {doc_id}) in space {space} does not match its checksum."
