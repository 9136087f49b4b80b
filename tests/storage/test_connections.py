"""One writer per file; readers see a snapshot and can neither write nor checkpoint."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from minivec.errors import Busy, StorageError
from minivec.storage import connections, reading
from minivec.storage.connections import Durability, Readers, make_folder, open_reader, sqlite_version, writing_engine
from minivec.storage.engine import Truth
from tests.storage.children import child
from tests.storage.samples import ask, new_truth, store, write

_KILLED = """
import os, signal, sys
from pathlib import Path
from minivec.storage.engine import Truth
from tests.storage.samples import CONFIG, store, write
truth = Truth.create(Path(sys.argv[1]), CONFIG, durability="full")
for number in range(20):
    store(truth, [write(number)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A folder whose writer was killed: everything it wrote is still in the log."""
    with child(_KILLED, tmp_path) as process:
        assert process.wait(60) == -9
    return tmp_path


def test_a_reader_of_a_crashed_file_sees_everything_and_leaves_the_log_alone(crashed: Path) -> None:
    log = crashed / "truth.db-wal"
    frames, content = log.read_bytes(), (crashed / "truth.db").read_bytes()
    assert len(frames) > 20 * connections.PAGE_BYTES
    with Truth.open(crashed, read_only=True, durability="full") as truth:
        assert ask(truth, reading.count) == 20
    assert log.read_bytes() == frames
    assert (crashed / "truth.db").read_bytes() == content


def test_a_reader_cannot_checkpoint_even_when_it_tries(crashed: Path) -> None:
    content = (crashed / "truth.db").read_bytes()
    reader = open_reader(crashed / "truth.db")
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    reader.close()
    assert (crashed / "truth.db").read_bytes() == content
    with Truth.open(crashed, read_only=False, durability="full") as truth:
        assert ask(truth, reading.count) == 20


def test_a_reader_cannot_write(truth: Truth) -> None:
    with pytest.raises(StorageError, match="SQLITE_READONLY"), truth.read() as connection:
        connection.execute(text("DELETE FROM objects"))


def test_nobody_checkpoints_on_its_own(truth: Truth) -> None:
    def pragma(connection: object) -> object:
        return connection.execute(text("PRAGMA wal_autocheckpoint")).scalar()  # type: ignore[attr-defined]

    assert ask(truth, pragma) == 0
    assert truth.write(pragma) == 0


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("relaxed", 1), ("memory", 0)])
def test_durability_is_how_often_the_writer_syncs(tmp_path: Path, durability: Durability, synchronous: int) -> None:
    with writing_engine(tmp_path / "file.db", durability).connect() as connection:
        values = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("synchronous", "journal_mode", "secure_delete")
        }
    assert values == {"synchronous": synchronous, "journal_mode": "wal", "secure_delete": 1}


def test_a_place_where_the_lock_file_cannot_be_made_is_read_as_unchanging(tmp_path: Path) -> None:
    truth = new_truth(tmp_path)
    store(truth, [write(1)])
    truth.close()
    (tmp_path / "truth.db-shm").symlink_to(tmp_path / "nowhere" / "shm")  # as on a read-only disk, it cannot be made
    with Truth.open(tmp_path, read_only=True, durability="full") as again:
        assert ask(again, reading.count) == 1


def test_an_unfinished_log_is_never_passed_over(crashed: Path) -> None:
    (crashed / "truth.db-shm").unlink()
    (crashed / "truth.db-shm").symlink_to(crashed / "nowhere" / "shm")
    with pytest.raises(StorageError, match="CANTOPEN"):
        Truth.open(crashed, read_only=True, durability="full")


def test_readers_are_few_and_wait_for_each_other(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READERS_MOST", connections.READERS_KEPT)
    monkeypatch.setattr(connections, "READER_WAIT_SECONDS", 0.01)
    readers = Readers(truth.folder / "truth.db")
    open_ones = [readers.snapshot() for _ in range(connections.READERS_KEPT)]
    for one in open_ones:
        one.__enter__()
    with pytest.raises(Busy, match="in use"), readers.snapshot():
        pass
    open_ones.pop().__exit__(None, None, None)
    with readers.snapshot() as connection:
        assert reading.count(connection) == 0
    for one in open_ones:
        one.__exit__(None, None, None)
    readers.close()


def test_paths_may_hold_anything(tmp_path: Path) -> None:
    folder = tmp_path / "a b?mode=rw#c%20d&é"
    with new_truth(folder) as truth:
        store(truth, [write(1)])
        assert ask(truth, reading.count) == 1
    assert (folder / "truth.db").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be made"):
        make_folder(tmp_path / "file" / "below")


def test_the_library_tells_its_version() -> None:
    assert sqlite_version() == sqlite3.sqlite_version
