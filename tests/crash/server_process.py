"""The real server as a child process, with what a crash test needs: an instant model, frequent snapshots, places to die.

`python -m tests.crash.server_process --die-at after-commit:17` serves as `python -m minivec_server` does, takes the same
MINIVEC_... variables, and kills itself with SIGKILL the 17th time it gets to that place.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from minivec import database, shard
from minivec.embedding.engine import Engine
from minivec.indexes import files, follower
from minivec.storage import catalog, engine, meta, writer
from minivec_server.__main__ import main
from tests.crash.values import DIMENSION

SAVE_EVERY = 150  # changes between two snapshots
CHECKPOINT_ROWS = 400

# Where the process can be told to die: the owner of a function, its name, and whether before or after it ran.
PLACES: dict[str, tuple[Any, str, str]] = {
    "before-commit": (engine.Truth, "_before_commit", "after"),
    "after-commit": (engine.Truth, "_after_commit", "before"),
    "before-indexing": (follower.Following, "_apply", "before"),
    "during-rebuild": (follower.Following, "_step_rebuild", "before"),
    "before-snapshot": (follower, "write_snapshot", "before"),
    "snapshot-written": (os, "fsync", "before"),
    "snapshot-renamed": (files, "_sync_folder", "before"),
    "snapshot-synced": (follower, "write_snapshot", "after"),
    "log-trimmed": (shard, "trim", "after"),
    "before-checkpoint": (writer, "checkpoint", "before"),
    "after-checkpoint": (writer, "checkpoint", "after"),
    "catalog-begun": (catalog, "_create_if_empty", "before"),
    "catalog-made": (catalog, "_create_if_empty", "after"),
    "collection-begun": (meta, "save_config", "before"),
    "collection-made": (engine.Truth, "create", "after"),
    "collection-listed": (catalog.Catalog, "add", "after"),
    "collection-unlisted": (catalog.Catalog, "remove", "after"),
}
UNDER_LOAD = tuple(
    name for name in PLACES if not name.startswith(("catalog", "collection")) and name != "during-rebuild"
)


def die_at(place: str, count: int) -> None:
    """Replace the function at this place by one that ends the process the `count`-th time."""
    owner, name, when = PLACES[place]
    held = vars(owner)[name]
    real: Callable[..., Any] = held.__func__ if isinstance(held, classmethod) else held
    calls = 0

    @wraps(real)
    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls >= count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls >= count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, classmethod(deadly) if isinstance(held, classmethod) else deadly)


def run() -> int:
    """Parse, prepare, serve; the exit code of the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--die-at", default="", metavar="PLACE:COUNT")
    options = parser.parse_args()
    shard.SAVE_EVERY = SAVE_EVERY
    writer.CHECKPOINT_ROWS = CHECKPOINT_ROWS
    vars(database)["Engine"] = lambda options: Engine.fake(DIMENSION, options=options)
    if options.die_at:
        place, _, count = options.die_at.partition(":")
        die_at(place, int(count or 1))
    return main()


if __name__ == "__main__":
    sys.exit(run())
