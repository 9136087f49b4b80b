"""Which collections there are, and the folder of each. The row is what makes a collection exist.

Creating writes the folder first and the row last, dropping removes the row first: a crash in between leaves an orphan
folder and never half a collection. Folders are named by id, never by anything a user typed.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import delete, insert, inspect, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from minivec.errors import Closed, CollectionExists, CommitUnknown, ReadOnly, StorageError
from minivec.storage import meta, tables
from minivec.storage.connections import (
    Durability,
    Readers,
    checkpoint,
    make_folder,
    sync_folder,
    writing_engine,
)
from minivec.storage.faults import translated
from minivec.storage.migrations import CATALOG_STEPS, migrate, require_current
from minivec.storage.tables import collections

T = TypeVar("T")
FILE_NAME = "catalog.db"
FOLDER_NAME = "collections"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One collection: its id (32 hex digits), its name, and when it was made, in microseconds since 1970."""

    id: str
    name: str
    created_at: int


class Catalog:
    """The list of collections of a data directory, made when the directory is new. Any thread may call."""

    def __init__(self, root: Path, *, read_only: bool, durability: Durability) -> None:
        """Open it. Raises StorageError where it is not there (and only read) or not ours, and NewerFormat."""
        self._root = root
        self._path = root / FILE_NAME
        self._lock = threading.Lock()
        self._writer: Connection | None = None
        if not read_only:
            self._writer = _open_writer(self._path, durability)
        elif not self._path.exists():
            raise StorageError(
                f"There is no minivec database in {root}.", hint="Check the path; it must hold catalog.db."
            )
        self._readers = Readers(self._path)
        try:
            with self._readers.snapshot() as connection:
                require_current(connection, self._path, current=tables.CATALOG_FORMAT)
        except BaseException:
            self.close()
            raise

    def entries(self) -> list[CatalogEntry]:
        """Every collection, by name."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(select(collections).order_by(collections.c.name)).all()
        return [CatalogEntry(id=row.id, name=row.name, created_at=row.created_at) for row in rows]

    def path(self, id: str) -> Path:
        """The folder of a collection: its truth.db and its snapshots."""
        if not _ID.fullmatch(id):
            raise AssertionError(f"{id!r} is no collection id")
        return self._root / FOLDER_NAME / id

    def add(self, id: str, name: str) -> CatalogEntry:
        """Make a collection exist, durably. Raises CollectionExists, ReadOnly, Closed, StorageError."""
        entry = CatalogEntry(id=id, name=name, created_at=time.time_ns() // 1000)
        row = {"id": entry.id, "name": entry.name, "created_at": entry.created_at}
        try:
            self._write(lambda connection: connection.execute(insert(collections), row))
        except IntegrityError as error:
            raise CollectionExists(f"There is already a collection {name!r}.", hint="Choose another name.") from error
        return entry

    def remove(self, id: str) -> bool:
        """Make a collection exist no more, durably; whether it did. Its folder is an orphan then."""
        return self._write(
            lambda connection: connection.execute(delete(collections).where(collections.c.id == id)).rowcount > 0
        )

    def orphans(self) -> list[Path]:
        """Folders that belong to no collection: what a crash left of one being made or dropped."""
        known = {entry.id for entry in self.entries()}
        folder = self._root / FOLDER_NAME
        if not folder.is_dir():
            return []
        return sorted(path for path in folder.iterdir() if _ID.fullmatch(path.name) and path.name not in known)

    def close(self) -> None:
        """Close the files. A second call does nothing."""
        self._readers.close()
        with self._lock:
            if self._writer is not None and not self._writer.closed:
                with translated(str(self._path)):
                    checkpoint(self._writer, "TRUNCATE")
                self._writer.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, work: Callable[[Connection], T]) -> T:
        if self._writer is None:
            raise ReadOnly("The database was opened for reading only.", hint="Open it without read_only.")
        with self._lock, translated(str(self._path)):
            if self._writer.closed:
                raise Closed("The database is closed.")
            with _transaction(self._writer, self._path):
                return work(self._writer)


def new_id() -> str:
    """A fresh collection id: 32 random hex digits."""
    return secrets.token_hex(16)


def _open_writer(path: Path, durability: Durability) -> Connection:
    make_folder(path.parent)
    engine: Engine = writing_engine(path, durability)
    with translated(str(path)):
        connection = engine.connect()
        try:
            if _create_if_empty(connection):
                sync_folder(path.parent)
            migrate(connection, path, current=tables.CATALOG_FORMAT, steps=CATALOG_STEPS)
        except BaseException:
            connection.close()
            raise
    return connection


def _create_if_empty(connection: Connection) -> bool:
    """Make the tables of a new file, or of one whose making was cut off before its first commit."""
    with connection.begin():
        if inspect(connection).get_table_names():
            return False
        tables.catalog.create_all(connection)
        meta.put(connection, "format", str(tables.CATALOG_FORMAT))
        return True


@contextmanager
def _transaction(connection: Connection, path: Path) -> Iterator[None]:
    transaction = connection.begin()
    try:
        yield
    except BaseException:
        transaction.rollback()
        raise
    try:
        transaction.commit()
    except Exception as error:
        connection.rollback()
        if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            connection.connection.rollback()
        raise CommitUnknown(
            f"The commit to {path} failed: the change may or may not be stored.", hint="List the collections."
        ) from error
