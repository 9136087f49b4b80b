"""Kill the server, start it again, compare it with what was acknowledged; many rounds over one data directory.

Each round loads the server with several clients, ends it in one of four ways (SIGKILL at a random moment, SIGKILL at a
named place, SIGTERM, or SIGKILL and a second one while it starts), sometimes spoils snapshots, and looks at everything.
"""

from __future__ import annotations

import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.crash.checker import Check
from tests.crash.damage import keep_copies, spoil_some
from tests.crash.history import History
from tests.crash.server_process import UNDER_LOAD
from tests.crash.servers import ServerFailed, ServerProcess
from tests.crash.values import KINDS
from tests.crash.writers import Writer

WRITERS = 4
_ENDS = ("random", "place", "start", "term")
_END_WEIGHTS = (10, 7, 2, 1)
_PATIENCE = 3.0  # seconds that a server told to die at a place gets to come there

Tamper = Callable[[Path, dict[str, History]], None]


@dataclass
class Summary:
    """What all rounds together showed."""

    seed: int
    rounds: int = 0
    acknowledged: int = 0
    violations: list[str] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    spoilt: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """The numbers for a record: counts, and the time from start to ready in seconds."""
        ready = sorted(self.ready_seconds) or [0.0]
        return {
            "seed": self.seed,
            "rounds": self.rounds,
            "acknowledged_writes": self.acknowledged,
            "violations": len(self.violations),
            "snapshots_spoilt": self.spoilt,
            "ends": dict(sorted(self.ends.items())),
            "ready_p50_seconds": round(statistics.median(ready), 3),
            "ready_p99_seconds": round(ready[min(len(ready) - 1, int(0.99 * len(ready)))], 3),
            "ready_max_seconds": round(ready[-1], 3),
            "seconds": round(self.seconds, 1),
        }


@dataclass
class Rounds:
    """The rounds over one data directory; the server that was looked at serves the next round.

    `tamper` is called while the server is down, for a judge of this judge.
    """

    folder: Path
    seed: int
    tamper: Tamper | None = None
    say: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.histories = {kind.name: History() for kind in KINDS}
        self.summary = Summary(self.seed)
        self.server = ServerProcess(self.folder / "data")

    def run(self, rounds: int) -> Summary:
        """Play that many rounds; stops early when the server does not come back."""
        started = time.monotonic()
        with self.server:
            try:
                self._begin()
                for number in range(1, rounds + 1):
                    self._round(number)
            except ServerFailed as failure:
                self.summary.violations.append(f"round {self.summary.rounds + 1}: start: {failure}")
        if self.summary.violations:
            self.say(self.server.log_end())
        self.summary.acknowledged = sum(history.acknowledged for history in self.histories.values())
        self.summary.seconds = time.monotonic() - started
        return self.summary

    def _begin(self) -> None:
        self.server.start()
        self.server.wait_until_ready()
        with self.server.client() as client:
            for kind in KINDS:
                client.create_collection(**kind.definition)

    def _round(self, number: int) -> None:
        end = self.random.choices(_ENDS, _END_WEIGHTS)[0]
        keep_copies(self.server.data)
        violations, detail = self._load_and_end(number, end)
        spoilt = spoil_some(self.server.data, self.random) if self.random.random() < 0.5 else []
        if self.tamper is not None:
            self.tamper(self.server.data, self.histories)
        if end == "start":
            self._die_while_starting()
        violations += self._look()
        self.summary.violations += [
            f"round {number} ({detail}; spoilt: {spoilt or 'nothing'}): {one}" for one in violations
        ]
        self.summary.rounds, self.summary.spoilt = number, self.summary.spoilt + len(spoilt)
        self.summary.ends[detail.partition(":")[0]] += 1
        ready = self.summary.ready_seconds[-1]
        self.say(f"round {number}: {detail}, ready in {ready:.2f} s, {len(self.summary.violations)} violations")

    def _load_and_end(self, number: int, end: str) -> tuple[list[str], str]:
        """Write from several clients until the server is down; what they objected to, and how it ended.

        A place to die is told to a server of its own; one that has something to catch up may die before it is live.
        """
        place = self._place() if end == "place" else ""
        if place:
            self.server.start("--die-at", place)
            try:
                self.server.wait_until_live()
            except ServerFailed:
                if self.server.wait_for_end(0) != -signal.SIGKILL:
                    raise
                return [], place
        client = self.server.client()
        seeds = [self.random.randrange(1 << 30) for _ in range(WRITERS)]
        writers = [
            Writer(which, client, self.histories, Random(seed), f"r{number}") for which, seed in enumerate(seeds)
        ]
        threads = [threading.Thread(target=writer.work, name=f"writer-{writer.number}") for writer in writers]
        for thread in threads:
            thread.start()
        violations = self._end(end)
        for writer, thread in zip(writers, threads, strict=True):
            writer.stop.set()
            thread.join()
            violations += writer.violations
        client.close()
        return violations, place or end

    def _place(self) -> str:
        name = self.random.choice(UNDER_LOAD)
        often = ("before-commit", "after-commit", "before-indexing")
        return f"{name}:{self.random.randint(1, 150 if name in often else 4)}"

    def _end(self, end: str) -> list[str]:
        if end == "place":
            self.server.wait_for_end(_PATIENCE)
            self.server.kill()
            return []
        time.sleep(self.random.uniform(0.02, 1.5))  # the moment of death is what is random here
        if end == "term":
            code = self.server.terminate()
            return [] if code == 0 else [f"end: SIGTERM ended the server with {code}"]
        self.server.kill()
        return []

    def _die_while_starting(self) -> None:
        place = self.random.choice(("", "during-rebuild:1", "before-indexing:1", "before-checkpoint:1"))
        self.server.start(*(("--die-at", place) if place else ()))
        self.server.wait_for_end(self.random.uniform(0.1, 2.0))
        self.server.kill()

    def _look(self) -> list[str]:
        """Start again and compare; now and then a first time before the indexes are ready."""
        self.server.start()
        violations: list[str] = []
        if self.random.random() < 0.3:
            self.server.wait_until_live()
            violations += self._compare(ready=False)
        self.summary.ready_seconds.append(self.server.wait_until_ready())
        return violations + self._compare(ready=True)

    def _compare(self, *, ready: bool) -> list[str]:
        violations: list[str] = []
        with self.server.client() as client:
            for kind in KINDS:
                history = self.histories[kind.name]
                check = Check(client.collection(kind.name), kind, history, self.random, ready=ready)
                found = check.run()
                violations += check.violations
                if ready:
                    history.settle(found)
        return violations
