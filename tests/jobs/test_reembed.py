"""Vectors made anew while life goes on: whatever happens meanwhile, a space answers by exactly one model."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from minivec import Draft, VectorSpace
from minivec.collection import Collection
from minivec.database import Database, open_database
from minivec.errors import (
    Conflict,
    EmbeddingFailed,
    FingerprintMismatch,
    InvalidInput,
    MinivecError,
    ReadOnly,
    VectorSpaceNotFound,
)
from minivec.storage.changes import cursors
from minivec.storage.vectors import count_vectors
from tests.embedders import Counting, Few
from tests.storage.children import child, line_from

MODELS = ("old", "new", "newer")
WORDS = ["bees", "dance", "talk", "ships", "sail", "sea", "ants", "honey", "deep", "scent", "wing"]


class Stop(Exception):
    """Thrown by a progress function: the caller's way to cancel."""


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def text_of(number: int, edition: int = 0) -> str:
    chance = random.Random(number * 1000 + edition)
    return " ".join(chance.choices(WORDS, k=5)) + f" {number}"


def fill(database: Database, count: int = 600, **space: Any) -> Collection:
    notes = database.create_collection("Notes", vector_spaces=[VectorSpace(model="old", **space)])
    notes.import_objects([Draft(properties={"text": text_of(n)}, uuid=uuid_of(n)) for n in range(count)])
    return notes


def vectors_by(model: str, texts: list[str]) -> np.ndarray[Any, Any]:
    engine = Few(*MODELS)
    found = engine.embedder(model).embed(texts, input_type="passage", truncate="end").vectors
    engine.close()
    return found


def assert_made_by(notes: Collection, model: str, space: str = "default") -> None:
    """Every object's vector in the space is what this model makes of its text now, and the index finds it."""
    objects = list(notes.list_objects(limit=1000, vectors=[space]).objects)
    expected = vectors_by(model, [str(one.properties["text"]) for one in objects])
    for one, vector in zip(objects, expected, strict=True):
        np.testing.assert_allclose(one.vectors[space], vector, rtol=1e-5)
    for one, vector in list(zip(objects, expected, strict=True))[::97]:
        answer = notes.near_vector(vector.tolist(), space=space, limit=1)
        assert answer.hits[0].distance == pytest.approx(0.0, abs=1e-5)
        assert answer.hits[0].properties["text"] == one.properties["text"]
        assert answer.plan.legs[0].index != "scan", "the index is ready, and need not be rebuilt"


def until_ready(database: Database) -> None:
    """Wait for what a killed process left to catch up."""
    deadline = time.monotonic() + 60
    while not database.health().ready:
        assert time.monotonic() < deadline, database.health().notes
        threading.Event().wait(0.01)


@pytest.fixture
def engine() -> Iterator[Counting]:
    counting = Counting(Few(*MODELS))
    yield counting
    counting.close()


@pytest.fixture
def database(tmp_path: Path, engine: Counting) -> Iterator[Database]:
    with open_database(tmp_path, embedders=engine) as opened:
        yield opened


def test_the_name_means_the_new_vectors_and_the_old_ones_are_kept(database: Database, engine: Counting) -> None:
    notes = fill(database)
    engine.asked.clear()
    report = notes.reembed("default", model="new")
    assert (report.space, report.kept_as, report.vectors, report.refused) == ("default", "default_before", 600, 0)
    assert len(engine.asked) == 600
    assert_made_by(notes, "new")
    assert_made_by(notes, "old", "default_before")
    names = [(space.name, space.model, space.kept_for) for space in notes.describe().config.vector_spaces]
    assert names == [("default", "new", ""), ("default_before", "old", "default")]
    assert {state.name for state in notes.describe().indexes} == {"keyword", "vector:default", "vector:default_before"}


def test_imports_fill_the_new_space_only_and_switching_back_fills_the_old_one_up(
    database: Database, engine: Counting
) -> None:
    notes = fill(database, 20)
    notes.reembed(model="new")
    engine.asked.clear()
    notes.insert({"text": "late to the party"}, uuid=uuid_of(100))
    notes.upsert(uuid_of(3), {"text": text_of(3, 1)})
    notes.delete(uuid_of(4))
    assert [text for _, text in engine.asked] == ["late to the party", text_of(3, 1)]
    report = notes.switch_back("default")
    assert (report.vectors, report.kept_as) == (2, "default_before")
    assert_made_by(notes, "old")
    assert [space.model for space in notes.describe().config.vector_spaces] == ["old", "new"]
    notes.switch_back("default")
    assert_made_by(notes, "new")


def test_searches_go_on_with_the_old_vectors_until_the_switch(database: Database) -> None:
    notes = fill(database)
    before = [hit.uuid for hit in notes.near_text("bees dance", space="default").hits]
    seen: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        seen.append((done, total))
        answer = notes.near_text("bees dance", space="default")
        assert [hit.uuid for hit in answer.hits] == before
        assert answer.plan.legs[0].index == "hnsw"

    notes.reembed("default", model="new", progress=progress)
    assert seen == [(0, 600), (256, 600), (512, 600), (600, 600)]


def test_whatever_is_written_meanwhile_is_right_afterwards(database: Database) -> None:
    notes = fill(database)
    chance = random.Random(7)

    def progress(done: int, total: int | None) -> None:
        for _ in range(20):
            number = chance.randrange(700)
            if chance.random() < 0.3:
                notes.delete(uuid_of(number))
            else:
                notes.upsert(uuid_of(number), {"text": text_of(number, chance.randrange(5))})

    notes.reembed("default", model="new", progress=progress)
    assert_made_by(notes, "new")
    notes.switch_back("default", progress=progress)
    assert_made_by(notes, "old")


def test_an_interrupted_one_goes_on_where_it_stopped(database: Database, engine: Counting) -> None:
    notes = fill(database)
    engine.asked.clear()

    def stop(done: int, total: int | None) -> None:
        if done >= 256:
            raise Stop

    with pytest.raises(Stop):
        notes.reembed("default", model="new", progress=stop)
    assert_made_by(notes, "old")
    with pytest.raises(Conflict, match="unfinished"):
        notes.reembed("default", model="newer")
    assert notes.reembed("default", model="new").vectors == 600 - 256
    assert len(engine.asked) == 600, "what was done stays done"
    assert_made_by(notes, "new")


def test_an_interrupted_switch_back_goes_on_too(database: Database) -> None:
    notes = fill(database, 10)
    notes.reembed(model="new")
    notes.import_objects([{"properties": {"text": text_of(n)}} for n in range(10, 600)])

    def stop(done: int, total: int | None) -> None:
        if done >= 256:
            raise Stop

    with pytest.raises(Stop):
        notes.switch_back("default", progress=stop)
    assert_made_by(notes, "new")
    notes.switch_back("default")
    assert_made_by(notes, "old")


def test_giving_up_drops_what_was_made(database: Database) -> None:
    notes = fill(database)

    def stop(done: int, total: int | None) -> None:
        if done:
            raise Stop

    with pytest.raises(Stop):
        notes.reembed("default", model="new", progress=stop)
    notes.drop_vector_space("default_next")
    assert [space.name for space in notes.describe().config.vector_spaces] == ["default"]
    notes.reembed("default", model="newer")
    assert_made_by(notes, "newer")


def test_going_back_to_a_kept_model_by_name_makes_nothing_anew(database: Database, engine: Counting) -> None:
    notes = fill(database, 50)
    notes.reembed("default", model="new")
    notes.reembed("default", model="newer")
    engine.asked.clear()
    assert notes.reembed("default", model="old").vectors == 0
    assert engine.asked == []
    assert_made_by(notes, "old")
    kept = {space.name: space.model for space in notes.describe().config.vector_spaces if space.kept_for}
    assert set(kept.values()) == {"new", "newer"}
    name = next(name for name, model in kept.items() if model == "new")
    notes.switch_back("default", to=name)
    assert_made_by(notes, "new")


def test_a_model_that_changed_under_its_name_is_refused_with_what_to_do_and_reembed_does_it(tmp_path: Path) -> None:
    with open_database(tmp_path, embedders=Few("old@1")) as database:
        fill(database, 30)
    with open_database(tmp_path, embedders=Few("old@2", dimension=24)) as database:
        notes = database.collection("Notes")
        with pytest.raises(FingerprintMismatch) as caught:
            notes.near_text("bees")
        assert "reembed('default')" in caught.value.hint
        assert len(notes.import_objects([{"properties": {"text": "a"}}], raise_on_failure=False).failed) == 1
        assert notes.reembed("default").vectors == 30
        notes.insert({"text": "bees again"})
        assert notes.near_text("bees again", space="default").hits[0].properties["text"] == "bees again"
        with pytest.raises(FingerprintMismatch):
            notes.switch_back("default")  # the old version is not here to embed what was imported since


def test_a_refused_text_stops_the_switch_unless_it_may_be_skipped(tmp_path: Path) -> None:
    engine = Counting(Few(*MODELS), poison=lambda text: False)
    with open_database(tmp_path, embedders=engine) as database:
        notes = fill(database, 30)
        engine.poison = lambda text: text == text_of(5)
        with pytest.raises(EmbeddingFailed, match="1 objects have no vector") as caught:
            notes.reembed("default", model="new")
        assert "choked" in str(caught.value)
        assert notes.describe().config.space_named("default").model == "old"  # type: ignore[union-attr]
        assert notes.reembed("default", model="new", skip_refused=True).refused == 1
        assert notes.get(uuid_of(5), vectors=["default"]).vectors == {}


def test_a_model_that_refuses_everything_ends_it_at_once(tmp_path: Path) -> None:
    engine = Counting(Few(*MODELS), poison=lambda text: False)
    with open_database(tmp_path, embedders=engine) as database:
        notes = fill(database)
        engine.poison, asked = (lambda text: True), len(engine.asked)
        with pytest.raises(EmbeddingFailed, match="choked"):
            notes.reembed("default", model="new", skip_refused=True)
        assert len(engine.asked) == asked + 256


def test_own_vectors_can_be_replaced_by_a_models(database: Database) -> None:
    notes = database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="none", index="flat")])
    notes.insert({"text": "bees"}, vectors={"default": [1.0, 2.0]})
    notes.reembed("default", vectorizer="local", model="new")
    assert_made_by(notes, "new")
    notes.switch_back("default")
    assert notes.near_vector([1.0, 2.0], space="default").hits[0].distance == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "old"}, InvalidInput),
        ({"vectorizer": "none"}, InvalidInput),
        ({"vectorizer": "magic"}, InvalidInput),
        ({"model": "new", "dimension": 3}, InvalidInput),
        ({"model": "unknown"}, MinivecError),
        ({"space": "nowhere", "model": "new"}, VectorSpaceNotFound),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    database: Database, arguments: dict[str, Any], error: type[Exception]
) -> None:
    notes = fill(database, 5)
    before = notes.describe().config
    with pytest.raises(error):
        notes.reembed(**{"space": "default", **arguments})
    with pytest.raises(InvalidInput):
        notes.switch_back("default")
    assert notes.describe().config == before
    notes.reembed("default", model="new")
    with pytest.raises(InvalidInput, match="is kept"):
        notes.reembed("default_before", model="newer")


def test_a_dropped_space_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    notes = fill(database, 50)
    notes.reembed("default", model="new")
    shard = notes._shard
    shard.save()
    (kept,) = [space for space in notes.describe().config.vector_spaces if space.kept_for]
    assert len(list(tmp_path.glob("collections/*/vector-*.snapshot"))) == 2
    notes.drop_vector_space("default_before")
    with shard.truth.read() as connection:
        assert count_vectors(connection, kept.key) == 0
        assert f"vector:{kept.key}" not in cursors(connection)
    assert len(list(tmp_path.glob("collections/*/vector-*.snapshot"))) == 1
    with pytest.raises(VectorSpaceNotFound):
        notes.near_text("bees", space="default_before")
    assert_made_by(notes, "new")
    notes.add_vector_space(VectorSpace(name="default_before", model="newer"))
    assert_made_by(notes, "newer", "default_before")


def test_the_switch_survives_reopening_with_its_indexes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_database(tmp_path, embedders=Few(*MODELS)) as database:
        fill(database).reembed("default", model="new")
    with open_database(tmp_path, embedders=Few(*MODELS)) as database:
        notes = database.collection("Notes")
        assert_made_by(notes, "new")
        assert_made_by(notes, "old", "default_before")
        assert "snapshot" not in caplog.text
        notes.switch_back("default")
    with open_database(tmp_path, embedders=Few(*MODELS)) as database:
        assert_made_by(database.collection("Notes"), "old")


def test_a_reader_beside_the_writer_sees_the_switch(database: Database, tmp_path: Path) -> None:
    notes = fill(database, 100)
    with open_database(tmp_path, read_only=True, embedders=Few(*MODELS)) as reader:
        beside = reader.collection("Notes")
        assert beside.near_text("bees", space="default").hits
        notes.reembed("default", model="new")
        expected = vectors_by("new", [text_of(7)])[0]
        assert beside.near_vector(expected.tolist(), space="default", limit=1).hits[0].uuid == uuid_of(7)
        notes.drop_vector_space("default_before")
        assert beside.near_vector(expected.tolist(), limit=1).hits[0].uuid == uuid_of(7)
        with pytest.raises(ReadOnly):
            beside.reembed("default", model="newer")
        with pytest.raises(ReadOnly):
            beside.drop_vector_space("default")


_WORKER = """
import sys
from minivec.database import open_database
from tests.embedders import Few
database = open_database(sys.argv[1], embedders=Few("old", "new", "newer"))
notes = database.collection("Notes")
def progress(done, total):
    print(done, flush=True)
while True:
    current = notes.describe().config.space_named("default").model
    if current == "old":
        notes.reembed("default", model="new", progress=progress)
    else:
        notes.switch_back("default", progress=progress)
        notes.drop_vector_space("default_before")
    print("switched", flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_answers_by_one_model_and_can_be_finished(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with open_database(tmp_path, embedders=Few(*MODELS)) as database:
        fill(database)
    with child(_WORKER, tmp_path) as process:
        for _ in range(chance.randrange(1, 12)):
            line_from(process)
        process.kill()
    with open_database(tmp_path, embedders=Few(*MODELS)) as database:
        notes = database.collection("Notes")
        current = notes.describe().config.space_named("default")
        assert current is not None
        until_ready(database)
        assert_made_by(notes, current.model)
        other = "new" if current.model == "old" else "old"
        names = [space.name for space in notes.describe().config.vector_spaces]
        if "default_next" in names and notes.describe().config.space_named("default_next").model != other:  # type: ignore[union-attr]
            notes.drop_vector_space("default_next")
        notes.reembed("default", model=other)
        assert_made_by(notes, other)


class Life(RuleBasedStateMachine):
    """Writes, reembeds, stops, switches, drops and reopenings in any order, against a dict and the models themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="minivec-test-"))
        self.engine = Few(*MODELS)
        self.database = open_database(self.folder, embedders=self.engine)
        self.notes = self.database.create_collection("Notes", vector_spaces=[VectorSpace(model="old", index="flat")])
        self.texts: dict[str, str] = {}
        self.model = "old"

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @rule(number=st.integers(0, 9), edition=st.integers(0, 3))
    def write(self, number: int, edition: int) -> None:
        self.notes.upsert(uuid_of(number), {"text": text_of(number, edition)})
        self.texts[uuid_of(number)] = text_of(number, edition)

    @rule(number=st.integers(0, 9))
    def delete(self, number: int) -> None:
        assert self.notes.delete(uuid_of(number)) is (self.texts.pop(uuid_of(number), None) is not None)

    @rule(model=st.sampled_from(MODELS), stop=st.booleans())
    def reembed(self, model: str, stop: bool) -> None:
        def progress(done: int, total: int | None) -> None:
            if stop:
                raise Stop

        try:
            self.notes.reembed("default", model=model, progress=progress)
            self.model = model
        except Stop:
            pass
        except InvalidInput:
            assert model == self.model
        except Conflict:
            assert self._named("default_next") not in (None, model)

    @rule()
    def switch_back(self) -> None:
        wanted = self._named("default_next")
        try:
            self.notes.switch_back("default")
        except InvalidInput:
            assert wanted is None
        except Conflict:
            assert wanted is not None
        else:
            self.model = self._named("default") or ""
            assert wanted in (None, self.model)

    @rule(name=st.sampled_from(["default_next", "default_before", "default_before_2"]))
    def drop(self, name: str) -> None:
        known = self._named(name)
        try:
            self.notes.drop_vector_space(name)
        except VectorSpaceNotFound:
            assert known is None

    @rule()
    def reopen(self) -> None:
        self.database.close()
        self.engine = Few(*MODELS)
        self.database = open_database(self.folder, embedders=self.engine)
        self.notes = self.database.collection("Notes")

    @precondition(lambda self: self.texts)
    @invariant()
    def answers_by_one_model(self) -> None:
        assert self._named("default") == self.model
        texts = sorted(self.texts.values())
        vectors = self.engine.embedder(self.model).embed(texts, input_type="passage", truncate="end").vectors
        for text, vector in zip(texts, vectors, strict=True):
            answer = self.notes.near_vector(vector.tolist(), space="default", limit=20)
            assert {hit.uuid: hit.properties["text"] for hit in answer.hits} == self.texts
            assert answer.hits[0].properties["text"] == text
            assert answer.hits[0].distance == pytest.approx(0.0, abs=1e-5)

    def _named(self, name: str) -> str | None:
        space = self.notes.describe().config.space_named(name)
        return None if space is None else space.model


TestLife = Life.TestCase
TestLife.settings = hypothesis_settings(max_examples=15, stateful_step_count=25, deadline=None)


def test_a_search_that_names_no_space_goes_on_during_and_after(database: Database) -> None:
    notes = fill(database)
    before = notes.near_text("note 3").hits
    notes.reembed("default", model="new")
    assert [space.name for space in notes.describe().config.vector_spaces] == ["default", "default_before"]
    assert len(notes.near_text("note 3").hits) == len(before)
    assert len(notes.hybrid("note 3").hits) > 0
    notes.switch_back("default")
    assert len(notes.near_text("note 3").hits) == len(before)
