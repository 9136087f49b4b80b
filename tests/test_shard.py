"""Followers and truth together, where two threads could see each other half-way."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from minivec.collection import Collection
from minivec.database import Database, open_database
from minivec.embedding.engine import Engine
from minivec.errors import StorageError
from minivec.indexes.hnsw import HnswIndex
from minivec.ingest.compare import content_hash
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from minivec.storage.objects import Write, write_objects
from minivec.types.collection import CollectionConfig, KeywordOptions, Property, VectorSpace


def test_a_property_is_searched_though_another_thread_learned_it(tmp_path: Path) -> None:
    """The follower may meet a document whose property was added after its owner last looked at the definition."""
    from minivec.indexes.followers import Followers

    config = CollectionConfig(name="Words", vector_spaces=(), keyword=KeywordOptions())
    with Truth.create(tmp_path / "c", config, durability="memory") as truth:
        followers = Followers(truth.config, TruthFeed(truth), None)
        followers.open()
        document = orjson.dumps({"late": "bird"})
        uuid = "00000000-0000-4000-8000-000000000001"
        write = Write(uuid=uuid, properties=document, content_hash=content_hash(document), vectors={}, mode="upsert")
        truth.change_config(lambda current: current.with_properties((Property(name="late"),)))
        truth.write(lambda connection: write_objects(connection, [write], 1))
        followers.catch_up()
        assert len(followers.keyword.search("bird", None, 10)) == 1


def test_an_index_that_fails_costs_no_write_and_searches_stay_exact(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = database.create_collection("Words")

    def broken(self: HnswIndex, *arguments: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(HnswIndex, "insert", broken)
    with caplog.at_level(logging.ERROR, logger="minivec"):
        assert words.import_objects([{"properties": {"text": "a bird"}}]).counts == {"inserted": 1}
    answer = words.near_text("bird")
    assert (len(answer.hits), answer.plan.legs[0].index) == (1, "scan")
    assert not database.health().ready
    assert any("could not catch up" in record.getMessage() for record in caplog.records)
    monkeypatch.undo()
    words.import_objects([{"properties": {"text": "a fish"}}])
    assert words.near_text("bird").plan.legs[0].index == "hnsw"
    assert database.health().ready


def test_words_cannot_be_searched_while_their_index_is_broken(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minivec.indexes.keyword import KeywordIndex

    words = database.create_collection("Words")
    monkeypatch.setattr(KeywordIndex, "insert", lambda *arguments: (_ for _ in ()).throw(RuntimeError("broken")))
    words.import_objects([{"properties": {"text": "a bird"}}])
    with pytest.raises(StorageError, match="cannot catch up"):
        words.keyword("bird")


def test_searches_under_updates_never_mix_versions_nor_miss_objects(embedders: Engine) -> None:
    with open_database(":memory:", embedders=embedders) as database:
        spaces = [VectorSpace(vectorizer="none", index="flat", distance="l2-squared")]
        words = database.create_collection("Words", vector_spaces=spaces)
        uuids = [f"00000000-0000-4000-8000-{n:012d}" for n in range(8)]

        def write(version: int, n: int) -> None:
            words.upsert(uuids[n], {"text": f"v{version}", "v": version}, vectors={"default": [version, n]})

        for n in range(8):
            write(0, n)
        stop = threading.Event()

        def look() -> int:
            looks = 0
            while not stop.is_set():
                answer = words.near_vector([0, 0], limit=8, vectors=["default"])
                assert len({hit.uuid for hit in answer.hits}) == 8
                for hit in answer.hits:
                    assert hit.vectors["default"][0] == hit.properties["v"]
                looks += 1
            return looks

        with ThreadPoolExecutor(4) as pool:
            looking = [pool.submit(look) for _ in range(2)]
            writing = [pool.submit(lambda n=n: [write(v, n) for v in range(1, 30)]) for n in range(2)]
            for future in writing:
                future.result(60)
            stop.set()
            assert all(future.result(60) > 0 for future in looking)


def test_snapshots_are_saved_after_enough_changes_and_the_log_is_trimmed(
    tmp_path: Path, embedders: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minivec import shard

    monkeypatch.setattr(shard, "SAVE_EVERY", 100)
    with open_database(tmp_path, embedders=embedders) as database:
        words: Collection = database.create_collection("Words")
        words.import_objects([{"properties": {"text": f"w{n}"}} for n in range(300)], batch_size=50)
        database._background.shutdown(wait=True)
        assert len(list(tmp_path.glob("collections/*/*.snapshot"))) == 2
