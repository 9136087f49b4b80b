"""The judge judged: a sound database passes, and each kind of harm done behind its back is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

import minivec
from minivec.database import Database
from minivec.indexes.keyword import KeywordIndex
from minivec.indexes.vector_follower import VectorFollower
from tests.crash.checker import Check
from tests.crash.history import History
from tests.crash.values import KINDS, Kind, fake_engine
from tests.crash.writers import Writer, uuid_of

STEPS = 250
KIND_NAMES = [kind.name for kind in KINDS]


@pytest.fixture
def database() -> Iterator[Database]:
    with minivec.open(":memory:", embedders=fake_engine()) as opened:
        for kind in KINDS:
            opened.create_collection(**kind.definition)
        yield opened


def written(database: Database, steps: int = STEPS) -> tuple[dict[str, History], list[str]]:
    histories = {kind.name: History() for kind in KINDS}
    writer = Writer(0, database, histories, Random(7), "r1")
    writer.begin()
    for _ in range(steps):
        writer.step()
    return histories, writer.violations


def violations(database: Database, kind: Kind, history: History) -> list[str]:
    check = Check(database.collection(kind.name), kind, history, Random(7))
    check.run()
    return check.violations


def test_a_sound_database_passes(database: Database) -> None:
    histories, objections = written(database)
    assert objections == []
    assert [violation for kind in KINDS for violation in violations(database, kind, histories[kind.name])] == []
    assert all(history.acknowledged > STEPS / 10 for history in histories.values())


def test_it_passes_again_once_it_was_settled_and_written_further(database: Database) -> None:
    histories, _ = written(database, 100)
    for kind in KINDS:
        check = Check(database.collection(kind.name), kind, histories[kind.name], Random(7))
        histories[kind.name].settle(check.run())
    writer = Writer(1, database, histories, Random(8), "r2")
    writer.begin()
    for _ in range(100):
        writer.step()
    assert [violation for kind in KINDS for violation in violations(database, kind, histories[kind.name])] == []


def lose(collection: Any, kind: Kind, history: History) -> str:
    uuid = str(collection.list_objects(limit=1).objects[0].uuid)
    collection.delete(uuid)
    return f"lost: {uuid}"


def slip_in(collection: Any, kind: Kind, history: History) -> str:
    uuid = uuid_of(kind, "stranger", 1)
    draft = kind.draft(uuid, "strange", "g")
    collection.insert(draft.properties, uuid=uuid, vectors=draft.vectors)
    return f"ghost: {uuid}"


def roll_back(collection: Any, kind: Kind, history: History) -> str:
    one = collection.list_objects(limit=1).objects[0]
    history.acknowledge(history.begin(one.uuid, "write", "newer"))
    return f"lost: {one.uuid}"


def bring_back(collection: Any, kind: Kind, history: History) -> str:
    one = collection.list_objects(limit=1).objects[0]
    history.acknowledge(history.begin(one.uuid, "delete"))
    return f"lost: {one.uuid}"


def mix_vectors(collection: Any, kind: Kind, history: History) -> str:
    one = collection.list_objects(limit=1).objects[0]
    collection.replace(one.uuid, one.properties, vectors=kind.vectors("another"))
    return f"mixed: the vectors of {one.uuid}"


def mix_versions(collection: Any, kind: Kind, history: History) -> str:
    one = collection.list_objects(limit=1).objects[0]
    collection.merge(one.uuid, {"origin": "another"})
    return f"mixed: {one.uuid}"


@pytest.mark.parametrize("kind", KINDS, ids=KIND_NAMES)
@pytest.mark.parametrize("harm", [lose, slip_in, roll_back, bring_back, mix_vectors, mix_versions])
def test_harm_done_behind_its_back_is_named(
    database: Database, kind: Kind, harm: Callable[[Any, Kind, History], str]
) -> None:
    histories, _ = written(database, 60)
    expected = harm(database.collection(kind.name), kind, histories[kind.name])
    found = violations(database, kind, histories[kind.name])
    assert any(violation.startswith(f"{kind.name}: {expected}") for violation in found), found


@pytest.mark.parametrize("broken", [KeywordIndex, VectorFollower])
@pytest.mark.parametrize("method", ["insert", "delete"])
def test_an_index_that_misses_changes_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, broken: type, method: str
) -> None:
    histories, _ = written(database, 60)
    monkeypatch.setattr(broken, method, lambda self, *args: None)
    objections: list[str] = []
    for kind in KINDS:
        collection = database.collection(kind.name)
        if method == "insert":
            slip_in(collection, kind, histories[kind.name])
        else:
            lose(collection, kind, histories[kind.name])
        objections += violations(database, kind, histories[kind.name])
    indexes = [violation for violation in objections if "count: index" in violation]
    assert len(indexes) >= len(KINDS)
