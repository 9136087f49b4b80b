"""The handle a user holds. Each method hands on to the way in, the way out or a job in a line or two."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from minivec.definition import check_property, check_space, with_property, with_space
from minivec.errors import ImportFailed, InvalidInput, MinivecError, ObjectNotFound, ReadOnly, by_code
from minivec.ingest.check import as_draft
from minivec.ingest.pipeline import Ingest, check_mode
from minivec.ingest.values import read_uuid
from minivec.jobs.fill import fill
from minivec.jobs.reembed import NewModel, reembed, switch_back
from minivec.progress import Progress, telling, total_of
from minivec.search.answer import chosen
from minivec.search.check import check_names, space_of
from minivec.search.pipeline import search
from minivec.shard import Shard
from minivec.storage.filters import matching
from minivec.storage.objects import VectorRow, delete_objects
from minivec.storage.reading import Row, count, get_by_uuid, page, uuids_of
from minivec.storage.spaces import drop_vectors, rows_by_space
from minivec.types.answer import Answer
from minivec.types.collection import CollectionConfig, CollectionInfo, Property, Vectorizer, VectorSpace
from minivec.types.display import failures
from minivec.types.filter import Filter
from minivec.types.object import (
    DeleteReport,
    Draft,
    ImportMode,
    ImportReport,
    ObjectPage,
    Outcome,
    StoredObject,
    Vector,
)
from minivec.types.query import Cutoff, Fusion, Hybrid, Keyword, NearObject, NearText, NearVector, Paging, Query, Rerank
from minivec.types.reembed import Reembedded
from minivec.vectorizer import Vectorizers

_DELETE_BATCH = 1_000
_MOST_PER_PAGE = 1_000


class Collection:
    """Objects of one kind: import, read, search, delete. Every method may be called from any thread."""

    def __init__(self, shard: Shard, vectorizers: Vectorizers) -> None:
        self._shard = shard
        self._vectorizers = vectorizers

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._shard.name

    # ------------------------------------------------------------------ definition

    def describe(self) -> CollectionInfo:
        """The definition, the number of objects, and how far each index is."""
        with self._shard.using() as shard:
            return shard.info()

    def count(self) -> int:
        """How many objects it holds."""
        with self._shard.using() as shard, shard.truth.read() as connection:
            return count(connection)

    def update(self, *, description: str | None = None) -> CollectionConfig:
        """Change what may be changed. Raises ReadOnly."""
        with self._shard.using() as shard:
            return shard.change(
                lambda config: config if description is None else replace(config, description=description)
            )

    def add_property(self, prop: Property) -> CollectionConfig:
        """Add a property. Adding the same again changes nothing. Raises InvalidInput, Conflict, ReadOnly."""
        check_property(prop, "property")
        with self._shard.using() as shard:
            return shard.change(lambda config: with_property(config, prop))

    def add_vector_space(self, space: VectorSpace) -> CollectionConfig:
        """Add a vector space and fill it from the stored text; called again, it fills what is still missing.

        Raises InvalidInput, Conflict, ReadOnly, and what the embedder raises.
        """
        with self._shard.using() as shard:
            check_space(space, shard.truth.config, "space")
            settled = self._vectorizers.settle(space)
            shard.change(lambda config: with_space(config, settled))
            if settled.embeds:
                fill(shard, settled.name, self._vectorizers)
            return shard.truth.config

    def drop_vector_space(self, space: str) -> CollectionConfig:
        """Delete a vector space with its vectors and its index. Raises VectorSpaceNotFound, ReadOnly."""
        with self._shard.using() as shard:
            found = space_of(shard.truth.config, space)

            def work(connection: Connection) -> None:
                shard.truth.change_config(lambda config: config.without_space(found.name), connection)
                drop_vectors(connection, found)

            shard.truth.write(work)
            return shard.change(lambda config: config)

    def reembed(
        self,
        space: str | None = None,
        *,
        vectorizer: Vectorizer | None = None,
        model: str | None = None,
        base_url: str | None = None,
        dimension: int | None = None,
        skip_refused: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Make a space's vectors anew from the stored text with another model, while the old ones go on answering.

        At the end the space's name means the new vectors; the old are kept (`kept_as`), and `switch_back` brings them
        back. The same call goes on where an interrupted one stopped. `progress` as for `import_objects`.
        Raises InvalidInput, Conflict, EmbeddingFailed when texts were refused (unless `skip_refused`), ReadOnly, and what
        the embedder raises.
        """
        new = NewModel(vectorizer=vectorizer, model=model, base_url=base_url, dimension=dimension)
        with self._shard.using() as shard, telling(progress) as tell:
            known = space_of(shard.truth.config, space)
            check_space(new.of(known), shard.truth.config, "space")
            return reembed(shard, self._vectorizers, known, new, tell, skip_refused=skip_refused)

    def switch_back(
        self,
        space: str | None = None,
        *,
        to: str | None = None,
        skip_refused: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Undo a reembed: the name goes back to the space kept last, or to the one named, the newer one is kept.

        What was imported since is embedded by the old model first. Raises what `reembed` does.
        """
        with self._shard.using() as shard, telling(progress) as tell:
            known = space_of(shard.truth.config, space)
            return switch_back(shard, self._vectorizers, known, to, tell, skip_refused=skip_refused)

    # ------------------------------------------------------------------ the way in

    def ingest(
        self,
        drafts: Sequence[Draft | Mapping[str, Any]],
        *,
        mode: ImportMode = "upsert",
        id_from: Sequence[str] | None = None,
        offset: int = 0,
    ) -> list[Outcome]:
        """Store one batch durably; one outcome per object, in order. Never raises for a bad object.

        Raises InvalidInput for a bad mode, ReadOnly, Closed.
        """
        check_mode(mode)
        with self._shard.using() as shard:
            if shard.read_only:
                raise ReadOnly("The database was opened read-only.", hint="Open it without read_only to write.")
            return Ingest(shard, self._vectorizers, mode, id_from).run(drafts, offset)

    def import_objects(
        self,
        objects: Iterable[Draft | Mapping[str, Any]],
        *,
        mode: ImportMode = "upsert",
        id_from: Sequence[str] | None = None,
        batch_size: int = 256,
        progress: Progress | None = None,
        raise_on_failure: bool = True,
    ) -> ImportReport:
        """Store any number of objects, batch by batch. `progress`: True for a line on stderr, or a function of (done, total).

        Raises ImportFailed at the end when some were not stored, unless told not to; its `report` has every outcome.
        """
        started = time.perf_counter()
        total = total_of(objects)
        outcomes: list[Outcome] = []
        waiting = iter(objects)
        with telling(progress) as tell:
            while batch := list(islice(waiting, max(1, batch_size))):
                outcomes += self.ingest(batch, mode=mode, id_from=id_from, offset=len(outcomes))
                tell(len(outcomes), total)
        report = ImportReport(outcomes=tuple(outcomes), seconds=time.perf_counter() - started)
        if report.failed and raise_on_failure:
            raise ImportFailed(
                failures(report), hint="Every outcome is in `report.failed` of this error.", report=report
            )
        return report

    def insert(
        self, properties: Mapping[str, Any], *, uuid: str | None = None, vectors: Mapping[str, Vector] | None = None
    ) -> Outcome:
        """Store a new object. Raises ObjectExists, InvalidInput and whatever else refuses it."""
        return self._store_one(Draft(properties=properties, uuid=uuid, vectors=vectors or {}), "insert")

    def upsert(
        self, uuid: str, properties: Mapping[str, Any], *, vectors: Mapping[str, Vector] | None = None
    ) -> Outcome:
        """Store an object under this uuid, whether it is there or not. Raises InvalidInput and whatever else refuses it."""
        return self._store_one(Draft(properties=properties, uuid=uuid, vectors=vectors or {}), "upsert")

    def replace(
        self, uuid: str, properties: Mapping[str, Any], *, vectors: Mapping[str, Vector] | None = None
    ) -> Outcome:
        """Put an object in the place of a stored one. Raises ObjectNotFound and whatever else refuses it."""
        return self._store_one(Draft(properties=properties, uuid=uuid, vectors=vectors or {}), "replace")

    def merge(
        self, uuid: str, properties: Mapping[str, Any], *, vectors: Mapping[str, Vector] | None = None
    ) -> Outcome:
        """Change some properties of a stored object; None removes one. Raises ObjectNotFound and whatever else refuses it."""
        return self._store_one(Draft(properties=properties, uuid=uuid, vectors=vectors or {}), "merge")

    def delete(self, uuid: str) -> bool:
        """Delete an object; whether it was there. Raises InvalidInput, ReadOnly."""
        return self._delete([read_uuid(uuid, "uuid")])[0]

    def delete_where(self, where: Filter, *, dry_run: bool = False) -> DeleteReport:
        """Delete every object the filter matches now. Raises InvalidInput, ReadOnly."""
        matched = last = 0
        with self._shard.using() as shard:
            while found := self._delete_batch(shard, where, last, dry_run=dry_run):
                matched, last = matched + len(found), found[-1]
            if matched and not dry_run:
                shard.catch_up()
        return DeleteReport(matched=matched, deleted=0 if dry_run else matched)

    # ------------------------------------------------------------------ reading

    def get(self, uuid: str, *, vectors: Sequence[str] = ()) -> StoredObject:
        """One object. Raises ObjectNotFound, InvalidInput."""
        canonical = read_uuid(uuid, "uuid")
        with self._shard.using() as shard:
            spaces = _spaces(shard.truth.config, vectors)
            with shard.truth.read() as connection:
                row = get_by_uuid(connection, [canonical]).get(canonical)
                if row is None:
                    raise ObjectNotFound(f"There is no object {canonical}.", field="uuid")
                found = rows_by_space(connection, [row.doc_id], spaces)
        return _stored(row, None, found.get(row.doc_id, {}))

    def list_objects(
        self,
        *,
        limit: int = 100,
        cursor: str | None = None,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str] = (),
    ) -> ObjectPage:
        """Objects in the order of their last write; go on with the page's cursor. Raises InvalidInput."""
        after = _read_cursor(cursor)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= _MOST_PER_PAGE:
            raise InvalidInput(
                f"limit is {limit!r}.", field="limit", hint=f"A whole number from 1 to {_MOST_PER_PAGE}."
            )
        with self._shard.using() as shard:
            config = shard.truth.config
            check_names(properties or (), [p.name for p in config.properties], "properties", "property")
            spaces = _spaces(config, vectors)
            with shard.truth.read() as connection:
                rows = page(connection, after, limit + 1)
                found = rows_by_space(connection, [row.doc_id for row in rows], spaces)
        more = len(rows) > limit
        objects = tuple(_stored(row, properties, found.get(row.doc_id, {})) for row in rows[:limit])
        return ObjectPage(objects=objects, cursor=f"1:{rows[limit - 1].doc_id}" if more else None)

    # ------------------------------------------------------------------ the way out

    def search(self, query: Query) -> Answer:
        """Answer a query given as data. Raises InvalidInput, LimitExceeded, NotFound errors, and what the embedder raises."""
        with self._shard.using() as shard:
            return search(shard, query, self._vectorizers)

    def near_text(
        self,
        text: str,
        *,
        space: str | None = None,
        distance: float | None = None,
        certainty: float | None = None,
        limit: int = 10,
        offset: int = 0,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str] = (),
        rerank: Rerank | None = None,
    ) -> Answer:
        """Objects whose meaning is near that of the text. `rerank` puts the first of them in order anew, as in every search."""
        paging = _paging(limit, offset, properties, vectors)
        cutoff = Cutoff(distance=distance, certainty=certainty)
        return self.search(NearText(text=text, space=space, cutoff=cutoff, paging=paging, rerank=rerank))

    def near_vector(
        self,
        vector: Vector,
        *,
        space: str | None = None,
        distance: float | None = None,
        certainty: float | None = None,
        limit: int = 10,
        offset: int = 0,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str] = (),
        rerank: Rerank | None = None,
    ) -> Answer:
        """Objects whose vectors are near this one."""
        paging = _paging(limit, offset, properties, vectors)
        cutoff = Cutoff(distance=distance, certainty=certainty)
        return self.search(NearVector(vector=vector, space=space, cutoff=cutoff, paging=paging, rerank=rerank))

    def near_object(
        self,
        uuid: str,
        *,
        space: str | None = None,
        distance: float | None = None,
        certainty: float | None = None,
        limit: int = 10,
        offset: int = 0,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str] = (),
        rerank: Rerank | None = None,
    ) -> Answer:
        """Objects whose vectors are near that of a stored object; the object itself comes first."""
        paging = _paging(limit, offset, properties, vectors)
        cutoff = Cutoff(distance=distance, certainty=certainty)
        return self.search(NearObject(uuid=uuid, space=space, cutoff=cutoff, paging=paging, rerank=rerank))

    def keyword(
        self,
        text: str,
        *,
        query_properties: Sequence[str] | None = None,
        limit: int = 10,
        offset: int = 0,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str] = (),
        rerank: Rerank | None = None,
    ) -> Answer:
        """Objects that hold the words, ranked by BM25F; `query_properties` may carry boosts: `["title^2", "text"]`."""
        names = None if query_properties is None else tuple(query_properties)
        paging = _paging(limit, offset, properties, vectors)
        return self.search(Keyword(text=text, query_properties=names, paging=paging, rerank=rerank))

    def hybrid(
        self,
        text: str,
        *,
        alpha: float = 0.5,
        fusion: Fusion = "relative-score",
        vector: Vector | None = None,
        space: str | None = None,
        query_properties: Sequence[str] | None = None,
        max_vector_distance: float | None = None,
        limit: int = 10,
        offset: int = 0,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str] = (),
        rerank: Rerank | None = None,
    ) -> Answer:
        """Keyword and vector search fused; `alpha` is the weight of the vectors, 1 - alpha that of the words."""
        return self.search(
            Hybrid(
                text=text,
                alpha=alpha,
                fusion=fusion,
                vector=vector,
                space=space,
                query_properties=None if query_properties is None else tuple(query_properties),
                max_vector_distance=max_vector_distance,
                paging=_paging(limit, offset, properties, vectors),
                rerank=rerank,
            )
        )

    # ------------------------------------------------------------------ inside

    def _store_one(self, draft: Draft, mode: ImportMode) -> Outcome:
        outcome = self.ingest([as_draft(draft, self._shard.truth.config)], mode=mode)[0]
        if not outcome.stored:
            raise error_of(outcome)
        return outcome

    def _delete(self, uuids: Sequence[str]) -> list[bool]:
        with self._shard.using() as shard:
            deleted = shard.truth.write(lambda connection: delete_objects(connection, uuids))
            shard.catch_up()
            return deleted

    @staticmethod
    def _delete_batch(shard: Shard, where: Filter, after: int, *, dry_run: bool) -> list[int]:
        """Match and delete in one transaction, so that no object is deleted that has just ceased to match."""

        def work(connection: Connection) -> list[int]:
            found = matching(connection, where, shard.truth.config, after, _DELETE_BATCH)
            if not dry_run:
                delete_objects(connection, list(uuids_of(connection, found).values()))
            return found

        if dry_run:
            with shard.truth.read() as connection:
                return work(connection)
        return shard.truth.write(work)


def error_of(outcome: Outcome) -> MinivecError:
    """The error that refused an object, raised again as itself."""
    return by_code().get(outcome.code, MinivecError)(outcome.reason, hint=outcome.hint, field=outcome.field)


def _spaces(config: CollectionConfig, names: Sequence[str]) -> list[VectorSpace]:
    check_names(names, [space.name for space in config.vector_spaces], "vectors", "vector space")
    return [space for space in config.vector_spaces if space.name in names]


def _paging(limit: int, offset: int, properties: Sequence[str] | None, vectors: Sequence[str]) -> Paging:
    names = None if properties is None else tuple(properties)
    return Paging(limit=limit, offset=offset, properties=names, vectors=tuple(vectors))


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    shard, _, doc_id = str(cursor).partition(":")
    if shard != "1" or not doc_id.isascii() or not doc_id.isdigit() or len(doc_id) > 18:
        raise InvalidInput(f"{cursor!r} is not a cursor.", field="cursor", hint="Use the one of the page before.")
    return int(doc_id)


def _stored(row: Row, names: Sequence[str] | None, vectors: Mapping[str, VectorRow]) -> StoredObject:
    return StoredObject(
        uuid=row.uuid,
        properties=chosen(row.properties, names),
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
        version=row.version,
        vectors={name: vector.vector.tolist() for name, vector in vectors.items()},
    )


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC)
