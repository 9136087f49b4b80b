"""The way in, seen from the handle: modes, outcomes, what is embedded again and what is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from minivec.collection import Collection
from minivec.database import Database, open_database
from minivec.embedding.engine import Engine
from minivec.errors import (
    FingerprintMismatch,
    ImportFailed,
    InvalidInput,
    ObjectExists,
    ObjectNotFound,
    VectorSpaceNotFound,
)
from minivec.types.collection import Property, VectorSpace
from minivec.types.filter import And, Equal
from minivec.types.object import Draft
from tests.embedders import Counting

ONE, TWO = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def counting() -> Counting:
    return Counting(Engine.fake(dimension=32))


@pytest.fixture
def words(counting: Counting) -> Iterator[Collection]:
    with open_database(":memory:", embedders=counting) as database:
        yield database.create_collection(
            "Words", properties=[Property(name="text"), Property(name="n", data_type="int")]
        )


def test_upsert_inserts_then_updates_and_says_so(words: Collection) -> None:
    first = words.import_objects([{"uuid": ONE, "properties": {"text": "a bird"}}])
    again = words.import_objects([{"uuid": ONE, "properties": {"text": "a fish"}}])
    assert (first.outcomes[0].status, again.outcomes[0].status) == ("inserted", "updated")
    stored = words.get(ONE)
    assert (stored.properties, stored.version) == ({"text": "a fish"}, 2)
    assert stored.created_at < stored.updated_at


def test_an_unchanged_object_is_neither_embedded_nor_written(words: Collection, counting: Counting) -> None:
    drafts = [{"uuid": ONE, "properties": {"text": "a bird", "n": 1}}]
    words.import_objects(drafts)
    counting.asked.clear()
    report = words.import_objects(drafts)
    assert report.counts == {"unchanged": 1}
    assert counting.asked == []
    assert words.get(ONE).version == 1


def test_unchanged_text_keeps_its_vector_when_other_properties_change(words: Collection, counting: Counting) -> None:
    words.import_objects([{"uuid": ONE, "properties": {"text": "a bird", "n": 1}}])
    before = words.get(ONE, vectors=["default"]).vectors
    counting.asked.clear()
    words.import_objects([{"uuid": ONE, "properties": {"text": "a bird", "n": 2}}])
    words.merge(ONE, {"n": 3})
    assert counting.asked == []
    assert words.get(ONE, vectors=["default"]).vectors == before
    assert words.get(ONE).properties["n"] == 3


def test_import_is_passage_and_search_is_query(words: Collection, counting: Counting) -> None:
    words.import_objects([{"properties": {"text": "a bird"}}])
    words.near_text("wings")
    words.hybrid("beak")
    assert counting.asked == [("passage", "a bird"), ("query", "wings"), ("query", "beak")]


def test_a_text_that_comes_often_is_embedded_once(words: Collection, counting: Counting) -> None:
    words.import_objects([{"properties": {"text": "same", "n": n}} for n in range(50)])
    assert counting.asked == [("passage", "same")]
    assert words.count() == 50


def test_a_bad_object_costs_only_itself(words: Collection, counting: Counting) -> None:
    counting.poison = lambda text: "poison" in text
    drafts: list[Any] = [
        {"properties": {"text": "good"}},
        {"properties": {"text": 7}},
        {"properties": {"text": "poison"}},
        "not an object",
        {"properties": {"text": "good too"}, "vectors": {"default": [1.0]}},
        {"propertys": {}},
        {"uuid": "x", "properties": {}},
        {"properties": {"text": "fine"}},
    ]
    report = words.import_objects(drafts, raise_on_failure=False)
    assert [outcome.status == "inserted" for outcome in report.outcomes] == [True] + [False] * 6 + [True]
    by_index = {outcome.index: outcome for outcome in report.outcomes}
    assert (by_index[1].code, by_index[1].field) == ("invalid_input", "properties.text")
    assert by_index[2].code == "embedding_failed"
    assert by_index[4].field == "vectors.default"
    assert by_index[5].field == "propertys"
    assert by_index[6].field == "uuid"
    assert words.count() == 2


def test_an_import_raises_at_the_end_with_every_outcome(words: Collection) -> None:
    with pytest.raises(ImportFailed) as caught:
        words.import_objects([{"properties": {"text": 1}}, {"properties": {"text": "good"}}])
    assert [outcome.status for outcome in caught.value.report.outcomes] == ["refused", "inserted"]
    assert words.count() == 1


def test_modes_insert_and_replace(words: Collection) -> None:
    words.insert({"text": "a"}, uuid=ONE)
    with pytest.raises(ObjectExists):
        words.insert({"text": "b"}, uuid=ONE)
    with pytest.raises(ObjectNotFound):
        words.replace(TWO, {"text": "b"})
    words.replace(ONE, {"n": 5})
    assert words.get(ONE).properties == {"n": 5}
    words.upsert(TWO, {"text": "c"})
    assert words.count() == 2


def test_merge_changes_some_properties_and_none_removes_one(words: Collection) -> None:
    words.insert({"text": "a bird", "n": 1}, uuid=ONE)
    words.merge(ONE, {"text": None, "m": 2})
    assert words.get(ONE).properties == {"n": 1, "m": 2}
    assert words.get(ONE, vectors=["default"]).vectors == {}
    with pytest.raises(ObjectNotFound):
        words.merge(TWO, {"n": 1})


def test_a_uuid_that_comes_twice_in_a_batch_ends_as_the_last_one(words: Collection) -> None:
    words.insert({"text": "first"}, uuid=ONE)
    drafts = [{"uuid": ONE, "properties": {"text": t}} for t in ("second", "first")]
    report = words.import_objects(drafts)
    assert [outcome.status for outcome in report.outcomes] == ["updated", "updated"]
    assert words.get(ONE).properties == {"text": "first"}


def test_deterministic_uuids_make_an_import_repeatable(words: Collection) -> None:
    drafts = [{"properties": {"text": f"entry {n}", "n": n}} for n in range(10)]
    first = words.import_objects(drafts, id_from=["text"])
    again = words.import_objects(drafts, id_from=["text"])
    assert [o.uuid for o in first.outcomes] == [o.uuid for o in again.outcomes]
    assert again.counts == {"unchanged": 10}
    refused = words.import_objects([{"properties": {"n": 1}}], id_from=["text"], raise_on_failure=False)
    assert refused.outcomes[0].field == "properties.text"


def test_auto_schema_learns_and_then_holds_on(words: Collection) -> None:
    words.import_objects([{"properties": {"born": "1990-01-01T00:00:00Z", "tags": ["a"], "alive": True}}])
    types = {p.name: p.data_type for p in words.describe().config.properties}
    assert types == {"text": "text", "n": "int", "born": "date", "tags": "text[]", "alive": "boolean"}
    report = words.import_objects([{"properties": {"born": "yesterday"}}], raise_on_failure=False)
    assert report.outcomes[0].field == "properties.born"


def test_without_auto_schema_an_unknown_property_is_refused(database: Database) -> None:
    strict = database.create_collection("Strict", properties=[Property(name="text")], auto_schema=False)
    with pytest.raises(InvalidInput, match="no property 'other'"):
        strict.insert({"other": 1})


def test_a_refused_draft_teaches_nothing(words: Collection) -> None:
    words.import_objects([{"properties": {"new": 1, "text": 5}}], raise_on_failure=False)
    assert [p.name for p in words.describe().config.properties] == ["text", "n"]


def test_own_vectors_win_and_come_back_as_given(words: Collection, counting: Counting) -> None:
    vector = [float(n) for n in range(32)]
    words.insert({"text": "a bird"}, uuid=ONE, vectors={"default": vector})
    assert words.get(ONE, vectors=["default"]).vectors["default"] == vector
    assert counting.asked == []
    words.merge(ONE, {"n": 2})
    assert words.get(ONE, vectors=["default"]).vectors["default"] == vector
    words.merge(ONE, {"text": "a fish"})
    assert words.get(ONE, vectors=["default"]).vectors["default"] != vector


def test_several_spaces_each_with_its_own_rules(counting: Counting) -> None:
    with open_database(":memory:", embedders=counting) as database:
        spaces = [
            VectorSpace(name="title", source_properties=("title",)),
            VectorSpace(name="own", vectorizer="none", distance="l2-squared", index="flat"),
        ]
        films = database.create_collection("Films", vector_spaces=spaces)
        films.insert({"title": "Snow", "plot": "long"}, uuid=ONE, vectors={"own": [1, 2]})
        assert counting.asked == [("passage", "Snow")]
        assert films.describe().config.space_named("own").dimension == 2  # type: ignore[union-attr]
        with pytest.raises(InvalidInput, match="has 3 dimensions"):
            films.insert({"title": "x"}, vectors={"own": [1, 2, 3]})
        with pytest.raises(VectorSpaceNotFound):
            films.insert({"title": "x"}, vectors={"other": [1, 2, 3]})
        with pytest.raises(InvalidInput, match="several vector spaces"):
            films.near_text("snow")
        assert films.near_vector([1, 2], space="own").hits[0].distance == 0


@pytest.mark.parametrize("vector", [[], "x", [True] * 32, [float("nan")] * 32, [1e39] * 32, [None] * 32, [[1.0]] * 32])
def test_vectors_that_are_none_are_refused(words: Collection, vector: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        words.insert({"text": "a"}, vectors={"default": vector})
    assert caught.value.field.startswith("vectors.default")


def test_truncation_is_reported_and_a_refused_text_fails_alone(counting: Counting) -> None:
    with open_database(":memory:", embedders=counting) as database:
        long = " ".join(f"w{n}" for n in range(5_000))
        cut = database.create_collection("Cut").import_objects([{"properties": {"text": long}}])
        note = cut.outcomes[0].tokens[0]
        assert note.cut > 0
        assert cut.truncated == cut.outcomes
        strict = database.create_collection("Strict", vector_spaces=[VectorSpace(truncate="refuse")])
        report = strict.import_objects(
            [{"properties": {"text": long}}, {"properties": {"text": "short"}}], raise_on_failure=False
        )
        assert [(o.status, o.code) for o in report.outcomes] == [("refused", "text_too_long"), ("inserted", "")]


def test_delete_by_id_and_by_filter(words: Collection) -> None:
    words.import_objects([{"properties": {"text": f"t{n % 3}", "n": n, "tags": [f"g{n % 2}"]}} for n in range(60)])
    assert words.delete_where(Equal("n", 7), dry_run=True).matched == 1
    assert words.count() == 60
    report = words.delete_where(And((Equal("text", "t1"), Equal("tags", "g0"))))
    assert (report.matched, report.deleted) == (10, 10)
    left = {o.properties["n"] for o in words.list_objects(limit=100).objects}
    assert left == {n for n in range(60) if not (n % 3 == 1 and n % 2 == 0)}
    uuid = words.list_objects(limit=1).objects[0].uuid
    assert (words.delete(uuid), words.delete(uuid)) == (True, False)
    with pytest.raises(InvalidInput):
        words.delete_where(Equal("unknown", 1))
    with pytest.raises(InvalidInput):
        words.delete("no uuid")


def test_listing_walks_every_object_once(words: Collection) -> None:
    words.import_objects([{"properties": {"n": n}} for n in range(95)])
    seen: list[Any] = []
    cursor = None
    while True:
        page = words.list_objects(limit=10, cursor=cursor, properties=["n"])
        seen += [o.properties["n"] for o in page.objects]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == list(range(95))
    for bad in ("", "2:5", "1:x", "1:-4"):
        with pytest.raises(InvalidInput):
            words.list_objects(cursor=bad)


def test_a_space_added_later_is_filled_from_stored_text(words: Collection, counting: Counting) -> None:
    words.import_objects([{"properties": {"text": f"bird {n}", "n": n}} for n in range(300)])
    words.insert({"n": -1}, uuid=ONE)
    counting.asked.clear()
    words.add_vector_space(VectorSpace(name="second", index="flat"))
    assert len(counting.asked) == 300
    assert words.near_text("bird 7", space="second", limit=1).hits[0].properties["n"] == 7
    counting.asked.clear()
    words.add_vector_space(VectorSpace(name="second", index="flat"))
    assert counting.asked == []


def test_another_models_vectors_are_refused_in_a_sentence(words: Collection, counting: Counting) -> None:
    words.insert({"text": "a"})
    counting.fingerprint = "another"
    with pytest.raises(FingerprintMismatch, match="another version of"):
        words.near_text("a")
    with pytest.raises(FingerprintMismatch):
        words.insert({"text": "b"})
    assert words.near_vector([1.0] * 32).hits


def test_concurrent_merges_of_one_object_all_arrive(words: Collection) -> None:
    words.insert({"n": 0}, uuid=ONE)
    threads = [threading.Thread(target=lambda k=k: words.merge(ONE, {f"k{k}": k})) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = words.get(ONE)
    assert stored.properties == {"n": 0} | {f"k{k}": k for k in range(12)}
    assert stored.version == 13


def test_two_imports_that_teach_the_same_property_differently_agree_on_one(words: Collection) -> None:
    barrier = threading.Barrier(2)
    reports: list[Any] = []

    def run(value: Any) -> None:
        barrier.wait()
        reports.append(words.import_objects([{"properties": {"fresh": value}}], raise_on_failure=False))

    threads = [threading.Thread(target=run, args=(value,)) for value in ("text", 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.outcomes[0].status for report in reports) == ["inserted", "refused"]
    assert words.count() == 1


def test_drafts_and_mappings_are_the_same(words: Collection) -> None:
    words.import_objects([Draft(properties={"text": "a"}, uuid=ONE), {"uuid": TWO, "properties": {"text": "a"}}])
    assert words.get(ONE).properties == words.get(TWO).properties


def test_progress_is_told_after_every_batch(words: Collection) -> None:
    told: list[tuple[int, int | None]] = []
    words.import_objects(
        [{"properties": {"n": n}} for n in range(25)],
        batch_size=10,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(10, 25), (20, 25), (25, 25)]
