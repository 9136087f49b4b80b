"""Opens SQLite files the one safe way: a single writing connection per file, and readers that can never checkpoint.

SQLite before 3.51.3 can corrupt a file when one connection commits while another checkpoints. Here no second connection
is able to: readers open the file read-only, nobody checkpoints on its own, and the writer does it between transactions.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import URL, create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, QueuePool

from minivec.errors import Busy, Closed, StorageError
from minivec.storage.dates import instant
from minivec.storage.faults import translated

Durability = Literal["full", "relaxed", "memory"]

PAGE_BYTES = 8192
BUSY_SECONDS = 5.0
READER_CACHE_KIB = 16_384
WRITER_CACHE_KIB = 65_536
READERS_KEPT = 4
READERS_MOST = 32
READER_WAIT_SECONDS = 30.0

_SYNCHRONOUS: dict[Durability, str] = {"full": "FULL", "relaxed": "NORMAL", "memory": "OFF"}


def sqlite_version() -> str:
    """The version of the SQLite library in use."""
    return sqlite3.sqlite_version


def writing_engine(path: Path, durability: Durability) -> Engine:
    """The engine of the one writing connection; its transactions take the write lock when they begin."""

    def connect() -> sqlite3.Connection:
        connection = _connect(path, "rwc")
        try:
            _run(connection, f"PRAGMA page_size={PAGE_BYTES}")
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StorageError(f"{path} cannot keep a write-ahead log.", hint="Use a local disk, no network share.")
            _run(
                connection,
                f"PRAGMA synchronous={_SYNCHRONOUS[durability]}",
                "PRAGMA wal_autocheckpoint=0",
                "PRAGMA secure_delete=ON",
                "PRAGMA temp_store=MEMORY",
                f"PRAGMA cache_size=-{WRITER_CACHE_KIB}",
            )
        except BaseException:
            connection.close()
            raise
        return connection

    return _engine(
        create_engine(_url(path), creator=connect, poolclass=NullPool, hide_parameters=True), "BEGIN IMMEDIATE"
    )


class Readers:
    """A small pool of read-only connections, for any thread; `snapshot` gives one consistent view each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = False
        engine = create_engine(
            _url(path),
            creator=self._connect,
            poolclass=QueuePool,
            hide_parameters=True,
            pool_size=READERS_KEPT,
            max_overflow=READERS_MOST - READERS_KEPT,
            pool_timeout=READER_WAIT_SECONDS,
            pool_use_lifo=True,
        )
        self._engine = _engine(engine, "BEGIN")

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees the file as of its first statement, whatever is committed meanwhile.

        Raises Closed, Busy when every reader is in use for half a minute, and StorageError.
        """
        if self._closed:
            raise Closed(f"{self._path} is closed.")
        with translated(str(self._path)), self._checkout() as connection:
            try:
                yield connection
            finally:
                if self._closed:
                    connection.invalidate()  # the pool it came from is gone

    def close(self) -> None:
        """Close every reader; those in use close when their work is done."""
        self._closed = True
        self._engine.dispose()

    def _checkout(self) -> Connection:
        try:
            return self._engine.connect()
        except PoolTimeout as error:
            raise Busy(f"All {READERS_MOST} readers of {self._path} are in use.", hint="Try again.") from error

    def _connect(self) -> sqlite3.Connection:
        connection = open_reader(self._path)
        _run(connection, f"PRAGMA cache_size=-{READER_CACHE_KIB}", "PRAGMA temp_store=MEMORY")
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection that can never checkpoint.

    Where its folder cannot be written at all (a read-only disk), SQLite has no place for its lock file; then, if no
    log of unfinished work lies beside the file, nobody can be writing and it is opened as unchanging.
    """
    connection = _connect(path, "ro")
    try:
        _run(connection, "PRAGMA wal_autocheckpoint=0", "SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorname != "SQLITE_CANTOPEN" or not path.exists() or _has_log(path):
            raise
        return _connect(path, "ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def checkpoint(connection: Connection, mode: Literal["PASSIVE", "TRUNCATE"]) -> bool:
    """Move the write-ahead log into the file; whether all of it could be. Only for the writing connection."""
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout=0")  # a reader that holds it up is no reason to wait
    try:
        busy, log, moved = driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        driver.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    return not busy and log == moved


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power loss."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:
        if os.name == "nt":  # Windows opens no folders, and keeps names on its own
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and the missing ones above it, durably. Raises StorageError naming the path."""
    missing = [folder, *folder.parents]
    missing = [path for path in missing if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.", hint="Choose another folder."
        ) from error


def _engine(engine: Engine, begin: str) -> Engine:
    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _has_log(path: Path) -> bool:
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def _url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))  # names the file in errors; `creator` does the opening


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: the driver begins nothing by itself, so that savepoints and BEGIN IMMEDIATE mean what they say
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.create_function("minivec_instant", 1, instant, deterministic=True)
    return connection


def _run(connection: sqlite3.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement).fetchall()
