"""Objects read inside a snapshot. Every row is checked against its checksum before anybody sees it.

Indexes must go on without a damaged row: what they read leaves it out and logs its uuid once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import LargeBinary, Select, bindparam, cast, func, select
from sqlalchemy.engine import Connection

from minivec.errors import CorruptData
from minivec.storage.checksums import object_checksum
from minivec.storage.statements import Prepared, PreparedList
from minivec.storage.tables import objects, vectors

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stored object: times in microseconds since 1970, properties as compact JSON."""

    doc_id: int
    uuid: str
    version: int
    created_at: int
    updated_at: int
    properties: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """What a writer needs to know of an object that is there; `hashes`: the text hash of each vector, None = given."""

    doc_id: int
    version: int
    created_at: int
    content_hash: bytes
    hashes: dict[str, bytes | None]


def _row_columns() -> Select[Any]:
    # as bytes: a flipped byte that is no longer text must reach the checksum, not stop the driver
    return select(
        objects.c.doc_id,
        cast(objects.c.uuid, LargeBinary),
        objects.c.version,
        objects.c.created_at,
        objects.c.updated_at,
        cast(objects.c.properties, LargeBinary),
        objects.c.checksum,
    )


_BY_ID = PreparedList(lambda members: _row_columns().where(objects.c.doc_id.in_(members)))
_BY_UUID = PreparedList(lambda members: _row_columns().where(objects.c.uuid.in_(members)))
_IDS = PreparedList(lambda members: select(objects.c.uuid, objects.c.doc_id).where(objects.c.uuid.in_(members)))
_UUIDS = PreparedList(
    lambda members: select(objects.c.doc_id, cast(objects.c.uuid, LargeBinary)).where(objects.c.doc_id.in_(members))
)
_CURRENT = PreparedList(
    lambda members: (
        select(
            objects.c.uuid,
            objects.c.doc_id,
            objects.c.version,
            objects.c.created_at,
            objects.c.content_hash,
            vectors.c.space,
            vectors.c.text_hash,
        )
        .select_from(objects.outerjoin(vectors, vectors.c.doc_id == objects.c.doc_id))
        .where(objects.c.uuid.in_(members))
    )
)
_PAGE = Prepared(
    _row_columns().where(objects.c.doc_id > bindparam("after")).order_by(objects.c.doc_id).limit(bindparam("most")),
    "after",
    "most",
)
_LIVE = Prepared(
    select(objects.c.doc_id)
    .where(objects.c.doc_id > bindparam("after"))
    .order_by(objects.c.doc_id)
    .limit(bindparam("most")),
    "after",
    "most",
)
_WITHOUT = Prepared(
    _row_columns()
    .where(
        objects.c.doc_id > bindparam("after"),
        ~select(vectors.c.doc_id)
        .where(vectors.c.doc_id == objects.c.doc_id, vectors.c.space == bindparam("of"))
        .exists(),
    )
    .order_by(objects.c.doc_id)
    .limit(bindparam("most")),
    "after",
    "of",
    "most",
)
_COUNT = Prepared(select(func.count()).select_from(objects))


def get_objects(connection: Connection, doc_ids: Iterable[int]) -> dict[int, Row]:
    """The objects of these doc ids that are live. Raises CorruptData."""
    rows = _BY_ID.rows(connection, map(int, doc_ids))
    return {row[0]: _checked(row) for row in rows}


def get_by_uuid(connection: Connection, uuids: Sequence[str]) -> dict[str, Row]:
    """The objects of these uuids that are there. Raises CorruptData."""
    found = (_checked(row) for row in _BY_UUID.rows(connection, uuids))
    return {row.uuid: row for row in found}


def sound_objects(connection: Connection, doc_ids: Iterable[int]) -> list[Row]:
    """Like `get_objects`, but a damaged row is left out and logged: for indexes, which must go on without it."""
    found: list[Row] = []
    for row in _BY_ID.rows(connection, map(int, doc_ids)):
        try:
            found.append(_checked(row))
        except CorruptData as error:
            log_damage(str(connection.engine.url.database), error.message)
    return found


def doc_ids(connection: Connection, uuids: Sequence[str]) -> dict[str, int]:
    """The doc ids of the uuids that are there."""
    return {row[0]: row[1] for row in _IDS.rows(connection, uuids)}


def uuids_of(connection: Connection, doc_ids: Iterable[int]) -> dict[int, str]:
    """The uuids of the doc ids that are live."""
    return {row[0]: row[1].decode(errors="replace") for row in _UUIDS.rows(connection, map(int, doc_ids))}


def current(connection: Connection, uuids: Sequence[str]) -> dict[str, Current]:
    """How the objects of these uuids stand, for comparing with what is to be written; absent ones are left out."""
    found: dict[str, Current] = {}
    for uuid, doc_id, version, created_at, content_hash, space, text_hash in _CURRENT.rows(connection, uuids):
        known = found.get(uuid)
        if known is None:
            known = found[uuid] = Current(
                doc_id=doc_id, version=version, created_at=created_at, content_hash=content_hash or b"", hashes={}
            )
        if space is not None:
            known.hashes[space] = text_hash
    return found


def page(connection: Connection, after_doc: int, limit: int) -> list[Row]:
    """Up to `limit` objects with greater doc ids, ascending. Raises CorruptData."""
    return [_checked(row) for row in _PAGE.one(connection, after_doc, limit).all()]


def live(connection: Connection, after_doc: int, limit: int) -> list[int]:
    """Up to `limit` greater doc ids, ascending."""
    return [row[0] for row in _LIVE.one(connection, after_doc, limit).all()]


def without_vector(connection: Connection, space: str, after_doc: int, limit: int) -> list[Row]:
    """Up to `limit` objects with greater doc ids that lack a vector of a space. Raises CorruptData."""
    return [_checked(row) for row in _WITHOUT.one(connection, after_doc, space, limit).all()]


def count(connection: Connection) -> int:
    """How many objects there are."""
    return int(_COUNT.one(connection).scalar_one())


def _checked(row: Sequence[Any]) -> Row:
    doc_id, uuid_bytes, version, created_at, updated_at, properties, checksum = row[:7]
    uuid = uuid_bytes.decode(errors="replace")
    if object_checksum(uuid, (doc_id, version, created_at, updated_at), properties) != checksum:
        raise CorruptData(
            f"Object {uuid} (document {doc_id}) does not match its checksum.", hint="Import it again, or delete it."
        )
    return Row(
        doc_id=doc_id,
        uuid=uuid,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        properties=properties,
    )


@lru_cache(maxsize=10_000)
def log_damage(file: str, complaint: str) -> None:
    """Log that a row of a file is damaged, the first time it is met."""
    _log.error("%s: %s", file, complaint)
