"""Objects and their vectors written inside a transaction, in bulk. An update is a new doc id under the same uuid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.engine import Connection

from minivec.errors import MinivecError, ObjectExists, ObjectNotFound, VersionConflict
from minivec.storage import changes, meta
from minivec.storage.checksums import object_checksum, space_seed, uuid_bucket, vector_checksum
from minivec.storage.statements import Prepared, PreparedList
from minivec.storage.tables import objects, vectors

WriteMode = Literal["upsert", "insert", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorRow:
    """A vector (float32, one-dimensional), the 16-byte hash of the text it was made from (None: given by the user),
    and how many tokens the text had and how many were cut off."""

    vector: NDArray[np.float32]
    text_hash: bytes | None
    tokens: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One object to store: canonical lower-case uuid, compact JSON, its hash, and its vectors by space.

    `upsert` stores in any case, `insert` only what is new, `replace` only what is there. `expected_version` is the
    version the object must have now; 0: it must be absent.
    """

    uuid: str
    properties: bytes
    content_hash: bytes
    vectors: Mapping[str, VectorRow]
    mode: WriteMode
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a write: the new doc id and version; `created` where the object was not there before."""

    uuid: str
    doc_id: int
    version: int
    created: bool


@dataclass(slots=True)
class _Standing:
    """How an object stands while a batch is applied; `write` is what the batch left for it."""

    doc_id: int
    version: int
    created_at: int
    write: Write | None = None


@dataclass(slots=True)
class _Batch:
    """The rows a batch comes down to."""

    gone: list[int] = field(default_factory=list)
    standing: dict[str, _Standing] = field(default_factory=dict)


_FIND = PreparedList(
    lambda members: select(objects.c.uuid, objects.c.doc_id, objects.c.version, objects.c.created_at).where(
        objects.c.uuid.in_(members)
    )
)
_LIVE = PreparedList(lambda members: select(objects.c.doc_id).where(objects.c.doc_id.in_(members)))
_HAVING = PreparedList(
    lambda members: select(vectors.c.doc_id).where(vectors.c.doc_id.in_(members), vectors.c.space == bindparam("of")),
    after=("of",),
)
_ADD_OBJECT = Prepared(insert(objects), *(column.name for column in objects.columns))
_ADD_VECTOR = Prepared(insert(vectors), *(column.name for column in vectors.columns))
_DROP_OBJECT = Prepared(delete(objects).where(objects.c.doc_id == bindparam("gone")), "gone")
_DROP_VECTORS = Prepared(delete(vectors).where(vectors.c.doc_id == bindparam("gone")), "gone")


def write_objects(connection: Connection, writes: Sequence[Write], now: int) -> list[Written | MinivecError]:
    """Store a batch in order; `now` in microseconds. A refused write is an error in its place, the others stand.

    Several writes of one uuid apply one after the other: only the last of them is seen by anybody.
    Errors in the list: ObjectExists, ObjectNotFound, VersionConflict.
    """
    found = _FIND.rows(connection, [write.uuid for write in writes])
    batch = _Batch(standing={row[0]: _Standing(row[1], row[2], row[3]) for row in found})
    next_id = meta.take(connection, "next_doc_id", len(writes))
    outcomes = [_apply(batch, write, next_id + place, now) for place, write in enumerate(writes)]
    _store(connection, batch, now)
    return outcomes


def delete_objects(connection: Connection, uuids: Sequence[str]) -> list[bool]:
    """Delete objects with their vectors; per uuid whether it was there."""
    there = {row[0]: row[1] for row in _FIND.rows(connection, uuids)}
    gone = list(there.values())
    _drop(connection, gone)
    changes.append(connection, [(doc_id, changes.DELETE) for doc_id in gone])
    return [there.pop(uuid, None) is not None for uuid in uuids]


def fill_vectors(connection: Connection, space: str, rows: Sequence[tuple[int, VectorRow]]) -> list[int]:
    """Give documents a vector of a space they lack; returns the ids done. Those gone or filled meanwhile are passed over."""
    by_id = {int(doc_id): row for doc_id, row in rows}
    open_ids = {found[0] for found in _LIVE.rows(connection, by_id)}
    open_ids -= {found[0] for found in _HAVING.rows(connection, by_id, after=(space,))}
    done = [doc_id for doc_id in by_id if doc_id in open_ids]
    _ADD_VECTOR.many(connection, [_vector_row(doc_id, space, space_seed(space), by_id[doc_id]) for doc_id in done])
    changes.append(connection, [(doc_id, changes.INSERT) for doc_id in done])
    return done


def _apply(batch: _Batch, write: Write, doc_id: int, now: int) -> Written | MinivecError:
    old = batch.standing.get(write.uuid)
    refusal = _refusal(write, old)
    if refusal is not None:
        return refusal
    if old is None:
        batch.standing[write.uuid] = _Standing(doc_id, 1, now, write)
        return Written(uuid=write.uuid, doc_id=doc_id, version=1, created=True)
    if old.write is None:
        batch.gone.append(old.doc_id)
    batch.standing[write.uuid] = _Standing(doc_id, old.version + 1, old.created_at, write)
    return Written(uuid=write.uuid, doc_id=doc_id, version=old.version + 1, created=False)


def _refusal(write: Write, old: _Standing | None) -> MinivecError | None:
    version = 0 if old is None else old.version
    if write.mode == "insert" and old is not None:
        return ObjectExists(f"There is already an object {write.uuid}.", hint="Use upsert or replace.", field="uuid")
    if write.mode == "replace" and old is None:
        return ObjectNotFound(f"There is no object {write.uuid}.", hint="Use upsert or insert.", field="uuid")
    if write.expected_version is not None and write.expected_version != version:
        return VersionConflict(
            f"Object {write.uuid} has version {version}, not {write.expected_version}.",
            hint="Somebody else wrote in between: read it again.",
            field="uuid",
        )
    return None


def _store(connection: Connection, batch: _Batch, now: int) -> None:
    new = [(item, item.write) for item in batch.standing.values() if item.write is not None]
    _drop(connection, batch.gone)
    _ADD_OBJECT.many(connection, [_object_row(item, write, now) for item, write in new])
    seeds = {space: space_seed(space) for space in {space for _, write in new for space in write.vectors}}
    rows = (
        _vector_row(item.doc_id, space, seeds[space], row)
        for item, write in new
        for space, row in write.vectors.items()
    )
    _ADD_VECTOR.many(connection, list(rows))
    lines = [(doc_id, changes.DELETE) for doc_id in batch.gone]
    changes.append(connection, [*lines, *((item.doc_id, changes.INSERT) for item, _ in new)])


def _drop(connection: Connection, doc_ids: Iterable[int]) -> None:
    keys = [(doc_id,) for doc_id in doc_ids]
    _DROP_VECTORS.many(connection, keys)
    _DROP_OBJECT.many(connection, keys)


def _object_row(item: _Standing, write: Write, now: int) -> tuple[Any, ...]:
    checksum = object_checksum(write.uuid, (item.doc_id, item.version, item.created_at, now), write.properties)
    text = write.properties.decode()
    bucket = uuid_bucket(write.uuid)
    return (item.doc_id, write.uuid, bucket, item.version, item.created_at, now, text, write.content_hash, checksum)


def _vector_row(doc_id: int, space: str, seed: int, row: VectorRow) -> tuple[Any, ...]:
    data = row.vector.astype("<f4", copy=False).tobytes()
    checksum = vector_checksum(seed, (doc_id, row.tokens, row.cut), row.text_hash, data)
    return (doc_id, space, row.text_hash, row.tokens, row.cut, data, checksum)
