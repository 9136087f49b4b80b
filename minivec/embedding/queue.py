"""The texts that wait for the model: one bounded lane per input type, planned into length-grouped batches.

Nothing here locks; the scheduler holds its lock round every call but `Ticket.wait`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import Backend
from minivec.embedding.batches import group_by_length
from minivec.embedding.tokens import TokenizedText
from minivec.errors import MinivecError

LOOKAHEAD = 16  # batches planned at once: enough to find texts of like length, few enough to stay fair


class Ticket:
    """One caller's texts on their way: a vector or an error for each, or one failure for them all."""

    def __init__(self, backend: Backend, count: int) -> None:
        self.backend = backend
        self.vectors: NDArray[np.float32] = np.zeros((count, backend.dimension), np.float32)
        self.errors: list[MinivecError | None] = [None] * count
        self.failure: MinivecError | None = None
        self._open = count
        self._done = threading.Event()
        if not count:
            self._done.set()

    def settle(self, position: int, outcome: NDArray[np.float32] | MinivecError) -> None:
        """Put one text's vector or error in its place; the last one wakes the caller."""
        if isinstance(outcome, MinivecError):
            self.errors[position] = outcome
        else:
            self.vectors[position] = outcome
        self._open -= 1
        if self._open == 0:
            self._done.set()

    def fail(self, failure: MinivecError) -> None:
        """End every text of the caller that is still open; wakes the caller."""
        if not self._done.is_set():
            self.failure = failure
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """True once every text ended; False when `seconds` passed first."""
        return self._done.wait(seconds)


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """One text in the queue and where its outcome belongs."""

    text: TokenizedText
    ticket: Ticket
    position: int


class Lane:
    """The waiting texts of one input type, oldest first, and how many tokens they are."""

    def __init__(self) -> None:
        self.tokens = 0
        self._waiting: deque[Waiting] = deque()
        self._planned: deque[list[Waiting]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._planned)

    def add(self, ticket: Ticket, texts: Sequence[TokenizedText]) -> None:
        """Append one caller's texts."""
        self._waiting.extend(Waiting(text, ticket, position) for position, text in enumerate(texts))
        self.tokens += sum(map(len, texts))

    def next_batch(self, budget: int) -> list[Waiting]:
        """The next texts of one model that go through together, of any callers. The lane must not be empty."""
        if not self._planned:
            self._plan(budget)
        batch = self._planned.popleft()
        self.tokens -= sum(len(waiting.text) for waiting in batch)
        return batch

    def replan(self) -> None:
        """Take the planned batches apart again, because the budget they were planned for no longer holds."""
        self._waiting.extendleft(reversed([waiting for batch in self._planned for waiting in batch]))
        self._planned.clear()

    def drain(self) -> list[Waiting]:
        """Empty the lane and hand over what was in it."""
        self.replan()
        everything = list(self._waiting)
        self._waiting.clear()
        self.tokens = 0
        return everything

    def _plan(self, budget: int) -> None:
        by_backend: dict[int, list[Waiting]] = {}
        taken = 0
        while self._waiting and taken < budget * LOOKAHEAD:
            waiting = self._waiting.popleft()
            by_backend.setdefault(id(waiting.ticket.backend), []).append(waiting)
            taken += len(waiting.text)
        for group in by_backend.values():
            self._planned.extend(_batches(group, budget))


def _batches(group: list[Waiting], budget: int) -> Iterable[list[Waiting]]:
    backend = group[0].ticket.backend
    lengths = [len(waiting.text) for waiting in group]
    for positions in group_by_length(lengths, budget=budget, pass_cost=backend.pass_cost):
        yield [group[position] for position in positions]
