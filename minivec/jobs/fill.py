"""Fills a vector space of a living collection from the stored text; what is done stays done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from minivec.errors import MinivecError, VectorSpaceNotFound
from minivec.ingest.embed import with_dimension
from minivec.ingest.text import text_hash, text_of
from minivec.shard import Shard
from minivec.storage.objects import VectorRow, fill_vectors
from minivec.storage.reading import Row, without_vector
from minivec.types.collection import CollectionConfig, VectorSpace
from minivec.vectorizer import Vectorizers

log = logging.getLogger("minivec")

_BATCH = 256

Watch = Callable[[int], None]


@dataclass(slots=True)
class Filled:
    """How many vectors were made, how many texts the model refused, and why the first of them."""

    made: int = 0
    refused: int = 0
    reason: MinivecError | None = None


def fill(shard: Shard, name: str, vectorizers: Vectorizers, watch: Watch = lambda passed: None) -> Filled:
    """Embed every object that has no vector in the space yet.

    `watch` hears after each batch how many objects were passed; what it raises ends the work. May be called again after
    a crash: it goes on where the last one stopped. Raises what the embedder raises, also when it refuses a whole batch,
    and VectorSpaceNotFound when the space is dropped meanwhile.
    """
    filled, last = Filled(), 0
    while True:
        shard.check_open()
        space = _space(shard, name)
        with shard.truth.read() as connection:
            rows = without_vector(connection, space.key, last, _BATCH)
        if not rows:
            break
        last = rows[-1].doc_id
        _store(shard, space, _embed(shard, space, rows, vectorizers, filled))
        watch(len(rows))
    if filled.refused:
        log.warning(
            "%d objects of %s have no vector in space %s: the model refused them", filled.refused, shard.name, name
        )
    return filled


def _space(shard: Shard, name: str) -> VectorSpace:
    space = shard.truth.config.space_named(name)
    if space is None:
        raise VectorSpaceNotFound(f"Vector space {name!r} is not there any more.", field="space")
    return space


def _embed(
    shard: Shard, space: VectorSpace, rows: Sequence[Row], vectorizers: Vectorizers, filled: Filled
) -> list[tuple[int, VectorRow]]:
    config = shard.truth.config
    texts = [(row.doc_id, text_of(space, config, orjson.loads(row.properties))) for row in rows]
    texts = [(doc_id, text) for doc_id, text in texts if text]
    if not texts:
        return []
    result = vectorizers.of(space).embed([text for _, text in texts], input_type="passage", truncate=space.truncate)
    vectors = [
        (doc_id, VectorRow(vector=vector, text_hash=text_hash(text), tokens=note.tokens, cut=note.cut))
        for (doc_id, text), vector, note in zip(texts, result.vectors, result.notes, strict=True)
        if note.error is None
    ]
    first = next((note.error for note in result.notes if note.error is not None), None)
    if first is not None and not vectors and len(texts) > 1:  # it is not the texts: the others would fail as well
        raise first
    filled.reason = filled.reason or first
    filled.refused += len(texts) - len(vectors)
    filled.made += len(vectors)
    return vectors


def _store(shard: Shard, space: VectorSpace, vectors: list[tuple[int, VectorRow]]) -> None:
    if not vectors:
        return

    def learn(config: CollectionConfig) -> CollectionConfig:
        known = config.space_named(space.name)
        return config if known is None else config.with_space(with_dimension(known, vectors[0][1]))

    def work(connection: Connection) -> None:
        shard.truth.change_config(learn, connection)
        fill_vectors(connection, space.key, vectors)

    shard.truth.write(work)
    shard.catch_up()
