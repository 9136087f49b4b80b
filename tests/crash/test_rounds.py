"""kill -9 at any moment: what was acknowledged is there, by id, vector and word; nothing else is; nothing is mixed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.crash.history import History
from tests.crash.rounds import Rounds, Summary


def play(folder: Path, rounds: int) -> Summary:
    """The seed is new each time and printed, so that a failure can be played again."""
    seed = Random().randrange(1 << 30)
    print(f"seed {seed}")
    return Rounds(folder, seed, say=print).run(rounds)


def test_a_killed_server_loses_and_invents_nothing(tmp_path: Path) -> None:
    summary = play(tmp_path, 6)
    assert summary.violations == []
    assert summary.acknowledged > 100


@pytest.mark.judge
def test_two_hundred_kills_lose_and_invent_nothing(tmp_path: Path) -> None:
    summary = play(tmp_path, 200)
    print(summary.figures())
    assert summary.violations == []
    assert summary.rounds == 200


def test_an_object_lost_from_the_file_is_noticed(tmp_path: Path) -> None:
    lost: list[str] = []

    def tamper(data: Path, histories: dict[str, History]) -> None:
        """Remove one object from each file, as a storage that forgets a commit would."""
        for path in sorted(data.glob("collections/*/truth.db")):
            with closing(sqlite3.connect(path)) as connection, connection:
                row = connection.execute("SELECT uuid FROM objects ORDER BY doc_id LIMIT 1").fetchone()
                if row is not None:
                    connection.execute("DELETE FROM objects WHERE uuid = ?", row)
                    lost.append(row[0])

    summary = Rounds(tmp_path, seed=1, tamper=tamper).run(1)
    assert lost
    assert [uuid for uuid in lost if not any(f"lost: {uuid}" in violation for violation in summary.violations)] == []
