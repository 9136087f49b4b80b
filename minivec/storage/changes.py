"""The change log: which documents came and went, in order. Lines are numbered from 1 and never renumbered.

A follower's cursor reads `1:<sequence>`. It is saved once the follower's snapshot is durable; lines behind every saved
cursor may go.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from minivec.storage import meta
from minivec.storage.statements import Prepared
from minivec.storage.tables import changes, followers

INSERT = 1
DELETE = -1
CURSOR_PREFIX = "1:"
TRIM_MOST = 100_000

_APPEND = Prepared(insert(changes), "sequence", "doc_id", "kind")
_OLDEST = Prepared(select(func.min(changes.c.sequence)))
_READ = Prepared(
    select(changes.c.sequence, changes.c.doc_id, changes.c.kind)
    .where(changes.c.sequence > bindparam("after"))
    .order_by(changes.c.sequence)
    .limit(bindparam("most")),
    "after",
    "most",
)
_TRIM = Prepared(delete(changes).where(changes.c.sequence <= bindparam("upto")), "upto")
_CURSORS = Prepared(select(followers.c.name, followers.c.cursor))
_MOVE = Prepared(
    update(followers)
    .where(followers.c.name == bindparam("who"))
    .values(cursor=bindparam("at"), saved_at=bindparam("now")),
    "at",
    "now",
    "who",
)
_FOLLOW = Prepared(insert(followers), "name", "cursor", "saved_at")
_FORGET = Prepared(delete(followers).where(followers.c.name == bindparam("who")), "who")


def append(connection: Connection, lines: Sequence[tuple[int, int]]) -> int:
    """Add lines `(doc_id, INSERT or DELETE)`; returns the number of the last line of the log."""
    if not lines:
        return head(connection)
    first = meta.take(connection, "next_sequence", len(lines))
    _APPEND.many(connection, [(first + place, doc_id, kind) for place, (doc_id, kind) in enumerate(lines)])
    return first + len(lines) - 1


def head(connection: Connection) -> int:
    """The number of the last line ever written, trimmed or not; 0 before the first."""
    return meta.last(connection, "next_sequence")


def oldest(connection: Connection) -> int:
    """The number of the first line still there; that of the next one where the log is empty."""
    number = _OLDEST.one(connection).scalar()
    return head(connection) + 1 if number is None else int(number)


def read(connection: Connection, after: int, limit: int) -> list[tuple[int, int, int]]:
    """Up to `limit` lines behind line `after`: (sequence, doc_id, INSERT or DELETE)."""
    return [(row.sequence, row.doc_id, row.kind) for row in _READ.one(connection, after, limit).all()]


def cursor_at(sequence: int) -> str:
    """The cursor of one who has seen everything up to a line."""
    return f"{CURSOR_PREFIX}{sequence}"


def sequence_of(cursor: str) -> int | None:
    """The line a cursor stands at; None where it is no cursor of this"""
    number = cursor.removeprefix(CURSOR_PREFIX)
    known = cursor.startswith(CURSOR_PREFIX) and number.isascii() and number.isdecimal() and len(number) < 19
    return int(number) if known else None


def cursors(connection: Connection) -> dict[str, str]:
    """The saved cursors by follower."""
    return {row.name: row.cursor for row in _CURSORS.one(connection).all()}


def save_cursor(connection: Connection, name: str, cursor: str, now: int) -> None:
    """Note that a follower's snapshot is durable up to `cursor`: it will never ask for older lines. `now`: microseconds."""
    if _MOVE.one(connection, cursor, now, name).rowcount == 0:
        _FOLLOW.one(connection, name, cursor, now)


def forget_cursor(connection: Connection, name: str) -> None:
    """A follower is gone and holds the log back no more."""
    _FORGET.one(connection, name)


def trim(connection: Connection, most: int = TRIM_MOST) -> int:
    """Delete up to `most` lines that every saved cursor is past; returns how many. Without saved cursors, none."""
    seen = [sequence_of(cursor) or 0 for cursor in cursors(connection).values()]
    upto = min(min(seen, default=0), oldest(connection) + most - 1)
    return max(0, _TRIM.one(connection, upto).rowcount)
