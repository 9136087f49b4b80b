"""`Truth`: one collection's file. It gives out reads (snapshots) and takes writes (durable when they return)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy.engine import Connection, Engine

from minivec.errors import ReadOnly, StorageError
from minivec.storage import meta, tables
from minivec.storage.connections import Durability, Readers, make_folder, sync_folder, writing_engine
from minivec.storage.faults import translated
from minivec.storage.migrations import TRUTH_STEPS, migrate, require_current
from minivec.storage.writer import Writer
from minivec.types.collection import CollectionConfig

T = TypeVar("T")
FILE_NAME = "truth.db"


class Truth:
    """One collection's objects, vectors and change log. Every method may be called from any thread.

    Made by `create` and `open`. `folder` is where the file lies, `read_only` whether writing is refused.
    """

    def __init__(self, folder: Path, engine: Engine | None) -> None:
        self.folder = folder
        self.read_only = engine is None
        self._path = folder / FILE_NAME
        self._readers = Readers(self._path)
        self._config_lock = threading.Lock()
        self._config_text = ""
        self._config_changed = False
        self._config_to_come: CollectionConfig | None = None
        self._writer: Writer | None = None
        try:
            with self.read() as connection:
                if engine is None:
                    require_current(connection, self._path, current=tables.FORMAT)
                self._config = meta.load_config(connection)
            if engine is not None:
                self._writer = Writer(
                    engine, self._path, before_commit=self._before_commit, after_commit=self._after_commit
                )
        except BaseException:
            self._readers.close()
            raise

    @classmethod
    def create(cls, folder: Path, config: CollectionConfig, *, durability: Durability) -> Truth:
        """Make the file of a new collection in a folder of its own, and open it. Raises StorageError where one is there."""
        path = folder / FILE_NAME
        if path.exists():
            raise StorageError(f"{path} is already there.", hint="Open it, or choose another folder.")
        make_folder(folder)
        engine = writing_engine(path, durability)
        with translated(str(path)), engine.connect() as connection, connection.begin():
            tables.truth.create_all(connection)
            meta.put(connection, "format", str(tables.FORMAT))
            meta.put(connection, "next_doc_id", "1")
            meta.put(connection, "next_sequence", "1")
            meta.save_config(connection, config)
        sync_folder(folder)
        return cls(folder, engine)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool, durability: Durability) -> Truth:
        """Open the file of a collection; an older format is brought up to date first.

        Raises StorageError where there is no such file or it is not ours, NewerFormat, CorruptData.
        """
        path = folder / FILE_NAME
        if not path.exists():
            raise StorageError(f"There is no {path}.", hint="Was the folder moved, or only half copied?")
        if read_only:
            return cls(folder, None)
        engine = writing_engine(path, durability)
        with translated(str(path)), engine.connect() as connection:
            migrate(connection, path, current=tables.FORMAT, steps=TRUTH_STEPS)
        return cls(folder, engine)

    @property
    def config(self) -> CollectionConfig:
        """The definition as it is committed."""
        if self.read_only:
            with self.read() as connection:
                return self._config_as_of(connection)
        return self._config

    def read(self) -> AbstractContextManager[Connection]:
        """A read-only connection with one consistent snapshot. Raises Closed, Busy, StorageError."""
        return self._readers.snapshot()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the writer's thread; return its result once it is durable. What it raises undoes it alone.

        Raises ReadOnly, Closed, Busy, StorageFull, CommitUnknown, and whatever the work raises.
        """
        if self._writer is None:
            raise ReadOnly(f"{self._path} was opened for reading only.", hint="Open the database without read_only.")
        return self._writer.write(work)

    def change_config(
        self, change: Callable[[CollectionConfig], CollectionConfig], connection: Connection | None = None
    ) -> CollectionConfig:
        """Replace the definition by `change(definition)`; returns the new one. `config` shows it after the commit.

        Inside other work give its `connection`, so that both are stored or neither is.
        """
        if connection is None:
            return self.write(lambda connection: self.change_config(change, connection))
        before = meta.load_config(connection)
        after = change(before)
        if after != before:
            meta.save_config(connection, after)
            self._config_changed = True
        return after

    def close(self) -> None:
        """Finish the writes that wait, tidy the file and close it. A second call does nothing."""
        self._readers.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Truth:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _config_as_of(self, connection: Connection) -> CollectionConfig:
        text = meta.get(connection, "config") or ""
        with self._config_lock:
            if text != self._config_text:
                self._config, self._config_text = meta.load_config(connection), text
            return self._config

    def _before_commit(self, connection: Connection) -> None:
        self._config_to_come = meta.load_config(connection) if self._config_changed else None
        self._config_changed = False

    def _after_commit(self) -> None:
        if self._config_to_come is not None:
            self._config, self._config_to_come = self._config_to_come, None
