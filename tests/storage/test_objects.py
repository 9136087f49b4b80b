"""What a write does to an object, case by case."""

from __future__ import annotations

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.errors import ObjectExists, ObjectNotFound, VersionConflict
from minivec.storage import changes, reading, vectors
from minivec.storage.engine import Truth
from minivec.storage.objects import Written, delete_objects, fill_vectors
from tests.storage.samples import ask, reopened, store, store_one, uuid_of, vector_row, write


def log(truth: Truth) -> list[tuple[int, int]]:
    return [(doc_id, kind) for _, doc_id, kind in ask(truth, changes.read, 0, 1000)]


def test_a_new_object_has_version_one_and_both_times(truth: Truth) -> None:
    written = store_one(truth, write(1, {"title": "a"}), now=5)
    assert (written.version, written.created) == (1, True)
    row = ask(truth, reading.get_by_uuid, [uuid_of(1)])[uuid_of(1)]
    assert (row.doc_id, row.version, row.created_at, row.updated_at) == (written.doc_id, 1, 5, 5)
    assert orjson.loads(row.properties) == {"title": "a"}


def test_an_update_is_a_new_document_under_the_same_uuid(truth: Truth) -> None:
    first = store_one(truth, write(1), now=5)
    second = store_one(truth, write(1, {"title": "b"}, vectors={"other": vector_row(9)}), now=8)
    assert (second.version, second.created) == (2, False)
    assert second.doc_id > first.doc_id
    row = ask(truth, reading.get_objects, [first.doc_id, second.doc_id])
    assert list(row) == [second.doc_id]
    assert (row[second.doc_id].created_at, row[second.doc_id].updated_at) == (5, 8)
    assert ask(truth, vectors.count_vectors, "default") == 0, "the old vectors are gone"
    assert log(truth) == [(first.doc_id, 1), (first.doc_id, -1), (second.doc_id, 1)]


def test_insert_refuses_what_is_there_and_replace_what_is_not(truth: Truth) -> None:
    store(truth, [write(1)])
    outcomes = store(
        truth,
        [
            write(1, mode="insert"),
            write(2, mode="replace"),
            write(3, mode="insert"),
            write(1, mode="replace"),
            write(3, mode="insert"),
        ],
    )
    assert [type(outcome) for outcome in outcomes] == [ObjectExists, ObjectNotFound, Written, Written, ObjectExists]
    assert uuid_of(1) in str(outcomes[0])
    assert outcomes[3].version == 2
    assert ask(truth, reading.count) == 2


def test_an_expected_version_guards(truth: Truth) -> None:
    store(truth, [write(1)])
    outcomes = store(
        truth,
        [
            write(1, expected_version=0),
            write(1, expected_version=2),
            write(1, expected_version=1),
            write(1, expected_version=1),
            write(2, expected_version=1),
            write(2, expected_version=0),
        ],
    )
    kinds = [VersionConflict, VersionConflict, Written, VersionConflict, VersionConflict, Written]
    assert [type(outcome) for outcome in outcomes] == kinds


def test_one_uuid_several_times_in_a_batch_applies_in_order(truth: Truth) -> None:
    first = store_one(truth, write(1))
    outcomes = store(truth, [write(1, {"title": name}) for name in "abc"])
    assert [outcome.version for outcome in outcomes] == [2, 3, 4]
    row = ask(truth, reading.get_by_uuid, [uuid_of(1)])[uuid_of(1)]
    assert (row.doc_id, orjson.loads(row.properties)) == (outcomes[-1].doc_id, {"title": "c"})
    assert ask(truth, vectors.count_vectors, "default") == 1
    assert log(truth) == [(first.doc_id, 1), (first.doc_id, -1), (outcomes[-1].doc_id, 1)]


def test_doc_ids_are_never_given_twice(truth: Truth) -> None:
    used = {store_one(truth, write(number)).doc_id for number in range(3)}
    truth.write(lambda connection: delete_objects(connection, [uuid_of(number) for number in range(3)]))
    again = reopened(truth)
    assert store_one(again, write(7)).doc_id > max(used)
    again.close()


def test_delete_says_what_was_there(truth: Truth) -> None:
    doc_id = store_one(truth, write(1)).doc_id
    store(truth, [write(2)])
    gone = truth.write(lambda c: delete_objects(c, [uuid_of(1), uuid_of(5), uuid_of(1)]))
    assert gone == [True, False, False]
    assert ask(truth, reading.count) == 1
    assert ask(truth, vectors.count_vectors, "default") == 1
    assert log(truth)[-1] == (doc_id, -1)
    assert truth.write(lambda c: delete_objects(c, [])) == []


def test_an_empty_batch_is_no_error(truth: Truth) -> None:
    assert store(truth, []) == []


def test_vectors_come_back_to_the_bit(truth: Truth) -> None:
    given_row = vector_row(1.1, -0.0, 3e-45, text_hash=None, tokens=7, cut=2)
    doc_id = store_one(truth, write(1, vectors={"default": given_row, "other": vector_row(5)})).doc_id
    found = ask(truth, vectors.vector_rows, [doc_id], ["default", "other", "none"])[doc_id]
    assert set(found) == {"default", "other"}
    assert found["default"].vector.tobytes() == given_row.vector.tobytes()
    assert (found["default"].text_hash, found["default"].tokens, found["default"].cut) == (None, 7, 2)


def test_vectors_come_in_the_order_asked_for(truth: Truth) -> None:
    ids = [store_one(truth, write(number)).doc_id for number in range(5)]
    asked = [ids[3], 10_000, ids[0], ids[3], ids[4]]
    found, matrix = ask(truth, vectors.vectors_of, "default", np.array(asked))
    assert found.tolist() == [ids[3], ids[0], ids[4]]
    assert found.dtype == np.int64
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[3, 1, 2], [0, 1, 2], [4, 1, 2]]
    matrix[0] = 0  # the caller's own


def test_no_vectors_is_an_empty_answer(truth: Truth) -> None:
    found, matrix = ask(truth, vectors.vectors_of, "default", [1, 2])
    assert (found.shape, matrix.shape) == ((0,), (0, 0))


def test_a_scan_meets_every_vector_of_its_space_once(truth: Truth) -> None:
    both = {"default": vector_row(1, 2), "other": vector_row(3)}
    ids = [w.doc_id for w in store(truth, [write(n, vectors=both) for n in range(23)])]
    with truth.read() as connection:
        blocks = list(vectors.scan_vectors(connection, "other", 5))
    assert [len(block) for block, _ in blocks] == [5, 5, 5, 5, 3]
    assert np.concatenate([block for block, _ in blocks]).tolist() == ids
    assert {matrix.shape[1] for _, matrix in blocks} == {1}


def test_a_space_is_filled_where_it_is_missing(truth: Truth) -> None:
    ids = [store_one(truth, write(number)).doc_id for number in range(3)]
    gone = store_one(truth, write(9)).doc_id
    truth.write(lambda c: delete_objects(c, [uuid_of(9)]))
    truth.write(lambda c: fill_vectors(c, "other", [(ids[1], vector_row(1))]))
    before = ask(truth, changes.head)
    assert [row.doc_id for row in ask(truth, vectors_missing, "other")] == [ids[0], ids[2]]
    rows = [(doc_id, vector_row(4, 4)) for doc_id in [ids[2], ids[1], gone, ids[0]]]
    assert truth.write(lambda c: fill_vectors(c, "other", rows)) == [ids[2], ids[0]]
    assert ask(truth, vectors_missing, "other") == []
    assert [line[1:] for line in ask(truth, changes.read, before, 10)] == [(ids[2], 1), (ids[0], 1)]
    assert ask(truth, vectors.vectors_of, "other", [ids[1]])[1].tolist() == [[1]], "the one that was there stays"


def vectors_missing(connection: object, space: str) -> list[reading.Row]:
    return reading.without_vector(connection, space, 0, 100)  # type: ignore[arg-type]


def test_current_tells_what_a_writer_needs(truth: Truth) -> None:
    given_hash = {"default": vector_row(1, text_hash=b"x" * 16), "other": vector_row(2, text_hash=None)}
    first = store_one(truth, write(1, vectors=given_hash), now=4)
    store(truth, [write(2, vectors={})])
    found = ask(truth, reading.current, [uuid_of(1), uuid_of(2), uuid_of(3)])
    assert set(found) == {uuid_of(1), uuid_of(2)}
    assert found[uuid_of(1)].hashes == {"default": b"x" * 16, "other": None}
    assert (found[uuid_of(1)].doc_id, found[uuid_of(1)].created_at) == (first.doc_id, 4)
    assert found[uuid_of(1)].content_hash == b"c" * 16
    assert found[uuid_of(2)].hashes == {}


def test_pages_walk_in_the_order_of_writing(truth: Truth) -> None:
    ids = [w.doc_id for w in store(truth, [write(number) for number in range(7)])]
    first = ask(truth, reading.page, 0, 4)
    rest = ask(truth, reading.page, first[-1].doc_id, 4)
    assert [row.doc_id for row in first + rest] == ids
    assert ask(truth, reading.live, ids[2], 2) == ids[3:5]
    assert ask(truth, reading.page, ids[-1], 4) == []


def test_lists_longer_than_any_statement_work(truth: Truth) -> None:
    numbers = list(range(1203))
    ids = [w.doc_id for w in store(truth, [write(n, vectors={"default": vector_row(n)}) for n in numbers])]
    assert len(ask(truth, reading.get_objects, ids)) == 1203
    assert ask(truth, reading.doc_ids, [uuid_of(n) for n in numbers]) == {uuid_of(n): ids[n] for n in numbers}
    assert ask(truth, reading.uuids_of, ids[:501]) == {ids[n]: uuid_of(n) for n in range(501)}
    found, matrix = ask(truth, vectors.vectors_of, "default", ids[::-1])
    assert found.tolist() == ids[::-1]
    assert matrix[:, 0].tolist() == numbers[::-1]
    assert all(truth.write(lambda c: delete_objects(c, [uuid_of(n) for n in numbers])))


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_as_it_went_in(shared_truth: Truth, text: str) -> None:
    properties = {"title": text, text: [text, {"deep": text}]}
    doc_id = store_one(shared_truth, write(1, properties)).doc_id
    row = ask(shared_truth, reading.get_objects, [doc_id])[doc_id]
    assert row.properties == orjson.dumps(properties)
