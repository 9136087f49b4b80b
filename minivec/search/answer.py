"""Fetches the objects of the ranking once, in order, and makes the hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from minivec.search.fuse import Ranked
from minivec.shard import Shard
from minivec.storage.reading import Row, get_objects
from minivec.storage.spaces import rows_by_space
from minivec.types.answer import Hit
from minivec.types.collection import VectorSpace
from minivec.types.object import Vector
from minivec.types.query import Paging


def hits(shard: Shard, ranking: Sequence[Ranked], paging: Paging, space: VectorSpace | None) -> list[Hit] | None:
    """The hits of the asked-for page; None when an object changed since the indexes were asked, so ask again.

    `space` is the one whose distance made the ranking alone; None for keyword and hybrid.
    """
    page = ranking[paging.offset : paging.offset + paging.limit]
    doc_ids = [one.doc_id for one in page]
    with shard.truth.read() as connection:
        rows = get_objects(connection, doc_ids)
        wanted = [space for name in paging.vectors if (space := shard.truth.config.space_named(name))]
        vectors = rows_by_space(connection, doc_ids, wanted)
    if len(rows) < len(set(doc_ids)):
        return None
    return [
        _hit(
            one,
            rows[one.doc_id],
            paging,
            space,
            {name: row.vector.tolist() for name, row in vectors.get(one.doc_id, {}).items()},
        )
        for one in page
    ]


def chosen(document: bytes, names: Sequence[str] | None) -> dict[str, Any]:
    """The properties of a stored document, all or only the named ones."""
    properties: dict[str, Any] = orjson.loads(document)
    if names is None:
        return properties
    return {name: properties[name] for name in names if name in properties}


def _hit(one: Ranked, row: Row, paging: Paging, space: VectorSpace | None, vectors: Mapping[str, Vector]) -> Hit:
    distance = one.parts[0].raw if space is not None else None
    certain = distance is not None and space is not None and space.distance == "cosine"
    return Hit(
        uuid=row.uuid,
        score=one.score,
        properties=chosen(row.properties, paging.properties),
        distance=distance,
        certainty=1.0 - distance / 2 if certain and distance is not None else None,
        parts=one.parts,
        vectors=vectors,
    )
