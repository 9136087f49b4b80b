"""A writer killed at any moment loses nothing it acknowledged, and leaves no half of anything."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from minivec.storage import reading, vectors
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from tests.storage.children import child, line_from
from tests.storage.samples import CONFIG, ask, uuid_of

# Several threads write batches without end; each line it prints acknowledges one: thread, step.
_WRITER = """
import sys, threading
from pathlib import Path
from minivec.storage.engine import Truth
from tests.storage.samples import store, vector_row, write
truth = Truth.open(Path(sys.argv[1]), read_only=False, durability="full")
start = int(sys.argv[2])
say = threading.Lock()
def run(thread):
    step = start
    while True:
        step += 1
        batch = [
            write(thread * 10 + place, {"step": step}, vectors={"default": vector_row(step, thread, place)})
            for place in range(5)
        ]
        store(truth, batch)
        with say:
            print(thread, step, flush=True)
for thread in range(3):
    threading.Thread(target=run, args=(thread,)).start()
"""


def check(truth: Truth, acknowledged: dict[int, int]) -> int:
    """Every batch is whole and at least as new as its acknowledgement; returns the newest step."""
    newest = 0
    for thread, step in acknowledged.items():
        rows = ask(truth, reading.get_by_uuid, [uuid_of(thread * 10 + place) for place in range(5)])
        steps = {orjson.loads(row.properties)["step"] for row in rows.values()}
        assert len(rows) == 5
        assert len(steps) == 1, "a batch is stored as one"
        stored = steps.pop()
        assert step <= stored <= step + 1
        for place in range(5):
            doc_id = rows[uuid_of(thread * 10 + place)].doc_id
            assert ask(truth, vectors.vectors_of, "default", [doc_id])[1].tolist() == [[stored, thread, place]]
        newest = max(newest, stored)
    return newest


def check_log(truth: Truth) -> None:
    feed = TruthFeed(truth)
    live: set[int] = set()
    lines, cursor = feed.changes("1:0", 1000)  # type: ignore[arg-type]
    while lines:
        for line in lines:
            (live.add if line.kind == "insert" else live.remove)(line.doc_id)
        lines, cursor = feed.changes(cursor, 1000)
    assert sorted(live) == list(feed.live(0, 1000))


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    Truth.create(tmp_path / "t", CONFIG, durability="full").close()
    newest = 0
    for _ in range(2):
        acknowledged: dict[int, int] = {}
        with child(_WRITER, tmp_path / "t", newest) as process:
            for _ in range(chance.randrange(10, 120)):
                thread, step = map(int, line_from(process).split())
                acknowledged[thread] = step
            process.kill()
            assert process.stdout is not None
            for line in process.stdout.read().splitlines():
                if len(line.split()) == 2:
                    thread, step = map(int, line.split())
                    acknowledged[thread] = max(step, acknowledged.get(thread, 0))
        with Truth.open(tmp_path / "t", read_only=True, durability="full") as truth:
            check(truth, acknowledged)
        with Truth.open(tmp_path / "t", read_only=False, durability="full") as truth:
            newest = check(truth, acknowledged)
            check_log(truth)
            verdict = ask(truth, lambda connection: connection.execute(text("PRAGMA integrity_check")).scalar())
            assert verdict == "ok"
