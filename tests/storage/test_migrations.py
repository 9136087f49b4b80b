"""Old files are brought up step by step, each step whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from minivec.errors import NewerFormat, StorageError
from minivec.storage import engine, meta, tables
from minivec.storage.connections import writing_engine
from minivec.storage.engine import Truth
from minivec.storage.migrations import Step, migrate, require_current, stored_format
from tests.storage.samples import ask, new_truth, on_commit

STEPS = (
    Step(leads_to=1, title="add a", apply=lambda connection: meta.put(connection, "a", "1")),
    Step(
        leads_to=2, title="add b", apply=lambda connection: meta.put(connection, "b", meta.get(connection, "a") or "")
    ),
)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Connection]:
    """A file of format 0, which never was."""
    with writing_engine(tmp_path / "truth.db", "memory").connect() as connection:
        with connection.begin():
            tables.truth.create_all(connection)
            meta.put(connection, "format", "0")
        yield connection


def values(connection: Connection) -> dict[str, str | None]:
    with connection.begin():
        return {key: meta.get(connection, key) for key in ("format", "a", "b")}


def test_every_missing_step_runs_in_order(old: Connection, tmp_path: Path) -> None:
    migrate(old, tmp_path, current=2, steps=STEPS[::-1])
    assert values(old) == {"format": "2", "a": "1", "b": "1"}


def test_a_step_and_its_number_are_one_transaction(old: Connection, tmp_path: Path) -> None:
    seen: list[tuple[str | None, str | None]] = []
    with on_commit(lambda connection: seen.append((meta.get(connection, "a"), meta.get(connection, "format")))):
        migrate(old, tmp_path, current=1, steps=STEPS)
    assert seen == [(None, "0"), ("1", "1")]


def test_a_file_half_way_runs_the_rest(old: Connection, tmp_path: Path) -> None:
    migrate(old, tmp_path, current=1, steps=STEPS)
    assert values(old) == {"format": "1", "a": "1", "b": None}
    migrate(old, tmp_path, current=2, steps=STEPS)
    migrate(old, tmp_path, current=2, steps=STEPS)
    assert values(old) == {"format": "2", "a": "1", "b": "1"}


def test_a_step_that_fails_leaves_the_file_as_the_one_before_left_it(old: Connection, tmp_path: Path) -> None:
    def failing(connection: Connection) -> None:
        meta.put(connection, "b", "half")
        connection.execute(text("CREATE TABLE half (x)"))
        raise LookupError

    with pytest.raises(LookupError):
        migrate(old, tmp_path, current=2, steps=(STEPS[0], Step(leads_to=2, title="fail", apply=failing)))
    assert values(old) == {"format": "1", "a": "1", "b": None}
    with old.begin():
        assert old.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'half'")).scalar() == 0
    migrate(old, tmp_path, current=2, steps=STEPS)
    assert values(old)["format"] == "2"


def test_a_file_too_old_for_every_step_is_refused(old: Connection, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="format 0, which this minivec can no longer read"):
        migrate(old, tmp_path, current=2, steps=STEPS[1:])
    assert values(old)["format"] == "0"


def test_a_newer_file_is_refused(old: Connection, tmp_path: Path) -> None:
    migrate(old, tmp_path, current=2, steps=STEPS)
    with pytest.raises(NewerFormat, match="format 2; this minivec reads up to format 1"):
        migrate(old, tmp_path, current=1, steps=STEPS)


def test_one_who_only_reads_does_not_migrate(old: Connection, tmp_path: Path) -> None:
    with old.begin(), pytest.raises(StorageError, match="reading only") as caught:
        require_current(old, tmp_path, current=1)
    assert "for writing" in caught.value.hint


@pytest.mark.parametrize("number", ["", "one", "-1", "1.5"])
def test_a_format_that_is_no_number_is_not_ours(old: Connection, tmp_path: Path, number: str) -> None:
    with old.begin():
        meta.put(old, "format", number)
        with pytest.raises(StorageError, match="not a minivec file"):
            stored_format(old, tmp_path)


def test_opening_for_writing_migrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_truth(tmp_path).close()
    monkeypatch.setattr(tables, "FORMAT", 2)
    monkeypatch.setattr(engine, "TRUTH_STEPS", (Step(leads_to=2, title="", apply=STEPS[0].apply),))
    with pytest.raises(StorageError, match="older format 1"):
        Truth.open(tmp_path, read_only=True, durability="full")
    with Truth.open(tmp_path, read_only=False, durability="full") as truth:
        assert ask(truth, meta.get, "a") == "1"
        assert ask(truth, meta.get, "format") == "2"
    with Truth.open(tmp_path, read_only=True, durability="full") as truth:
        assert ask(truth, meta.get, "format") == "2"
