"""The texts that need it through the space's own model; one bad text costs only its own object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minivec.errors import MinivecError
from minivec.ingest.compare import Prepared
from minivec.ingest.text import text_hash
from minivec.storage.objects import VectorRow
from minivec.types.collection import CollectionConfig, VectorSpace
from minivec.types.object import TokenNote
from minivec.vectorizer import Vectorizers

Failures = list[tuple[int, MinivecError]]


def embed(
    prepared: Sequence[Prepared], config: CollectionConfig, vectorizers: Vectorizers
) -> tuple[Failures, CollectionConfig]:
    """Fill in the missing vectors of all objects, space by space.

    Returns the objects that got none and why, and the definition with the dimensions that the first vectors taught.
    """
    failed: dict[int, MinivecError] = {}
    for space in config.vector_spaces:
        waiting = [one for one in prepared if space.name in one.texts and one.index not in failed]
        if waiting:
            failed.update(_embed_space(space, waiting, vectorizers))
        made = next((one.vectors[space.name] for one in waiting if space.name in one.vectors), None)
        if made is not None:
            config = config.with_space(with_dimension(space, made))
    return list(failed.items()), config


def with_dimension(space: VectorSpace, row: VectorRow) -> VectorSpace:
    """The space with its dimension filled in from one of its vectors, where it was not known."""
    return space if space.dimension is not None else replace(space, dimension=len(row.vector))


def token_notes(one: Prepared) -> tuple[TokenNote, ...]:
    """What the models saw of an object's texts in this import."""
    return tuple(
        TokenNote(space=name, tokens=row.tokens, cut=row.cut) for name, row in one.vectors.items() if name in one.texts
    )


def _embed_space(space: VectorSpace, waiting: list[Prepared], vectorizers: Vectorizers) -> Failures:
    texts = list(dict.fromkeys(one.texts[space.name] for one in waiting))  # the same text is embedded once
    try:
        result = vectorizers.of(space).embed(texts, input_type="passage", truncate=space.truncate)
    except MinivecError as error:
        return [(one.index, error) for one in waiting]
    place = {text: position for position, text in enumerate(texts)}
    failures: Failures = []
    for one in waiting:
        position = place[one.texts[space.name]]
        note = result.notes[position]
        if note.error is not None:
            failures.append((one.index, note.error))
        else:
            one.vectors[space.name] = VectorRow(
                vector=result.vectors[position],
                text_hash=text_hash(one.texts[space.name]),
                tokens=note.tokens,
                cut=note.cut,
            )
    return failures
