"""Random writes, deletes, fills, trims and reopenings against a dict: every value, every vector, and the log."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from minivec.errors import MinivecError
from minivec.indexes.feed import Cursor
from minivec.storage import changes, reading, vectors
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from minivec.storage.objects import VectorRow, Write, delete_objects, fill_vectors
from tests.storage.samples import SPACES, ask, new_truth, reopened, store, uuid_of

NUMBERS = st.integers(0, 7)
FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3)
VECTOR_ROWS = st.builds(
    VectorRow,
    vector=FLOATS.map(lambda numbers: np.array(numbers, np.float32)),
    text_hash=st.none() | st.binary(min_size=16, max_size=16),
    tokens=st.integers(0, 9),
    cut=st.integers(0, 9),
)
WRITES = st.builds(
    Write,
    uuid=NUMBERS.map(uuid_of),
    properties=st.dictionaries(st.sampled_from("ab"), st.text("aß€😀", max_size=5)).map(orjson.dumps),
    content_hash=st.binary(min_size=16, max_size=16),
    vectors=st.dictionaries(st.sampled_from(SPACES), VECTOR_ROWS),
    mode=st.sampled_from(["upsert", "insert", "replace"]),
    expected_version=st.sampled_from([None, None, None, 0, 1, 2]),
)


@dataclass
class Known:
    version: int
    created_at: int
    updated_at: int
    properties: bytes
    vectors: dict[str, VectorRow]


@dataclass
class Reader:
    """A follower that only remembers which documents live."""

    cursor: Cursor
    live: set[int] = field(default_factory=set)

    def catch_up(self, feed: TruthFeed) -> None:
        while not feed.reached(self.cursor, feed.head()):
            lines, self.cursor = feed.changes(self.cursor, 3)
            for line in lines:
                (self.live.add if line.kind == "insert" else self.live.discard)(line.doc_id)


class TruthMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.truth: Truth = new_truth(self.folder / "truth")
        self.known: dict[str, Known] = {}
        self.time = 100
        self.reader = Reader(TruthFeed(self.truth).head())
        self.doc_ids: set[int] = set()

    def teardown(self) -> None:
        self.truth.close()
        shutil.rmtree(self.folder)

    @rule(writes=st.lists(WRITES, max_size=6))
    def write(self, writes: list[Write]) -> None:
        self.time += 1
        for one, outcome in zip(writes, store(self.truth, writes, self.time), strict=True):
            old = self.known.get(one.uuid)
            version = old.version if old else 0
            refused = (
                (one.mode == "insert" and old is not None)
                or (one.mode == "replace" and old is None)
                or one.expected_version not in (None, version)
            )
            assert isinstance(outcome, MinivecError) == refused
            if not refused:
                assert (outcome.version, outcome.created) == (version + 1, old is None)
                assert outcome.doc_id not in self.doc_ids, "a doc id is given once"
                self.doc_ids.add(outcome.doc_id)
                created_at = old.created_at if old else self.time
                self.known[one.uuid] = Known(version + 1, created_at, self.time, one.properties, dict(one.vectors))

    @rule(numbers=st.lists(NUMBERS, max_size=4))
    def delete(self, numbers: list[int]) -> None:
        gone = self.truth.write(lambda connection: delete_objects(connection, [uuid_of(n) for n in numbers]))
        assert gone == [self.known.pop(uuid_of(number), None) is not None for number in numbers]

    @rule(number=NUMBERS, space=st.sampled_from(SPACES), row=VECTOR_ROWS)
    def fill(self, number: int, space: str, row: VectorRow) -> None:
        doc_id = ask(self.truth, reading.doc_ids, [uuid_of(number)]).get(uuid_of(number), 999_999)
        done = self.truth.write(lambda connection: fill_vectors(connection, space, [(doc_id, row)]))
        known = self.known.get(uuid_of(number))
        missing = known is not None and space not in known.vectors
        assert done == ([doc_id] if missing else [])
        if known is not None and missing:
            known.vectors[space] = row

    @rule()
    def reopen(self) -> None:
        self.truth = reopened(self.truth)

    @rule(most=st.integers(1, 5))
    def save_and_trim(self, most: int) -> None:
        self.reader.catch_up(TruthFeed(self.truth))

        def work(connection):  # type: ignore[no-untyped-def]
            changes.save_cursor(connection, "reader", self.reader.cursor, 1)
            return changes.trim(connection, most)

        assert self.truth.write(work) <= most

    @rule()
    def follow(self) -> None:
        feed = TruthFeed(self.truth)
        self.reader.catch_up(feed)
        assert feed.behind(self.reader.cursor) == 0
        assert sorted(self.reader.live) == list(feed.live(0, 100))

    @invariant()
    def every_value_is_there(self) -> None:
        with self.truth.read() as connection:
            rows = reading.page(connection, 0, 100)
            stored = vectors.vector_rows(connection, [row.doc_id for row in rows], SPACES)
            assert {row.uuid for row in rows} == set(self.known)
            assert reading.count(connection) == len(rows)
            for space in SPACES:
                expected = sum(space in known.vectors for known in self.known.values())
                assert vectors.count_vectors(connection, space) == expected
        for row in rows:
            known = self.known[row.uuid]
            shown = (row.version, row.created_at, row.updated_at, row.properties)
            assert shown == (known.version, known.created_at, known.updated_at, known.properties)
            found = stored.get(row.doc_id, {})
            assert {space: _plain(vector) for space, vector in found.items()} == {
                space: _plain(vector) for space, vector in known.vectors.items()
            }


def _plain(row: VectorRow) -> tuple[object, ...]:
    return row.vector.tobytes(), row.text_hash, row.tokens, row.cut


TruthMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestTruth = TruthMachine.TestCase
