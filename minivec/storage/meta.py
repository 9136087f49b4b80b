"""The few values a collection's file keeps beside its rows: definition and counters, read and written in a transaction."""

from __future__ import annotations

from typing import Literal

import orjson
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import Connection

from minivec.errors import CorruptData
from minivec.storage.statements import Prepared
from minivec.storage.tables import meta
from minivec.types.codec import from_plain, to_plain
from minivec.types.collection import CollectionConfig

Counter = Literal["next_doc_id", "next_sequence"]

_GET = Prepared(select(meta.c.value).where(meta.c.key == bindparam("wanted")), "wanted")
_SET = Prepared(update(meta).where(meta.c.key == bindparam("wanted")).values(value=bindparam("new")), "new", "wanted")
_ADD = Prepared(insert(meta), "key", "value")


def get(connection: Connection, key: str) -> str | None:
    """The value of a key, or None."""
    found = _GET.one(connection, key).scalar()
    return None if found is None else str(found)


def put(connection: Connection, key: str, value: str) -> None:
    """Set a key."""
    if _SET.one(connection, value, key).rowcount == 0:
        _ADD.one(connection, key, value)


def last(connection: Connection, counter: Counter) -> int:
    """The number given out last; 0 before the first."""
    return int(get(connection, counter) or 1) - 1


def take(connection: Connection, counter: Counter, count: int) -> int:
    """Give out `count` numbers that were never given before; returns the first."""
    first = last(connection, counter) + 1
    put(connection, counter, str(first + count))
    return first


def load_config(connection: Connection) -> CollectionConfig:
    """The collection's definition. Raises CorruptData where it cannot be read."""
    text = get(connection, "config")
    try:
        return from_plain(CollectionConfig, orjson.loads(text or ""))
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptData("The definition of the collection is damaged.", hint="Restore it from a backup.") from error


def config_text(config: CollectionConfig) -> str:
    """The definition as it is stored: JSON."""
    return orjson.dumps(to_plain(config)).decode()


def save_config(connection: Connection, config: CollectionConfig) -> None:
    """Write the collection's definition."""
    put(connection, "config", config_text(config))
