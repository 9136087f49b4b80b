"""A vector space behind the log: which index, snapshots, damage, and searches while documents come and go."""

import random
import threading

import numpy as np
import pytest

from minivec.errors import InvalidInput
from minivec.indexes.follower import Following
from minivec.indexes.hnsw import HnswIndex
from minivec.indexes.vector_follower import VectorFollower, create_index
from minivec.types.collection import HnswOptions, VectorSpace
from tests.indexes.feeds import MemoryFeed
from tests.indexes.judges import clustered, plain_search

NARROW = HnswOptions(links=8, ef_construction=32, ef=16)
INDEXES = ("flat", "hnsw", "binary")


def space(index="flat", distance="cosine", **options):
    return VectorSpace(index=index, distance=distance, hnsw=NARROW, **options)


def opened(feed, path=None, **options):
    follower = VectorFollower(space(**options))
    following = Following(follower, feed, path)
    following.open()
    return following, follower


def filled_feed(count=40, dimension=8):
    feed = MemoryFeed()
    feed.add(range(1, count + 1), clustered(count, dimension))
    return feed


@pytest.mark.parametrize(
    ("index", "distance", "kind", "exact", "rescored"),
    [
        ("flat", "cosine", "flat", True, False),
        ("flat", "hamming", "flat", True, False),
        ("hnsw", "dot", "hnsw", False, False),
        ("binary", "cosine", "binary", False, True),
        ("binary", "hamming", "binary", True, False),
    ],
)
def test_the_definition_chooses_the_index(index, distance, kind, exact, rescored):
    follower = VectorFollower(space(index, distance, dimension=4))
    for each in (follower, follower.index):
        assert (each.kind, each.exact, each.rescored) == (kind, exact, rescored)


def test_hnsw_over_hamming_is_refused():
    with pytest.raises(InvalidInput) as caught:
        create_index(space("hnsw", "hamming"), 4)
    assert caught.value.field == "index"


@pytest.mark.parametrize("index", INDEXES)
def test_the_index_comes_into_being_with_the_first_vector(index):
    feed = MemoryFeed()
    following, follower = opened(feed, index=index)
    following.catch_up(feed.add([1]))
    assert follower.index is None
    assert len(follower.search(np.ones(3, dtype=np.float32), 5)[0]) == 0
    following.catch_up(feed.add([2], np.ones((1, 3), dtype=np.float32)))
    assert len(follower) == 1
    assert follower.search(np.ones(3, dtype=np.float32), 5)[0].tolist() == [2]


def test_documents_of_other_spaces_are_left_out():
    feed = filled_feed(5)
    feed.add([6], clustered(1, 3), space="other")
    following, follower = opened(feed)
    following.catch_up()
    assert len(follower) == 5


def test_a_query_of_another_dimension_is_refused():
    following, follower = opened(filled_feed())
    following.catch_up()
    with pytest.raises(InvalidInput, match="9 numbers and the space 'default' has 8"):
        follower.search(np.ones(9, dtype=np.float32), 5)


@pytest.mark.parametrize("index", INDEXES)
def test_a_snapshot_brings_the_index_back(index, tmp_path, caplog):
    feed, path = filled_feed(60), tmp_path / "space"
    following, follower = opened(feed, path, index=index)
    following.catch_up()
    following.catch_up(feed.remove([3, 4]))
    following.save()
    caplog.clear()
    again, loaded = opened(feed, path, index=index)
    assert again.cursor == feed.head()
    query = clustered(1, 8, seed=5)[0]
    for mine, theirs in zip(loaded.search(query, 60), follower.search(query, 60), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not caplog.records


@pytest.mark.parametrize("index", INDEXES)
def test_an_empty_space_can_be_saved(index, tmp_path):
    feed = MemoryFeed()
    for _ in range(2):
        following, follower = opened(feed, tmp_path / "space", index=index)
        following.catch_up()
        following.save()
        assert len(follower) == 0


def test_a_dimension_learnt_later_leaves_the_snapshot_good(tmp_path, caplog):
    feed = filled_feed()
    following, follower = opened(feed, tmp_path / "space")
    following.catch_up()
    following.save()
    caplog.clear()
    follower.space = space(dimension=8)
    again, loaded = opened(feed, tmp_path / "space", dimension=8)
    assert (len(loaded), again.cursor) == (40, feed.head())
    assert not caplog.records


@pytest.mark.parametrize("change", [{"index": "flat"}, {"distance": "dot"}, {"dimension": 9}])
def test_a_snapshot_of_another_definition_is_rebuilt(tmp_path, caplog, change):
    feed = filled_feed()
    following, _ = opened(feed, tmp_path / "space", index="hnsw")
    following.catch_up()
    following.save()
    caplog.clear()
    again, follower = opened(feed, tmp_path / "space", **{"index": "hnsw", **change})
    assert (again.cursor, len(follower)) == (None, 0)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("index", INDEXES)
def test_no_damage_to_a_snapshot_is_loaded_in_silence(index, tmp_path, caplog):
    feed, path = filled_feed(12, 4), tmp_path / "space"
    following, follower = opened(feed, path, index=index)
    following.catch_up()
    following.save()
    query = clustered(1, 4, seed=6)[0]
    expected = follower.search(query, 12)[0].tolist()
    whole, chance = path.read_bytes(), random.Random(8)
    damaged = [whole[:cut] for cut in chance.sample(range(len(whole)), 50)]
    for bit in chance.sample(range(len(whole) * 8), 500):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for content in damaged:
        path.write_bytes(content)
        caplog.clear()
        again, rebuilt = opened(feed, path, index=index)
        assert again.cursor is None
        assert len(caplog.records) == 1
        again.catch_up()
        assert rebuilt.search(query, 12)[0].tolist() == expected


@pytest.mark.parametrize("index", INDEXES)
def test_searches_among_updates_never_find_what_was_deleted_before(index):
    dimension, count = 16, 1500
    vectors = clustered(count, dimension)
    feed = MemoryFeed()
    following, follower = opened(feed, index=index)
    following.catch_up(feed.add(range(1, count // 2), vectors[: count // 2 - 1]))
    deleted: list[int] = []
    done, wrong = threading.Event(), []

    def search(seed):
        queries = clustered(50, dimension, seed=seed)
        turn = 0
        while not done.is_set() or turn == 0:
            gone = set(deleted)
            with following.reading():
                size = len(follower)
                ids, away = follower.search(queries[turn % 50], 20)
            found = ids.tolist()
            if gone & set(found) or len(set(found)) != min(20, size) or np.any(np.diff(away) < 0):
                wrong.append((gone & set(found), found, size))
            turn += 1

    def update():
        chance = random.Random(1)
        for start in range(count // 2, count, 25):
            ids = range(start, min(start + 25, count))
            following.catch_up(feed.add(ids, vectors[start - 1 : start - 1 + len(ids)]))
            victims = chance.sample(sorted(feed.documents), 20)
            following.catch_up(feed.remove(victims))
            deleted.extend(victims)

    searchers = [threading.Thread(target=search, args=(seed,), daemon=True) for seed in (31, 32)]
    for thread in searchers:
        thread.start()
    try:
        update()
    finally:
        done.set()
    for thread in searchers:
        thread.join(30.0)
        assert not thread.is_alive()
    assert not wrong
    assert len(follower) == len(feed.documents)


def test_the_graph_is_fed_in_blocks_that_grow_only_while_far_behind(monkeypatch):
    sizes = []
    insert = HnswIndex.insert
    monkeypatch.setattr(HnswIndex, "insert", lambda self, ids, rows: (sizes.append(len(ids)), insert(self, ids, rows)))
    feed = MemoryFeed()
    following, _ = opened(feed, index="hnsw")
    following.catch_up()
    following.catch_up(feed.add(range(1, 1001), clustered(1000, 4)))
    following.catch_up(feed.add(range(1001, 1101), clustered(100, 4)))
    following.catch_up(feed.add(range(1101, 1301), clustered(200, 4)))
    assert sizes == [128, 256, 512, 104, 100, 128, 72]


def test_a_rebuild_reads_only_the_stored_vectors():
    feed = filled_feed(30)
    feed.trim()
    following, follower = opened(feed)
    following.catch_up()
    query = clustered(1, 8, seed=2)[0]
    expected = plain_search(feed.stored["default"], query, 10, "cosine")
    assert follower.search(query, 10)[0].tolist() == [doc_id for doc_id, _ in expected]


def test_a_disk_error_while_feeding_is_raised_and_passes():
    feed = filled_feed(30)
    following, follower = opened(feed)
    feed.fail_after = 0
    with pytest.raises(OSError, match="does not answer"):
        following.catch_up()
    feed.fail_after = None
    following.catch_up()
    assert len(follower) == 30
