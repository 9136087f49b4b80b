"""A snapshot is never the truth: spoilt, old, foreign or ahead of the file, it is replaced, and no answer is ever wrong."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import minivec
from minivec.database import Database
from tests.crash.checker import Check
from tests.crash.damage import WAYS, keep_copies, put_in_place_of_each_other, snapshots, spoil
from tests.crash.history import History
from tests.crash.values import KINDS, Kind, fake_engine
from tests.crash.writers import uuid_of

TWINS = tuple(replace(KINDS[0], name=name) for name in ("First", "Second"))  # alike but for what is in them
Histories = dict[str, History]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with open_database(tmp_path / "data") as database:
        for kind in TWINS:
            database.create_collection(**kind.definition)
    return tmp_path / "data"


@pytest.fixture
def histories() -> Histories:
    return {kind.name: History() for kind in TWINS}


def open_database(data: Path) -> Database:
    return minivec.open(data, settings=minivec.Settings(durability="relaxed"), embedders=fake_engine())


def write(data: Path, histories: Histories, turn: str) -> None:
    """Thirty upserts and five deletes in each collection, and an orderly end, which saves the snapshots."""
    with open_database(data) as database:
        write_to(database, histories, turn)


def write_to(database: Database, histories: Histories, turn: str) -> None:
    for kind in TWINS:
        collection, history = database.collection(kind.name), histories[kind.name]
        for number in range(30):
            uuid, token = uuid_of(kind, turn if number % 2 else "both", number), f"{kind.name}{turn}n{number}"
            operation = history.begin(uuid, "write", token)
            draft = kind.draft(uuid, token, "g")
            collection.upsert(uuid, draft.properties, vectors=draft.vectors)
            history.acknowledge(operation)
        for number in range(1, 10, 2):
            operation = history.begin(uuid_of(kind, turn, number), "delete")
            collection.delete(operation.uuid)
            history.acknowledge(operation)


def violations(database: Database, histories: Histories, kinds: tuple[Kind, ...] = TWINS) -> list[str]:
    checks = [Check(database.collection(one.name), one, histories[one.name], Random(1), ready=False) for one in kinds]
    for check in checks:
        check.run()
    return [violation for check in checks for violation in check.violations]


def expect_a_sound_database(data: Path, histories: Histories) -> None:
    """Right at once, while indexes may still be rebuilding; right again after the next start."""
    for _ in range(2):
        with open_database(data) as database:
            assert violations(database, histories) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_a_spoilt_snapshot_is_replaced(data: Path, histories: Histories, way: str, seed: int) -> None:
    write(data, histories, "one")
    keep_copies(data)
    write(data, histories, "two")
    for snapshot in snapshots(data):
        spoil(snapshot, way, Random(seed))
    expect_a_sound_database(data, histories)


@pytest.mark.parametrize("way", ["delete", "truncate", "garbage"])
def test_each_rebuild_is_one_line_in_the_log(
    data: Path, histories: Histories, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(data, histories, "one")
    spoilt = snapshots(data)
    for snapshot in spoilt:
        spoil(snapshot, way, Random(1))
    caplog.clear()
    with caplog.at_level(logging.INFO, "minivec"), open_database(data) as database:
        assert violations(database, histories) == []
        lines = [record.getMessage() for record in caplog.records if "rebuilding" in record.getMessage()]
    assert len(lines) == len(spoilt)


def test_the_snapshots_of_another_collection_are_not_taken_for_its_own(data: Path, histories: Histories) -> None:
    write(data, histories, "one")
    put_in_place_of_each_other(data)
    expect_a_sound_database(data, histories)


def with_snapshots(data: Path, backup: Path) -> None:
    """Put the truth files of a backup back and leave the newer snapshots lying."""
    for path in backup.glob("collections/*/truth.db*"):
        shutil.copyfile(path, data / path.relative_to(backup))


def without_anything(data: Path, backup: Path) -> None:
    """Put the whole backup back."""
    shutil.rmtree(data)
    shutil.copytree(backup, data)


@pytest.mark.parametrize("restore", [with_snapshots, without_anything])
def test_a_backup_put_back_is_not_mixed_with_what_came_after_it(
    data: Path, histories: Histories, restore: Callable[[Path, Path], None]
) -> None:
    write(data, histories, "one")
    backup = data.parent / "backup"
    shutil.copytree(data, backup)
    write(data, {kind.name: History() for kind in TWINS}, "two")
    restore(data, backup)
    expect_a_sound_database(data, histories)
    write(data, histories, "three")
    expect_a_sound_database(data, histories)


def test_a_snapshot_found_to_be_ahead_is_not_believed_later_when_the_file_has_grown_past_it(
    data: Path, histories: Histories
) -> None:
    write(data, histories, "one")
    backup, crashed = data.parent / "backup", data.parent / "crashed"
    shutil.copytree(data, backup)
    write(data, {kind.name: History() for kind in TWINS}, "two")
    with_snapshots(data, backup)
    with open_database(data) as database:
        write_to(database, histories, "three")
        write_to(database, histories, "four")
        shutil.copytree(data, crashed)  # what a kill at this moment leaves
    expect_a_sound_database(crashed, histories)
