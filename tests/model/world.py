"""A database and its plain model side by side: random operations done to both, and everything compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import minivec
from minivec.collection import Collection
from minivec.database import Database
from minivec.embedding.engine import Engine
from minivec.errors import ObjectNotFound
from minivec.settings import Settings
from minivec.types.answer import Answer
from minivec.types.collection import BUNDLED_MODEL, Property, VectorSpace
from minivec.types.filter import And, Equal, Filter
from minivec.types.object import Draft, Outcome, StoredObject
from tests.crash.damage import keep_copies, spoil_some
from tests.model.plain import PlainCollection

NAME = "World"
DIMENSION = 12
OBJECTS = 45
MOST = 1_000
WORDS = (
    *("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "islet", "jetty"),
    *("knoll", "lagoon", "mesa", "nook", "oasis", "pine", "quay", "reef"),
)
TAGS = ("red", "green", "blue")
CLOSE = 1e-4  # float32 against float64

SPACES = (
    VectorSpace(name="exact", vectorizer="none", index="flat", distance="cosine", dimension=DIMENSION),
    VectorSpace(name="graph", vectorizer="none", index="hnsw", distance="l2-squared"),
    VectorSpace(name="bits", vectorizer="none", index="binary", distance="cosine", dimension=DIMENSION),
    VectorSpace(name="signs", vectorizer="none", index="flat", distance="hamming"),
    VectorSpace(name="meaning", index="flat", source_properties=("title", "body")),
)
LATER = (
    VectorSpace(name="later", index="hnsw", distance="dot", source_properties=("title", "body")),
    VectorSpace(name="last", vectorizer="none", index="flat", distance="dot"),
)


class World:
    """`operations` change both sides; `compare` asks the real one for everything the plain one knows."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.database = self._open()
        self.reader: Database | None = None
        self.created: dict[tuple[str, int], datetime] = {}
        self.extra = 0
        self._make()

    @property
    def collection(self) -> Collection:
        """The handle under test."""
        return self.database.collection(NAME)

    def close(self) -> None:
        """Close what is open."""
        self._close_reader()
        self.database.close()

    def step(self) -> str:
        """One random operation; its name."""
        weights: Mapping[Callable[[], None], int] = {
            self.import_batch: 12,
            self.write_one: 12,
            self.delete_one: 5,
            self.delete_by_filter: 2,
            self.add_property: 1,
            self.add_space: 1,
            self.reopen: 2,
            self.read_beside: 2,
            self.start_anew: 1 if self.random.random() < 0.1 else 0,
        }
        (operation,) = self.random.choices(list(weights), list(weights.values()))
        operation()
        return operation.__name__

    # ------------------------------------------------------------------ operations

    def import_batch(self) -> None:
        """Several drafts, some of one uuid, some that cannot be stored."""
        mode: Any = self.random.choice(("upsert", "upsert", "insert", "replace", "merge"))
        drafts = [self._draft() for _ in range(self.random.randint(1, 15))]
        spoilt = [self._spoil(draft) if self.random.random() < 0.08 else None for draft in drafts]
        sent = [draft if bad is None else bad for draft, bad in zip(drafts, spoilt, strict=True)]
        expected = [
            self.plain.store(draft, mode) if bad is None else ("refused", "invalid_input")
            for draft, bad in zip(drafts, spoilt, strict=True)
        ]
        size = self.random.choice((2, 7, 256))
        report = self.collection.import_objects(sent, mode=mode, batch_size=size, raise_on_failure=False)
        assert [(one.status, one.code) for one in report.outcomes] == expected
        assert [one.index for one in report.outcomes] == list(range(len(sent)))

    def write_one(self) -> None:
        """One draft through the method of its mode."""
        mode = self.random.choice(("insert", "upsert", "replace", "merge"))
        draft = self._draft()
        status, code = self.plain.store(draft, mode)
        try:
            outcome: Outcome = self._send(draft, mode)
            assert (outcome.status, outcome.uuid) == (status, draft.uuid)
        except minivec.MinivecError as error:
            assert (status, error.code) == ("refused", code)

    def delete_one(self) -> None:
        """By id, there or not."""
        uuid = self._uuid()
        assert self.collection.delete(uuid) == self.plain.delete(uuid)

    def delete_by_filter(self) -> None:
        """By equality on one property or two; first in a dry run."""
        wanted: dict[str, Any] = {"tag": self.random.choice(TAGS), "size": self.random.randrange(4)}
        if self.random.random() < 0.5:
            del wanted["tag"]
        parts = tuple(Equal(name, value) for name, value in wanted.items())
        where: Filter = parts[0] if len(parts) == 1 else And(parts)
        matching = self.plain.matching(wanted)
        dry = self.collection.delete_where(where, dry_run=True)
        assert (dry.matched, dry.deleted) == (len(matching), 0)
        done = self.collection.delete_where(where)
        assert (done.matched, done.deleted) == (len(matching), len(matching))
        for uuid in matching:
            self.plain.delete(uuid)

    def add_property(self) -> None:
        """A text property that later drafts may have."""
        self.extra += 1
        self.collection.add_property(Property(name=f"extra{self.extra}"))

    def add_space(self) -> None:
        """A space more, filled from what is stored."""
        added = [space for space in LATER if space.name not in {known.name for known in self.plain.spaces}]
        if added:
            self.collection.add_vector_space(added[0])
            self.plain.add_space(added[0])

    def reopen(self) -> None:
        """Close and open again, now and then with spoilt snapshots."""
        self.close()
        spoilt = self.random.random() < 0.6 and spoil_some(self.folder, self.random)
        if not spoilt or self.random.random() < 0.5:
            keep_copies(self.folder)
        self.database = self._open()

    def read_beside(self) -> None:
        """Open a second time, for reading only; it stays open and is compared as well."""
        self._close_reader()
        self.reader = minivec.open(self.folder, read_only=True, embedders=Engine.fake(DIMENSION))

    def start_anew(self) -> None:
        """Drop the collection and make it again."""
        self._close_reader()
        self.database.drop_collection(NAME)
        self._make()

    # ------------------------------------------------------------------ comparison

    def compare(self) -> None:
        """Everything, through the writer and through the reader beside it."""
        self.compare_through(self.collection)
        if self.reader is not None:
            self.compare_through(self.reader.collection(NAME))

    def compare_through(self, collection: Collection) -> None:
        """Values, counts, lists, and every kind of search."""
        self._compare_values(collection)
        self._compare_words(collection)
        for space in self.plain.spaces:
            self._compare_vectors(collection, space)
            self._compare_hybrid(collection, space)

    def _compare_values(self, collection: Collection) -> None:
        assert collection.count() == len(self.plain.objects)
        names = [space.name for space in self.plain.spaces]
        listed = self._list(collection, names)
        assert [one.uuid for one in listed] == list(self.plain.objects)
        for one in listed:
            plain = self.plain.objects[one.uuid]
            assert dict(one.properties) == plain.properties
            assert one.version == plain.version
            assert {name: list(vector) for name, vector in one.vectors.items()} == {
                name: vector.tolist() for name, vector in plain.vectors.items()
            }
            assert one.created_at <= one.updated_at
            assert one.created_at == self.created.setdefault((one.uuid, plain.born), one.created_at)
            assert collection.get(one.uuid, vectors=names) == one
        for uuid in {self._uuid() for _ in range(5)} - set(self.plain.objects):
            with pytest.raises(ObjectNotFound):
                collection.get(uuid)
        for index in collection.describe().indexes:
            space = index.name.removeprefix("vector:")
            if index.ready and space in names:
                assert index.count == sum(space in one.vectors for one in self.plain.objects.values())

    def _list(self, collection: Collection, vectors: Sequence[str]) -> list[StoredObject]:
        found: list[StoredObject] = []
        cursor = None
        while True:
            page = collection.list_objects(limit=17, cursor=cursor, vectors=vectors)
            found += page.objects
            cursor = page.cursor
            if cursor is None:
                return found

    def _compare_words(self, collection: Collection) -> None:
        for word in self.random.sample(WORDS, 4):
            answer = collection.keyword(word, limit=MOST)
            assert uuids(answer) == sorted(self.plain.with_word(word))
            self._compare_hits(answer)
        pair = self.random.sample(WORDS, 2)
        either = self.plain.with_word(pair[0]) | self.plain.with_word(pair[1])
        assert uuids(collection.keyword(" ".join(pair), limit=MOST)) == sorted(either)

    def _compare_vectors(self, collection: Collection, space: VectorSpace) -> None:
        query = self._vector()
        limit = self.random.choice((1, 5, 50))
        plain = self.plain.distances(space, query)
        answer = collection.near_vector(query, space=space.name, limit=limit, vectors=[space.name])
        self._compare_nearest(answer, plain, limit)
        for hit in answer.hits:  # text and vector are of one version
            assert list(hit.vectors[space.name]) == self.plain.objects[hit.uuid].vectors[space.name].tolist()
        if space.vectorizer == "local":
            text = " ".join(self.random.sample(WORDS, 2))
            near = self.plain.distances(space, self.plain.embed(text).tolist())
            self._compare_nearest(collection.near_text(text, space=space.name, limit=limit), near, limit)
        if plain:
            uuid = self.random.choice(sorted(plain))
            own = self.plain.objects[uuid].vectors[space.name]
            around = self.plain.distances(space, own.tolist())
            self._compare_nearest(collection.near_object(uuid, space=space.name, limit=limit), around, limit)

    def _compare_nearest(self, answer: Answer, plain: Mapping[str, float], limit: int) -> None:
        assert [hit.distance for hit in answer.hits] == pytest.approx(
            sorted(plain.values())[:limit], rel=CLOSE, abs=CLOSE
        )
        for hit in answer.hits:
            assert hit.distance == pytest.approx(plain[hit.uuid], rel=CLOSE, abs=CLOSE)
        self._compare_hits(answer)

    def _compare_hybrid(self, collection: Collection, space: VectorSpace) -> None:
        word, query = self.random.choice(WORDS), self._vector()
        fusion: Any = self.random.choice(("relative-score", "ranked"))
        answer = collection.hybrid(word, vector=query, space=space.name, fusion=fusion, limit=MOST)
        assert uuids(answer) == sorted(self.plain.with_word(word) | set(self.plain.distances(space, query)))
        self._compare_hits(answer)

    def _compare_hits(self, answer: Answer) -> None:
        """Best first, the parts of a score add up, and each hit carries the object as it is now."""
        scores = [hit.score for hit in answer.hits]
        assert all(better >= worse - 1e-6 for better, worse in pairwise(scores))
        assert len({hit.uuid for hit in answer.hits}) == len(answer.hits)
        for hit in answer.hits:
            assert hit.score == pytest.approx(sum(part.contribution for part in hit.parts))
            assert dict(hit.properties) == self.plain.objects[hit.uuid].properties
            for part in hit.parts:
                assert part.contribution == pytest.approx(part.weight * part.normalised)
                if part.source == "keyword":
                    assert part.raw == pytest.approx(sum(term.contribution for term in part.terms), rel=1e-5)

    # ------------------------------------------------------------------ inside

    def _open(self) -> Database:
        settings = Settings(durability="relaxed")
        return minivec.open(self.folder, settings=settings, embedders=Engine.fake(DIMENSION))

    def _make(self) -> None:
        properties = [
            Property(name="title"),
            Property(name="tag", tokenization="field"),
            Property(name="size", data_type="int"),
        ]
        self.database.create_collection(NAME, properties=properties, vector_spaces=SPACES)
        embedder = Engine.fake(DIMENSION).embedder(BUNDLED_MODEL)

        def embed(text: str) -> Any:
            return embedder.embed([text], input_type="passage", truncate="end").vectors[0]

        self.plain = PlainCollection(list(SPACES), embed)
        self.created.clear()

    def _close_reader(self) -> None:
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def _send(self, draft: Draft, mode: str) -> Outcome:
        collection, uuid = self.collection, str(draft.uuid)
        if mode == "insert":
            return collection.insert(draft.properties, uuid=uuid, vectors=draft.vectors)
        method: Callable[..., Outcome] = getattr(collection, mode)
        return method(uuid, draft.properties, vectors=draft.vectors)

    def _draft(self) -> Draft:
        properties: dict[str, Any] = {}
        for name in ("title", "body", "tag", "size", *(f"extra{number + 1}" for number in range(self.extra))):
            if self.random.random() < 0.7:
                properties[name] = self._value(name)
        spaces = [
            space.name for space in self.plain.spaces if space.vectorizer == "none" and self.random.random() < 0.7
        ]
        if self.random.random() < 0.1:
            spaces.append("meaning")
        return Draft(uuid=self._uuid(), properties=properties, vectors={name: self._vector() for name in spaces})

    def _value(self, name: str) -> Any:
        if self.random.random() < 0.1:
            return None
        if name == "size":
            return self.random.randrange(4)
        if name == "tag":
            return self.random.choice(TAGS)
        return " ".join(self.random.choices(WORDS, k=self.random.randint(0, 4)))

    def _spoil(self, draft: Draft) -> Draft:
        """The same draft with something that cannot be stored."""
        harms: Iterable[Callable[[], Draft]] = (
            lambda: Draft(uuid=draft.uuid, properties={**draft.properties, "size": "many"}),
            lambda: Draft(uuid=draft.uuid, properties={**draft.properties, "title": "a\0b"}),
            lambda: Draft(uuid=draft.uuid, vectors={"exact": [1.0] * (DIMENSION - 1)}),
            lambda: Draft(uuid=draft.uuid, vectors={"bits": [float("nan")] * DIMENSION}),
            lambda: Draft(uuid="no uuid", properties=draft.properties),
        )
        return self.random.choice(list(harms))()

    def _uuid(self) -> str:
        return str(UUID(int=self.random.randrange(OBJECTS) + (4 << 76) + (8 << 60)))

    def _vector(self) -> list[float]:
        found: list[float] = self.numbers.standard_normal(DIMENSION).astype(np.float32).tolist()
        return found


def uuids(answer: Answer) -> list[str]:
    """The objects found, in the order of their uuids."""
    return sorted(hit.uuid for hit in answer.hits)
