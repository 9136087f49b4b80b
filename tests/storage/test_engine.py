"""A truth is made, opened, refused and closed as it promises; its definition is what is committed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from minivec.errors import Closed, CorruptData, NewerFormat, ReadOnly, StorageError
from minivec.storage import meta, reading
from minivec.storage.engine import Truth
from minivec.types.collection import CollectionConfig, KeywordOptions, Property, VectorSpace
from tests.storage.children import child, line_from, tell
from tests.storage.samples import CONFIG, ask, new_truth, reopened, store, write

RICH = CollectionConfig(
    name="Ünïcode",
    description='with "quotes" and \\',
    properties=(
        Property(name="a", data_type="text[]", tokenization="trigram"),
        Property(name="b", data_type="object", properties=(Property(name="c", data_type="int"),)),
    ),
    vector_spaces=(VectorSpace(name="s", source_properties=("a",), dimension=3, fingerprint="f"),),
    keyword=KeywordOptions(k1=1.5),
    auto_schema=False,
)


def test_the_definition_comes_back_as_it_was_given(tmp_path: Path) -> None:
    new_truth(tmp_path / "t", RICH).close()
    with Truth.open(tmp_path / "t", read_only=False, durability="full") as truth:
        assert truth.config == RICH


def test_closing_leaves_one_file_and_a_second_close_does_nothing(tmp_path: Path) -> None:
    truth = new_truth(tmp_path)
    store(truth, [write(1)])
    truth.close()
    truth.close()
    assert [path.name for path in tmp_path.iterdir()] == ["truth.db"]


def test_a_closed_truth_says_so(tmp_path: Path) -> None:
    truth = new_truth(tmp_path)
    truth.close()
    with pytest.raises(Closed):
        store(truth, [write(1)])
    with pytest.raises(Closed), truth.read():
        pass


def test_a_read_in_flight_survives_close(tmp_path: Path) -> None:
    truth = new_truth(tmp_path)
    store(truth, [write(1)])
    with truth.read() as connection:
        assert reading.count(connection) == 1
        truth.close()
        assert reading.count(connection) == 1


def test_a_read_sees_one_moment(truth: Truth) -> None:
    store(truth, [write(1)])
    with truth.read() as connection:
        assert reading.count(connection) == 1
        store(truth, [write(2)])
        assert reading.count(connection) == 1
    assert ask(truth, reading.count) == 2


def test_create_does_not_overwrite(tmp_path: Path) -> None:
    new_truth(tmp_path).close()
    with pytest.raises(StorageError, match="already there"):
        new_truth(tmp_path)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_missing_file_is_named(tmp_path: Path, read_only: bool) -> None:
    with pytest.raises(StorageError, match=r"There is no .*truth\.db"):
        Truth.open(tmp_path / "nowhere", read_only=read_only, durability="full")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "truth.db").write_bytes(b"something else entirely " * 1000)
    with pytest.raises(CorruptData, match="not a minivec file"):
        Truth.open(tmp_path, read_only=read_only, durability="full")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_somebody_else_is_refused(tmp_path: Path, read_only: bool) -> None:
    foreign = sqlite3.connect(tmp_path / "truth.db")
    foreign.execute("CREATE TABLE songs (title)")
    foreign.close()
    with pytest.raises(StorageError, match="not a minivec file"):
        Truth.open(tmp_path, read_only=read_only, durability="full")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_format_is_refused_with_a_sentence(tmp_path: Path, read_only: bool) -> None:
    truth = new_truth(tmp_path)
    truth.write(lambda connection: meta.put(connection, "format", "2"))
    truth.close()
    with pytest.raises(NewerFormat, match="format 2; this minivec reads up to format 1") as caught:
        Truth.open(tmp_path, read_only=read_only, durability="full")
    assert caught.value.hint


def test_a_damaged_definition_is_corrupt_data(tmp_path: Path) -> None:
    truth = new_truth(tmp_path)
    truth.write(lambda connection: meta.put(connection, "config", '{"name": 1, "properties": ['))
    truth.close()
    with pytest.raises(CorruptData, match="definition"):
        Truth.open(tmp_path, read_only=False, durability="full")


def test_reading_only_refuses_writes(tmp_path: Path) -> None:
    new_truth(tmp_path).close()
    with Truth.open(tmp_path, read_only=True, durability="full") as truth:
        with pytest.raises(ReadOnly):
            store(truth, [write(1)])
        with pytest.raises(ReadOnly):
            truth.change_config(lambda config: config)


_WRITER = """
import sys
from pathlib import Path
from minivec.storage.engine import Truth
from tests.storage.samples import CONFIG, store, write
truth = Truth.create(Path(sys.argv[1]), CONFIG, durability="full")
for line in sys.stdin:
    number = int(line)
    store(truth, [write(number)])
    truth.change_config(lambda config: config.__class__(name=config.name, description=f"after {number}"))
    print("stored", flush=True)
truth.close()
print("closed", flush=True)
"""


def test_a_reader_follows_a_writer_in_another_process(tmp_path: Path) -> None:
    with child(_WRITER, tmp_path) as writer:
        tell(writer, "1")
        assert line_from(writer) == "stored"
        with Truth.open(tmp_path, read_only=True, durability="full") as truth:
            assert ask(truth, reading.count) == 1
            assert truth.config.description == "after 1"
            tell(writer, "2")
            assert line_from(writer) == "stored"
            assert ask(truth, reading.count) == 2
            assert truth.config.description == "after 2"
            assert writer.stdin is not None
            writer.stdin.close()
            assert line_from(writer) == "closed"
            assert ask(truth, reading.count) == 2
    with Truth.open(tmp_path, read_only=True, durability="full") as truth:
        assert ask(truth, reading.count) == 2


def test_a_changed_definition_shows_after_its_commit_and_stays(truth: Truth) -> None:
    seen = []

    def work(connection: object) -> None:
        truth.change_config(lambda config: replace(config, description="new"), connection)  # type: ignore[arg-type]
        seen.append(truth.config.description)

    truth.write(work)
    assert seen == [""]
    assert truth.config.description == "new"
    again = reopened(truth)
    assert again.config == replace(CONFIG, description="new")
    again.close()


def test_a_definition_changed_by_work_that_fails_is_not_changed(truth: Truth) -> None:
    def work(connection: object) -> None:
        truth.change_config(lambda config: replace(config, description="new"), connection)  # type: ignore[arg-type]
        raise LookupError

    with pytest.raises(LookupError):
        truth.write(work)
    store(truth, [write(1)])
    assert truth.config == CONFIG
    assert truth.change_config(lambda config: config) == CONFIG
