"""Writes are grouped, fail alone, and each ends in a result or an error that says what is certain."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from minivec.errors import Busy, Closed, CommitUnknown, StorageError, StorageFull
from minivec.storage import reading, writer
from minivec.storage.engine import Truth
from minivec.storage.objects import write_objects
from tests.storage.children import child, line_from
from tests.storage.samples import CONFIG, Held, ask, new_truth, on_commit, store, uuid_of, write


def fault(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(f"made up: {name}")
    error.sqlite_errorname = name
    return error


def storing(number: int) -> Any:
    return lambda connection: write_objects(connection, [write(number)], 1)[0]


def test_work_that_waits_is_committed_together(truth: Truth) -> None:
    commits: list[Connection] = []
    with on_commit(commits.append):
        with Held(truth) as held:
            answers = [held.submit(storing(number)) for number in range(10)]
        assert len(commits) == 2, "the held one, and one for the ten"
    assert [answer[0].uuid for answer in answers] == [uuid_of(number) for number in range(10)]
    assert ask(truth, reading.count) == 10


def test_a_group_has_a_limit(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP_MOST", 4)
    commits: list[Connection] = []
    with on_commit(commits.append), Held(truth) as held:
        for number in range(10):
            held.submit(storing(number))
    assert len(commits) == 1 + 3
    assert ask(truth, reading.count) == 10


def test_one_failing_work_is_undone_alone(truth: Truth) -> None:
    def failing(connection: Connection) -> None:
        write_objects(connection, [write(99)], 1)
        raise LookupError("mine")

    commits: list[Connection] = []
    with on_commit(commits.append):
        with Held(truth) as held:
            before, failed, after = held.submit(storing(1)), held.submit(failing), held.submit(storing(2))
        assert len(commits) == 2
    assert isinstance(failed[0], LookupError)
    assert before[0].doc_id < after[0].doc_id
    assert set(ask(truth, reading.doc_ids, [uuid_of(n) for n in (1, 2, 99)])) == {uuid_of(1), uuid_of(2)}


def test_later_work_of_a_group_sees_the_earlier(truth: Truth) -> None:
    with Held(truth) as held:
        held.submit(storing(1))
        second = held.submit(storing(1))
    assert (second[0].version, second[0].created) == (2, False)


def test_work_that_leaves_by_an_exit_takes_nobody_along(truth: Truth) -> None:
    def leaving(connection: Connection) -> None:
        raise SystemExit(3)

    with Held(truth) as held:
        left, stayed = held.submit(leaving), held.submit(storing(1))
    assert isinstance(left[0], SystemExit)
    assert stayed[0].version == 1
    assert store(truth, [write(2)])[0].version == 1


def test_a_failed_commit_is_unknown_to_the_whole_group_and_writing_goes_on(truth: Truth) -> None:
    commits: list[Connection] = []

    def failing_the_second(connection: Connection) -> None:
        commits.append(connection)
        if len(commits) == 2:
            raise fault("SQLITE_IOERR_WRITE")

    def refused(connection: Connection) -> None:
        raise LookupError

    with on_commit(failing_the_second), Held(truth) as held:
        answers = [held.submit(storing(number)) for number in range(3)]
        own_error = held.submit(refused)
    assert [type(answer[0]) for answer in answers] == [CommitUnknown] * 3
    assert "SQLITE_IOERR_WRITE" in str(answers[0][0])
    assert isinstance(own_error[0], LookupError), "its outcome is certain"
    assert ask(truth, reading.count) == 0
    assert store(truth, [write(5)])[0].version == 1


def test_an_unknown_commit_may_be_there(truth: Truth) -> None:
    def committing(connection: Connection) -> None:
        connection.connection.commit()
        raise fault("SQLITE_IOERR")

    with on_commit(committing), pytest.raises(CommitUnknown):
        store(truth, [write(1)])
    assert ask(truth, reading.count) == 1
    assert store(truth, [write(1)])[0].version == 2


def test_a_definition_whose_commit_failed_does_not_show_later(truth: Truth) -> None:
    def failing(connection: Connection) -> None:
        raise fault("SQLITE_FULL")

    with on_commit(failing), pytest.raises(CommitUnknown):
        truth.change_config(lambda config: replace(config, description="lost"))
    store(truth, [write(1)])
    assert truth.config == CONFIG


@pytest.mark.parametrize("name", ["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"])
def test_after_a_failed_sync_nothing_is_written_any_more(truth: Truth, name: str) -> None:
    def failing(connection: Connection) -> None:
        raise fault(name)

    store(truth, [write(1)])
    with on_commit(failing), pytest.raises(CommitUnknown):
        store(truth, [write(2)])
    with pytest.raises(StorageError, match="takes no more writes") as caught:
        store(truth, [write(3)])
    assert "restart" in caught.value.hint
    assert ask(truth, reading.count) == 1, "reads go on"


def test_a_full_disk_inside_a_statement_is_certain_failure(truth: Truth) -> None:
    def filling(connection: Connection) -> None:
        (pages,) = connection.execute(text("PRAGMA page_count")).one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        try:
            write_objects(connection, [write(number, {"title": "x" * 10_000}) for number in range(20)], 1)
        finally:
            connection.exec_driver_sql("PRAGMA max_page_count=1000000000")

    with Held(truth) as held:
        held.submit(storing(1))
        failed = held.submit(filling)
    assert isinstance(failed[0], StorageFull)
    assert "truth.db" in failed[0].message
    store(truth, [write(2)])
    assert uuid_of(2) in ask(truth, reading.doc_ids, [uuid_of(2)])


def test_when_sqlite_undoes_the_whole_transaction_every_caller_hears_of_it(truth: Truth) -> None:
    def undoing(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")  # as SQLite does on its own on some full disks
        raise fault("SQLITE_FULL")

    with Held(truth) as held:
        first, second = held.submit(storing(1)), held.submit(undoing)
    assert isinstance(first[0], StorageFull)
    assert isinstance(second[0], StorageFull)
    assert ask(truth, reading.count) == 0
    assert store(truth, [write(3)])[0].version == 1


def test_too_much_waiting_is_busy(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_MOST", 2)
    with Held(truth) as held:
        held.submit(storing(1))
        held.submit(storing(2))
        third = held.submit(storing(3))
        assert isinstance(third[0], Busy)
    assert ask(truth, reading.count) == 2


def test_a_lock_of_another_program_is_busy(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    truth.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=10").fetchall())
    other = sqlite3.connect(truth.folder / "truth.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="another program"):
        store(truth, [write(1)])
    other.execute("ROLLBACK")
    other.close()
    assert store(truth, [write(1)])[0].version == 1


def test_close_finishes_what_waits_and_refuses_what_comes_later(tmp_path: Path) -> None:
    truth = new_truth(tmp_path)
    with Held(truth) as held:
        answers = [held.submit(storing(number)) for number in range(5)]
        closing = threading.Thread(target=truth.close)
        closing.start()
        assert truth._writer is not None
        while not truth._writer._closing:
            pass
        late = held.submit(storing(6))
        assert isinstance(late[0], Closed)
    closing.join(30)
    assert all(answer[0].version == 1 for answer in answers)
    with Truth.open(tmp_path, read_only=True, durability="full") as again:
        assert ask(again, reading.count) == 5


def test_work_may_not_wait_for_its_own_thread(truth: Truth) -> None:
    with pytest.raises(AssertionError, match="its own connection"):
        truth.write(lambda connection: truth.write(lambda inner: None))
    store(truth, [write(1)])


def test_many_threads_lose_nothing(truth: Truth) -> None:
    def run(thread: int) -> None:
        for step in range(20):
            store(truth, [write(thread * 100 + step)])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ask(truth, reading.count) == 160


def test_the_log_is_moved_into_the_file_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_ROWS", 50)
    truth = new_truth(tmp_path)
    for number in range(200):
        store(truth, [write(number, {"title": "x" * 4000})])
    log = (tmp_path / "truth.db-wal").stat().st_size
    assert (tmp_path / "truth.db").stat().st_size > 500_000
    assert log < 1_500_000, "the log was used again from its start"
    truth.close()


def test_a_checkpoint_that_fails_costs_no_write(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(connection: Connection, mode: str) -> bool:
        raise fault("SQLITE_IOERR_WRITE")

    monkeypatch.setattr(writer, "CHECKPOINT_ROWS", 1)
    monkeypatch.setattr(writer, "checkpoint", failing)
    for number in range(5):
        store(truth, [write(number)])
    assert ask(truth, reading.count) == 5


def test_a_checkpoint_that_fails_to_sync_stops_writing(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(connection: Connection, mode: str) -> bool:
        raise fault("SQLITE_IOERR_FSYNC")

    monkeypatch.setattr(writer, "CHECKPOINT_ROWS", 1)
    monkeypatch.setattr(writer, "checkpoint", failing)
    store(truth, [write(1)])
    with pytest.raises(StorageError, match="failed to sync"):
        store(truth, [write(2)])


_LIMITED = """
import resource, sys
from pathlib import Path
from minivec.errors import CommitUnknown, StorageError
from minivec.storage import reading
from minivec.storage.engine import Truth
from tests.storage.samples import CONFIG, ask, store, write
truth = Truth.create(Path(sys.argv[1]), CONFIG, durability="full")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
stored = 0
try:
    while True:
        store(truth, [write(stored, {"title": "x" * 5000})])
        stored += 1
except CommitUnknown as error:
    print("unknown", stored, flush=True)
there = ask(truth, reading.count)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
store(truth, [write(1_000)])
truth.close()
print("after", there, flush=True)
"""


def test_a_file_that_may_not_grow_fails_the_commit_and_recovers(tmp_path: Path) -> None:
    with child(_LIMITED, tmp_path) as process:
        word, stored = line_from(process).split()
        assert word == "unknown"
        assert int(stored) > 5
        _, there = line_from(process).split()
        assert int(there) == int(stored), "reads go on and see what was acknowledged"
        assert process.wait(30) == 0
    with Truth.open(tmp_path, read_only=False, durability="full") as truth:
        assert ask(truth, reading.count) == int(stored) + 1
        assert ask(truth, lambda connection: connection.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
