"""Fills a vector space that was added to a living collection from the stored text; what is done stays done."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import orjson
from sqlalchemy import Connection

from minivec.ingest.text import text_hash, text_of
from minivec.shard import Shard
from minivec.storage.objects import VectorRow, fill_vectors
from minivec.storage.reading import Row, without_vector
from minivec.types.collection import VectorSpace
from minivec.vectorizer import Vectorizers

log = logging.getLogger("minivec")

_BATCH = 256


def fill(shard: Shard, space: VectorSpace, vectorizers: Vectorizers) -> int:
    """Embed every object that has no vector in the space yet; returns how many texts the model refused.

    May be called again after a crash: it goes on where the last one stopped. Raises what the embedder raises.
    """
    refused, last = 0, 0
    while True:
        with shard.truth.read() as connection:
            rows = without_vector(connection, space.name, last, _BATCH)
        if not rows:
            break
        last = rows[-1].doc_id
        vectors, bad = _embed(shard, space, rows, vectorizers)
        refused += bad
        _store(shard, space, vectors)
    if refused:
        log.warning(
            "%d objects of %s have no vector in space %s: the model refused them", refused, shard.name, space.name
        )
    return refused


def _embed(
    shard: Shard, space: VectorSpace, rows: Sequence[Row], vectorizers: Vectorizers
) -> tuple[list[tuple[int, VectorRow]], int]:
    config = shard.truth.config
    texts = [(row.doc_id, text_of(space, config, orjson.loads(row.properties))) for row in rows]
    texts = [(doc_id, text) for doc_id, text in texts if text]
    if not texts:
        return [], 0
    result = vectorizers.of(space).embed([text for _, text in texts], input_type="passage", truncate=space.truncate)
    vectors = [
        (doc_id, VectorRow(vector=vector, text_hash=text_hash(text), tokens=note.tokens, cut=note.cut))
        for (doc_id, text), vector, note in zip(texts, result.vectors, result.notes, strict=True)
        if note.error is None
    ]
    return vectors, len(texts) - len(vectors)


def _store(shard: Shard, space: VectorSpace, vectors: list[tuple[int, VectorRow]]) -> None:
    def work(connection: Connection) -> list[int]:
        return fill_vectors(connection, space.name, vectors)

    if vectors:
        shard.truth.write(work)
        shard.catch_up()
