"""Random operations on a database and on a dict: whatever the order, they end up the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from minivec import shard
from tests.model.world import World

SAVE_EVERY = 60  # changes between two snapshots, so that a few hundred steps see many
COMPARE_EVERY = 8


@pytest.fixture(autouse=True)
def frequent_snapshots(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shard, "SAVE_EVERY", SAVE_EVERY)
    yield


def play(folder: Path, steps: int, seed: int | None = None) -> None:
    """Play and compare. The seed is new each time and printed with the last steps, so that a failure can be played again."""
    seed = Random().randrange(1 << 30) if seed is None else seed
    world = World(folder, seed)
    try:
        for number in range(1, steps + 1):
            name = world.step()
            print(f"seed {seed}, step {number}: {name}")
            if number % COMPARE_EVERY == 0 or name in ("reopen", "add_space", "start_anew"):
                world.compare()
        world.compare()
    finally:
        world.close()


@pytest.mark.parametrize("seed", [1, 2, None], ids=["first", "second", "new"])
def test_a_few_hundred_operations_agree_with_a_dict(tmp_path: Path, seed: int | None) -> None:
    play(tmp_path, 120, seed)


@pytest.mark.judge
@pytest.mark.parametrize("number", range(10))
def test_thousands_of_operations_agree_with_a_dict(tmp_path: Path, number: int) -> None:
    play(tmp_path, 1500)


def test_a_difference_is_noticed(tmp_path: Path) -> None:
    world = World(tmp_path, 5)
    for _ in range(20):
        world.step()
    world.compare()
    uuid = next(iter(world.plain.objects))
    world.collection.merge(uuid, {"title": "amber amber"})
    with pytest.raises(AssertionError):
        world.compare()
    world.close()
