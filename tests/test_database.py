"""Opening, closing, healing: what a folder promises over time."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from minivec.collection import Collection
from minivec.database import Database, open_database
from minivec.embedding.engine import Engine
from minivec.errors import (
    Closed,
    CollectionExists,
    CollectionNotFound,
    DatabaseLocked,
    InvalidInput,
    ModelNotFound,
    ReadOnly,
    StorageError,
)
from minivec.settings import Settings
from minivec.types.collection import HnswOptions, KeywordOptions, Property, VectorSpace
from tests.embedders import Counting

SPACES = [
    VectorSpace(name="hnsw", index="hnsw", hnsw=HnswOptions(links=8)),
    VectorSpace(name="flat", index="flat"),
    VectorSpace(name="binary", index="binary"),
]


def open_at(folder: Path, **options: object) -> Database:
    return open_database(folder, embedders=Engine.fake(dimension=64), **options)  # type: ignore[arg-type]


def fill(database: Database, count: int = 200) -> Collection:
    words = database.create_collection("Words", vector_spaces=SPACES)
    words.import_objects([{"properties": {"text": f"word {n} of {n % 10}", "n": n}} for n in range(count)])
    return words


def answers(words: Collection) -> list[list[int]]:
    found = [words.near_text("word 7 of 7", space=space.name, limit=5) for space in SPACES]
    found += [words.keyword("7", limit=30), words.hybrid("word 7", space="flat", limit=5)]
    return [[hit.properties["n"] for hit in answer.hits] for answer in found]


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    with open_at(tmp_path) as database:
        before = answers(fill(database))
        info = database.collection("Words").describe()
    with open_at(tmp_path) as database:
        words = database.collection("Words")
        assert answers(words) == before
        assert words.describe().config == info.config
        assert words.count() == 200


def snapshots(folder: Path) -> list[Path]:
    return sorted(folder.glob("collections/*/*.snapshot"))


def delete_it(file: Path) -> None:
    file.unlink()


def truncate_it(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    file.write_bytes(bytes(data))


def replace_by_another(file: Path) -> None:
    file.write_bytes(b"something else entirely" * 100)


@pytest.mark.parametrize("damage", [delete_it, truncate_it, flip_a_bit, replace_by_another])
def test_a_damaged_snapshot_is_rebuilt_with_one_line_and_no_embedding(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    with open_at(tmp_path) as database:
        before = answers(fill(database))
    files = snapshots(tmp_path)
    assert len(files) == 4
    for file in files:
        damage(file)
    counting = Counting(Engine.fake(dimension=64))
    with caplog.at_level(logging.WARNING, logger="minivec"), open_database(tmp_path, embedders=counting) as database:
        assert answers(database.collection("Words")) == before
        assert {kind for kind, _ in counting.asked} == {"query"}
    assert len([record for record in caplog.records if "rebuild" in record.getMessage()]) == 4


def test_searches_are_exact_while_an_index_rebuilds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minivec.indexes.hnsw import HnswIndex

    with open_at(tmp_path) as database:
        expected = [hit.uuid for hit in fill(database).near_text("word 7", space="flat").hits]
    for file in snapshots(tmp_path):
        file.unlink()
    gate, insert = threading.Event(), HnswIndex.insert

    def slow(self: HnswIndex, *arguments: object) -> None:
        gate.wait(30)
        insert(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(HnswIndex, "insert", slow)
    with open_at(tmp_path) as database:
        words = database.collection("Words")
        answer = words.near_text("word 7", space="hnsw")
        assert not database.health().ready
        gate.set()
        assert [hit.uuid for hit in answer.hits] == expected
        assert (answer.plan.legs[0].index, answer.plan.legs[0].exact) == ("scan", True)


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    script = f"""
import sys
from minivec.database import open_database
from minivec.embedding.engine import Engine
from minivec.errors import DatabaseLocked
try:
    open_database({str(tmp_path)!r}, embedders=Engine.fake())
except DatabaseLocked as error:
    print(error)
"""
    with open_at(tmp_path) as database:
        fill(database, 3)
        said = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    import os

    assert str(os.getpid()) in said
    assert "since" in said
    with pytest.raises(DatabaseLocked), open_at(tmp_path), open_at(tmp_path):
        pass


def test_a_reader_beside_the_writer_sees_its_writes(tmp_path: Path) -> None:
    with open_at(tmp_path) as writer:
        words = fill(writer, 50)
        with open_at(tmp_path, read_only=True) as reader:
            beside = reader.collection("Words")
            assert beside.count() == 50
            words.import_objects([{"properties": {"text": "fresh arrival", "n": 1000, "added": "later word"}}])
            assert [hit.properties["n"] for hit in beside.keyword("fresh").hits] == [1000]
            assert [hit.properties["n"] for hit in beside.keyword("later").hits] == [1000]
            assert beside.near_text("fresh arrival", space="hnsw", limit=1).hits[0].properties["n"] == 1000
            words.delete(beside.keyword("fresh").hits[0].uuid)
            assert beside.keyword("fresh").hits == ()
            for refused in (
                lambda: beside.insert({"text": "x"}),
                lambda: beside.delete("00000000-0000-4000-8000-000000000001"),
                lambda: reader.drop_collection("Words"),
                lambda: reader.create_collection("Other"),
                lambda: beside.add_property(Property(name="p")),
            ):
                with pytest.raises(ReadOnly):
                    refused()
            writer.create_collection("Second", vector_spaces=[])
            assert reader.collection("Second").count() == 0


def test_names_are_checked_and_unique(database: Database) -> None:
    database.create_collection("Words")
    with pytest.raises(CollectionExists):
        database.create_collection("Words")
    for name in ("", "1a", "../x", "a b", "a" * 65, "ü", "a\0"):
        with pytest.raises(InvalidInput):
            database.create_collection(name)
        with pytest.raises(InvalidInput):
            database.collection(name)
    with pytest.raises(CollectionNotFound):
        database.collection("Absent")


BAD_DEFINITIONS: list[tuple[dict[str, object], str]] = [
    ({"properties": [Property(name="1a")]}, "properties[0].name"),
    ({"properties": [Property(name="a"), Property(name="a")]}, "properties"),
    ({"properties": [Property(name="a", data_type="texts")]}, "properties[0].data_type"),  # type: ignore[arg-type]
    ({"properties": [Property(name="a", properties=(Property(name="b"),))]}, "properties[0].properties"),
    ({"vector_spaces": [VectorSpace(name="a"), VectorSpace(name="a")]}, "vector_spaces"),
    ({"vector_spaces": [VectorSpace(distance="far")]}, "vector_spaces[0].distance"),  # type: ignore[arg-type]
    ({"vector_spaces": [VectorSpace(vectorizer="none", dimension=0)]}, "vector_spaces[0].dimension"),
    ({"vector_spaces": [VectorSpace(dimension=5)]}, "dimension"),
    ({"vector_spaces": [VectorSpace(hnsw=HnswOptions(links=1))]}, "vector_spaces[0].hnsw.links"),
    ({"keyword": KeywordOptions(b=2)}, "keyword.b"),
    ({"keyword": KeywordOptions(k1=float("nan"))}, "keyword.k1"),
    (
        {"auto_schema": False, "vector_spaces": [VectorSpace(source_properties=("x",))]},
        "vector_spaces[0].source_properties",
    ),
]


@pytest.mark.parametrize(("definition", "field"), BAD_DEFINITIONS)
def test_a_definition_that_makes_no_sense_names_its_field(
    database: Database, definition: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        database.create_collection("Words", **definition)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert database.list_collections() == ()


def test_an_unknown_model_is_refused_at_creation(tmp_path: Path) -> None:
    with open_database(tmp_path) as database, pytest.raises(ModelNotFound):
        database.create_collection("Words", vector_spaces=[VectorSpace(model="no-such-model")])


def test_dropping_removes_everything_and_frees_the_name(tmp_path: Path) -> None:
    with open_at(tmp_path) as database:
        words = fill(database, 20)
        database.drop_collection("Words")
        assert list(tmp_path.glob("collections/*")) == []
        with pytest.raises(CollectionNotFound):
            words.count()
        with pytest.raises(CollectionNotFound):
            database.drop_collection("Words")
        assert fill(database, 5).count() == 5


def test_a_folder_without_a_catalog_row_is_cleared_away(tmp_path: Path) -> None:
    with open_at(tmp_path) as database:
        fill(database, 5)
    orphan = tmp_path / "collections" / ("0" * 32)
    orphan.mkdir()
    (orphan / "truth.db").write_bytes(b"half made")
    with open_at(tmp_path) as database:
        assert database.collection("Words").count() == 5
    assert not orphan.exists()


def test_a_closed_database_says_so_and_memory_leaves_nothing(embedders: Engine) -> None:
    database = open_database(":memory:", embedders=embedders)
    words = fill_one(database)
    folder = database.root
    database.close()
    database.close()
    assert not folder.exists()
    for use in (words.count, database.list_collections, lambda: words.insert({"text": "a"})):
        with pytest.raises(Closed):
            use()


def fill_one(database: Database) -> Collection:
    words = database.create_collection("Words")
    words.insert({"text": "a"})
    return words


def test_closing_waits_for_what_runs(tmp_path: Path) -> None:
    gate, entered = threading.Event(), threading.Event()

    def hold(text: str) -> bool:
        entered.set()
        return not gate.wait(30)

    counting = Counting(Engine.fake(dimension=32), poison=hold)
    database = open_database(tmp_path, embedders=counting)
    words = database.create_collection("Words")
    writing = threading.Thread(target=lambda: words.insert({"text": "a"}))
    writing.start()
    assert entered.wait(30)
    closing = threading.Thread(target=database.close)
    closing.start()
    gate.set()
    writing.join(30)
    closing.join(30)
    with open_at(tmp_path, read_only=True) as reader:
        assert reader.collection("Words").count() == 1


def test_relaxed_durability_is_a_setting(tmp_path: Path) -> None:
    with open_at(tmp_path, settings=Settings(durability="relaxed")) as database:
        assert fill(database, 5).count() == 5


def test_an_abandoned_catch_up_does_not_keep_the_database_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minivec.indexes import follower

    with open_at(tmp_path) as database:
        fill(database, 200)
    for file in snapshots(tmp_path):
        file.unlink()
    monkeypatch.setattr(follower, "DOCUMENTS_PER_STEP", 1)
    open_at(tmp_path).close()
    monkeypatch.undo()
    with open_at(tmp_path) as database:
        assert len(answers(database.collection("Words"))[0]) == 5


def test_a_damaged_collection_says_so_and_the_others_work(tmp_path: Path) -> None:
    with open_at(tmp_path) as database:
        fill(database, 5)
        database.create_collection("Another", vector_spaces=[]).insert({"text": "a bird"})
    (file,) = [f for f in tmp_path.glob("collections/*/truth.db") if b"word 1" in f.read_bytes()]
    good = file.read_bytes()
    file.write_bytes(b"no database at all" * 100)
    with open_at(tmp_path) as database:
        assert len(database.collection("Another").keyword("bird").hits) == 1
        with pytest.raises(StorageError):
            database.collection("Words")
        with pytest.raises(CollectionExists):
            database.create_collection("Words")
        assert "Words cannot be opened" in database.health().notes[0]
    file.write_bytes(good)
    with open_at(tmp_path) as database:
        assert database.collection("Words").count() == 5
    file.write_bytes(b"damaged again")
    with open_at(tmp_path) as database:
        database.drop_collection("Words")
        assert database.create_collection("Words").count() == 0
        assert database.health().notes == ()


def test_a_database_that_cannot_be_opened_is_left_closed_and_unlocked(tmp_path: Path) -> None:
    with open_at(tmp_path) as database:
        fill(database, 5)
    catalog = tmp_path / "catalog.db"
    good = catalog.read_bytes()
    catalog.write_bytes(b"no database at all" * 100)
    threads = threading.active_count()
    with pytest.raises(StorageError):
        open_at(tmp_path)
    assert threading.active_count() == threads
    catalog.write_bytes(good)
    with open_at(tmp_path) as database:
        assert database.collection("Words").count() == 5


def test_a_dead_engine_turns_the_databases_health_red() -> None:
    engine = Engine.fake(dimension=32)
    with open_database(":memory:", embedders=engine) as database:
        database.create_collection("Words").insert({"text": "a bird"})
        assert database.health().ready
        engine.close()
        assert not database.health().ready
        assert "embedding engine" in database.health().notes[0]
