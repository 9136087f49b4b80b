"""One script on an embedded database, a sync client and an async client of a real server: equal answers and equal errors."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minivec
from minivec import And, Draft, Equal, Property, Rerank, VectorSpace
from minivec.embedding.engine import Engine
from minivec.errors import InvalidInput, MinivecError
from minivec.types.codec import to_plain
from tests.server.serving import running

OF_THE_MOMENT = {"created_at", "updated_at", "milliseconds", "seconds"}
TITLES = ["bees dance to talk", "ships sail the sea", "bees make honey", "the sea is deep", "ants talk by scent"]
OWN = VectorSpace(name="own", vectorizer="none", distance="l2-squared", index="flat")


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


class Awaited:
    """An async handle used as if it were sync: every coroutine is run to its end."""

    def __init__(self, handle: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = handle
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._handle, name)
        if not callable(found):
            return found

        def call(*args: Any, **more: Any) -> Any:
            result = found(*args, **more)
            if inspect.isawaitable(result):
                result = self._loop.run_until_complete(result)
            return Awaited(result, self._loop) if type(result).__name__.startswith("Async") else result

        return call


@pytest.fixture(scope="module")
def handles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The same empty database three times, by the way it is reached."""
    loop = asyncio.new_event_loop()
    folder = tmp_path_factory.mktemp("three-ways")
    with (
        running(folder / "sync") as one,
        running(folder / "async") as two,
        minivec.open(":memory:", embedders=Engine.fake(8)) as embedded,
        minivec.connect(one.url) as client,
    ):
        other = Awaited(loop.run_until_complete(minivec.connect_async(two.url)), loop)
        yield {"embedded": embedded, "sync": client, "async": other}
        other.close()
    loop.close()


def fill(db: Any, name: str) -> Any:
    notes = db.create_collection(
        name,
        description="Short notes",
        properties=[Property(name="title"), Property(name="year", data_type="int")],
        vector_spaces=[VectorSpace(), OWN],
    )
    drafts = [
        Draft(properties={"title": title, "year": 2000 + n % 2}, uuid=uuid_of(n), vectors={"own": [n, 1.0, 0.5]})
        for n, title in enumerate(TITLES, 1)
    ]
    notes.import_objects(drafts, batch_size=2)
    return notes


def definition(db: Any, name: str) -> Iterator[Any]:
    notes = fill(db, name)
    yield notes.name
    yield notes.describe().config
    yield notes.count()
    yield notes.update(description="Other notes")
    yield notes.update()
    yield notes.add_property(Property(name="tags", data_type="text[]"))
    yield notes.add_vector_space(VectorSpace(name="titles", source_properties=("title",), index="flat"))
    yield notes.get(uuid_of(1), vectors=["titles"])
    yield [(info.config.name, info.count) for info in db.list_collections() if info.config.name == name]
    yield db.collection(name).name
    yield sorted(db.version())
    yield db.drop_collection(name)
    yield lambda: db.collection(name)
    yield lambda: db.drop_collection(name)


def imports(db: Any, name: str) -> Iterator[Any]:
    notes = fill(db, name)
    objects: list[Any] = [
        {"properties": {"title": TITLES[0], "year": 2001}, "uuid": uuid_of(1)},
        {"properties": {"title": "new words"}, "uuid": uuid_of(9), "vectors": {"own": np.ones(3, dtype=np.float32)}},
        {"properties": {"year": "nineteen"}, "uuid": uuid_of(10)},
        {"properties": {"year": float("nan")}, "uuid": uuid_of(11)},
        {"properties": {"title": "x"}, "uuid": "no uuid"},
        {"properties": {"title": "x"}, "uuid": uuid_of(12), "vectors": {"own": [1.0]}},
        {"properties": {"title": "x"}, "uuid": uuid_of(13), "vectors": {"nowhere": [1.0]}},
        {"properties": {"title": "x"}, "uuid": uuid_of(14), "colour": "red"},
        {"properties": {"title": "nul \0"}, "uuid": uuid_of(15)},
        {"properties": {"title": "half \ud800"}, "uuid": uuid_of(16)},
        "no object",
    ]
    for mode in ("upsert", "insert", "replace", "merge"):
        report = notes.import_objects(objects, mode=mode, raise_on_failure=False, batch_size=4)
        yield [(outcome.status, outcome.uuid, outcome.code, outcome.field) for outcome in report.outcomes]
        yield report.outcomes[:2]
    report = notes.import_objects([{"properties": {"title": "same", "year": 1}}] * 2, id_from=["title", "year"])
    yield [outcome.status for outcome in report.outcomes]
    yield lambda: notes.import_objects(objects)
    yield lambda: notes.import_objects([{"properties": {}}], mode="upsrt")
    yield notes.count()
    yield notes.list_objects(limit=100).objects[:6]


def objects(db: Any, name: str) -> Iterator[Any]:
    notes = fill(db, name)
    yield notes.get(uuid_of(2))
    yield notes.get(uuid_of(2).upper(), vectors=("own", "default"))
    yield notes.insert({"title": "a sixth"}, uuid=uuid_of(6), vectors={"own": [6, 1, 1]})
    yield notes.insert({"title": "random"}).status
    yield lambda: notes.insert({"title": "again"}, uuid=uuid_of(6))
    yield lambda: notes.insert({"year": "x"})
    yield notes.upsert(uuid_of(7), {"title": "a seventh"})
    yield notes.upsert(uuid_of(7), {"title": "a seventh"})
    yield notes.replace(uuid_of(7), {"year": 7})
    yield lambda: notes.replace(uuid_of(99), {"year": 7})
    yield notes.merge(uuid_of(7), {"title": "both", "year": None})
    yield lambda: notes.merge(uuid_of(99), {"year": 7})
    yield notes.get(uuid_of(7))
    yield lambda: notes.get(uuid_of(99))
    yield lambda: notes.get("no uuid")
    yield lambda: notes.get(uuid_of(1), vectors=["nowhere"])
    yield notes.delete(uuid_of(7))
    yield notes.delete(uuid_of(7))
    yield lambda: notes.delete("no uuid")
    page = notes.list_objects(limit=2, properties=["title"], vectors=["own"])
    yield page
    yield notes.list_objects(limit=3, cursor=page.cursor, properties=[])
    yield lambda: notes.list_objects(limit=0)
    yield lambda: notes.list_objects(cursor="nonsense")
    yield lambda: notes.list_objects(properties=["nowhere"])
    yield notes.delete_where(Equal("year", 2000), dry_run=True)
    yield notes.delete_where(And((Equal("year", 2000), Equal("title", TITLES[1]))))
    yield lambda: notes.delete_where(Equal("nowhere", 1))
    yield notes.count()


def searches(db: Any, name: str) -> Iterator[Any]:
    notes = fill(db, name)
    yield notes.near_text("bees talk", space="default", limit=3, vectors=["own"])
    yield notes.near_text("bees talk", space="default", distance=0.9, properties=["title"])
    yield notes.near_text("bees talk", space="default", certainty=0.6)
    yield notes.near_vector(np.array([2, 1, 0.5]), space="own", limit=2, offset=1)
    yield notes.near_vector([2, 1, 0.5], space="own", distance=1.5, properties=[])
    yield notes.near_object(uuid_of(3), space="default", limit=2)
    yield notes.keyword("bees sea", query_properties=["title^2"])
    yield notes.keyword("nothing has this")
    yield notes.hybrid("bees talk", space="default", alpha=0.25)
    yield notes.hybrid("sea", space="default", fusion="ranked", limit=2, offset=1)
    yield notes.hybrid("sea", vector=[1, 1, 1], space="own", max_vector_distance=5.0)
    wish = Rerank(model="words", properties=("title",), query="sea honey", depth=4)
    yield notes.near_text("bees talk", space="default", limit=3, rerank=wish)
    yield notes.near_vector([2, 1, 0.5], space="own", limit=1, offset=1, rerank=wish)
    yield notes.near_object(uuid_of(3), space="default", properties=[], limit=4, rerank=wish)
    yield notes.keyword("bees sea", limit=4, rerank=wish)
    yield notes.hybrid("bees talk", space="default", limit=4, rerank=Rerank(model="words", depth=4))
    yield lambda: notes.keyword("bees", limit=1, rerank=Rerank(model="words", properties=("nowhere",)))
    yield lambda: notes.keyword("bees", limit=9, rerank=wish)
    yield lambda: notes.near_vector([1, 1, 1], space="own", rerank=Rerank(model="words"))
    yield lambda: notes.near_text("bees")
    yield lambda: notes.near_text("bees", space="own")
    yield lambda: notes.near_text("bees", space="nowhere")
    yield lambda: notes.near_text("bees", space="default", limit=0)
    with pytest.raises(InvalidInput):
        notes.near_text("bees", space="default", distance=0.1, certainty=0.1)
    yield lambda: notes.near_vector([1.0], space="own")
    yield lambda: notes.near_vector([1.0, float("nan"), 2.0], space="own")
    yield lambda: notes.near_object(uuid_of(99), space="default")
    yield lambda: notes.keyword("bees", query_properties=["nowhere"])
    yield lambda: notes.keyword("bees", properties=["nowhere"])
    yield lambda: notes.hybrid("bees", space="default", alpha=2)


def observed(script: Callable[[Any, str], Iterator[Any]], db: Any) -> list[Any]:
    """What each step of the script gave: a value, or the class and the field of the error it raised."""
    seen = []
    for step in script(db, f"From_{script.__name__}"):
        try:
            seen.append(timeless(step() if callable(step) else step))
        except MinivecError as error:
            seen.append((type(error).__name__, error.field))
    return seen


def timeless(value: Any) -> Any:
    """The value as plain data, without what depends on the moment."""
    if isinstance(value, (list, tuple)):
        return [timeless(item) for item in value]
    if dataclasses.is_dataclass(value):
        value = to_plain(value)
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in OF_THE_MOMENT}
    return value


@pytest.mark.parametrize("script", [definition, imports, objects, searches], ids=lambda script: script.__name__)
def test_the_same_script_gives_the_same_three_ways(script, handles):
    embedded, sync, asynchronous = (observed(script, db) for db in handles.values())
    assert len(embedded) > 10
    assert sync == embedded
    assert asynchronous == sync
