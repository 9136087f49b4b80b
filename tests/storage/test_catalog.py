"""A collection exists exactly when the catalog has its row."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from minivec.errors import Closed, CollectionExists, CommitUnknown, CorruptData, NewerFormat, ReadOnly, StorageError
from minivec.storage.catalog import Catalog, new_id
from tests.storage.children import child
from tests.storage.samples import on_commit


def names(catalog: Catalog) -> list[str]:
    return [entry.name for entry in catalog.entries()]


def open_catalog(root: Path, *, read_only: bool = False) -> Catalog:
    return Catalog(root, read_only=read_only, durability="full")


def test_entries_come_by_name_and_stay(tmp_path: Path) -> None:
    ids = {name: new_id() for name in ("Zebra", "Älter", "Apple")}
    with open_catalog(tmp_path / "new") as catalog:
        for name, id in ids.items():
            assert catalog.add(id, name).id == id
        assert names(catalog) == ["Apple", "Zebra", "Älter"]
    with open_catalog(tmp_path / "new") as catalog:
        assert {entry.name: entry.id for entry in catalog.entries()} == ids
        assert all(entry.created_at > 1_600_000_000_000_000 for entry in catalog.entries())


def test_a_name_is_there_once(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog:
        catalog.add(new_id(), "One")
        with pytest.raises(CollectionExists, match="One"):
            catalog.add(new_id(), "One")
        catalog.add(new_id(), "one")
        assert names(catalog) == ["One", "one"]


def test_removing_frees_the_name(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog:
        id = new_id()
        catalog.add(id, "One")
        assert catalog.remove(id)
        assert not catalog.remove(id)
        catalog.add(new_id(), "One")


def test_folders_without_a_row_are_orphans(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog:
        assert catalog.orphans() == []
        kept, lost = new_id(), new_id()
        for id in (kept, lost):
            catalog.path(id).mkdir(parents=True)
        catalog.add(kept, "Kept")
        (tmp_path / "collections" / "my notes").mkdir()
        assert catalog.orphans() == [tmp_path / "collections" / lost]


@pytest.mark.parametrize("id", ["../x", "", "A" * 32, "a" * 31, "a" * 32 + "\n"])
def test_no_path_comes_from_anything_but_an_id(tmp_path: Path, id: str) -> None:
    with open_catalog(tmp_path) as catalog, pytest.raises(AssertionError):
        catalog.path(id)


def test_reading_only_follows_and_refuses_writes(tmp_path: Path) -> None:
    with open_catalog(tmp_path) as catalog, open_catalog(tmp_path, read_only=True) as reader:
        id = new_id()
        catalog.add(id, "One")
        assert names(reader) == ["One"]
        with pytest.raises(ReadOnly):
            reader.add(new_id(), "Two")
        with pytest.raises(ReadOnly):
            reader.remove(id)
    with open_catalog(tmp_path, read_only=True) as reader:
        assert names(reader) == ["One"]


def test_reading_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no minivec database"):
        open_catalog(tmp_path, read_only=True)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_foreign_file_is_refused(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(CorruptData, match="not a minivec file"):
        open_catalog(tmp_path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_format_is_refused(tmp_path: Path, read_only: bool) -> None:
    open_catalog(tmp_path).close()
    raw = sqlite3.connect(tmp_path / "catalog.db")
    raw.execute("UPDATE meta SET value = '9' WHERE key = 'format'")
    raw.commit()
    raw.close()
    with pytest.raises(NewerFormat, match="format 9"):
        open_catalog(tmp_path, read_only=read_only)


def test_a_creation_that_crashed_before_its_first_commit_starts_again(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").touch()
    with open_catalog(tmp_path) as catalog:
        assert names(catalog) == []


def test_closing_twice_is_fine_and_then_it_is_closed(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    catalog.close()
    catalog.close()
    with pytest.raises(Closed):
        catalog.add(new_id(), "One")
    with pytest.raises(Closed):
        catalog.entries()


def test_a_failed_commit_is_unknown_and_the_next_one_works(tmp_path: Path) -> None:
    def failing(connection: Connection) -> None:
        raise sqlite3.OperationalError("made up")

    with open_catalog(tmp_path) as catalog:
        with on_commit(failing), pytest.raises(CommitUnknown):
            catalog.add(new_id(), "One")
        assert names(catalog) == []
        catalog.add(new_id(), "Two")
        assert names(catalog) == ["Two"]


def test_many_threads_add_each_name_once(tmp_path: Path) -> None:
    refused: list[str] = []
    with open_catalog(tmp_path) as catalog:

        def run() -> None:
            for number in range(10):
                try:
                    catalog.add(new_id(), f"N{number}")
                except CollectionExists:
                    refused.append(f"N{number}")

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert names(catalog) == [f"N{number}" for number in range(10)]
        assert len(refused) == 30


_KILLED = """
import os, sys
from pathlib import Path
from minivec.storage.catalog import Catalog, new_id
catalog = Catalog(Path(sys.argv[1]), read_only=False, durability="full")
catalog.add(new_id(), "One")
os.kill(os.getpid(), 9)
"""


def test_an_added_collection_survives_a_kill(tmp_path: Path) -> None:
    with child(_KILLED, tmp_path) as process:
        assert process.wait(60) == -9
    with open_catalog(tmp_path, read_only=True) as catalog:
        assert names(catalog) == ["One"]
    with open_catalog(tmp_path) as catalog:
        assert names(catalog) == ["One"]
