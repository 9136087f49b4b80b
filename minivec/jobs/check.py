"""Reads everything and says what is damaged: the file itself, every row's checksum, every snapshot. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from minivec.errors import CorruptData, StorageError
from minivec.indexes.followers import Followers
from minivec.storage.catalog import Catalog
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from minivec.storage.reading import count, get_objects, live
from minivec.storage.vectors import vector_rows

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: in which collection, what, and what to do."""

    collection: str
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was read and what was found; `sound` when nothing is wrong."""

    collections: int
    objects: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.findings


def check(root: Path) -> CheckReport:
    """Check the database in a folder; it may be in use. Raises StorageError when there is none."""
    objects = 0
    findings: list[Finding] = []
    catalog = Catalog(root, read_only=True, durability="full")
    try:
        entries = catalog.entries()
        for entry in entries:
            try:
                truth = Truth.open(catalog.path(entry.id), read_only=True, durability="full")
            except StorageError as error:
                findings.append(Finding(entry.name, str(error), "Restore this collection from a backup."))
                continue
            with truth:
                objects += _count(truth)
                findings += [Finding(entry.name, problem, _HINT) for problem in _problems(truth)]
                findings += [Finding(entry.name, problem, _MENDS) for problem in _snapshot_problems(truth)]
    finally:
        catalog.close()
    return CheckReport(collections=len(entries), objects=objects, findings=tuple(findings))


_HINT = "Import the object again, or restore the collection from a backup."
_MENDS = "Nothing to do: the index is rebuilt when the database is opened next."


def _snapshot_problems(truth: Truth) -> Iterator[str]:
    for following in Followers(truth.config, TruthFeed(truth), truth.folder, read_only=True):
        reason = following.inspect()
        if reason:
            yield f"the snapshot of index {following.name}: {reason}"


def _count(truth: Truth) -> int:
    with truth.read() as connection:
        return count(connection)


def _problems(truth: Truth) -> Iterator[str]:
    with truth.read() as connection:
        rows = connection.execute(text("PRAGMA integrity_check")).scalars().all()
        yield from (f"SQLite: {row}" for row in rows if row != "ok")
    spaces = [space.key for space in truth.config.vector_spaces]
    last = 0
    while True:
        with truth.read() as connection:
            doc_ids = live(connection, last, _BATCH)
            if not doc_ids:
                return
            yield from _batch_problems(connection, doc_ids, spaces)
        last = doc_ids[-1]


def _batch_problems(connection: Connection, doc_ids: list[int], spaces: list[str]) -> Iterator[str]:
    """One read for a sound batch; document by document only where something is wrong."""
    try:
        get_objects(connection, doc_ids)
        vector_rows(connection, doc_ids, spaces)
    except CorruptData:
        for doc_id in doc_ids:
            try:
                get_objects(connection, [doc_id])
                vector_rows(connection, [doc_id], spaces)
            except CorruptData as error:
                yield error.message
