"""What is stored already against what was sent: unchanged text keeps its vector, an unchanged object is not written again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection

from minivec.errors import MinivecError, ObjectExists, ObjectNotFound
from minivec.ingest.check import Checked
from minivec.ingest.text import text_of
from minivec.storage.objects import VectorRow
from minivec.storage.reading import Row, get_by_uuid
from minivec.storage.spaces import rows_by_space
from minivec.types.collection import CollectionConfig
from minivec.types.object import ImportMode


@dataclass(slots=True)
class Prepared:
    """An object ready but for the vectors of `texts` (space name to text), which are still to be embedded."""

    index: int
    uuid: str
    properties: dict[str, Any]
    vectors: dict[str, VectorRow]
    texts: dict[str, str] = field(default_factory=dict)
    expected_version: int | None = None
    unchanged: bool = False

    @property
    def document(self) -> bytes:
        """The properties as compact JSON, keys in the order they were sent."""
        return orjson.dumps(self.properties)


def content_hash(document: bytes) -> bytes:
    """16 bytes that stand for the properties when asking whether they changed."""
    return blake2b(document, digest_size=16).digest()


def compare(
    connection: Connection, checked: Sequence[Checked], mode: ImportMode, config: CollectionConfig
) -> tuple[list[Prepared], list[tuple[int, MinivecError]]]:
    """Prepare every object against the one stored under its uuid; refuse what the mode does not allow."""
    rows = get_by_uuid(connection, [one.uuid for one in checked])
    stored = rows_by_space(connection, [row.doc_id for row in rows.values()], config.vector_spaces)
    prepared: list[Prepared] = []
    refused: list[tuple[int, MinivecError]] = []
    for one in checked:
        row = rows.get(one.uuid)
        error = _mode_error(mode, one.uuid, row)
        if error is not None:
            refused.append((one.index, error))
        elif row is None:
            prepared.append(_new(one, config))
        else:
            prepared.append(_changed(one, row, stored.get(row.doc_id, {}), mode, config))
    return prepared, refused


def _mode_error(mode: ImportMode, uuid: str, row: Row | None) -> MinivecError | None:
    if mode == "insert" and row is not None:
        return ObjectExists(f"Object {uuid} is already there.", field="uuid", hint="Use mode upsert to overwrite it.")
    if mode in ("replace", "merge") and row is None:
        return ObjectNotFound(
            f"There is no object {uuid} to {mode}.", field="uuid", hint="Use mode upsert to create it."
        )
    return None


def _new(one: Checked, config: CollectionConfig) -> Prepared:
    prepared = Prepared(one.index, one.uuid, one.properties, _given(one))
    prepared.texts = _texts(prepared, config)
    return prepared


def _changed(
    one: Checked, row: Row, stored: dict[str, VectorRow], mode: ImportMode, config: CollectionConfig
) -> Prepared:
    old = orjson.loads(row.properties)
    merging = mode == "merge"
    properties = _merged(old, one.properties) if merging else one.properties
    prepared = Prepared(one.index, one.uuid, properties, _given(one))
    if merging:
        prepared.expected_version = row.version
    for space in config.vector_spaces:
        kept = stored.get(space.name)
        if kept is None or space.name in prepared.vectors:
            continue
        same_text = text_of(space, config, old) == text_of(space, config, properties)
        if same_text if space.vectorizer != "none" else merging:
            prepared.vectors[space.name] = kept
    prepared.texts = _texts(prepared, config)
    prepared.unchanged = not prepared.texts and old == properties and _same_vectors(prepared.vectors, stored)
    return prepared


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**old, **new}.items() if value is not None}


def _given(one: Checked) -> dict[str, VectorRow]:
    return {name: VectorRow(vector=vector, text_hash=None) for name, vector in one.vectors.items()}


def _texts(prepared: Prepared, config: CollectionConfig) -> dict[str, str]:
    wanted = {}
    for space in config.vector_spaces:
        if space.embeds and space.name not in prepared.vectors:
            text = text_of(space, config, prepared.properties)
            if text:
                wanted[space.name] = text
    return wanted


def _same_vectors(new: dict[str, VectorRow], old: dict[str, VectorRow]) -> bool:
    return new.keys() == old.keys() and all(np.array_equal(new[name].vector, old[name].vector) for name in new)
