"""The change log keeps its numbers, and loses only lines that every saved cursor is past."""

from __future__ import annotations

import pytest

from minivec.indexes.feed import Change, Cursor, LogTrimmed
from minivec.storage import changes, meta
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from minivec.storage.objects import delete_objects
from tests.storage.samples import ask, reopened, store, store_one, uuid_of, vector_row, write


def save(truth: Truth, name: str, sequence: int) -> None:
    truth.write(lambda connection: changes.save_cursor(connection, name, changes.cursor_at(sequence), 7))


def trim(truth: Truth, most: int = 1000) -> int:
    return truth.write(lambda connection: changes.trim(connection, most))


def test_an_empty_log_has_its_head_at_zero(truth: Truth) -> None:
    assert (ask(truth, changes.head), ask(truth, changes.oldest)) == (0, 1)
    assert truth.write(lambda connection: changes.append(connection, [])) == 0
    assert TruthFeed(truth).head() == "1:0"


def test_lines_are_numbered_from_one_without_gaps(truth: Truth) -> None:
    store(truth, [write(number) for number in range(3)])
    store(truth, [write(1)])
    assert [line[0] for line in ask(truth, changes.read, 0, 100)] == [1, 2, 3, 4, 5]
    assert [line[0] for line in ask(truth, changes.read, 2, 2)] == [3, 4]
    assert ask(truth, changes.head) == 5


def test_without_saved_cursors_nothing_is_trimmed(truth: Truth) -> None:
    store(truth, [write(1)])
    assert trim(truth) == 0


def test_the_slowest_follower_holds_the_log(truth: Truth) -> None:
    store(truth, [write(number) for number in range(10)])
    save(truth, "fast", 9)
    save(truth, "slow", 4)
    assert trim(truth) == 4
    assert (ask(truth, changes.oldest), ask(truth, changes.head)) == (5, 10)
    truth.write(lambda connection: changes.forget_cursor(connection, "slow"))
    assert trim(truth, most=3) == 3
    assert trim(truth, most=3) == 2
    assert trim(truth) == 0


def test_a_saved_cursor_moves_and_stays(truth: Truth) -> None:
    save(truth, "one", 1)
    save(truth, "one", 2)
    again = reopened(truth)
    assert ask(again, changes.cursors) == {"one": "1:2"}
    again.close()


def test_a_log_trimmed_to_nothing_keeps_counting(truth: Truth) -> None:
    store(truth, [write(number) for number in range(3)])
    save(truth, "one", 3)
    assert trim(truth) == 3
    assert (ask(truth, changes.oldest), ask(truth, changes.head)) == (4, 3)
    again = reopened(truth)
    store_one(again, write(5))
    assert [line[0] for line in ask(again, changes.read, 0, 100)] == [4]
    again.close()


def test_the_feed_tells_the_changes_in_order(truth: Truth) -> None:
    feed = TruthFeed(truth)
    start = feed.head()
    first = store_one(truth, write(1)).doc_id
    second = store_one(truth, write(1)).doc_id
    truth.write(lambda connection: delete_objects(connection, [uuid_of(1)]))
    lines, cursor = feed.changes(start, 3)
    assert lines == [Change(first, "insert"), Change(first, "delete"), Change(second, "insert")]
    assert not feed.reached(cursor, feed.head())
    assert feed.behind(cursor) == 1
    rest, cursor = feed.changes(cursor, 3)
    assert rest == [Change(second, "delete")]
    assert feed.reached(cursor, feed.head())
    assert feed.changes(cursor, 3) == ([], cursor)


@pytest.mark.parametrize("cursor", ["1:2", "1:7", "2:5", "nonsense", "1:", "1:-3", "1:٣", "1:99999999999999999999"])
def test_a_cursor_the_log_does_not_reach_must_rebuild(truth: Truth, cursor: str) -> None:
    store(truth, [write(number) for number in range(6)])
    save(truth, "one", 3)
    trim(truth)
    with pytest.raises(LogTrimmed):
        TruthFeed(truth).changes(Cursor(cursor), 10)
    assert TruthFeed(truth).changes(Cursor("1:3"), 10)[1] == "1:6"


def test_the_feed_hands_out_vectors_and_properties_of_the_living(truth: Truth) -> None:
    feed = TruthFeed(truth)
    ids = [store_one(truth, write(number, vectors={"default": vector_row(number)})).doc_id for number in range(3)]
    truth.write(lambda connection: delete_objects(connection, [uuid_of(1)]))
    assert list(feed.live(ids[0], 10)) == [ids[2]]
    assert dict(feed.properties(ids)) == {ids[0]: {"title": "thing 0"}, ids[2]: {"title": "thing 2"}}
    found, matrix = feed.vectors("default", ids[::-1])
    assert found.tolist() == [ids[2], ids[0]]
    assert matrix.tolist() == [[2], [0]]


def test_counters_give_each_number_once(truth: Truth) -> None:
    first = truth.write(lambda connection: meta.take(connection, "next_doc_id", 5))
    assert truth.write(lambda connection: meta.take(connection, "next_doc_id", 1)) == first + 5
    assert ask(truth, meta.last, "next_doc_id") == first + 5
