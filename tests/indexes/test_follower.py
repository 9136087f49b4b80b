"""The catch-up loop: position, rebuilds, snapshots, errors, and many callers at once."""

import logging
import threading

import pytest

from minivec.errors import Closed, Unavailable
from minivec.indexes import follower as module
from minivec.indexes.feed import Cursor
from minivec.indexes.follower import Following
from minivec.types.collection import IndexState
from tests.indexes.feeds import MemoryFeed

PATIENCE = 20.0  # seconds until a test gives up on a thread that hangs


class Names:
    """A follower that holds document ids and counts what it was given."""

    name = "names"
    kind = "set"
    signature = "1"

    def __init__(self):
        self.held = set()
        self.given = 0
        self.fails = []  # errors the next inserts raise after having taken half
        self.before_insert = lambda: None

    def __len__(self):
        return len(self.held)

    def insert(self, doc_ids, feed):
        self.before_insert()
        if self.fails:
            self.held.update(doc_ids[: len(doc_ids) // 2])
            raise self.fails.pop()
        self.given += len(doc_ids)
        self.held.update(doc_id for doc_id, _ in feed.properties(doc_ids))

    def delete(self, doc_ids):
        self.held.difference_update(doc_ids)

    def reset(self):
        self.held = set()

    def save(self):
        return ",".join(map(str, sorted(self.held))).encode()

    def load(self, payload):
        self.held = {int(part) for part in bytes(payload).decode().split(",") if part}


@pytest.fixture
def feed():
    return MemoryFeed()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(module, "CHANGES_PER_STEP", 7)
    monkeypatch.setattr(module, "DOCUMENTS_PER_STEP", 5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "names.snapshot"


def opened(feed, path=None, **options):
    following = Following(Names(), feed, path, **options)
    following.open()
    return following, following._follower


def test_it_follows_inserts_and_deletes(feed):
    following, names = opened(feed)
    target = feed.add(range(1, 31))
    following.catch_up(target)
    assert (names.held, following.cursor) == (set(range(1, 31)), target)
    feed.remove([3, 30])
    feed.add([31])
    following.catch_up()
    assert names.held == set(feed.documents)


def test_a_document_that_came_and_went_in_one_block_is_not_inserted(feed):
    following, names = opened(feed)
    following.catch_up()
    feed.add([1, 2])
    feed.remove([1])
    following.catch_up()
    assert (names.held, names.given) == ({2}, 1)


def test_it_stops_once_the_target_is_reached(feed):
    following, names = opened(feed)
    following.catch_up()
    target = feed.add(range(1, 8))
    feed.add(range(8, 100))
    following.catch_up(target)
    assert following.ready(target)
    assert not following.ready(feed.head())
    assert len(names) == 7


def test_an_existing_collection_is_walked_first_and_the_log_after(feed):
    feed.add(range(1, 21))
    following, names = opened(feed)
    assert following.cursor is None
    names.before_insert = lambda: feed.remove([20]) if 20 in feed.documents and len(names) > 5 else None
    following.catch_up()
    feed.add([21])
    following.catch_up()
    assert names.held == set(feed.documents) == {*range(1, 20), 21}


def test_progress_of_a_rebuild_is_visible(feed):
    feed.add(range(1, 13))
    following, names = opened(feed)
    seen = []
    names.before_insert = lambda: seen.append(following.state())
    following.catch_up()
    assert [state.note for state in seen] == [f"rebuilding, {n} documents so far" for n in (0, 5, 10)]
    assert not any(state.ready for state in seen)
    assert following.state() == IndexState(name="names", kind="set", count=12, ready=True)


def test_a_backlog_is_visible(feed):
    following, _ = opened(feed)
    following.catch_up()
    feed.add([1, 2, 3])
    assert following.state() == IndexState(name="names", kind="set", count=0, ready=False, note="3 changes behind")


def test_a_trimmed_log_leads_to_one_rebuild_and_one_line(feed, caplog):
    following, names = opened(feed)
    feed.add(range(1, 5))
    following.catch_up()
    feed.add(range(5, 20))
    feed.remove([2])
    feed.trim()
    following.catch_up()
    assert names.held == set(feed.documents)
    assert [record.getMessage() for record in caplog.records] == [
        "names: the log no longer reaches back to its position; rebuilding it from the stored documents"
    ]


def test_a_snapshot_saves_the_rebuild(feed, path, caplog):
    following, _ = opened(feed, path)
    feed.add(range(1, 20))
    following.catch_up()
    saved = following.save()
    feed.add([50])
    feed.remove([4])
    again, names = opened(feed, path)
    assert (again.cursor, len(names)) == (saved, 19)
    again.catch_up()
    assert names.held == set(feed.documents)
    assert names.given == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "its snapshot is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "its snapshot cannot be used: its length of"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "block 0 does not match its checksum"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
)
def test_a_damaged_snapshot_is_rebuilt_with_one_line(feed, path, caplog, damage, reason):
    following, _ = opened(feed, path)
    feed.add(range(1, 20))
    following.catch_up()
    following.save()
    damage(path)
    again, names = opened(feed, path)
    again.catch_up()
    assert names.held == set(feed.documents)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("names: ")
    assert reason in line


def test_a_snapshot_ahead_of_the_log_is_not_believed(feed, path, caplog):
    following, _ = opened(feed, path)
    feed.add(range(1, 20))
    following.catch_up()
    following.save()
    restored = MemoryFeed()
    restored.add([1, 2])
    again, names = opened(restored, path)
    again.catch_up()
    assert names.held == {1, 2}
    assert "ahead of the log" in caplog.text


def test_a_payload_the_follower_refuses_is_rebuilt(feed, path, caplog, monkeypatch):
    following, _ = opened(feed, path)
    feed.add([1])
    following.catch_up()
    following.save()

    def refuse(self, payload):
        self.held = {99}
        raise ValueError("its payload is of another time")

    monkeypatch.setattr(Names, "load", refuse)
    again, names = opened(feed, path)
    again.catch_up()
    assert names.held == {1}
    assert "another time" in caplog.text


def test_a_new_collection_opens_without_a_line(feed, path, caplog):
    opened(feed, path)[0].catch_up()
    assert not caplog.records


def test_save_writes_only_what_is_new(feed, path):
    following, _ = opened(feed, path)
    assert following.save() is None
    feed.add([1, 2])
    following.catch_up()
    assert following.unsaved == 2
    first = following.save()
    assert (first, following.unsaved) == (feed.head(), 0)
    path.unlink()
    assert following.save() == first
    assert not path.exists()


def test_a_read_only_follower_loads_but_never_saves(feed, path):
    following, _ = opened(feed, path)
    feed.add([1, 2])
    following.catch_up()
    following.save()
    before = path.read_bytes()
    feed.add([3])
    reader, names = opened(feed, path, read_only=True)
    reader.catch_up()
    assert reader.save() is None
    assert (names.held, path.read_bytes()) == ({1, 2, 3}, before)


def test_without_a_path_nothing_is_saved(feed):
    following, _ = opened(feed)
    feed.add([1])
    following.catch_up()
    assert following.save() is None


def test_a_disk_that_refuses_the_snapshot_is_noted_and_tried_again(feed, path, caplog, monkeypatch):
    following, _ = opened(feed, path)
    feed.add([1])
    following.catch_up()
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_snapshot", _full_disk)
        assert following.save() is None
    assert "No space" in following.state().note
    assert caplog.records[0].levelno == logging.WARNING
    assert following.save() == feed.head()
    assert following.state().note == ""


def test_an_error_while_inserting_keeps_the_position(feed):
    following, names = opened(feed)
    following.catch_up()
    before = following.cursor
    target = feed.add(range(1, 6))
    names.fails = [MemoryError("no room")]
    with pytest.raises(MemoryError):
        following.catch_up(target)
    assert following.cursor == before
    following.catch_up(target)
    assert names.held == set(range(1, 6))


def test_an_error_in_a_rebuild_goes_on_where_it_was(feed):
    feed.add(range(1, 13))
    following, names = opened(feed)
    names.before_insert = lambda: names.fails.append(OSError("gone")) if names.given == 5 and not errors else None
    errors = []
    try:
        following.catch_up()
    except OSError as error:
        errors.append(error)
    assert errors
    following.catch_up()
    assert names.held == set(range(1, 13))
    assert names.given == 12


def test_a_target_beyond_the_log_is_an_error_and_not_a_hang(feed):
    following, _ = opened(feed)
    with pytest.raises(Unavailable):
        following.catch_up(Cursor("1:5"))


def test_stopping_ends_a_catch_up_after_its_step(feed):
    following, names = opened(feed)
    feed.add(range(1, 100))
    names.before_insert = following.stop
    with pytest.raises(Closed):
        following.catch_up()
    assert names.held == set(range(1, 6))


def test_many_callers_share_the_work(feed):
    following, names = opened(feed)
    following.catch_up()
    targets = [feed.add([doc_id]) for doc_id in range(1, 201)]
    run_together(lambda: [following.catch_up(target) for target in targets], 6)
    assert names.held == set(range(1, 201))
    assert names.given == 200


def test_waiting_callers_survive_the_error_of_another(feed):
    following, names = opened(feed)
    following.catch_up()
    target = feed.add(range(1, 51))
    names.fails = [OSError("once"), OSError("twice")]
    failed = []

    def call():
        try:
            following.catch_up(target)
        except OSError as error:
            failed.append(error)

    run_together(call, 6)
    assert len(failed) == 2
    assert names.held == set(range(1, 51))


def test_saving_while_following_leaves_a_snapshot_that_agrees_with_its_cursor(feed, path):
    following, _ = opened(feed, path)

    def write():
        for doc_id in range(1, 120):
            following.catch_up(feed.add([doc_id]))

    def save():
        for _ in range(30):
            following.save()

    run_each([write, save])
    following.save()
    again, names = opened(feed, path)
    assert names.held == set(range(1, 120))
    assert again.cursor == feed.head()


def test_no_update_happens_while_a_search_reads(feed):
    following, names = opened(feed)
    following.catch_up()
    target = feed.add([1])
    with following.reading():
        thread = threading.Thread(target=following.catch_up, args=(target,), daemon=True)
        thread.start()
        thread.join(0.05)
        assert not names.held
    thread.join(PATIENCE)
    assert names.held == {1}


def test_updating_excludes_searches_and_the_log(feed):
    following, names = opened(feed)
    following.catch_up()
    target = feed.add([1])
    with following.updating():
        thread = threading.Thread(target=following.catch_up, args=(target,), daemon=True)
        thread.start()
        thread.join(0.05)
        assert not names.held
    thread.join(PATIENCE)
    assert names.held == {1}


def run_together(work, count):
    """Run the same work in several threads, started at once; none may hang or raise."""
    run_each([work] * count)


def run_each(works):
    start, errors = threading.Barrier(len(works)), []

    def run(work):
        start.wait(PATIENCE)
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors


def _full_disk(*_):
    raise OSError(28, "No space left on device")
