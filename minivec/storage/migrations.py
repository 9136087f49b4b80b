"""Numbered steps that bring an older file to today's format, each in a transaction of its own; a newer file is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from minivec.errors import NewerFormat, StorageError
from minivec.storage import meta

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: the format it leads to (from the one before), what it does in a few words, and the doing."""

    leads_to: int
    title: str
    apply: Callable[[Connection], None]


TRUTH_STEPS: tuple[Step, ...] = ()
CATALOG_STEPS: tuple[Step, ...] = ()


def stored_format(connection: Connection, path: Path) -> int:
    """The format number of an open file. Raises StorageError where the file is not one of ours."""
    number = meta.get(connection, "format") if inspect(connection).has_table("meta") else None
    if number is None or not number.isdecimal():
        raise StorageError(f"{path} is not a minivec file.", hint="Name a folder that minivec made, or an empty one.")
    return int(number)


def check_format(connection: Connection, path: Path, *, current: int) -> int:
    """The format number of a file that this minivec can read, or could after migrating. Raises NewerFormat."""
    number = stored_format(connection, path)
    if number > current:
        raise NewerFormat(
            f"{path} has format {number}; this minivec reads up to format {current}.",
            hint="Open it with the minivec that wrote it, or a newer one.",
        )
    return number


def require_current(connection: Connection, path: Path, *, current: int) -> None:
    """Refuse a file that would have to be migrated first, for one who may only read. Raises StorageError, NewerFormat."""
    number = check_format(connection, path, current=current)
    if number < current:
        raise StorageError(
            f"{path} has the older format {number} and was opened for reading only.",
            hint="Open it once for writing; that brings it up to date.",
        )


def migrate(connection: Connection, path: Path, *, current: int, steps: Sequence[Step]) -> None:
    """Run the steps a file still lacks. Raises NewerFormat, and StorageError where no step leads on from its format."""
    with connection.begin():
        number = check_format(connection, path, current=current)
    by_target = {step.leads_to: step for step in steps}
    for target in range(number + 1, current + 1):
        step = by_target.get(target)
        if step is None:
            raise StorageError(
                f"{path} has format {number}, which this minivec can no longer read.",
                hint="Open it with an older minivec first.",
            )
        _log.info("bringing %s to format %d: %s", path, target, step.title)
        with connection.begin():
            step.apply(connection)
            meta.put(connection, "format", str(target))
