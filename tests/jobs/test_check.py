"""`minivec check`: what is sound is called sound, and each kind of damage is found and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from minivec.database import open_database
from minivec.embedding.engine import Engine
from minivec.errors import StorageError
from minivec.jobs.check import check


@pytest.fixture
def uuid(tmp_path: Path) -> str:
    """A database of fifty objects lies in the folder; this one holds the word 7."""
    with open_database(tmp_path, embedders=Engine.fake(dimension=32)) as database:
        words = database.create_collection("Words")
        words.import_objects([{"properties": {"text": f"word {n} of {n}"}} for n in range(50)])
        return words.keyword("7").hits[0].uuid


def damage(file: Path, old: bytes, new: bytes) -> None:
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, 1))


def test_a_sound_folder_also_while_it_is_in_use(tmp_path: Path, uuid: str) -> None:
    assert (check(tmp_path).sound, check(tmp_path).objects, check(tmp_path).collections) == (True, 50, 1)
    with open_database(tmp_path, embedders=Engine.fake(dimension=32)):
        assert check(tmp_path).sound


def test_a_flipped_byte_in_an_object_names_it(tmp_path: Path, uuid: str) -> None:
    (file,) = tmp_path.glob("collections/*/truth.db")
    damage(file, b"word 7 of 7", b"Word 7 of 7")
    report = check(tmp_path)
    assert [uuid in finding.problem for finding in report.findings] == [True]


def test_a_damaged_snapshot_is_named_and_no_reason_to_worry(tmp_path: Path, uuid: str) -> None:
    file = next(tmp_path.glob("collections/*/keyword.snapshot"))
    file.write_bytes(file.read_bytes()[:-1])
    (finding,) = check(tmp_path).findings
    assert "keyword" in finding.problem
    assert "Nothing to do" in finding.hint
    with open_database(tmp_path, embedders=Engine.fake(dimension=32)) as database:
        assert len(database.collection("Words").keyword("7").hits) == 1
    assert check(tmp_path).sound


def test_a_collection_that_cannot_be_opened_is_a_finding(tmp_path: Path, uuid: str) -> None:
    (file,) = tmp_path.glob("collections/*/truth.db")
    file.write_bytes(b"no database" * 1000)
    (finding,) = check(tmp_path).findings
    assert finding.collection == "Words"


def test_a_folder_without_a_database_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        check(tmp_path)
