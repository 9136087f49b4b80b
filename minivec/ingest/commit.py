"""The one transaction: definition, objects, vectors and log lines together, or none of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy import Connection

from minivec.errors import MinivecError, VersionConflict
from minivec.ingest.compare import Prepared, content_hash
from minivec.shard import Shard
from minivec.storage.objects import Write, Written, write_objects
from minivec.types.collection import CollectionConfig, VectorSpace
from minivec.types.object import ImportMode

_WRITE_MODES: dict[ImportMode, Literal["upsert", "insert", "replace"]] = {
    "upsert": "upsert",
    "insert": "insert",
    "replace": "replace",
    "merge": "replace",
}


class DefinitionChanged(Exception):
    """The collection's definition is not the one the drafts were checked against: check them again."""


def commit(
    shard: Shard, prepared: Sequence[Prepared], mode: ImportMode, config: CollectionConfig
) -> list[Written | MinivecError]:
    """Write the objects durably; one result per object, in order.

    Raises DefinitionChanged, CommitUnknown, StorageFull, Busy, ReadOnly, Closed.
    """
    keys = {space.name: space.key for space in config.vector_spaces}
    writes = [_as_write(one, mode, keys) for one in prepared]

    def work(connection: Connection) -> list[Written | MinivecError]:
        shard.truth.change_config(lambda current: _grown(current, config), connection)
        return write_objects(connection, writes, time.time_ns() // 1000)

    return shard.truth.write(work)


def is_lost_race(error: object) -> bool:
    """Whether trying again may help: somebody wrote between our reading and writing."""
    return isinstance(error, VersionConflict)


def _grown(current: CollectionConfig, checked: CollectionConfig) -> CollectionConfig:
    """The definition in force with what the drafts taught added; raises DefinitionChanged where the two disagree."""
    for prop in checked.properties:
        known = current.property_named(prop.name)
        if known is None:
            current = current.with_properties((prop,))
        elif known != prop:
            raise DefinitionChanged
    if _without_dimensions(current) != _without_dimensions(checked):
        raise DefinitionChanged
    for space in checked.vector_spaces:
        known_space = current.space_named(space.name)
        if known_space is not None and known_space.dimension is None:
            current = current.with_space(replace(known_space, dimension=space.dimension))
        elif known_space is None or known_space.dimension != space.dimension:
            raise DefinitionChanged
    return current


def _without_dimensions(config: CollectionConfig) -> list[VectorSpace]:
    return [replace(space, dimension=None) for space in config.vector_spaces]


def _as_write(one: Prepared, mode: ImportMode, keys: Mapping[str, str]) -> Write:
    document = one.document
    return Write(
        uuid=one.uuid,
        properties=document,
        content_hash=content_hash(document),
        vectors={keys[name]: row for name, row in one.vectors.items()},
        mode=_WRITE_MODES[mode],
        expected_version=one.expected_version,
    )
