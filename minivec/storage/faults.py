"""What went wrong in the driver, said in our errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from minivec.errors import Busy, CorruptData, MinivecError, StorageError, StorageFull

FSYNC_FAULTS = frozenset({"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"})


def fault_name(error: BaseException) -> str:
    """SQLite's name for the fault, such as SQLITE_FULL; empty where it is none of SQLite's."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    name = getattr(origin, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""


def as_storage_error(error: BaseException, where: str) -> MinivecError | None:
    """Our error for a fault of the driver in the file `where`; None where it is not the disk's or the file's."""
    if not isinstance(error, (SQLAlchemyError, sqlite3.Error)):
        return None
    name = fault_name(error)
    if name == "SQLITE_FULL":
        return StorageFull(
            f"There is no space left for {where}.", hint="Free some space; reads go on, writes work again then."
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CorruptData(f"{where} is damaged or not a minivec file.", hint="Restore it from a backup.")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(f"{where} is locked by another program.", hint="Close what else has it open, or try again.")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_NOMEM")):
        return StorageError(
            f"{where} cannot be used: {name}.", hint="Look at the disk, its space and the file's rights."
        )
    return None


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise faults of the driver as our errors, naming the file `where`; everything else passes."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        ours = as_storage_error(error, where)
        if ours is None:
            raise
        raise ours from error
