"""A flipped byte is found when its row is read, and the complaint names the object."""

from __future__ import annotations

import logging
import sqlite3

import orjson
import pytest
from sqlalchemy import text

from minivec.errors import CorruptData
from minivec.storage import reading, vectors
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from minivec.storage.objects import delete_objects
from tests.storage.samples import ask, store_one, uuid_of, vector_row, write

OBJECT_DAMAGE = [
    "version = version + 1",
    "created_at = created_at + 1",
    "updated_at = updated_at - 1",
    "properties = replace(properties, 'thing', 'thinG')",
    "properties = CAST(x'7b22ff227d' AS TEXT)",
    "uuid = replace(uuid, '1', '3')",
    "uuid = CAST(x'ff' || CAST(uuid AS BLOB) AS TEXT)",
    "checksum = checksum + 1",
]
VECTOR_DAMAGE = [
    "data = CAST(x'01' || substr(data, 2) AS BLOB)",
    "data = substr(data, 5)",
    "data = CAST(data || x'00' AS BLOB)",
    "tokens = tokens + 1",
    "cut = cut + 1",
    "text_hash = NULL",
    "text_hash = zeroblob(16)",
    "doc_id = 77",
    "checksum = checksum + 1",
]


def damage(truth: Truth, table: str, change: str, doc_id: int) -> None:
    truth.write(lambda connection: connection.execute(text(f"UPDATE {table} SET {change} WHERE doc_id = {doc_id}")))


@pytest.mark.parametrize("change", OBJECT_DAMAGE)
def test_a_damaged_object_is_corrupt_data(truth: Truth, change: str) -> None:
    doc_id = store_one(truth, write(1)).doc_id
    damage(truth, "objects", change, doc_id)
    with pytest.raises(CorruptData, match=f"document {doc_id}") as caught:
        ask(truth, reading.get_objects, [doc_id])
    assert caught.value.hint
    with pytest.raises(CorruptData):
        ask(truth, reading.page, 0, 10)


@pytest.mark.parametrize("change", [change for change in OBJECT_DAMAGE if not change.startswith("uuid")])
def test_the_complaint_names_the_object(truth: Truth, change: str) -> None:
    doc_id = store_one(truth, write(1)).doc_id
    damage(truth, "objects", change, doc_id)
    with pytest.raises(CorruptData, match=uuid_of(1)):
        ask(truth, reading.get_by_uuid, [uuid_of(1)])


def test_indexes_go_on_without_a_damaged_object(truth: Truth, caplog: pytest.LogCaptureFixture) -> None:
    ids = [store_one(truth, write(number)).doc_id for number in range(3)]
    damage(truth, "objects", OBJECT_DAMAGE[3], ids[1])
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert [doc_id for doc_id, _ in TruthFeed(truth).properties(ids)] == [ids[0], ids[2]]
    assert [uuid_of(1) in record.message for record in caplog.records] == [True], "logged once"


@pytest.mark.parametrize("change", VECTOR_DAMAGE)
def test_a_damaged_vector_is_left_out_and_logged_once(
    truth: Truth, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    ids = [store_one(truth, write(number, vectors={"default": vector_row(1, 2, 3)})).doc_id for number in range(3)]
    damage(truth, "vectors", change, ids[1])
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            found, matrix = ask(truth, vectors.vectors_of, "default", [*ids, 77])
            assert found.tolist() == [ids[0], ids[2]]
            assert matrix.shape == (2, 3)
        with truth.read() as connection:
            scanned = [doc_id for block, _ in vectors.scan_vectors(connection, "default", 1) for doc_id in block]
        assert scanned == [ids[0], ids[2]]
    named = "unknown" if change == "doc_id = 77" else uuid_of(1)
    assert [named in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("change", [change for change in VECTOR_DAMAGE if change != "doc_id = 77"])
def test_a_damaged_vector_asked_for_by_name_is_corrupt_data(truth: Truth, change: str) -> None:
    doc_id = store_one(truth, write(1)).doc_id
    damage(truth, "vectors", change, doc_id)
    with pytest.raises(CorruptData, match=uuid_of(1)):
        ask(truth, vectors.vector_rows, [doc_id], ["default"])


def test_a_vector_moved_to_another_space_is_found(truth: Truth) -> None:
    doc_id = store_one(truth, write(1)).doc_id
    damage(truth, "vectors", "space = 'other'", doc_id)
    assert len(ask(truth, vectors.vectors_of, "other", [doc_id])[0]) == 0


def test_a_byte_flipped_on_the_disk_is_found(truth: Truth) -> None:
    mark = "a text that can be found in the file"
    doc_id = store_one(truth, write(1, {"title": mark})).doc_id
    truth.close()
    path = truth.folder / "truth.db"
    content = bytearray(path.read_bytes())
    content[content.index(mark.encode()) + 5] ^= 4
    path.write_bytes(content)
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "SQLite itself does not see it"
    check.close()
    with (
        Truth.open(truth.folder, read_only=False, durability="full") as again,
        pytest.raises(CorruptData, match=uuid_of(1)),
    ):
        ask(again, reading.get_objects, [doc_id])


def test_writing_a_damaged_object_again_heals_it(truth: Truth) -> None:
    doc_id = store_one(truth, write(1)).doc_id
    damage(truth, "objects", OBJECT_DAMAGE[3], doc_id)
    damage(truth, "vectors", VECTOR_DAMAGE[0], doc_id)
    again = store_one(truth, write(1, {"title": "whole"}))
    assert again.version == 2
    row = ask(truth, reading.get_by_uuid, [uuid_of(1)])[uuid_of(1)]
    assert orjson.loads(row.properties) == {"title": "whole"}
    assert len(ask(truth, vectors.vectors_of, "default", [again.doc_id])[0]) == 1


def test_a_deleted_text_is_overwritten_in_the_file(truth: Truth) -> None:
    secret = "a secret that must go"
    store_one(truth, write(1, {"title": secret}))
    truth.write(lambda connection: delete_objects(connection, [uuid_of(1)]))
    truth.close()
    assert secret.encode() not in (truth.folder / "truth.db").read_bytes()
